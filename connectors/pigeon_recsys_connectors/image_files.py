"""Pictures as files: the port `ImageStore` on a local folder or any store that fsspec knows.

In:  a folder or an fsspec URL (`s3://bucket/pictures`, `gs://…`, `abfs://…`, `memory://…`).
Out: whole files under their names, and URLs that fsspec opens.

A local folder takes files by rename (`whole_files.py`). An object store takes an object whole by
itself, so it is put in its place at once. Stores that take a file piece by piece would show half
of one; they are refused.
"""

import errno
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pigeon_recsys.errors import ImageStoreError, MissingExtra, SettingsError
from pigeon_recsys.generation.image_names import check_image_name
from pigeon_recsys_connectors.whole_files import WholeFiles

try:
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem
except ModuleNotFoundError as exc:
    raise MissingExtra("images", needed_for="the store of pictures", library="fsspec") from exc

MAX_BYTES = 64 * 2**20  # of a file; a picture of 4,096 pixels a side takes some 30 MB
MARKER = ".pigeon-recsys"  # written on opening, to learn then whether it can be; it stays
MARKER_CONTENT = b"An image store of pigeon-recsys.\n"
PIECEWISE = ("arrow_hdfs", "dropbox", "ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs")
FIXES = {
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Raise the quota there",
    errno.EFBIG: "Raise the limit of a file's size",
    errno.EACCES: "Give this user the right to read and write there",
    errno.EPERM: "Give this user the right to read and write there",
    errno.EROFS: "Mount it for writing",
    errno.ENOTDIR: "Remove the file that is in the place of a folder",
    errno.EEXIST: "Remove the file that is in the place of a folder",
    errno.EISDIR: "Remove the folder that is in the place of a file",
}
DEFAULT_FIX = "Check that the store is there, answers, and lets this user read and write"


class Files(Protocol):
    """What a place of files can do; it raises whatever its library raises."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return up to `max_bytes` of a file, None without it."""

    def delete(self, name: str) -> bool:
        """Remove a file; say whether there was one."""


class ImageFiles:
    """An `ImageStore` on files or objects. Threads and processes may share one place."""

    def __init__(self, url: str) -> None:
        self._files, self._url = _files_at(url)
        self._write(MARKER, MARKER_CONTENT)

    @classmethod
    def open(cls, url: str) -> "ImageFiles":
        """Open the store at a folder or URL; a local folder is made where it is missing.

        Raises `SettingsError` for a URL that cannot work, `ImageStoreError` where nothing can be
        written.
        """
        return cls(url)

    def write(self, name: str, content: bytes) -> str:
        """Store a picture, whole or not at all, and return its URL; the last write stays."""
        check_image_name(name)
        if len(content) > MAX_BYTES:
            raise SettingsError(
                f"{name} has {len(content)} bytes, {MAX_BYTES} allowed. Make the picture smaller."
            )
        return self._write(name, content)

    def read(self, name: str) -> bytes | None:
        """Return what is stored under a name, None without it."""
        check_image_name(name)
        place = f"{self._url}/{name}"
        try:
            content = self._files.read(name, MAX_BYTES + 1)
        except Exception as exc:
            raise _store_error(f"reading {place}", exc) from exc
        if content is not None and len(content) > MAX_BYTES:
            raise ImageStoreError(
                f"reading {place} failed: it has more than {MAX_BYTES} bytes and so is no picture "
                "of this store. Remove it."
            )
        return content

    def delete(self, name: str) -> bool:
        """Remove what is stored under a name; say whether there was anything."""
        check_image_name(name)
        try:
            return self._files.delete(name)
        except Exception as exc:
            raise _store_error(f"removing {self._url}/{name}", exc) from exc

    def _write(self, name: str, content: bytes) -> str:
        place = f"{self._url}/{name}"
        try:
            self._files.write(name, content)
        except Exception as exc:
            raise _store_error(f"writing {place}", exc) from exc
        return place


class ObjectFiles:
    """Objects below a prefix of an fsspec file system that takes each one whole."""

    def __init__(self, file_system: Any, prefix: str) -> None:  # fsspec ships no types
        self._file_system = file_system
        self._prefix = prefix.rstrip("/")

    def write(self, name: str, content: bytes) -> None:
        """Put an object in its place at once."""
        self._file_system.pipe_file(f"{self._prefix}/{name}", content)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return up to `max_bytes` of an object, None without it."""
        path = f"{self._prefix}/{name}"
        self._file_system.invalidate_cache()  # of listings: others write too
        try:
            found = self._file_system.info(path)
            if found["type"] != "file":
                return None
            end = max_bytes if found["size"] > max_bytes else None
            content: bytes = self._file_system.cat_file(path, end=end)
        except FileNotFoundError:
            return None
        return content

    def delete(self, name: str) -> bool:
        """Remove an object; say whether there was one. A bucket with versions keeps old ones."""
        path = f"{self._prefix}/{name}"
        self._file_system.invalidate_cache()
        try:
            if self._file_system.info(path)["type"] != "file":
                return False
            self._file_system.rm_file(path)
        except FileNotFoundError:
            return False
        return True


def _files_at(url: str) -> tuple[Files, str]:
    """Return the files at a URL, and the URL by which others find them."""
    _check_url(url)
    try:
        file_system, path = url_to_fs(url)
    except (ImportError, ValueError) as exc:
        raise SettingsError(
            f"the image store {url!r} cannot be used: {exc}. Install the fsspec package of its "
            "kind, such as s3fs for s3:// and gcsfs for gs://, or name a folder."
        ) from exc
    except Exception as exc:
        raise _store_error(f"opening {url}", exc) from exc
    if not isinstance(file_system, LocalFileSystem):
        return ObjectFiles(file_system, path), url.rstrip("/")
    try:
        return WholeFiles(Path(path)), file_system.unstrip_protocol(path).rstrip("/")
    except OSError as exc:
        raise _store_error(f"opening {url}", exc) from exc


def _check_url(url: str) -> None:
    """Raise `SettingsError` for a URL that names no place where files appear whole."""
    if not url.strip():
        raise SettingsError("the image store has no name. Give a folder or a URL.")
    if "::" in url:
        raise SettingsError(
            f"the image store {url!r} is a chain of file systems. Name one place, without `::`."
        )
    parts = urlsplit(url)
    if parts.password is not None:
        raise SettingsError(
            f"the URL of the image store at {parts.hostname} holds a password, and URLs of "
            "pictures are published. Give it by the environment or in fsspec's settings file."
        )
    if parts.scheme in PIECEWISE:
        raise SettingsError(
            f"the image store {url!r} takes files piece by piece, so others would see half of "
            "one. Mount it and name the folder, or use an object store."
        )


def _store_error(doing: str, exc: Exception) -> ImageStoreError:
    number = exc.errno if isinstance(exc, OSError) else None
    fault = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    fix = FIXES.get(number or 0, DEFAULT_FIX)
    return ImageStoreError(f"{doing} failed: {type(exc).__name__}: {fault}. {fix}.")
