"""Reading a decision log: every entry once, the days that are asked for, faults by file and row."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.decision_tables import (
    SCHEMAS,
    day_of,
    read_decisions,
    read_exposures,
    read_outcomes,
    to_table,
)
from pigeon_recsys.decisions import Decision, Exposure, Outcome, SlateEntry
from pigeon_recsys.errors import DatasetError, EventError
from pigeon_recsys.testing.slate_log_contract import (
    AT_MS,
    HOUR_MS,
    make_decision,
    make_exposure,
    make_outcome,
)

DAY_MS = 24 * HOUR_MS


def write(folder: Path, name: str, *entries: SlateEntry) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(to_table(entries), path)
    return path


def test_what_was_written_twice_is_read_once(tmp_path: Path) -> None:
    day = "date=2026-01-01"
    liked, clicked = make_outcome(), make_outcome(kind="click", event=None)
    for part in ("part-1-a.parquet", "part-2-b.parquet"):
        write(tmp_path, f"decisions/{day}/{part}", make_decision(), make_decision())
        write(tmp_path, f"exposures/{day}/{part}", make_exposure())
        write(tmp_path, f"outcomes/{day}/{part}", liked, clicked, liked)
    assert list(read_decisions(tmp_path)) == [make_decision()]
    assert list(read_exposures(tmp_path)) == [make_exposure()]
    assert list(read_outcomes(tmp_path)) == [liked, clicked]


def test_days_are_utc_and_both_ends_count(tmp_path: Path) -> None:
    for number in range(4):
        exposure = make_exposure(number * DAY_MS)
        write(tmp_path, f"exposures/date={day_of(exposure)}/part-{number}.parquet", exposure)
    days = (date(2026, 1, 2), date(2026, 1, 3))
    found = [each.at_ms for each in read_exposures(tmp_path, *days)]
    assert found == [AT_MS + DAY_MS, AT_MS + 2 * DAY_MS]
    assert day_of(make_exposure(DAY_MS - 1)) == "2026-01-01"


def test_a_folder_without_entries_is_an_empty_log(tmp_path: Path) -> None:
    assert list(read_decisions(tmp_path)) == []


def test_a_column_of_a_later_version_is_ignored_and_a_missing_one_named(tmp_path: Path) -> None:
    table = to_table([make_decision()])
    path = write(tmp_path, "decisions/date=2026-01-01/part-1.parquet", make_decision())
    pq.write_table(table.append_column("mood", pa.array(["blue"])), path)
    assert list(read_decisions(tmp_path)) == [make_decision()]
    pq.write_table(table.drop_columns(["rung"]), path)
    with pytest.raises(DatasetError, match="part-1.parquet: 1 fault\n.*has no column 'rung'"):
        list(read_decisions(tmp_path))


def test_a_file_of_before_raw_scores_were_written_is_read_without_them(tmp_path: Path) -> None:
    path = write(tmp_path, "decisions/date=2026-01-01/part-1.parquet", make_decision())
    pq.write_table(to_table([make_decision()]).drop_columns(["candidate_raw_scores"]), path)
    assert list(read_decisions(tmp_path)) == [make_decision(candidate_raw_scores=())]


def test_raw_scores_of_another_type_are_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, "decisions/date=2026-01-01/part-1.parquet", make_decision())
    table = to_table([make_decision()]).drop_columns(["candidate_raw_scores"])
    pq.write_table(table.append_column("candidate_raw_scores", pa.array(["0.5"])), path)
    with pytest.raises(DatasetError, match="has no column 'candidate_raw_scores' of type list"):
        list(read_decisions(tmp_path))


def test_a_row_that_is_no_decision_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "decisions/date=2026-01-01/part-1.parquet", make_decision())
    rows = to_table([make_decision(1), make_decision(2), make_decision(3)]).to_pylist()
    rows[1]["propensity"], rows[2]["user_id"] = 0.9, None
    pq.write_table(pa.Table.from_pylist(rows, SCHEMAS[Decision]), path)
    with pytest.raises(DatasetError) as caught:
        list(read_decisions(tmp_path))
    assert "row index 1: decision 'slate-2': the propensity of gen-2 is 0.9" in str(caught.value)
    assert "row index 2: user_id must not be empty" in str(caught.value)
    assert len(caught.value.faults) == 2


def test_what_is_no_parquet_is_a_fault_of_its_file(tmp_path: Path) -> None:
    write(tmp_path, "outcomes/date=2026-01-01/part-1.parquet", make_outcome()).write_text("no")
    with pytest.raises(DatasetError, match="cannot be read: .* Remove it, or write it again"):
        list(read_outcomes(tmp_path))


def test_a_time_that_is_on_no_calendar_is_refused() -> None:
    with pytest.raises(EventError, match="at_ms is 10{18}. Send epoch milliseconds"):
        day_of(make_exposure(10**18 - AT_MS))


@pytest.mark.parametrize("kind", [Decision, Exposure, Outcome])
def test_every_field_has_a_column(kind: type[SlateEntry]) -> None:
    assert list(kind.__dataclass_fields__) == SCHEMAS[kind].names
