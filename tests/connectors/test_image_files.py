"""The image store on files: the port's contract, and what dies, fills up or refuses."""

import errno
import os
import random
import runpy
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pigeon_recsys.errors import ImageStoreError, MissingExtra, SettingsError
from pigeon_recsys.testing.image_store_contract import ImageStoreContract
from pigeon_recsys_connectors import image_files
from pigeon_recsys_connectors.image_files import MARKER, ImageFiles
from pigeon_recsys_connectors.whole_files import INCOMING, WholeFiles
from tests.connectors.image_writer import LENGTH, NAMES

NUM_KILLS = 8
NAME = "images/a.png"


class Refusing(MemoryFileSystem):
    """A store that may be read and not written."""

    protocol = "refusing"

    def pipe_file(self, path: str, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "not for you", path)


class Gone(MemoryFileSystem):
    """A store whose server went away after it was opened."""

    protocol = "gone"

    def info(self, path: str, **_: Any) -> None:
        raise TimeoutError("no answer in 5 s")


for kind in (Refusing, Gone):
    fsspec.register_implementation(kind.protocol, kind, clobber=True)


class TestImageFilesInAFolder(ImageStoreContract):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> ImageFiles:
        return ImageFiles.open(str(self.folder / "pictures"))


class TestImageFilesAtAFileUrl(TestImageFilesInAFolder):
    def make_store(self) -> ImageFiles:
        return ImageFiles.open(f"file://{self.folder}/pictures/")


class TestImageFilesInMemory(ImageStoreContract):
    def make_store(self) -> ImageFiles:
        return ImageFiles.open(f"memory://{uuid.uuid4().hex}/pictures")


