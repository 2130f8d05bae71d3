"""Round the circle: a slot logs, people are simulated, what is learned changes the slot."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.decisions import Decision, Exposure, Outcome, SlateEntry
from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs
from pigeon_recsys.ranking.calibration import Calibration
from pigeon_recsys.ranking.exploration import Policy, SlotPolicy
from pigeon_recsys.records import Placement, ScoredItem
from pigeon_recsys.settings_file import SlotFile, read_slot_file
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.fakes import FakeHistoryStore
from pigeon_recsys.wiring import _beliefs, _calibration
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog
from tests.slot.conftest import ANYWHERE, LIKED, MakeRequest, MakeSlot, history

OWN = tuple(ScoredItem(f"item-0{number}", float(number)) for number in (9, 5, 8, 6, 7))
USERS = [f"u{number}" for number in range(40)]
HOUR_MS = 3_600_000
MADE_IS_LIKED = 0.3  # where the ranker says 0.9
IsLiked = Callable[[Decision, Placement, np.random.Generator], bool]


def simulate(
    log: FakeSlateLog, folder: Path, is_liked: IsLiked, *, end_hours: float = 48.0
) -> Path:
    """Write what was logged, and simulated people who see all of it and like some of it."""
    rng = np.random.default_rng(5)
    entries: list[SlateEntry] = list(log.decisions)
    for decision in log.decisions:
        for place in decision.placements:
            about = (decision.user_id, decision.at_ms + 1, decision.request_id, place.item_id)
            entries.append(Exposure(*about, place.position))
            if is_liked(decision, place, rng):
                entries.append(Outcome(*about, "like", "like"))
    end_ms = log.decisions[-1].at_ms + round(end_hours * HOUR_MS)
    entries.append(Exposure("somebody", end_ms, "later", "item-01", 0))
    ParquetSlateLog(folder).write(entries)
    return folder


def settings_naming(folder: Path, lines: str) -> SlotFile:
    path = folder / "slot.yaml"
    path.write_text(f"catalog: data\nartifacts: .\nhistories: {{path: store}}\n{lines}\n")
    return read_slot_file(path)


def test_a_planted_source_bias_is_learned_from_the_log_and_taken_away(
    make_slot: MakeSlot,
    request_of: MakeRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Catalog items are liked as often as the ranker says, pictures in 3 of 10 and not in 9."""
    histories = FakeHistoryStore([history(user, LIKED) for user in USERS])
    log = FakeSlateLog()
    slot = make_slot(log=log, histories=histories)
    for number in range(400):
        slot.fill(request_of(USERS[number % 40], request_id=f"r{number}", candidates=OWN))

    def is_liked(decision: Decision, place: Placement, rng: np.random.Generator) -> bool:
        raw = dict(zip(decision.candidate_ids, decision.candidate_raw_scores, strict=True))
        chance = MADE_IS_LIKED if place.is_generated else raw[place.item_id]
        return bool(rng.random() < (chance or 0.0))

    folder = simulate(log, tmp_path / "log", is_liked)
    out, report, table = (tmp_path / name for name in ("calibration.json", "r.json", "t.parquet"))
    command = ["rank", "calibrate", "--log", str(folder), "--out", str(out)]
    assert main([*command, "--json", str(report), "--table", str(table)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{folder}: 2000 seen items scored by ranker without a version;")
    assert told[0].endswith("1 exposures whose window is not over, 0 outcomes without an exposure")

    gaps = json.loads(report.read_text())
    assert gaps["before"]["score"]["gap"] == pytest.approx(0.9 - MADE_IS_LIKED, abs=0.08)
    assert abs(gaps["after"]["score"]["gap"]) < 0.08

    calibration = _calibration(settings_naming(tmp_path, "calibration: calibration.json"))
    assert isinstance(calibration, Calibration)
    fresh = FakeSlateLog()
    make_slot(log=fresh, histories=histories, calibration=calibration).fill(
        request_of("u3", candidates=OWN)
    )
    (offered,) = fresh.decisions[0].offered
    assert offered.score == pytest.approx(0.9)
    assert offered.probability == pytest.approx(MADE_IS_LIKED, abs=0.08)

    again = tmp_path / "again.json"
    assert main(["rank", "calibrate", "--outcomes", str(table), "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("kind", ["beta", "linear"])
def test_the_side_that_earns_more_is_chosen_once_the_log_was_learned_from(
    make_slot: MakeSlot, request_of: MakeRequest, tmp_path: Path, kind: str
) -> None:
    """With the slot 6 slates in 10 are liked, by one item each, without it 2."""
    log = FakeSlateLog()
    even = SlotPolicy(Policy("greedy", epsilon=1.0), Policy("greedy", epsilon=1.0))
    slot = make_slot(replace(ANYWHERE, policy=even), log=log)
    for number in range(300):
        slot.fill(request_of("ada", request_id=f"r{number}", candidates=OWN))

    def is_liked(decision: Decision, place: Placement, rng: np.random.Generator) -> bool:
        return place.position == 0 and bool(rng.random() < (0.6 if decision.action else 0.2))

    folder = simulate(log, tmp_path / "log", is_liked)
    out = tmp_path / "beliefs.json"
    command = ["rank", "learn", "--log", str(folder), "--out", str(out)]
    assert main([*command, "--slot", kind, "--item", kind]) == 0
    file = settings_naming(tmp_path, "slot: {policy: {beliefs: beliefs.json}}")
    beliefs = _beliefs(file)
    assert isinstance(beliefs.slot, BetaBeliefs if kind == "beta" else LinearBeliefs)

    fresh = FakeSlateLog()
    learned = make_slot(replace(ANYWHERE, policy=file.slot.policy), log=fresh, beliefs=beliefs)
    learned.fill(request_of("bob", candidates=OWN))
    ignorant = make_slot(replace(ANYWHERE, policy=file.slot.policy), log=fresh)
    ignorant.fill(request_of("bob", candidates=OWN))
    after, before = (each.slot_propensity for each in fresh.decisions)
    assert before == pytest.approx(0.5)
    assert after > 0.95
