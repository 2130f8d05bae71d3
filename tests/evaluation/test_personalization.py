"""The personalization measures, against numbers worked out by hand."""

import re

import numpy as np
import pytest

from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.personalization import (
    JudgedRecord,
    PersonalizationRecord,
    judged,
    measure_personalization,
    read_main_styles,
)

STYLE_A = {"character": "cat", "palette": "mint", "line": "bold", "background": "dots"}
STYLE_B = {"character": "cat", "palette": "sky", "line": "flat", "background": "rays"}
STYLE_C = {"character": "frog", "palette": "sky", "line": "bold", "background": "plain"}
USERS = {"a": STYLE_A, "b": STYLE_B, "c": STYLE_C}
HAPPY_STAR = {"emotion": "happy", "prop": "star"}
HAPPY_CUP = {"emotion": "happy", "prop": "cup"}


@pytest.fixture
def measures():
    """Two pictures for user a, one for user b.

    a, first:  everything right; swapped: style B (of A it has the character).
    a, second: prop wrong, character wrong; swapped: style C (of A it has the line).
    b:         everything right; swapped: style A (of B it has the character).
    """
    frog = STYLE_A | {"character": "frog"}
    return measure_personalization(
        [
            JudgedRecord("a", STYLE_A, HAPPY_STAR, STYLE_A | HAPPY_STAR, STYLE_B | HAPPY_STAR),
            JudgedRecord("a", STYLE_A, HAPPY_STAR, frog | HAPPY_CUP, STYLE_C | HAPPY_STAR),
            JudgedRecord("b", STYLE_B, HAPPY_CUP, STYLE_B | HAPPY_CUP, STYLE_A | HAPPY_CUP),
        ],
        USERS,
    )


def test_content_is_right_when_both_emotion_and_prop_are(measures):
    """a: 1 and 0, mean 0.5; b: 1. Mean over users 0.75; the emotion is always right."""
    assert measures["content/all"].mean == 0.75
    assert measures["content/emotion"].mean == 1.0
    assert measures["content/prop"].mean == 0.75


def test_style_is_measured_by_factor_in_the_mean_and_jointly(measures):
    """a: character 1, 0; other factors 1. Mean over factors (1 + 3/4) / 2 = 7/8; b: 1."""
    assert measures["style/character"].mean == 0.75
    assert measures["style/palette"].mean == 1.0
    assert measures["style/mean"].mean == pytest.approx((7 / 8 + 1) / 2)
    assert measures["style/all"].mean == 0.75


def test_swapped_pictures_are_held_against_the_first_users_style(measures):
    """a: one factor of four, twice; b: one of four. Never all."""
    assert measures["swapped_style/mean"].mean == 0.25
    assert measures["swapped_style/character"].mean == pytest.approx((0.5 + 1) / 2)
    assert measures["swapped_style/all"].mean == 0.0


def test_chance_is_the_match_of_the_other_users(measures):
    """a: B shares the character, C the line: 1/4. b: A the character, C the palette: 1/4.

    Character: a is met by b alone (1/2), b by a alone (1/2).
    """
    assert measures["chance_style/mean"].mean == 0.25
    assert measures["chance_style/character"].mean == 0.5
    assert measures["chance_style/all"].mean == 0.0


def test_every_measure_has_an_interval_over_users(measures):
    """Two users, with means 0.5 and 1: resampled means lie between them."""
    estimate = measures["content/all"]
    assert (estimate.low, estimate.high, estimate.num_users) == (0.5, 1.0, 2)


def test_one_user_alone_has_no_chance_level():
    record = JudgedRecord("a", STYLE_A, HAPPY_STAR, STYLE_A | HAPPY_STAR, STYLE_B | HAPPY_STAR)
    with pytest.raises(SettingsError, match="at least 2 users, got 1"):
        measure_personalization([record], {"a": STYLE_A})


def test_the_judge_reads_own_and_swapped_pictures_in_order():
    class BrightnessJudge:
        def factors(self, images):
            return [{"emotion": str(int(pixels.mean()))} for pixels in images]

    def grey(value):
        return np.full((72, 72, 3), value, np.uint8)

    records = [
        PersonalizationRecord("a", STYLE_A, HAPPY_STAR, grey(1), grey(2)),
        PersonalizationRecord("b", STYLE_B, HAPPY_CUP, grey(3), grey(4)),
    ]
    read = judged(records, BrightnessJudge())
    assert [(r.user_id, r.own["emotion"], r.swapped["emotion"]) for r in read] == [
        ("a", "1", "2"),
        ("b", "3", "4"),
    ]


def test_main_styles_are_read_from_a_worlds_truth(tmp_path):
    world = generate_world(tmp_path / "w", num_items=50, num_users=3, seed=0, size=64)
    styles = read_main_styles(world.folder / "users_truth.parquet")
    assert sorted(styles) == ["w0-u00000", "w0-u00001", "w0-u00002"]
    assert set(styles["w0-u00000"]) == set(STYLE_A)


def test_nothing_that_learns_or_ranks_mentions_the_planted_truth(repo_root):
    """Models, training, retrieval and ranking must recover tastes, not read them."""
    truth = re.compile(r"(users|items|interactions)_truth|_truth\.parquet|FactorJudge")
    package = repo_root / "pigeon_recsys"
    stages = ("model", "backbones", "alignment", "generation", "history", "ranking", "retrieval")
    mentions = [
        str(path.relative_to(repo_root))
        for stage in stages
        for path in (package / stage).rglob("*.py")
        if truth.search(path.read_text())
    ]
    assert mentions == []
