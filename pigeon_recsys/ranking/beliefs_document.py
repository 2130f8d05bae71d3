"""Beliefs as JSON, to be kept between processes; a policy's file holds those of slot and item.

{"slot": {…}, "item": {…}}, each of

{"version": 1, "kind": "beta", "prior_successes": 1.0, "prior_failures": 1.0,
 "counts": {"slot": [12.0, 230.0]}}

{"version": 1, "kind": "linear", "num_features": 2, "ridge": 1.0, "noise": 0.5,
 "arms": {"slot": {"squares": [[3.0, 1.0], [1.0, 2.0]], "moments": [0.5, 0.1]}}}
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearArm, LinearBeliefs
from pigeon_recsys.ranking.exploration import SlotBeliefs

VERSION = 1


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: Literal[1]


class _Beta(_Document):
    kind: Literal["beta"]
    prior_successes: float
    prior_failures: float
    counts: dict[str, tuple[float, float]]


class _LinearArm(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    squares: list[list[float]]
    moments: list[float]


class _Linear(_Document):
    kind: Literal["linear"]
    num_features: int
    ridge: float
    noise: float
    arms: dict[str, _LinearArm]


DOCUMENT: TypeAdapter[_Beta | _Linear] = TypeAdapter(
    Annotated[_Beta | _Linear, Field(discriminator="kind")]
)


def beliefs_to_json(beliefs: BetaBeliefs | LinearBeliefs) -> dict[str, object]:
    """Return a JSON-serializable form."""
    if isinstance(beliefs, BetaBeliefs):
        return {
            "version": VERSION,
            "kind": "beta",
            "prior_successes": beliefs.prior_successes,
            "prior_failures": beliefs.prior_failures,
            "counts": {arm: list(counts) for arm, counts in beliefs.counts.items()},
        }
    return {
        "version": VERSION,
        "kind": "linear",
        "num_features": beliefs.num_features,
        "ridge": beliefs.ridge,
        "noise": beliefs.noise,
        "arms": {
            name: {"squares": arm.squares_DD.tolist(), "moments": arm.moments_D.tolist()}
            for name, arm in beliefs.arms.items()
        },
    }


def beliefs_from_json(document: object) -> BetaBeliefs | LinearBeliefs:
    """Read what `beliefs_to_json` wrote. Raises `SettingsError` with every fault."""
    try:
        read = DOCUMENT.validate_python(document)
    except ValidationError as exc:
        faults = [
            f"{'.'.join(map(str, ['beliefs', *fault['loc']]))}: {fault['msg']}"
            for fault in exc.errors()
        ]
        raise SettingsError("; ".join(faults)) from exc
    if isinstance(read, _Beta):
        return BetaBeliefs(read.prior_successes, read.prior_failures, read.counts)
    arms = {name: _arm(name, arm, read.num_features) for name, arm in read.arms.items()}
    return LinearBeliefs(read.num_features, read.ridge, read.noise, arms)


def read_slot_beliefs(path: Path) -> SlotBeliefs:
    """Read what a policy learned. Raises `SettingsError` naming the file."""
    try:
        told = json.loads(path.read_bytes())
        return SlotBeliefs(beliefs_from_json(told["slot"]), beliefs_from_json(told["item"]))
    except OSError as exc:
        raise SettingsError(f"cannot read the beliefs in {path}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path} holds no beliefs of slot and item: {exc!r}") from exc


def write_slot_beliefs(path: Path, beliefs: SlotBeliefs) -> None:
    """Write beliefs of our own kinds, whole or not at all."""
    told = {}
    for name, each in (("slot", beliefs.slot), ("item", beliefs.item)):
        assert isinstance(each, BetaBeliefs | LinearBeliefs)
        told[name] = beliefs_to_json(each)
    write_text_atomic(path, json.dumps(told, indent=2, allow_nan=False) + "\n")


def _arm(name: str, read: _LinearArm, num_features: int) -> LinearArm:
    lengths = {len(read.moments), len(read.squares), *(len(row) for row in read.squares)}
    if lengths != {num_features}:
        raise SettingsError(
            f"beliefs.arms.{name} must hold {num_features} moments and {num_features} times as "
            "many squares. Write the beliefs again."
        )
    squares_DD = np.array(read.squares, np.float64)
    if not np.array_equal(squares_DD, squares_DD.T) or np.linalg.eigvalsh(squares_DD)[0] < -1e-6:
        raise SettingsError(
            f"beliefs.arms.{name}.squares is no sum of squares. Write the beliefs again."
        )
    return LinearArm(squares_DD, np.array(read.moments, np.float64))
