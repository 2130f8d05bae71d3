"""Every error a user of this package can meet.

    PigeonError
    ├── SettingsError       a setting or argument is wrong
    ├── MissingExtra        an optional library is not installed
    ├── DatasetError        a dataset folder has faults (all of them are listed)
    ├── OutputError         a place to write to cannot be written
    ├── ArtifactError       weights, an index or an export is missing or corrupt
    ├── UnknownUser         no history is stored for this user
    ├── UnknownItem         the catalog holds no such item
    ├── StoreError          a store could not be read or written
    │   ├── HistoryStoreError   user histories
    │   ├── ItemStoreError      generated items
    │   └── ImageStoreError     generated pictures
    ├── HistoriesDiffer     two ways to the same histories did not give the same
    ├── EventError          an event from outside cannot be used as it is
    ├── LogError            the event log could not be read or written
    │   └── PartitionsMoved another worker has the partitions by now
    ├── RequestError        a request to the slot has faults (all of them are listed)
    ├── NotConfigured       a request needs a part that the settings leave out
    ├── GenerationError     no image could be made
    │   ├── GenerationTimeout   the generator took too long
    │   ├── WorkersLost         worker after worker ended with a job in hand
    │   └── GeneratorBusy       as many images wait to be made as may
    └── RankingError        candidates could not be scored or blended

A message names the fault, the value and the fix. `exit_code` is what the command
line returns: 1 for work that failed, 2 for bad usage.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class PigeonError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1
    result: dict[str, Any] | None = None  # what `--json` writes when the work failed with this


class SettingsError(PigeonError):
    """A setting or argument has a value that cannot work."""

    exit_code = 2


class MissingExtra(PigeonError):
    """An optional library is needed and not installed."""

    def __init__(self, extra: str, *, needed_for: str, library: str | None = None) -> None:
        super().__init__(
            f'{needed_for} needs {library or extra}. Run: pip install "pigeon-recsys[{extra}]"'
        )
        self.extra = extra


class DatasetError(PigeonError):
    """A dataset folder has faults; `faults` holds one line each, with row and value.

    `listing` is what the message prints in their place, where `faults` are too many to read.
    """

    def __init__(
        self, folder: Path, faults: Sequence[str], *, listing: Sequence[str] | None = None
    ) -> None:
        self.folder = folder
        self.faults = tuple(faults)
        self.result: dict[str, Any] = {
            "folder": str(folder),
            "faults": [{"text": fault} for fault in faults],
        }
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        lines = "\n".join(f"  - {line}" for line in (faults if listing is None else listing))
        super().__init__(f"{folder}: {count}\n{lines}")


class OutputError(PigeonError):
    """A file or folder cannot be written; raised before any work is done."""


class ArtifactError(PigeonError):
    """Weights, an index or an export is missing, corrupt or made for something else."""

    def __init__(self, path: Path, fault: str, *, rebuild: str) -> None:
        self.path = path
        super().__init__(f"{path} {fault}. Rebuild it with: {rebuild}")


class UnknownUser(PigeonError):
    """No history is stored for this user."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(
            f"no history is stored for user {user_id!r}. Publish the user's interactions first, "
            "or serve a cold-start slate."
        )


class UnknownItem(PigeonError):
    """The catalog or the index holds no such item."""

    def __init__(
        self, item_id: str, *, where: str = "the catalog", num_known: int | None = None
    ) -> None:
        self.item_id = item_id
        among = "" if num_known is None else f" among its {num_known} items"
        super().__init__(f"{where} holds no item {item_id!r}{among}.")


class StoreError(PigeonError):
    """A store could not be read or written; another try may succeed."""


class HistoryStoreError(StoreError):
    """The history store could not be read or written."""


class ItemStoreError(StoreError):
    """The store of generated items could not be read or written."""


class ImageStoreError(StoreError):
    """The store of generated pictures could not be read or written."""


class HistoriesDiffer(PigeonError):
    """Two ways to the same histories did not give the same; `result` holds what differs."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        self.result: dict[str, Any] = result
        super().__init__(message)


class EventError(PigeonError):
    """An event from outside cannot be used as it is; `reason` is a word to count by."""

    def __init__(self, reason: str, fault: str) -> None:
        self.reason = reason
        super().__init__(f"{reason} event: {fault}")


class LogError(PigeonError):
    """The event log could not be read or written; nothing of the batch counts as done."""


class PartitionsMoved(LogError):
    """Partitions went to another worker: a transaction was refused and nothing written."""


class RequestError(PigeonError):
    """A request has faults; `faults` holds one line each, which begins with the field's path."""

    exit_code = 2

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class NotConfigured(PigeonError):
    """A request needs a part that the settings leave out."""

    def __init__(self, what: str, *, setting: str) -> None:
        super().__init__(f"{what} needs {setting}, which the settings leave out. Add it there.")


class GenerationError(PigeonError):
    """No image could be made for this request."""


class GenerationTimeout(GenerationError):
    """The generator did not answer in time."""


class WorkersLost(GenerationError):
    """So many workers ended with this job in hand that it may be what ends them."""


class GeneratorBusy(GenerationError):
    """As many images wait to be made as may; another try may succeed."""


class RankingError(PigeonError):
    """Candidates could not be scored or blended."""


def public_text(error: PigeonError) -> str:
    """Return what somebody outside may read of an error: no address and no path."""
    if isinstance(error, StoreError | ArtifactError | LogError | DatasetError):
        return f"{type(error).__name__}, which the log explains"
    return str(error)
