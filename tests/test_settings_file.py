"""The settings file of a slot: what it may say, and that every fault is told at once."""

import threading
import time
from pathlib import Path

import pytest

from pigeon_recsys.errors import HistoryStoreError, SettingsError
from pigeon_recsys.generation.ladder import Rung
from pigeon_recsys.generation_slot import GenerationSlot
from pigeon_recsys.records import History, ScoredItem, SlotRequest
from pigeon_recsys.settings_file import DEADLINE_MS, SlotFile, read_slot_file
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeHistoryStore,
    FakeIndex,
    FakeRanker,
)

LEAST = """
catalog: data
artifacts: artifacts
histories: {path: feature_repo}
"""

ALL = """
catalog: data
artifacts: artifacts
histories: {kind: feast, path: feature_repo, max_age_s: 3600}
items: {path: feature_repo}
images: {url: "memory://pictures"}
generator: {weights: shipped, ratio_choice: 0.4, steps: 2}
calibration: calibration.json
kafka: 127.0.0.1:9092
slot:
  deadline_ms: 50
  threads: 8
  kind: creative
  selection: {recency: 0.5}
  ladder: {rungs: [redraw, stored], expected_ms: {redraw: 20}, workers: 2}
  policy: {slot: {rule: thompson, epsilon: 0.1}, item: {rule: greedy}, salt: winter}
  test: {salt: autumn, shares: {with: 0.9, without: 0.1}, without_slot: [without]}
  kill_file: run/off
blend:
  allowed_positions: [2, 5]
  min_score: 0.05
  surfaces: {checkout: {enabled: false}}
log: {to: parquet, at: logs, hash_users: true}
recent_slates: 50
http: {port: 8080}
"""


def read(folder: Path, text: str) -> SlotFile:
    path = folder / "slot.yaml"
    path.write_text(text)
    return read_slot_file(path)


def test_the_least_file_has_the_defaults(tmp_path: Path) -> None:
    file = read(tmp_path, LEAST)
    assert file.slot == SlotSettings(deadline_ms=1_000)
    assert file.place(file.parts.catalog) == tmp_path / "data"
    assert (file.parts.items, file.parts.generator, file.parts.log) == (None, None, None)


def test_every_key_finds_its_setting(tmp_path: Path) -> None:
    file = read(tmp_path, ALL)
    slot = file.slot
    assert (slot.deadline_ms, slot.threads, slot.kind) == (50, 8, "creative")
    assert slot.selection.recency == 0.5
    assert slot.ladder.rungs == (Rung.REDRAW, Rung.STORED)
    assert slot.ladder.expected_ms == {Rung.REDRAW: 20}
    assert slot.policy is not None
    assert (slot.policy.slot.epsilon, slot.policy.item.rule) == (0.1, "greedy")
    assert slot.test is not None
    assert slot.test.without_slot == {"without"}
    assert slot.kill_file == tmp_path / "run/off"
    assert slot.blending.for_surface("checkout").switch == "surface_off"
    assert slot.blending.for_surface("home").order == "as_given"
    assert file.url("memory://pictures") == "memory://pictures"
    assert file.url("pictures") == str(tmp_path / "pictures")


@pytest.mark.parametrize("value", ["null", "~"])
def test_no_deadline_must_be_said(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, LEAST + f"slot: {{deadline_ms: {value}}}\n").slot.deadline_ms is None
    assert read(tmp_path, LEAST + "slot: {threads: 8}\n").slot.deadline_ms == DEADLINE_MS


def test_a_slot_of_the_least_file_outlives_a_store_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a deadline it waited as long as the store did."""
    released = threading.Event()

    class Hanging(FakeHistoryStore):
        def recent(self, user_id: str, limit: int) -> History:
            released.wait(30)
            raise HistoryStoreError("it took far too long")

    catalog, embedder = FakeCatalog(3), FakeEmbedder()
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    index = FakeIndex(catalog.item_ids, vectors)
    parts = SlotParts(Hanging([]), catalog, embedder, index, ranker=FakeRanker())
    monkeypatch.setattr("pigeon_recsys.wiring.slot_parts", lambda file: parts)
    (tmp_path / "slot.yaml").write_text(LEAST)
    own = (ScoredItem("item-02", 2.0), ScoredItem("item-01", 1.0))
    started_s = time.monotonic()
    with GenerationSlot.from_settings(tmp_path / "slot.yaml") as slot:
        slate = slot.fill(SlotRequest("r1", "ada", candidates=own))
        took_s = time.monotonic() - started_s
        released.set()
    assert slate.reason == "the deadline passed: history took too long"
    assert [place.item_id for place in slate.placements] == ["item-02", "item-01"]
    assert took_s < 10


def test_blending_may_rank_by_score(tmp_path: Path) -> None:
    file = read(tmp_path, LEAST + "blend: {allowed_positions: [1], order: by_score}\n")
    assert file.slot.blending.for_surface("home").order == "by_score"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a: [", ["is not YAML"]),
        ("[]", ["file: Input should be a valid dictionary"]),
        ("{}", ["catalog: Field required", "artifacts: Field required", "histories: Field"]),
        (LEAST + "slots: {}", ["slots: Extra inputs are not permitted"]),
        (
            LEAST + "slot: {deadline_ms: .nan, threads: x}",
            ["slot.deadline_ms: Input should be a finite number", "slot.threads"],
        ),
        (LEAST + "slot: {deadline_ms: -1}", ["slot.deadline_ms must be above 0 or null, got -1"]),
        (LEAST + "slot: {ladder: {rungs: [slow]}}", ["slot.ladder.rungs.0: Input should be"]),
        (LEAST + "slot: {selection: {speed: 1}}", ["slot.selection", "speed"]),
        (
            LEAST + "slot: {test: {salt: a, shares: {x: 1}, without_slot: [y]}}",
            ["slot.test.without_slot names ['y'], which are no buckets"],
        ),
        (
            LEAST + "slot: {threads: 0}\nblend: {allowed_positions: [], share: 2}",
            ["blend.allowed_positions", "blend.share must be", "slot.threads must be 1 or more"],
        ),
        (LEAST + "items: {path: feature_repo}", ["images: is missing, and items names pictures"]),
    ],
)
def test_every_fault_is_told_at_once(tmp_path: Path, text: str, faults: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "slot.yaml") in str(caught.value)
    for fault in faults:
        assert fault in str(caught.value)


def test_a_file_that_is_absent_or_huge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read .*slot.yaml: No such file"):
        read_slot_file(tmp_path / "slot.yaml")
    with pytest.raises(SettingsError, match="is larger than 1048576 bytes"):
        read(tmp_path, "#" * (1 << 21))


def test_yaml_tags_that_make_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not YAML"):
        read(tmp_path, "catalog: !!python/object/apply:os.system [true]")
