"""Constraints that cannot work are refused by name; surfaces and switches resolve."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.constraints import (
    BlendConstraints,
    BlendPolicy,
    FrequencyCap,
    Neighbours,
    Window,
)

HOME = BlendConstraints((1,), max_generated=2)
ELSEWHERE = BlendConstraints((5,))


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"allowed_positions": ()}, r"blend\.allowed_positions must be .*, got \[\]"),
        ({"allowed_positions": (2, 2)}, r"blend\.allowed_positions must be .*, got \[2, 2\]"),
        ({"allowed_positions": (0, -1)}, r"blend\.allowed_positions must be .*, got \[0, -1\]"),
        ({"max_generated": -1}, r"blend\.max_generated must be 0 or more, .*, got -1"),
        ({"min_score": math.nan}, r"blend\.min_score must be a finite number .*, got nan"),
        ({"min_score": 1.5}, r"blend\.min_score must be a finite number from 0 to 1, got 1\.5"),
        ({"min_distance": 0}, r"blend\.min_distance must be 1 or more, .*, got 0"),
        ({"near_copy_cosine": 0}, r"blend\.near_copy_cosine must be above 0 .*, got 0"),
        ({"share": -0.1}, r"blend\.share must be a share from 0 to 1, got -0\.1"),
        ({"salt": ""}, r"blend\.salt must be a text that is not empty, got ''"),
        ({"order": "random"}, r"blend\.order must be one of by_score, as_given, got 'random'"),
        ({"window": 3}, r"blend\.window must be a window of at_most and positions, got 3"),
    ],
)
def test_constraints_that_cannot_work_are_refused_by_name(
    constraints: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        BlendConstraints(**{"allowed_positions": (1,), **constraints})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"blend\.max_generated .*; blend\.share must"):
        BlendConstraints((1,), max_generated=True, share=math.inf)


def test_the_parts_are_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"blend\.at_most must be 1 or more"):
        Window(0, 3)
    with pytest.raises(SettingsError, match=r"blend\.hours must be a finite number above 0"):
        FrequencyCap(1, math.inf)
    with pytest.raises(SettingsError, match=r"blend\.max_cosine must be a finite number"):
        Neighbours(1, 2)


def test_a_surface_has_its_own_constraints_and_others_the_common_ones() -> None:
    policy = BlendPolicy(ELSEWHERE, {"home": HOME})
    assert policy.for_surface("home") == HOME
    assert policy.for_surface("search") == policy.for_surface() == ELSEWHERE


def test_other_surfaces_can_be_denied() -> None:
    policy = BlendPolicy(ELSEWHERE, {"home": HOME}, other_surfaces="deny")
    assert policy.for_surface("home") == HOME
    assert policy.for_surface("search") == replace(ELSEWHERE, switch="surface_off")


def test_the_kill_switch_goes_before_everything() -> None:
    policy = BlendPolicy(ELSEWHERE, {"home": HOME}, enabled=False)
    assert {policy.for_surface(name).switch for name in ("home", "search", None)} == {"kill_switch"}
