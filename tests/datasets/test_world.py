"""The sticker world: reproducible, balanced, with the tastes and the noise it promises."""

import hashlib
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, FACTORS, STYLE_FACTORS
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.datasets.world_items import balanced, caption, draw_catalog
from pigeon_recsys.datasets.world_users import codes, draw_users, simulate
from pigeon_recsys.errors import OutputError, SettingsError

SMALL = {"num_items": 60, "num_users": 12, "size": 64}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "seven"
    return generate_world(folder, seed=7, **SMALL)


@pytest.fixture(scope="module")
def crowd():
    """Tastes and events of 400 users over 2,000 items, without the pictures."""
    rng = np.random.default_rng(3)
    stickers = draw_catalog(2000, rng)
    styles, contents = codes(stickers, STYLE_FACTORS), codes(stickers, CONTENT_FACTORS)
    tastes = draw_users(400, styles, rng)
    return styles, contents, tastes, simulate(tastes, styles, contents, 0.15, rng)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(world, tmp_path):
    again = generate_world(tmp_path / "again", seed=7, **SMALL)
    assert digests(again.folder) == digests(world.folder)


def test_the_readme_holds_the_command_that_draws_the_same_world(world):
    readme = (world.folder / "README.md").read_text()
    command = "data world --out DIR --items 60 --users 12 --seed 7 --size 64"
    assert f"{command} --noise-share 0.15 --pack-size 36" in readme


def test_another_seed_gives_other_items_and_pictures(world, tmp_path):
    other = generate_world(tmp_path / "other", seed=8, **SMALL)
    ours, theirs = digests(world.folder), digests(other.folder)
    assert ours["items.parquet"] != theirs["items.parquet"]
    assert not set(ours.values()) & set(theirs.values())


def test_every_item_has_a_picture_of_the_size_asked_for(world):
    images = pq.read_table(world.folder / "items.parquet")["image"].to_pylist()
    assert images[:1] == ["images/000/w7-000000.png"]
    assert len(images) == 60
    for image in images:
        with Image.open(world.folder / image) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (64, 64))


def test_the_dataset_shows_no_style(world):
    described = yaml.safe_load((world.folder / "dataset.yaml").read_text())
    shown = pq.read_table(world.folder / "items.parquet").column_names
    assert shown == ["item_id", "caption", "emotion", "prop", "image"]
    assert described["items"]["attributes"] == ["emotion", "prop"]
    assert described["items"]["instruction"] == ["caption"]


def test_captions_never_mention_a_style_value():
    style_words = {word for values in STYLE_FACTORS.values() for word in values}
    rng = np.random.default_rng(0)
    for emotion in CONTENT_FACTORS["emotion"]:
        for prop in CONTENT_FACTORS["prop"]:
            for _ in range(20):
                words = set(re.findall(r"[a-z]+", caption(emotion, prop, rng)))
                assert not words & style_words


def test_captions_say_mood_and_prop():
    """With the first wording always drawn, the phrases are these."""

    class First:
        def integers(self, high):
            return 0

    assert caption("happy", "none", First()) == "a happy sticker"
    assert caption("angry", "umbrella", First()) == "an angry sticker with an umbrella"


def test_truth_files_name_every_item_user_and_like(world):
    items = pq.read_table(world.folder / "items_truth.parquet")
    users = pq.read_table(world.folder / "users_truth.parquet")
    likes = pq.read_table(world.folder / "interactions_truth.parquet")
    assert items.column_names == ["item_id", *FACTORS]
    assert {f"main_{factor}" for factor in STYLE_FACTORS} <= set(users.column_names)
    assert users["user_id"].to_pylist()[:1] == ["w7-u00000"]
    assert (items.num_rows, users.num_rows, likes.num_rows) == (60, 12, world.num_likes)
    assert sum(likes["is_noise"].to_pylist()) == world.num_noise_likes


def test_interactions_are_sorted_and_counted(world):
    log = pq.read_table(world.folder / "interactions.parquet").to_pylist()
    keys = [(row["user_id"], row["timestamp"]) for row in log]
    assert keys == sorted(keys)
    assert sum(row["event"] == "like" for row in log) == world.num_likes
    assert sum(row["event"] == "skip" for row in log) == world.num_skips
    assert len({(row["user_id"], row["item_id"]) for row in log}) == len(log)
    assert (max(k[1] for k in keys) - min(k[1] for k in keys)).days < 60


def test_balanced_values_differ_in_number_by_at_most_one():
    """Eleven draws from four values: three of them thrice, one twice."""
    drawn = balanced(("a", "b", "c", "d"), 11, np.random.default_rng(0))
    assert sorted(drawn.count(value) for value in "abcd") == [2, 3, 3, 3]


def test_every_factor_is_roughly_uniform(crowd):
    """Within a quarter of the even share of the 2,000 items."""
    styles, contents, _, _ = crowd
    for column, values in zip(np.hstack([styles, contents]).T, FACTORS.values(), strict=True):
        counts = np.bincount(column, minlength=len(values))
        assert np.abs(counts / (2000 / len(values)) - 1).max() < 0.25


