"""The two dataset folders beside the checkout read as they are."""

from pathlib import Path

import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.summary import summarize
from pigeon_recsys.datasets.validation import validate
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP


@pytest.fixture
def real_folder(repo_root: Path, request: pytest.FixtureRequest) -> Path:
    folder = repo_root.parent / "shared" / "data" / request.param
    if not folder.is_dir():
        pytest.skip(f"needs the data set {request.param} in {folder}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("real_folder", ["emoji-stickers"], indirect=True)
def test_the_stickers_are_sound_and_counted_as_documented(real_folder: Path) -> None:
    """The counts are those of the folder's README."""
    summary = summarize(validate(real_folder))
    assert (summary.task, summary.num_items, summary.num_users) == ("sticker", 6602, 828)
    assert (summary.num_likes, summary.num_skips, summary.num_neutral) == (23_896, 2390, 0)


@pytest.mark.slow
@pytest.mark.parametrize("real_folder", ["movie-posters"], indirect=True)
def test_the_posters_are_sound_and_counted_as_documented(real_folder: Path) -> None:
    """The counts are those of the folder's README: 22,819 ratings, 10,739 of at least 4."""
    summary = summarize(validate(real_folder))
    assert (summary.task, summary.num_items, summary.num_users) == ("poster", 4066, 418)
    assert summary.num_likes == 10_739
    assert summary.num_likes + summary.num_skips + summary.num_neutral == 22_819


@pytest.mark.parametrize("real_folder", ["emoji-stickers"], indirect=True)
def test_a_sticker_reads_with_its_emotion_where_it_has_one(real_folder: Path) -> None:
    dataset = DatasetFolder.open(real_folder)
    face, tool = dataset.item("fluent3d/1f600"), dataset.item("noto/1f3b2")
    assert (face.title, face.instruction) == ("grinning face", "grinning face, happy")
    assert face.attributes["emotion"] == "happy"
    assert "emotion" not in tool.attributes
    assert tool.instruction == tool.title
    assert dataset.pixels("fluent3d/1f600").shape == (96, 96, 3)


@pytest.mark.parametrize("real_folder", ["movie-posters"], indirect=True)
def test_a_poster_reads_with_its_genres_and_ratings(real_folder: Path) -> None:
    """User u10 rated m6942 with 4.0 and m1784 with 3.5."""
    dataset = DatasetFolder.open(real_folder)
    film = dataset.item("m3")
    assert film.instruction == "Grumpier Old Men, Comedy, Romance"
    assert film.attributes == {
        "year": "1995",
        "genres": ("Comedy", "Romance"),
        "tags": ("moldy", "old"),
    }
    history = dataset.history("u10")
    events = dict(zip(history.item_ids, history.events, strict=True))
    assert (events["m6942"], events["m1784"]) == (LIKE, NEUTRAL)
    assert SKIP in history.events
    assert dataset.pixels("m3").shape == (192, 128, 3)
