"""What every `ImageStore` must do; inherit and supply `make_store`.

class TestMyStore(ImageStoreContract):
    def make_store(self):
        return MyStore(...)

`make_store` returns an empty store each time it is called.
"""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ports import ImageStore

NAME = "images/3f/3fc9.png"
NUM_WRITERS = 8
LONG = 200_000  # bytes: more than one write of the system takes to be whole
BAD_NAMES = (
    "",
    "/",
    "/etc/passwd",
    "../up.png",
    "images/../../up.png",
    "images//x.png",
    "images/",
    "./x.png",
    "images/.hidden",
    "a b.png",
    "a\\b.png",
    "a%2Fb.png",
    "c:x.png",
    "x.png\n",
    "x\0.png",
    "é.png",
    "s3://bucket/x.png",
    "*.png",
    "x" * 201,
)


class ImageStoreContract(ABC):
    """Inherit and supply `make_store`."""

    @abstractmethod
    def make_store(self) -> ImageStore:
        """Return an empty store."""

    def test_it_has_the_methods_of_the_image_port(self) -> None:
        assert isinstance(self.make_store(), ImageStore)

    @pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\xff", b"x" * LONG])
    def test_what_is_written_is_read(self, content: bytes) -> None:
        store = self.make_store()
        assert store.write(NAME, content)
        assert store.read(NAME) == content

    def test_what_was_never_written_is_none(self) -> None:
        store = self.make_store()
        store.write(NAME, b"x")
        assert store.read("images/3f/other.png") is None
        assert store.read("elsewhere/3fc9.png") is None
        assert store.read("images/3f") is None, "a folder is no picture"

    def test_every_name_has_a_url_of_its_own_that_stays(self) -> None:
        store = self.make_store()
        first = store.write("images/a.png", b"1")
        assert store.write("images/b.png", b"1") != first
        assert store.write("images/a.png", b"2") == first
        assert first.endswith("images/a.png")
        assert "://" in first

    def test_the_last_write_stays(self) -> None:
        store = self.make_store()
        store.write(NAME, b"a long first content")
        store.write(NAME, b"short")
        assert store.read(NAME) == b"short"

    def test_what_is_deleted_is_gone_and_others_stay(self) -> None:
        store = self.make_store()
        store.write(NAME, b"ada's")
        store.write("images/3f/other.png", b"eve's")
        assert store.delete(NAME)
        assert store.read(NAME) is None
        assert store.read("images/3f/other.png") == b"eve's"
        store.write(NAME, b"again")
        assert store.read(NAME) == b"again"

    def test_deleting_what_is_not_there_does_nothing(self) -> None:
        store = self.make_store()
        store.write(NAME, b"x")
        assert not store.delete("images/3f/other.png")
        assert not store.delete("elsewhere/3fc9.png")
        assert not store.delete("images/3f"), "a folder is no picture"
        assert store.delete(NAME)
        assert not store.delete(NAME)

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_name_that_is_no_plain_path_is_refused(self, name: str) -> None:
        store = self.make_store()
        with pytest.raises(SettingsError, match=r"is no name of a picture\. Use words of"):
            store.write(name, b"x")
        with pytest.raises(SettingsError, match="is no name of a picture"):
            store.read(name)
        with pytest.raises(SettingsError, match="is no name of a picture"):
            store.delete(name)

    def test_writers_of_one_name_leave_one_whole_content(self) -> None:
        store = self.make_store()
        contents = [bytes([number]) * LONG for number in range(NUM_WRITERS)]
        with ThreadPoolExecutor(NUM_WRITERS) as threads:
            list(threads.map(lambda content: store.write(NAME, content), contents))
        assert store.read(NAME) in contents
