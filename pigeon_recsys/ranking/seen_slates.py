"""What became of slates: decisions joined with what was seen of them and what was done with it.

In:  a folder of the decision log, and the rules of what is good and how long one waits for it.
Out: each decision that was seen, and of each of its items that was seen whether it came out good.

- An item counts if it was seen, so if the log has its exposure. Outcomes of others are left out:
  of items that nobody reported as seen, the log would hold the good ones alone.
- It is good if the last that the user said of it in time is good: a like, and a click where the
  rules say so. A skip or a hide takes that back. A click that is not good says nothing.
- In time is until `window_ms` after the exposure. Where the log ends before that, the item is left
  out, whatever is known of it already.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pigeon_recsys.decision_tables import read_decisions, read_exposures, read_outcomes
from pigeon_recsys.decisions import Decision, Outcome
from pigeon_recsys.errors import SettingsError

Shown = tuple[str, str]  # request id, item id

MAY_BE_GOOD = ("like", "click")  # kinds of outcome
BAD = ("skip", "hide")
HOUR_MS = 3_600_000
WINDOW_HOURS = 24.0  # feeds are looked at again on the next day, under another slate


@dataclass(frozen=True)
class OutcomeRules:
    """Which decisions are read, and what makes an item of theirs good."""

    good: frozenset[str] = frozenset({"like"})
    window_ms: float = WINDOW_HOURS * HOUR_MS  # after the exposure
    first: date | None = None  # days of the decisions, UTC; both ends count
    last: date | None = None

    def __post_init__(self) -> None:
        if not self.good or not self.good <= set(MAY_BE_GOOD):
            raise SettingsError(
                f"good outcomes must be of {', '.join(MAY_BE_GOOD)}, got {sorted(self.good)}"
            )
        if not 0 < self.window_ms < float("inf"):
            raise SettingsError(
                f"the window must be above 0 hours and finite, got {self.window_ms / HOUR_MS:g}"
            )


@dataclass(frozen=True, slots=True)
class SeenSlate:
    """A decision, and each of its items that was seen long enough ago: is it good?"""

    decision: Decision
    is_good: Mapping[str, bool]  # by item id, as the exposure names it; never empty


class SeenSlates:
    """The seen slates of a log, read anew at every iteration; exposures and outcomes are kept."""

    def __init__(self, folder: Path, rules: OutcomeRules | None = None) -> None:
        """Read exposures and outcomes. Raises `DatasetError`, and `SettingsError` for no folder."""
        if not folder.is_dir():
            raise SettingsError(f"{folder} is no folder. Name the folder of a decision log.")
        self.folder = folder
        self.rules = rules or OutcomeRules()
        first = self.rules.first
        exposures = list(read_exposures(folder, first))
        said: defaultdict[Shown, list[Outcome]] = defaultdict(list)
        end_ms = max((each.at_ms for each in exposures), default=0)
        for outcome in read_outcomes(folder, first):
            said[outcome.request_id, outcome.item_id].append(outcome)
            end_ms = max(end_ms, outcome.at_ms)
        self._is_good: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        self.num_waiting = 0  # exposures whose window the log does not cover
        for each in exposures:
            until_ms = each.at_ms + self.rules.window_ms
            if until_ms > end_ms:
                self.num_waiting += 1
            else:
                of_item = said.get((each.request_id, each.item_id), ())
                in_time = [one for one in of_item if one.at_ms <= until_ms]
                self._is_good[each.request_id][each.item_id] = _ends_well(in_time, self.rules.good)
        seen = {(each.request_id, each.item_id) for each in exposures}
        self.num_unseen = sum(len(said[name]) for name in said.keys() - seen)  # outcomes

    def __iter__(self) -> Iterator[SeenSlate]:
        for decision in read_decisions(self.folder, self.rules.first, self.rules.last):
            if is_good := self._is_good.get(decision.request_id):
                yield SeenSlate(decision, is_good)


def _ends_well(outcomes: list[Outcome], good: frozenset[str]) -> bool:
    """Say whether the last word is good; of two at one time the bad one is."""
    words = [(each.at_ms, each.kind in BAD) for each in outcomes if each.kind in {*good, *BAD}]
    return bool(words) and not max(words)[1]
