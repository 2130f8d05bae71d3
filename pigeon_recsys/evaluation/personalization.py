"""Is the personalization real? What the judge sees, held against what was planted.

In:  for each generated picture its user, the user's main style, the content asked for, the
     picture made from the user's own history, and the one made from another user's history.
Out: how often content and style are right, how often the swapped picture still has the first
     user's style, and how often chance alone would give it, each with a 95 % interval.

Personalization is real if style is right far above chance and the swapped picture falls back
to chance: then the style came from the history and from nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.bootstrap import Estimate, mean_over_users
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.records import Pixels

Factors = Mapping[str, str]


@dataclass(frozen=True)
class PersonalizationRecord:
    """One request, answered twice: with the user's own history and with another user's."""

    user_id: str
    main_style: Factors  # the planted main value of every style factor
    asked: Factors  # the emotion and prop the reference asked for
    own: Pixels
    swapped: Pixels


@dataclass(frozen=True)
class JudgedRecord:
    """The same, as the judge reads it."""

    user_id: str
    main_style: Factors
    asked: Factors
    own: Factors
    swapped: Factors


def read_main_styles(users_truth: Path) -> dict[str, dict[str, str]]:
    """Return every user's planted main style from a world's `users_truth.parquet`."""
    import pyarrow.parquet as pq

    columns = ["user_id", *(f"main_{factor}" for factor in STYLE_FACTORS)]
    return {
        row["user_id"]: {factor: row[f"main_{factor}"] for factor in STYLE_FACTORS}
        for row in pq.read_table(users_truth, columns=columns).to_pylist()
    }


def judged(records: Sequence[PersonalizationRecord], judge: FactorJudge) -> list[JudgedRecord]:
    """Let the judge read every picture."""
    own = judge.factors([record.own for record in records])
    swapped = judge.factors([record.swapped for record in records])
    return [
        JudgedRecord(record.user_id, record.main_style, record.asked, mine, other)
        for record, mine, other in zip(records, own, swapped, strict=True)
    ]


def measure_personalization(
    records: Sequence[JudgedRecord], main_styles: Mapping[str, Factors], *, seed: int = 0
) -> dict[str, Estimate]:
    """Return every measure by name; `main_styles` holds all users that could have been drawn.

    Names are `content/…` for the asked emotion and prop, and `style/…`, `swapped_style/…` and
    `chance_style/…` for the user's main style in the own picture, in the swapped picture and in
    the main style of a random other user. The last part is a factor, `mean` over the factors,
    or `all` for every factor at once.
    """
    if len(main_styles) < 2:
        raise SettingsError(
            f"chance needs the main styles of at least 2 users, got {len(main_styles)}. "
            "Give those of every user of the world."
        )
    chance = {
        record.user_id: chance_match(record.user_id, record.main_style, main_styles)
        for record in records
    }
    sources: dict[str, Callable[[JudgedRecord], dict[str, float]]] = {
        "content": lambda record: match(record.own, record.asked, CONTENT_FACTORS),
        "style": lambda record: match(record.own, record.main_style, STYLE_FACTORS),
        "swapped_style": lambda record: match(record.swapped, record.main_style, STYLE_FACTORS),
        "chance_style": lambda record: chance[record.user_id],
    }
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        for source, measure in sources.items():
            for part, value in measure(record).items():
                users = values.setdefault(f"{source}/{part}", {})
                users.setdefault(record.user_id, []).append(value)
    return {name: mean_over_users(users, seed=seed) for name, users in values.items()}


def match(seen: Factors, wanted: Factors, factors: Mapping[str, object]) -> dict[str, float]:
    """Return 1 or 0 for each factor, their `mean`, and 1 under `all` if every one is right."""
    right = {factor: float(seen[factor] == wanted[factor]) for factor in factors}
    return right | {"mean": sum(right.values()) / len(right), "all": min(right.values())}


def chance_match(
    user_id: str, main_style: Factors, main_styles: Mapping[str, Factors]
) -> dict[str, float]:
    """Return the expected match of a random other user's main style with this user's."""
    others = [
        match(other, main_style, STYLE_FACTORS)
        for other_id, other in main_styles.items()
        if other_id != user_id
    ]
    return {part: sum(other[part] for other in others) / len(others) for part in others[0]}
