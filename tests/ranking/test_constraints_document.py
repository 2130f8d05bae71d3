"""Constraints from YAML: what a team writes, and every fault told with its path."""

from typing import Any

import pytest
import yaml

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.constraints import (
    BlendConstraints,
    BlendPolicy,
    FrequencyCap,
    Neighbours,
    Window,
)
from pigeon_recsys.ranking.constraints_document import policy_from_mapping

DOCUMENT = """
allowed_positions: [2, 5, 8]
max_generated: 2
min_score: 0.05
min_distance: 3
window: {at_most: 1, positions: 4}
item_cap: {at_most: 3, hours: 24}
user_cap: {at_most: 6, hours: 24}
neighbours: {within: 1, max_cosine: 0.9}
near_copy_cosine: 0.97
share: 0.5
salt: autumn
order: as_given
place: first_allowed
other_surfaces: deny
surfaces:
  home: {}
  search: {max_generated: 1, window: null}
  checkout: {enabled: false}
"""
COMMON = BlendConstraints(
    allowed_positions=(2, 5, 8),
    max_generated=2,
    min_score=0.05,
    min_distance=3,
    window=Window(1, 4),
    item_cap=FrequencyCap(3, 24),
    user_cap=FrequencyCap(6, 24),
    neighbours=Neighbours(1, 0.9),
    near_copy_cosine=0.97,
    share=0.5,
    salt="autumn",
    order="as_given",
    place="first_allowed",
)


def test_a_document_states_the_common_constraints_and_what_differs_on_a_surface() -> None:
    policy = policy_from_mapping(yaml.safe_load(DOCUMENT))
    assert policy.for_surface("home") == policy.constraints == COMMON
    search = policy.for_surface("search")
    assert (search.max_generated, search.window, search.share) == (1, None, 0.5)
    assert policy.for_surface("checkout").switch == "surface_off"
    assert policy.for_surface("basket").switch == "surface_off"


def test_positions_alone_are_enough_and_false_is_the_kill_switch() -> None:
    assert policy_from_mapping({"allowed_positions": [1]}) == BlendPolicy(BlendConstraints((1,)))
    off = policy_from_mapping({"allowed_positions": [1], "enabled": False})
    assert off.for_surface("home").switch == "kill_switch"


def test_every_fault_is_told_with_its_path() -> None:
    document: dict[str, Any] = {
        "max_generatd": 1,
        "share": "half",
        "window": {"at_most": 0, "length": 3},
        "user_cap": 5,
        "enabled": "no",
        "surfaces": {"home": {"min_score": 2, "surfaces": {}}, "search": None},
    }
    with pytest.raises(SettingsError) as caught:
        policy_from_mapping(document)
    first, *lines = str(caught.value).splitlines()
    assert first == "blend: 11 faults"
    told = {line.removeprefix("  - ").split(" ")[0] for line in lines}
    assert told == {
        "blend.allowed_positions",
        "blend.max_generatd",
        "blend.share",
        "blend.window.positions",
        "blend.window.at_most",
        "blend.window.length",
        "blend.user_cap",
        "blend.enabled",
        "blend.surfaces.home.min_score",
        "blend.surfaces.home.surfaces",
        "blend.surfaces.search",
    }


@pytest.mark.parametrize("document", [None, [], "text", 5, {"allowed_positions": [1.5]}])
def test_what_is_no_such_document_is_refused(document: object) -> None:
    with pytest.raises(SettingsError, match="blend: . fault"):
        policy_from_mapping(document)


def test_surfaces_must_be_a_mapping() -> None:
    with pytest.raises(SettingsError, match=r"blend\.surfaces must be a mapping, got \['home'\]"):
        policy_from_mapping({"allowed_positions": [1], "surfaces": ["home"]})
