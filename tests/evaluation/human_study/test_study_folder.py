import json
from pathlib import Path

import pytest

from pigeon_recsys.errors import ArtifactError, OutputError
from pigeon_recsys.evaluation.human_study.comparison import Comparison
from pigeon_recsys.evaluation.human_study.study import Study
from pigeon_recsys.evaluation.human_study.study_folder import (
    LARGE_PAGE_BYTES,
    WrittenStudy,
    read_study,
    write_study,
)


def test_a_study_reads_back_as_it_was_written(
    study: Study, comparison: Comparison, tmp_path: Path
) -> None:
    written = write_study(study, comparison, tmp_path)
    assert read_study(tmp_path) == study
    assert written.page_bytes == (tmp_path / "study.html").stat().st_size
    text = "\n".join(written.summary_lines())
    assert "18 pairs of 3 methods" in text
    assert "6 pairs and 2 attention checks (25%)" in text
    assert "passes with 25.0%" in text


def test_a_study_is_never_overwritten(study: Study, comparison: Comparison, tmp_path: Path) -> None:
    write_study(study, comparison, tmp_path)
    with pytest.raises(OutputError, match="belongs to an earlier study. Choose another folder"):
        write_study(study, comparison, tmp_path)


def test_a_key_changed_afterwards_is_refused(
    study: Study, comparison: Comparison, tmp_path: Path
) -> None:
    write_study(study, comparison, tmp_path)
    key = tmp_path / "key.json"
    key.write_text(json.dumps({**json.loads(key.read_text()), "max_failed_checks": 1}))
    with pytest.raises(ArtifactError, match="was changed after the study was written"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "cannot be read: No such file"), ("{}", "is no key of a study"), ("x", "Invalid JSON")],
)
def test_a_key_that_cannot_be_used_is_named(
    tmp_path: Path, content: str | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    with pytest.raises(ArtifactError, match=fault):
        read_study(tmp_path)


def test_a_page_too_large_to_mail_is_said_to_be(study: Study, tmp_path: Path) -> None:
    written = WrittenStudy(study, tmp_path, tmp_path, LARGE_PAGE_BYTES + 1)
    assert "too large to mail. Lower --pairs" in written.summary_lines()[-1]