def files_in(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def incoming(folder: Path) -> list[Path]:
    return list((folder / INCOMING).iterdir())


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_fsspec_opens_the_url(kind: str, tmp_path: Path) -> None:
    place = str(tmp_path / "with space") if kind == "folder" else f"memory://{uuid.uuid4().hex}"
    url = ImageFiles.open(place).write(NAME, b"picture")
    with fsspec.open(url) as file:
        assert file.read() == b"picture"


def test_another_process_finds_what_was_written(tmp_path: Path) -> None:
    ImageFiles.open(str(tmp_path)).write(NAME, b"picture")
    assert ImageFiles.open(str(tmp_path)).read(NAME) == b"picture"
    assert files_in(tmp_path) == [NAME, MARKER][::-1]
    assert (tmp_path / NAME).stat().st_mode & 0o444 == 0o444, "a web server may read it"


def test_a_relative_folder_has_an_absolute_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ImageFiles.open("out").write("a.png", b"") == f"file://{tmp_path}/out/a.png"


@contextmanager
def writer(folder: Path, how: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Run a writer; it is killed in the end and has said that it works."""
    command = [sys.executable, "-m", "tests.connectors.image_writer", str(folder), how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
            yield process
        finally:
            process.kill()


def test_a_killed_writer_leaves_whole_pictures_and_no_part_of_one(tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(NUM_KILLS):
        with writer(tmp_path):
            time.sleep(chance.uniform(0, 0.03))
        for name in files_in(tmp_path):
            if name in NAMES:
                content = (tmp_path / name).read_bytes()
                assert content == content[:1] * LENGTH
    store = ImageFiles.open(str(tmp_path))
    assert incoming(tmp_path) == []
    assert set(files_in(tmp_path)) <= {MARKER, *NAMES}
    assert store.write(NAME, b"x")


def test_a_writer_that_died_halfway_is_swept_up_after_and_a_live_one_is_not(
    tmp_path: Path,
) -> None:
    with writer(tmp_path, "die-in-fsync") as process:
        assert process.wait(30) != 0
    (left,) = incoming(tmp_path)
    assert left.stat().st_size == LENGTH
    with WholeFiles(tmp_path)._incoming_file() as (descriptor, path):
        os.write(descriptor, b"half")
        store = ImageFiles.open(str(tmp_path))
        assert incoming(tmp_path) == [path]
        assert not left.exists()
        assert store.read(NAMES[0]) is None
        os.replace(path, tmp_path / "whole.png")
    assert store.read("whole.png") == b"half"


def test_a_file_too_large_for_the_system_leaves_nothing(tmp_path: Path) -> None:
    """The limit lets a process write half of the picture."""
    with writer(tmp_path, str(LENGTH // 2)) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert process.wait(30) == 0
    assert f"writing file://{tmp_path}/{NAMES[0]} failed: OSError: File too large" in said
    assert "Raise the limit of a file's size." in said
    assert files_in(tmp_path) == [MARKER]


def test_a_disk_that_is_really_full_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    """In a mount namespace of its own, the folder is a file system smaller than a picture."""
    arguments = [sys.executable, "-m", "tests.connectors.image_writer", str(tmp_path)]
    write = shlex.join(arguments)
    place = shlex.quote(str(tmp_path))
    script = f"mount -t tmpfs -o size=1m tmpfs {place} || exit 99; {write}; find {place} -type f"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if ran.returncode in (1, 99):  # nobody may mount here, but files can be kept small
        test_a_file_too_large_for_the_system_leaves_nothing(tmp_path)
        return
    _, said, *left = ran.stdout.splitlines()
    assert f"writing file://{tmp_path}/{NAMES[0]} failed: OSError: No space left on device" in said
    assert said.endswith("Free space there.")
    assert left == [str(tmp_path / MARKER)]


def test_a_full_disk_leaves_the_old_picture_and_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ImageFiles.open(str(tmp_path))
    store.write(NAME, b"old")
    real_write = os.write

    def write(descriptor: int, content: bytes) -> int:
        if len(content) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, content[:10])

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(ImageStoreError, match=rf"{NAME} failed: .*No space.* Free space there"):
            store.write(NAME, b"new" * 10)
    assert store.read(NAME) == b"old"
    assert incoming(tmp_path) == []
    store.write(NAME, b"new")
    assert store.read(NAME) == b"new"


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("thesis")
    with pytest.raises(ImageStoreError, match="opening .*file failed: .*Remove the file that is"):
        ImageFiles.open(str(tmp_path / "file"))
    with pytest.raises(ImageStoreError, match="opening .*file/x failed: .*Remove the file that"):
        ImageFiles.open(str(tmp_path / "file/x"))
    store = ImageFiles.open(str(tmp_path))
    with pytest.raises(
        ImageStoreError, match="writing .*file/a.png failed: .*Remove the file that"
    ):
        store.write("file/a.png", b"x")
    with pytest.raises(
        ImageStoreError, match="reading .*file/a.png failed: .*Remove the file that"
    ):
        store.read("file/a.png")
    assert files_in(tmp_path) == [MARKER, "file"]


def test_a_folder_in_the_place_of_a_picture_is_named(tmp_path: Path) -> None:
    store = ImageFiles.open(str(tmp_path))
    store.write(NAME, b"x")
    with pytest.raises(ImageStoreError, match="images failed: .*Remove the folder that is in"):
        store.write("images", b"x")
    assert incoming(tmp_path) == []


def test_a_place_that_takes_no_file_is_found_on_opening() -> None:
    with pytest.raises(ImageStoreError, match="opening /sys/kernel/pigeon failed: "):
        ImageFiles.open("/sys/kernel/pigeon")
    with pytest.raises(
        ImageStoreError, match=r"writing refusing://x/\S+ failed: PermissionError: not for you"
    ) as refused:
        ImageFiles.open("refusing://x")
    assert "Give this user the right to read and write there." in str(refused.value)


def test_a_server_that_went_away_is_named() -> None:
    store = ImageFiles.open("gone://x")
    with pytest.raises(ImageStoreError, match="reading gone://x/images/a.png failed: TimeoutError"):
        store.read(NAME)


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_what_is_too_large_is_neither_written_nor_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path) if kind == "folder" else f"memory://{uuid.uuid4().hex}"
    store = ImageFiles.open(place)
    store.write(NAME, b"12345")
    monkeypatch.setattr(image_files, "MAX_BYTES", 4)
    with pytest.raises(ImageStoreError, match="it has more than 4 bytes and so is no picture"):
        store.read(NAME)
    with pytest.raises(SettingsError, match=f"{NAME} has 5 bytes, 4 allowed"):
        store.write(NAME, b"12345")
    store.write(NAME, b"1234")
    assert store.read(NAME) == b"1234"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "has no name. Give a folder or a URL"),
        ("nonsense://x", "Protocol not known: nonsense. Install the fsspec package of its kind"),
        ("simplecache::memory://x", "is a chain of file systems. Name one place"),
        ("sftp://host/pictures", "takes files piece by piece.*Mount it"),
        ("s3://key:hunter2@host/x", "store at host holds a password, and URLs of pictures are"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault) as refused:
        ImageFiles.open(url)
    assert "hunter2" not in str(refused.value)


def test_a_protocol_without_its_package_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory")  # so that only the lookup below fails
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SettingsError, match="'s3://b/x' cannot be used: .*Install s3fs"):
        ImageFiles.open("s3://b/x")


def test_a_missing_fsspec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r'fsspec\. Run: pip install "pigeon-recsys\[images\]"'):
        runpy.run_path(image_files.__file__)
