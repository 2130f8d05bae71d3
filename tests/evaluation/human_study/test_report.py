import json
from dataclasses import replace
from pathlib import Path

import pytest

from pigeon_recsys.evaluation.human_study.agreement import Agreement
from pigeon_recsys.evaluation.human_study.report import render_markdown, write_results
from pigeon_recsys.evaluation.human_study.results import (
    Exclusion,
    HeadToHead,
    Measure,
    MethodResult,
    QuestionResult,
    StudyResults,
)


@pytest.fixture
def results() -> StudyResults:
    return StudyResults(
        study_id="0123456789abcdef",
        comparison="stickers",
        num_pairs=20,
        num_checks=4,
        max_failed_checks=1,
        ties_allowed=True,
        participants=tuple(f"p{i}" for i in range(12)),
        excluded=(Exclusion("p13", 3),),
        median_answer_s=4.26,
        questions=(
            QuestionResult(
                question="personal",
                num_judgements=240,
                left_share=0.49,
                methods=(
                    MethodResult("ours", 240, Measure(0.75, (0.7, 0.8)), Measure(0.55, (0.4, 0.7))),
                    MethodResult("a|b", 240, Measure(0.25, None), Measure(None, None)),
                ),
                head_to_head=(HeadToHead("ours", "a|b", 170, 20, 50, Measure(0.75, (0.7, 0.8))),),
                agreement=Agreement(0.61, (0.5, 0.7), 0.82, 20),
            ),
        ),
        num_resamples=2000,
        seed=0,
        version="0.1.0",
    )


def test_the_report_states_who_counts_and_what_was_found(results: StudyResults) -> None:
    text = render_markdown(results)
    assert "12 of 13 participants count; 1 failed more than 1 of 4 attention checks." in text
    assert "| ours | 240 | 75.0% [70.0%, 80.0%] | 0.55 [0.40, 0.70] |" in text
    assert "| ours | a\\|b | 170 | 20 | 50 | 75.0% [70.0%, 80.0%] |" in text
    assert "alpha 0.61 [0.50, 0.70], on 20 pairs" in text
    assert "two people agree in 82% of cases" in text
    assert "49% are the left picture" in text
    assert "- p13: 3 of 4 checks failed" in text
    assert "too narrow" not in text


def test_unknown_numbers_are_dashes(results: StudyResults) -> None:
    assert "| a\\|b | 240 | 25.0% | – |" in render_markdown(results)


def test_few_participants_are_warned_about(results: StudyResults) -> None:
    few = replace(results, participants=("p1", "p2"))
    assert "With fewer than 10 participants the intervals are too narrow.**" in render_markdown(few)
    one = replace(results, participants=("p1",))
    assert "the intervals are too narrow or unknown.**" in render_markdown(one)


def test_a_hostile_name_stays_in_its_place(results: StudyResults) -> None:
    text = render_markdown(replace(results, comparison="x\n\n# <script>alert(1)</script>"))
    assert text.startswith("# Human study of x # &lt;script>alert(1)&lt;/script>\n")


def test_both_files_are_written_and_the_lines_name_them(
    results: StudyResults, tmp_path: Path
) -> None:
    lines, content = write_results(results, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == content
    assert content["questions"][0]["methods"][1]["log_strength"] == {
        "value": None,
        "interval": None,
    }
    assert (tmp_path / "out" / "results.md").read_text() == render_markdown(results)
    assert any("ours" in line and "75.0%" in line for line in lines)
    assert str(tmp_path / "out" / "results.md") in lines[-1]
