"""What a slate may show of generated pictures: the blend's constraints, as data.

`blend.py` keeps them, `constraints_document.py` reads them from YAML or JSON, and
`docs/blending.md` says what each one does. A cap or rule that is None does not bind.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from pigeon_recsys.errors import SettingsError

Order = Literal["by_score", "as_given"]
Place = Literal["by_score", "first_allowed"]
Switch = Literal["on", "kill_switch", "surface_off"]
OtherSurfaces = Literal["allow", "deny"]


class _Checked:
    """Refuses values that cannot work, all of them in one error."""

    def __post_init__(self) -> None:
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        if faults := broken_rules(values, "blend"):
            raise SettingsError("; ".join(faults))


@dataclass(frozen=True)
class Window(_Checked):
    """At most so many generated pictures among any so many positions in a row."""

    at_most: int
    positions: int


@dataclass(frozen=True)
class FrequencyCap(_Checked):
    """At most so many showings to one user within the last hours."""

    at_most: int
    hours: float


@dataclass(frozen=True)
class Neighbours(_Checked):
    """No neighbour within so many places may be more alike than this cosine, or the reference."""

    within: int
    max_cosine: float


@dataclass(frozen=True)
class BlendConstraints(_Checked):
    """What holds for one slate."""

    allowed_positions: tuple[int, ...]  # of placed items; 0 is shown first
    max_generated: int = 1  # pictures a slate, items and creatives together
    min_score: float = 0.0  # least calibrated probability
    min_distance: int = 1  # places between two generated pictures: 1 are neighbours
    window: Window | None = None
    item_cap: FrequencyCap | None = None  # showings of one picture
    user_cap: FrequencyCap | None = None  # showings of generated pictures together
    neighbours: Neighbours | None = None
    near_copy_cosine: float | None = None  # as alike as this to a candidate is a copy of it
    share: float = 1.0  # of slates that may show a generated picture
    salt: str = "slot"  # another one draws other slates into the share
    order: Order = "by_score"  # as_given: the caller's order is kept
    place: Place = "by_score"  # first_allowed: whatever the candidates' probabilities
    switch: Switch = "on"


@dataclass(frozen=True)
class BlendPolicy:
    """The constraints of every surface."""

    constraints: BlendConstraints  # where a surface has none of its own
    surfaces: Mapping[str, BlendConstraints] = field(default_factory=dict)
    other_surfaces: OtherSurfaces = "allow"
    enabled: bool = True  # False is the kill switch: no surface shows a generated picture

    @property
    def cap_hours(self) -> float:
        """The longest that a showing counts on any surface, 0 without frequency caps."""
        of_all = (self.constraints, *self.surfaces.values())
        caps = [cap for each in of_all for cap in (each.item_cap, each.user_cap)]
        return max((cap.hours for cap in caps if cap is not None), default=0.0)

    def for_surface(self, surface: str | None = None) -> BlendConstraints:
        """Return what holds on a surface; a name never heard of is one of the others."""
        is_other = surface is None or surface not in self.surfaces
        found = self.constraints if is_other else self.surfaces[str(surface)]
        if not self.enabled:
            return replace(found, switch="kill_switch")
        if is_other and self.other_surfaces == "deny":
            return replace(found, switch="surface_off")
        return found


def broken_rules(values: Mapping[str, Any], path: str) -> list[str]:
    """Return one line for each value that breaks its rule."""
    return [
        f"{path}.{name} must be {RULES[name].wanted}, got {_shown(value)}"
        for name, value in values.items()
        if name in RULES and not RULES[name].holds(value)
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be."""

    holds: Callable[[Any], bool]
    wanted: str  # completes "must be"


def _shown(value: object) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any, low: float, high: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def _are_positions(value: Any) -> bool:
    if not isinstance(value, tuple) or not value or len(set(value)) < len(value):
        return False
    return all(_is_whole(one, 0) for one in value)


def _is_none_or(kind: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kind)


def _one_of(*words: str) -> Rule:
    return Rule(lambda value: value in words, f"one of {', '.join(words)}")


RULES: Mapping[str, Rule] = {
    "allowed_positions": Rule(
        _are_positions,
        "one or more different positions from 0 on (to place nothing, set max_generated to 0)",
    ),
    "max_generated": Rule(lambda v: _is_whole(v, 0), "0 or more, a whole number"),
    "min_score": Rule(lambda v: _is_number(v, 0, 1), "a finite number from 0 to 1"),
    "min_distance": Rule(lambda v: _is_whole(v, 1), "1 or more, a whole number"),
    "window": Rule(_is_none_or(Window), "a window of at_most and positions"),
    "item_cap": Rule(_is_none_or(FrequencyCap), "a cap of at_most and hours"),
    "user_cap": Rule(_is_none_or(FrequencyCap), "a cap of at_most and hours"),
    "neighbours": Rule(_is_none_or(Neighbours), "a rule of within and max_cosine"),
    "near_copy_cosine": Rule(
        lambda v: v is None or (_is_number(v, 0, 1) and v > 0), "above 0 and at most 1, or null"
    ),
    "share": Rule(lambda v: _is_number(v, 0, 1), "a share from 0 to 1"),
    "salt": Rule(lambda v: isinstance(v, str) and bool(v), "a text that is not empty"),
    "order": _one_of("by_score", "as_given"),
    "place": _one_of("by_score", "first_allowed"),
    "switch": _one_of("on", "kill_switch", "surface_off"),
    "at_most": Rule(lambda v: _is_whole(v, 1), "1 or more, a whole number"),
    "positions": Rule(lambda v: _is_whole(v, 1), "1 or more, a whole number"),
    "hours": Rule(lambda v: _is_number(v, 0, math.inf) and v > 0, "a finite number above 0"),
    "within": Rule(lambda v: _is_whole(v, 1), "1 or more, a whole number"),
    "max_cosine": Rule(lambda v: _is_number(v, -1, 1), "a finite number from -1 to 1"),
    "enabled": Rule(lambda v: isinstance(v, bool), "true or false"),
    "other_surfaces": _one_of("allow", "deny"),
}
