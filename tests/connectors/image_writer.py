"""A writer of pictures as a process of its own, for tests that kill it.

python -m tests.connectors.image_writer FOLDER [die-in-fsync | MAX_FILE_BYTES]
"""

import os
import resource
import signal
import sys
from itertools import count

from pigeon_recsys.errors import ImageStoreError
from pigeon_recsys_connectors.image_files import ImageFiles

NAMES = ("images/a.png", "images/b.png", "c.png")
LENGTH = 2_000_000  # bytes: takes long enough to die in


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, how: str = "") -> None:
    """Write pictures of one repeated byte until killed, or as told."""
    store = ImageFiles.open(folder)
    if how == "die-in-fsync":
        os.fsync = die
    elif how:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(how), int(how)))
    say("working")
    for number in count():
        try:
            store.write(NAMES[number % len(NAMES)], bytes([number % 256]) * LENGTH)
        except ImageStoreError as failed:
            say(str(failed))
            return


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
