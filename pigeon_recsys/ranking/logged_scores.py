"""What a ranker said of items that were seen, and what became of them: calibration's outcomes.

In:  the seen slates of a decision log.
Out: `Outcomes`: the ranker's raw score, the source and the outcome of every item that was seen.

Scores of two rankers do not mean the same: only those of the ranker that the newest slate was
scored with are taken. A picture weighs one over the chance that it was shown: that of the action,
or where several may be placed that of a filled slot. Catalog items weigh one.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pigeon_recsys.decisions import Decision, Offered
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.calibration import Outcomes
from pigeon_recsys.ranking.scoring import CATALOG
from pigeon_recsys.ranking.seen_slates import SeenSlate

RANKER = "ranker"  # among a decision's versions


@dataclass(frozen=True)
class LoggedScores:
    """Outcomes of one ranker's scores, and how many items were left out."""

    outcomes: Outcomes
    ranker: str  # its version, empty where it tells none
    num_without_score: int  # seen items; not ranked, beyond what is logged, or of an older log
    num_of_others: int  # seen items, scored by another ranker


@dataclass
class _Rows:
    """The rows of one ranker."""

    newest_ms: int = 0
    users: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)
    propensities: list[float] = field(default_factory=list)


def logged_scores(slates: Iterable[SeenSlate]) -> LoggedScores:
    """Return the newest ranker's outcomes. Raises `SettingsError` where there is none."""
    by_ranker: defaultdict[str, _Rows] = defaultdict(_Rows)
    num_without_score = 0
    for slate in slates:
        decision = slate.decision
        pictures = _pictures(decision)
        raw = dict(zip(decision.candidate_ids, decision.candidate_raw_scores, strict=False))
        for item_id, is_good in slate.is_good.items():
            picture = pictures.get(item_id)
            score = raw.get(item_id) if picture is None else picture.score
            if score is None:
                num_without_score += 1
                continue
            rows = by_ranker[decision.versions.get(RANKER, "")]
            rows.newest_ms = max(rows.newest_ms, decision.at_ms)
            rows.users.append(decision.user_id)
            rows.sources.append(CATALOG if picture is None else picture.source)
            rows.scores.append(score)
            rows.outcomes.append(is_good)
            rows.propensities.append(1.0 if picture is None else _chance(decision, picture))
    if not by_ranker:
        raise SettingsError(
            f"the log holds no seen item with a ranker's score whose window is over; "
            f"{num_without_score} seen items have no score. Report exposures, wait, or name "
            "another folder or shorter window."
        )
    ranker = max(by_ranker, key=lambda name: by_ranker[name].newest_ms)
    num_rows = sum(len(rows.scores) for rows in by_ranker.values())
    taken = by_ranker[ranker]
    return LoggedScores(_outcomes(taken), ranker, num_without_score, num_rows - len(taken.scores))


def _pictures(decision: Decision) -> dict[str, Offered]:
    """Return the generated pictures on the slate, by the id that exposures name them with."""
    offered = {each.item_id: each for each in decision.offered}
    on_slate = {}
    for place in decision.placements:
        made_id = place.item_id if place.is_generated else place.creative_id
        if made_id is not None and made_id in offered:
            on_slate[place.item_id] = offered[made_id]
    return on_slate


def _chance(decision: Decision, picture: Offered) -> float:
    """Return the chance that a picture of the slate was shown."""
    is_action = picture.item_id == decision.action
    return decision.propensity if is_action else decision.slot_propensity


def _outcomes(rows: _Rows) -> Outcomes:
    propensities = np.array(rows.propensities)
    return Outcomes(
        scores=np.array(rows.scores),
        sources=rows.sources,
        outcomes=np.array(rows.outcomes, np.float64),
        user_ids=rows.users,
        weights=None if (propensities == 1).all() else 1 / propensities,
    )
