"""The decision log in parquet: whole files by day, many writers, nothing twice after a failure."""

import threading
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pigeon_recsys import hashed_ids
from pigeon_recsys.decision_tables import read_decisions, read_exposures, read_outcomes
from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import LogError, SettingsError
from pigeon_recsys.hashed_ids import KEY_VARIABLE, hashed
from pigeon_recsys.testing.slate_log_contract import (
    HOUR_MS,
    SlateLogContract,
    make_decision,
    make_exposure,
    make_outcome,
)
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog


class TestParquetSlateLog(SlateLogContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "log"

    def make_log(self) -> ParquetSlateLog:
        return ParquetSlateLog(self.folder)

    def logged(self) -> Iterable[SlateEntry]:
        return chain(
            read_decisions(self.folder), read_exposures(self.folder), read_outcomes(self.folder)
        )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def test_there_is_one_file_for_each_kind_and_day_of_a_batch(tmp_path: Path) -> None:
    late = [make_decision(24 * HOUR_MS), make_decision(25 * HOUR_MS)]
    ParquetSlateLog(tmp_path).write([make_decision(), make_exposure(), make_outcome(), *late])
    assert [name.rsplit("-", 1)[0] for name in files(tmp_path)] == [
        "decisions/date=2026-01-01/part-1767225600001",
        "decisions/date=2026-01-02/part-1767312000000",
        "exposures/date=2026-01-01/part-1767225600001",
        "outcomes/date=2026-01-01/part-1767225600001",
    ]


def test_another_tool_reads_all_days_as_one_table(tmp_path: Path) -> None:
    log = ParquetSlateLog(tmp_path)
    log.write([make_decision(), make_decision(24 * HOUR_MS)])
    table = pq.read_table(tmp_path / "decisions")
    assert sorted(map(str, table["date"].to_pylist())) == ["2026-01-01", "2026-01-02"]
    assert table["user_id"].to_pylist() == ["ada é 漢字"] * 2


def test_a_batch_tried_again_after_a_failure_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try writes the decisions and fails at the exposures."""
    log = ParquetSlateLog(tmp_path)
    batch: list[SlateEntry] = [make_decision(), make_exposure()]
    write = log._files.write

    def full(name: str, content: bytes) -> None:
        if name.startswith("exposures"):
            raise OSError(28, "No space left on device")
        write(name, content)

    monkeypatch.setattr(log._files, "write", full)
    with pytest.raises(LogError, match=f"cannot write the decision log into {tmp_path}: No space"):
        log.write(batch)
    assert len(files(tmp_path)) == 1
    monkeypatch.undo()
    log.write(batch)
    assert len(files(tmp_path)) == 2


def test_many_writers_share_a_folder(tmp_path: Path) -> None:
    def write(first: int) -> None:
        log = ParquetSlateLog(tmp_path)
        for number in range(first, first + 4):
            log.write([make_exposure(number)])

    threads = [threading.Thread(target=write, args=[first]) for first in range(0, 16, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {each.request_id for each in read_exposures(tmp_path)}
    assert found == {f"slate-{number}" for number in range(16)}


def test_a_place_that_is_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=r"cannot write the decision log into .*file: Not a dir"):
        ParquetSlateLog(tmp_path / "file")


def test_hashed_users_are_the_same_word_in_all_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match="hash_users needs the environment variable"):
        ParquetSlateLog(tmp_path, hash_users=True)
    monkeypatch.setenv(KEY_VARIABLE, "key")
    hashed_ids._key.cache_clear()
    log = ParquetSlateLog(tmp_path, hash_users=True)
    log.write([make_decision(), make_exposure(), make_outcome()])
    found: Iterable[SlateEntry] = chain(
        read_decisions(tmp_path), read_exposures(tmp_path), read_outcomes(tmp_path)
    )
    assert {each.user_id for each in found} == {hashed("ada é 漢字")}
    hashed_ids._key.cache_clear()
