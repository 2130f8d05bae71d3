"""Read blending constraints from a YAML or JSON document; every fault is told, with its path.

    enabled: true                  # false: the kill switch
    allowed_positions: [2, 5, 8]
    max_generated: 2
    user_cap: {at_most: 6, hours: 24}
    other_surfaces: deny
    surfaces:
      home: {}                     # as above
      search: {max_generated: 1}   # as above, but
      checkout: {enabled: false}

In:  the mapping that a YAML or JSON parser made.
Out: a `BlendPolicy`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.constraints import (
    BlendConstraints,
    BlendPolicy,
    FrequencyCap,
    Neighbours,
    Window,
    broken_rules,
)

SECTIONS: Mapping[str, type[Any]] = {
    "window": Window,
    "item_cap": FrequencyCap,
    "user_cap": FrequencyCap,
    "neighbours": Neighbours,
}
POSITIONS = "allowed_positions"
ENABLED = "enabled"
SURFACES = "surfaces"
OTHER_SURFACES = "other_surfaces"


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _required(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind) if field.default is MISSING]


CONSTRAINTS = [name for name in _names(BlendConstraints) if name != "switch"]  # says `enabled`


def policy_from_mapping(document: object, path: str = "blend") -> BlendPolicy:
    """Return the policy a document states. Raises `SettingsError` with all that is wrong."""
    faults: list[str] = []
    known = [*CONSTRAINTS, ENABLED, SURFACES, OTHER_SURFACES]
    given = _section(document, known, _required(BlendConstraints), path, faults)
    named = given.pop(SURFACES, {})
    if not isinstance(named, Mapping):
        faults.append(f"{path}.{SURFACES} must be a mapping, got {named!r}")
        named = {}
    surfaces = {
        str(name): _section(rules, [*CONSTRAINTS, ENABLED], [], f"{path}.{SURFACES}.{name}", faults)
        for name, rules in named.items()
    }
    if faults:
        listing = "\n".join(f"  - {fault}" for fault in faults)
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        raise SettingsError(f"{path}: {count}\n{listing}")
    policy_fields = {name: given.pop(name) for name in (ENABLED, OTHER_SURFACES) if name in given}
    constraints = BlendConstraints(**given)
    of_surfaces = {name: _overridden(constraints, rules) for name, rules in surfaces.items()}
    return BlendPolicy(constraints, of_surfaces, **policy_fields)


def _overridden(constraints: BlendConstraints, rules: dict[str, Any]) -> BlendConstraints:
    is_on = rules.pop(ENABLED, True)
    return replace(constraints, **rules, switch="on" if is_on else "surface_off")


def _section(
    given: object, known: list[str], required: list[str], path: str, faults: list[str]
) -> dict[str, Any]:
    """Return a section's values as the dataclasses want them; note every fault."""
    if not isinstance(given, Mapping):
        faults.append(f"{path} must be a mapping, got {given!r}")
        return {}
    faults += [f"{path}.{name} is missing" for name in required if name not in given]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            faults.append(f"{path}.{name} is no setting. There are: {', '.join(known)}")
            continue
        values[name] = _value(name, value, f"{path}.{name}", faults)
        faults += broken_rules({name: values[name]}, path) if name not in SECTIONS else []
    return values


def _value(name: str, value: object, path: str, faults: list[str]) -> object:
    if name in SECTIONS and value is not None:
        kind, num_before = SECTIONS[name], len(faults)
        inner = _section(value, _names(kind), _required(kind), path, faults)
        return kind(**inner) if len(faults) == num_before else None
    return tuple(value) if name == POSITIONS and isinstance(value, list) else value
