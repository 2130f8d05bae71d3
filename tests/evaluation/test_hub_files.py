"""Weights by path or by name on the hub, without a network."""

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.hub_files import local_file


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what the hub is asked for; it gives every file."""
    found: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        found.append((repository, file))
        return f"/cache/{file}"

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return found


def test_a_name_of_the_hub_is_fetched(asked: list[tuple[str, str]]) -> None:
    assert local_file("owner/weights/pt/inception.pth") == Path("/cache/pt/inception.pth")
    assert asked == [("owner/weights", "pt/inception.pth")]


def test_a_file_that_is_here_is_taken_as_it_is(
    asked: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.pth").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert local_file("a/b/c.pth") == Path("a/b/c.pth")
    assert asked == []


@pytest.mark.parametrize("path", ["c.pth", "b/c.pth", "/a/b/c.pth", "../a/b/c.pth"])
def test_what_can_only_be_a_path_is_not_asked_for(asked: list[tuple[str, str]], path: str) -> None:
    assert local_file(path) == Path(path)
    assert asked == []


def test_nothing_named_is_nothing(asked: list[tuple[str, str]]) -> None:
    assert local_file(None) is None


def test_what_the_hub_does_not_give_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repository: str, file: str) -> str:
        raise LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ArtifactError, match=r"the hub does not give it: no connection\. .*OWNER/"):
        local_file("owner/weights/inception.pth")
