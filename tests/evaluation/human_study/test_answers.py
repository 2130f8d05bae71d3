import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pigeon_recsys.errors import DatasetError
from pigeon_recsys.evaluation.human_study.answers import MAX_FILE_BYTES, read_answers
from pigeon_recsys.evaluation.human_study.study import Study
from tests.evaluation.human_study.simulated_people import METHODS, answer_file, in_order

FIRST = in_order(*METHODS)


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def faults_of(paths: list[Path], study: Study) -> str:
    with pytest.raises(DatasetError) as caught:
        read_answers(paths, study)
    return "\n".join(caught.value.faults)


def test_answers_read_back_in_the_order_of_the_sheet(study: Study, tmp_path: Path) -> None:
    content = answer_file(study, "p1", FIRST)
    content["answers"].reverse()
    write(tmp_path, "b.json", content)
    write(tmp_path, "a.json", answer_file(study, "p2", FIRST))
    read = read_answers([tmp_path], study)
    assert [each.participant for each in read] == ["p1", "p2"]
    assert len(read[0].answers) == 16
    assert [answer.step.question for answer in read[0].answers] == ["personal", "asked"] * 8


def test_a_file_named_twice_is_read_once(study: Study, tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", answer_file(study, "p1", FIRST))
    assert len(read_answers([path, tmp_path], study)) == 1


def test_faults_of_all_files_are_reported_together(study: Study, tmp_path: Path) -> None:
    good = answer_file(study, "p1", FIRST)
    write(tmp_path, "a.json", good)
    write(tmp_path, "b.json", {**good, "study": "0123456789abcdef"})
    write(tmp_path, "c.json", good)
    write(tmp_path, "d.json", "not json")
    faults = faults_of([tmp_path, tmp_path / "gone.json"], study)
    assert f"b.json: answers study '0123456789abcdef', not '{study.study_id}'" in faults
    assert "c.json: participant p1 also answers in" in faults
    assert "d.json: the file: Invalid JSON" in faults
    assert "gone.json: cannot be read: No such file or directory" in faults


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"pair": "ffffffff"}, "pair 'ffffffff', question 'personal' is not on the sheet"),
        ({"question": "nicer"}, "question 'nicer' is not on the sheet of participant p1"),
        ({"left": "ffffffff"}, "shows 'ffffffff' and"),
        ({"choice": "both"}, "answers.0.choice: Input should be 'left', 'right' or 'tie'"),
        ({"ms": -1}, "answers.0.ms: Input should be greater than or equal to 0, got -1"),
        ({"ms": True}, "answers.0.ms: Input should be a valid integer, got True"),
        ({"note": "hello"}, "answers.0.note: Extra inputs are not permitted, got 'hello'"),
        ({"pair": "f" * 65}, "answers.0.pair: String should have at most 64 characters"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(
    study: Study, tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    content = answer_file(study, "p1", FIRST)
    content["answers"][0] |= change
    assert fault in faults_of([write(tmp_path, "a.json", content)], study)


def test_swapped_sides_are_found(study: Study, tmp_path: Path) -> None:
    content = answer_file(study, "p1", FIRST)
    one = content["answers"][0]
    one["left"], one["right"] = one["right"], one["left"]
    text = f"shows {one['left']!r} and {one['right']!r}, not {one['right']!r} and {one['left']!r}"
    assert text in faults_of([write(tmp_path, "a.json", content)], study)


def test_repeated_and_missing_answers_are_found(study: Study, tmp_path: Path) -> None:
    content = answer_file(study, "p1", FIRST)
    content["answers"][-1] = content["answers"][0]
    faults = faults_of([write(tmp_path, "a.json", content)], study)
    assert "is answered 2 times" in faults
    assert "1 of 16 answers are missing" in faults


def test_another_participants_sheet_does_not_pass(study: Study, tmp_path: Path) -> None:
    content = {**answer_file(study, "p1", FIRST), "participant": "p2"}
    faults = faults_of([write(tmp_path, "a.json", content)], study)
    assert "is not on the sheet of participant p2" in faults
    assert "more answers that do not fit" in faults


def test_a_tie_is_refused_where_none_was_offered(study: Study, tmp_path: Path) -> None:
    forced = replace(study, ties_allowed=False)
    content = answer_file(forced, "p1", lambda pair, question: None)
    faults = faults_of([write(tmp_path, "a.json", content)], forced)
    assert "is a tie, which this study does not allow" in faults


@pytest.mark.parametrize(
    "content",
    ["[" * 200_000, "", "null", '{"format": NaN}', "\x00", '{"answers": 1e999}'],
    ids=["deep", "empty", "null", "nan", "nul", "infinite"],
)
def test_hostile_content_is_a_fault_and_no_crash(
    study: Study, tmp_path: Path, content: str
) -> None:
    assert "Ask for the file that the page downloads" in faults_of(
        [write(tmp_path, "a.json", content)], study
    )


@pytest.mark.parametrize("participant", ["", "a b", "a\n", "<b>", "ä", "x" * 65])
def test_an_unusable_participant_id_is_refused(
    study: Study, tmp_path: Path, participant: str
) -> None:
    content = {**answer_file(study, "p1", FIRST), "participant": participant}
    assert "participant: String should match pattern" in faults_of(
        [write(tmp_path, "a.json", content)], study
    )


def test_a_file_beyond_the_limit_is_not_parsed(study: Study, tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", " " * (MAX_FILE_BYTES + 1))
    assert f"is larger than the {MAX_FILE_BYTES} bytes" in faults_of([path], study)


def test_an_empty_folder_is_a_fault(study: Study, tmp_path: Path) -> None:
    assert "holds no .json file" in faults_of([tmp_path], study)