def test_factors_are_independent():
    """Over 20,000 items, knowing one factor's value tells under 0.06 bits of another's.

    556 packs over 36 pairs of values give (5 * 5) / (2 * 556 * ln 2) = 0.03 bits by chance.
    """
    stickers = draw_catalog(20_000, np.random.default_rng(1))
    columns = codes(stickers, FACTORS).T
    for one, other in combinations(range(len(columns)), 2):
        joint = np.zeros((columns[one].max() + 1, columns[other].max() + 1))
        np.add.at(joint, (columns[one], columns[other]), 1 / len(stickers))
        even = joint.sum(axis=1, keepdims=True) @ joint.sum(axis=0, keepdims=True)
        seen = joint > 0
        bits = (joint[seen] * np.log2(joint[seen] / even[seen])).sum()
        assert bits < 0.06, (one, other)


def test_true_likes_show_the_main_style_in_85_to_90_percent(crowd):
    styles, _, tastes, events = crowd
    matches = np.concatenate(
        [styles[one.liked[~one.is_noise]] == tastes.main[u] for u, one in enumerate(events)]
    )
    assert 0.85 < matches.mean() < 0.90
    assert (matches.mean(axis=0) > 0.82).all()
    assert matches.all(axis=1).mean() > 0.6


def test_the_second_style_value_comes_before_the_others(crowd):
    """Of likes off the main value, one of k others would be the second in 1/k by chance."""
    styles, _, tastes, events = crowd
    for factor, values in enumerate(STYLE_FACTORS.values()):
        off, second = 0, 0
        for user, one in enumerate(events):
            liked = styles[one.liked[~one.is_noise], factor]
            off += (liked != tastes.main[user, factor]).sum()
            second += (liked == tastes.second[user, factor]).sum()
        assert second / off > 1.3 / (len(values) - 1)


def test_favourite_contents_are_liked_more(crowd):
    _, contents, tastes, events = crowd
    ranks = np.concatenate(
        [tastes.ranks[0][u][contents[one.liked, 0]] for u, one in enumerate(events)]
    )
    counts = np.bincount(ranks, minlength=8)
    assert counts[0] > 1.5 * counts[7]


def test_fifteen_percent_of_likes_are_noise(crowd):
    *_, events = crowd
    flags = np.concatenate([one.is_noise for one in events])
    assert 0.13 < flags.mean() < 0.17


def test_noise_likes_are_spread_over_time(crowd):
    """Noise is not all at the end of a user's likes: its mean position is about the middle."""
    *_, events = crowd
    places = np.concatenate([np.flatnonzero(one.is_noise) / len(one.is_noise) for one in events])
    assert 0.45 < places.mean() < 0.55


def test_likes_and_skips_never_share_an_item(crowd):
    *_, events = crowd
    for one in events:
        assert 20 <= len(one.liked) <= 40
        assert len(one.skipped) == round(0.3 * len(one.liked))
        both = np.concatenate([one.liked, one.skipped])
        assert len(np.unique(both)) == len(both)


def test_a_world_without_noise_has_none(tmp_path):
    assert generate_world(tmp_path / "w", seed=1, noise_share=0.0, **SMALL).num_noise_likes == 0


def test_smaller_packs_make_more_styles() -> None:
    """720 stickers in packs of 12 are 60 packs, in packs of 36 they are 20."""
    for pack_size, num_packs in ((12, 60), (36, 20)):
        stickers = draw_catalog(720, np.random.default_rng(0), pack_size)
        _, sizes = np.unique(codes(stickers, STYLE_FACTORS), axis=0, return_counts=True)
        assert all(sizes % pack_size == 0)
        assert sum(sizes // pack_size) == num_packs


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_items": 49}, "number of items must be at least 50, got 49. Use 2000"),
        ({"num_users": 0}, "number of users must be at least 1, got 0. Use 500"),
        ({"seed": -1}, "seed must not be negative, got -1. Use 0"),
        ({"size": 63}, "at least 64 pixels, got 63. Use 96"),
        ({"noise_share": 0.6}, "noise share must be from 0 to 0.5, got 0.6. Use 0.15"),
        ({"pack_size": 65}, "pack size must be from 1 to 64, got 65. Use 36"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, wrong, message):
    with pytest.raises(SettingsError, match=message):
        generate_world(tmp_path / "w", **({"seed": 0} | SMALL | wrong))
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds files that are not a sticker world"):
        generate_world(tmp_path, seed=0, **SMALL)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "w").write_text("")
    with pytest.raises(OutputError, match="w is a file. Name a folder"):
        generate_world(tmp_path / "w", seed=0, **SMALL)


def test_an_earlier_world_is_replaced_and_nothing_else_stays(tmp_path):
    generate_world(tmp_path / "w", seed=0, **SMALL)
    generate_world(tmp_path / "w", seed=1, **SMALL)
    assert pq.read_table(tmp_path / "w" / "items.parquet")["item_id"][0].as_py() == "w1-000000"
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
