"""Results of a study as `results.json` for programs and `results.md` for people.

Unknown numbers are null in the one and a dash in the other.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pigeon_recsys.evaluation.human_study.results import (
    HeadToHead,
    Measure,
    MethodResult,
    QuestionResult,
    StudyResults,
)
from pigeon_recsys.evaluation.human_study.study import QUESTIONS
from pigeon_recsys.files import check_writable_folder, write_text_atomic

JSON_FILE = "results.json"
MARKDOWN_FILE = "results.md"
FEW_PARTICIPANTS = 10  # below, a bootstrap over participants gives intervals that are too narrow
UNKNOWN = "–"


def write_results(results: StudyResults, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Write both files; return the lines to print and what was written as JSON."""
    check_writable_folder(folder)
    content = asdict(results)
    # Through text, so that tuples are the lists a reader of the file meets.
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_text_atomic(folder / JSON_FILE, text)
    write_text_atomic(folder / MARKDOWN_FILE, render_markdown(results))
    lines = [_participation(results)]
    for question in results.questions:
        lines.append(QUESTIONS[question.question])
        lines += [f"  {_method_line(method)}" for method in question.methods]
    lines += [f"results  {folder / name}" for name in (JSON_FILE, MARKDOWN_FILE)]
    parsed: dict[str, Any] = json.loads(text)
    return lines, parsed


def render_markdown(results: StudyResults) -> str:
    """Return the report as Markdown."""
    parts = [
        f"# Human study of {_cell(results.comparison)}",
        f"{_participation(results)} Study `{results.study_id}`: {results.num_pairs} pairs, "
        f"{'ties allowed' if results.ties_allowed else 'no ties'}; median time for an answer "
        f"{results.median_answer_s:.1f} s.",
        _how_to_read(results),
        *(_question_section(question) for question in results.questions),
    ]
    if results.excluded:
        parts += ["## Excluded", _excluded(results)]
    return "\n\n".join(parts) + "\n"


def _participation(results: StudyResults) -> str:
    kept, excluded = len(results.participants), len(results.excluded)
    return (
        f"{kept} of {kept + excluded} participants count; {excluded} failed more than "
        f"{results.max_failed_checks} of {results.num_checks} attention checks."
    )


def _how_to_read(results: StudyResults) -> str:
    text = (
        "Win rates count a tie as half a win. Strengths are natural logarithms of Bradley-Terry "
        "strengths, mean zero: a difference d means odds of e^d. Brackets hold 95 % intervals "
        f"from {results.num_resamples} bootstrap resamples of participants and of users (for "
        "alpha, of users)."
    )
    if len(results.participants) < FEW_PARTICIPANTS:
        text += (
            f" **With fewer than {FEW_PARTICIPANTS} participants the intervals are too narrow"
            f"{' or unknown' if len(results.participants) == 1 else ''}.**"
        )
    return text


def _question_section(question: QuestionResult) -> str:
    """Return one question's ranking, head-to-head table and agreement."""
    ranking = _table(
        ["method", "judgements", "win rate", "log strength"],
        [
            [
                _cell(each.method),
                str(each.num_judgements),
                _percent(each.win_rate),
                _number(each.log_strength),
            ]
            for each in question.methods
        ],
    )
    head_to_head = _table(
        ["method", "against", "wins", "ties", "losses", "win rate"],
        [_head_to_head_row(each) for each in question.head_to_head],
    )
    left = UNKNOWN if question.left_share is None else f"{question.left_share:.0%}"
    agreement = question.agreement
    observed = UNKNOWN if agreement.observed is None else f"{agreement.observed:.0%}"
    alpha = _number(Measure(agreement.alpha, agreement.interval))
    return "\n\n".join(
        [
            f"## {QUESTIONS[question.question]}",
            ranking,
            head_to_head,
            f"Agreement: Krippendorff's alpha {alpha}, on {agreement.num_units} pairs that two "
            f"people or more judged; two people agree in {observed} of cases. Of the choices that "
            f"are no ties, {left} are the left picture.",
        ]
    )


def _head_to_head_row(each: HeadToHead) -> list[str]:
    counts = [str(count) for count in (each.wins, each.ties, each.losses)]
    return [_cell(each.method), _cell(each.other), *counts, _percent(each.win_rate)]


def _excluded(results: StudyResults) -> str:
    return "\n".join(
        f"- {each.participant}: {each.num_failed} of {results.num_checks} checks failed"
        for each in results.excluded
    )


def _method_line(result: MethodResult) -> str:
    return (
        f"{result.method:24} wins {_percent(result.win_rate):24} "
        f"strength {_number(result.log_strength)}"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(text: str) -> str:
    """Return a name so that it cannot break out of a table or a heading."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _percent(measure: Measure) -> str:
    if measure.value is None:
        return UNKNOWN
    if measure.interval is None:
        return f"{measure.value:.1%}"
    low, high = measure.interval
    return f"{measure.value:.1%} [{low:.1%}, {high:.1%}]"


def _number(measure: Measure) -> str:
    if measure.value is None:
        return UNKNOWN
    if measure.interval is None:
        return f"{measure.value:.2f}"
    low, high = measure.interval
    return f"{measure.value:.2f} [{low:.2f}, {high:.2f}]"
