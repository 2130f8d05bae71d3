"""Writing files so that a reader never meets half of one.

Everything goes to a temporary file or folder beside its target and is renamed into place.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pigeon_recsys.errors import OutputError

MKDTEMP_SUFFIX = "[a-z0-9_]{8}"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it there when the block succeeds.

    Raises `OutputError` when the folder cannot be made or written. On failure of the block
    the temporary file is removed and `target` stays as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
        )
        os.close(handle)
    except OSError as exc:
        raise OutputError(f"cannot write {target}: {exc.strerror}. Choose another path.") from exc
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a new folder beside `target`; rename it there when the block succeeds.

    A folder at `target` that is not empty is replaced only if `may_replace(target)`. On
    failure of the block the new folder is removed and `target` stays as it was.
    """
    is_occupied = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if is_occupied and not may_replace(target):
        raise OutputError(
            f"cannot write {target}: something else is there. Choose another folder or empty it."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as exc:
        raise OutputError(f"cannot write {target}: {exc.strerror}. Choose another path.") from exc
    fresh, replaced = workplace / "new", workplace / "old"
    try:
        fresh.mkdir()
        yield fresh
        if target.exists():
            os.replace(target, replaced)
        os.replace(fresh, target)
    finally:
        shutil.rmtree(workplace)


def recover_folder(target: Path) -> None:
    """Put right what a process left that was killed inside `atomic_folder`.

    The new folder goes to `target` where the killed process had taken the old one away; what else
    it left is removed. Nobody may be writing to `target`.
    """
    ours = re.compile(re.escape(f".{target.name}.") + MKDTEMP_SUFFIX)
    workplaces = [path for path in target.parent.glob(".*") if ours.fullmatch(path.name)]
    for workplace in workplaces:
        fresh, replaced = workplace / "new", workplace / "old"
        if replaced.exists() and not target.exists():
            os.replace(fresh, target)
        shutil.rmtree(workplace)


def write_bytes_atomic(target: Path, content: bytes) -> None:
    """Write `content` to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text_atomic(target: Path, content: str) -> None:
    """Write UTF-8 text to `target`, whole or not at all."""
    write_bytes_atomic(target, content.encode())


def check_writable(target: Path) -> None:
    """Raise `OutputError` unless a file could be written at `target`; leaves no trace."""
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a folder. Name a file.")
    check_writable_folder(target.parent)


def check_writable_folder(folder: Path) -> None:
    """Raise `OutputError` unless `folder` exists or can be made, and takes files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise OutputError(
            f"cannot write into {folder}: {exc.strerror}. Choose another folder."
        ) from exc
