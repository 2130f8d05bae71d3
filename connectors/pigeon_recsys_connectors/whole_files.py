"""Files in a local folder that are there whole or not at all, whatever dies while writing.

In:  a folder, a relative path, bytes.
Out: the file, on the disk and not only in memory when `write` returns.

A file is written under a name of its writer's own in `.incoming`, in the same file system, and
renamed to its place. Writers of one name never meet before the rename, and the last rename stays.

A writer holds a lock on its file in `.incoming`, which the kernel takes back however the process
ends. So opening the folder can tell what a dead writer left, and removes it, from what a live one
is writing, without guessing by age or by clock.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

INCOMING = ".incoming"  # no name of a picture starts with a dot


class WholeFiles:
    """A folder of whole files; raises `OSError` as it comes. Threads may share one."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing, and remove what dead writers left."""
        self._folder = folder
        self._incoming = folder / INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        for path in self._incoming.iterdir():
            _remove_unless_locked(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        target = self._folder / name
        with self._incoming_file() as (descriptor, path):
            _write_all(descriptor, content)
            os.fsync(descriptor)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        _sync_folder(target.parent)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return up to `max_bytes` of a file, None without it."""
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(max_bytes)
        except (FileNotFoundError, IsADirectoryError):
            return None

    def delete(self, name: str) -> bool:
        """Remove a file; say whether there was one. A folder is none."""
        target = self._folder / name
        try:
            target.unlink()
        except (FileNotFoundError, IsADirectoryError):
            return False
        _sync_folder(target.parent)
        return True

    @contextmanager
    def _incoming_file(self) -> Iterator[tuple[int, Path]]:
        """Lend a locked new file, which is removed unless it was renamed."""
        descriptor, path = self._make_locked()
        try:
            yield descriptor, path
        finally:
            with suppress(OSError):  # what cannot be removed now is when the folder is opened
                path.unlink(missing_ok=True)
            os.close(descriptor)  # gives the lock back

    def _make_locked(self) -> tuple[int, Path]:
        while True:
            path = self._incoming / uuid.uuid4().hex
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                os.close(descriptor)
                path.unlink()
                raise
            if path.exists():
                return descriptor, path
            os.close(descriptor)  # removed before it was locked, by one who opened the folder


def _remove_unless_locked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # renamed to its place by now
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # its writer lives
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename or a removal outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
