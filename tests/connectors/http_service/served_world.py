"""A process of the slot service over real stores, for tests to call, and to stop.

    python -m tests.connectors.http_service.served_world FOLDER

In FOLDER: `section.json`, the section `http`; `store`, a Feast repository, and `images`, without
which there are fakes; `slates.log`, to which workers append the id of every slate they decided on.
The address goes to standard output.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pigeon_recsys.decisions import Decision, SlateEntry
from pigeon_recsys.errors import PigeonError, SettingsError
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.service.worker_news import Tell
from pigeon_recsys_connectors.http_service.serving import serve


class FileLog:
    """Appends the ids of slates to a file that all workers share."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Append; one write of a short line is never torn."""
        ids = [entry.request_id for entry in entries if isinstance(entry, Decision)]
        os.write(self._file, "".join(f"{each}\n" for each in ids).encode())

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def open_world(folder: Path, tell: Tell) -> SlotService:
    """Open the service over the stores in a folder, as each worker does."""
    from pigeon_recsys_connectors.feast_history import FeastHistoryStore
    from pigeon_recsys_connectors.feast_items import FeastItemStore
    from pigeon_recsys_connectors.image_files import ImageFiles
    from tests.connectors.http_service.world import World

    store = folder / "store"
    world = World(
        items=FeastItemStore.open(store),
        images=ImageFiles.open(str(folder / "images")),
        histories=FeastHistoryStore.open(store),
        log=FileLog(folder / "slates.log"),  # type: ignore[arg-type]
    )
    return world.service(tell)


def open_fakes(folder: Path, tell: Tell) -> SlotService:
    """Open the service over stores in memory, each worker's its own: quick to start."""
    from tests.connectors.http_service.world import small_world

    world = small_world()
    world.log = FileLog(folder / "slates.log")  # type: ignore[assignment]
    if (folder / "broken").exists():
        raise SettingsError("the world is broken. Remove the file.")
    return world.service(tell)


def tell_address(url: str) -> None:
    """Write the address where the test reads it."""
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def main() -> int:
    """Serve until stopped."""
    logging.basicConfig(level=logging.WARNING)
    folder = Path(sys.argv[1])
    section = json.loads((folder / "section.json").read_text())
    try:
        serve(
            partial(open_world if (folder / "store").exists() else open_fakes, folder),
            section,
            log_format="json",
            log_level=logging.INFO,
            on_ready=tell_address,
        )
    except PigeonError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
