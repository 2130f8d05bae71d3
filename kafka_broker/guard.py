"""Clean up after a broker whose parent died.

In:  the broker's folder as the one argument; standard input, a pipe that the parent holds open.
Out: when the pipe closes, however the parent ended: no process on that folder, and no folder.

Run as a script, by the standard library alone, so that it costs a few megabytes.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

PROPERTIES = "server.properties"  # named in the command line of every process on a folder
KILL_TIMEOUT_S = 10.0
POLL_S = 0.02


def processes_on(folder: Path) -> list[int]:
    """Return the processes that run with this folder's server.properties."""
    argument = os.fsencode(folder / PROPERTIES)
    found = []
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            if argument in command_line.read_bytes().split(b"\0"):
                found.append(int(command_line.parent.name))
    return found


def clean_up(folder: Path) -> None:
    """Kill what runs on `folder` and remove it; does nothing where all is gone already."""
    if not folder.exists():
        return
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while (running := processes_on(folder)) and time.monotonic() < deadline:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    clean_up(Path(sys.argv[1]))
