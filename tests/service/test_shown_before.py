import time
from dataclasses import replace
from pathlib import Path

import pytest

from pigeon_recsys.decisions import Exposure
from pigeon_recsys.ranking.blend_input import Shown
from pigeon_recsys.service.shown_before import shown_before
from pigeon_recsys.settings_file import read_slot_file
from pigeon_recsys.wiring import shown_lately
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog

HOUR_MS = 3_600_000
NOW_MS = 1_770_000_000_000
SETTINGS = """\
catalog: data
artifacts: .
histories: {{path: feature_repo}}
log: {{to: parquet, at: log, hash_users: {hash_users}}}
blend:
  allowed_positions: [2]
  max_generated: 1
  user_cap: {{at_most: 2, hours: 24}}
  surfaces: {{home: {home}}}
"""


def exposure(user_id: str, item_id: str, at_ms: int) -> Exposure:
    return Exposure(user_id, at_ms, f"request-{at_ms}", item_id, position=1)


def test_generated_items_shown_since_then_are_found(tmp_path: Path) -> None:
    log = ParquetSlateLog(tmp_path)
    log.write(
        [
            exposure("ann", "gen-old", NOW_MS - 3 * HOUR_MS),
            exposure("ann", "gen-1", NOW_MS - HOUR_MS),
            exposure("ann", "catalog-item", NOW_MS - HOUR_MS),
            exposure("bob", "gen-2", NOW_MS - 30 * HOUR_MS),  # another day, another file
        ]
    )
    worn = replace(exposure("ann", "catalog-item", NOW_MS), creative_id="gen-3")
    log.write([worn])
    found = shown_before(tmp_path, NOW_MS - 2 * HOUR_MS)
    assert list(found.of("ann")) == [Shown("gen-1", NOW_MS - HOUR_MS), Shown("gen-3", NOW_MS)]
    assert found.of("bob") == ()


def test_a_log_that_was_never_written_has_shown_nothing(tmp_path: Path) -> None:
    assert shown_before(tmp_path / "none", NOW_MS).of("ann") == ()


def test_a_damaged_log_is_told_of_and_keeps_nobody_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ParquetSlateLog(tmp_path).write([exposure("ann", "gen-1", NOW_MS)])
    (part,) = tmp_path.glob("exposures/*/part-*.parquet")
    (part.parent / "part-9-damaged.parquet").write_bytes(b"none")
    found = shown_before(tmp_path, NOW_MS)
    assert list(found.of("ann")) == [Shown("gen-1", NOW_MS)]
    assert "frequency caps do not know all that was shown before" in caplog.text
    assert "part-9-damaged.parquet" in caplog.text


@pytest.mark.parametrize(
    ("hash_users", "home", "is_known"),
    [
        ("false", "{}", True),
        ("false", "{item_cap: {at_most: 1, hours: 200}}", True),
        ("true", "{}", False),  # the log does not tell whom
    ],
)
def test_a_service_that_starts_anew_knows_what_its_caps_count(
    tmp_path: Path, hash_users: str, home: str, is_known: bool
) -> None:
    now_ms = time.time_ns() // 1_000_000
    recent, older = now_ms - HOUR_MS, now_ms - 100 * HOUR_MS
    ParquetSlateLog(tmp_path / "log").write(
        [exposure("ann", "gen-older", older), exposure("ann", "gen-1", recent)]
    )
    path = tmp_path / "slot.yaml"
    path.write_text(SETTINGS.format(hash_users=hash_users, home=home))
    found = shown_lately(read_slot_file(path)).of("ann")
    expected = [Shown("gen-1", recent)] * is_known
    if "200" in home:
        expected.insert(0, Shown("gen-older", older))
    assert list(found) == expected


def test_without_caps_no_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "slot.yaml"
    path.write_text(
        "{catalog: data, artifacts: ., histories: {path: repo}, log: {to: parquet, at: log}}"
    )
    (tmp_path / "log").write_text("no folder, and never looked into")
    assert shown_lately(read_slot_file(path)).of("ann") == ()
