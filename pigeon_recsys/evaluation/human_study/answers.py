"""Read what participants sent back. The files may hold anything.

In:  files, or folders of `.json` files, and the study they should answer.
Out: one `Answers` a participant; or one `DatasetError` with every fault of every file.

A file must answer exactly the sheet that its participant's id draws: each step once, with the
recorded sides, and nothing else. So answers to another study, invented pairs, swapped sides,
repeated and missing answers are all found.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.human_study.sheet import PARTICIPANT, Step, draw_sheet
from pigeon_recsys.evaluation.human_study.study import Study

FORMAT = "pairwise-answers"  # participants read the page, so it names no product
MAX_FILE_BYTES = 2**20  # a thousand steps take a sixth of it
MAX_FILES = 10_000
MAX_STEPS = 10_000
MAX_MS = 10**15  # a time beyond it is no time
SHOWN_PER_FILE = 5

Choice = Literal["left", "right", "tie"]
Code = Annotated[str, StringConstraints(max_length=64)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_MS)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AnswerRecord(_Record):
    """One answered step, as the page records it."""

    pair: Code
    question: Code
    left: Code
    right: Code
    choice: Choice
    ms: Milliseconds  # from the step's appearance to its answer


class AnswerFile(_Record):
    """What the page downloads."""

    format: Literal["pairwise-answers"]
    version: Literal[1]
    study: Code
    participant: Annotated[str, StringConstraints(pattern=rf"^{PARTICIPANT.pattern}$")]
    finished_ms: Milliseconds  # epoch milliseconds by the participant's clock
    answers: Annotated[list[AnswerRecord], Field(max_length=MAX_STEPS)]


@dataclass(frozen=True, slots=True)
class Answer:
    """One step and what was chosen."""

    step: Step
    choice: Choice
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of one participant, in the order of the sheet."""

    participant: str
    answers: tuple[Answer, ...]


def read_answers(paths: Sequence[Path], study: Study) -> list[Answers]:
    """Return every participant's answers, by participant id; all faults are raised together."""
    faults = FaultList()
    files = list(_answer_files(paths, faults))
    read: dict[Path, Answers] = {}
    for file in files:
        parsed = _parse(file, faults)
        if parsed is not None:
            answers = _check(file, parsed, study, faults)
            if answers is not None:
                read[file] = answers
    _note_repeated(read, faults)
    faults.raise_any(Path(os.path.commonpath([path.absolute() for path in paths])))
    return sorted(read.values(), key=lambda each: each.participant)


def _answer_files(paths: Sequence[Path], faults: FaultList) -> Iterator[Path]:
    """Yield the files to read; a path that leads to none is a fault."""
    found: list[Path] = []
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            faults.add("no answers", str(path), "holds no .json file. Put the answers there.")
        found += files
    if len(found) > MAX_FILES:
        raise SettingsError(f"{len(found)} answer files are more than the {MAX_FILES} read at once")
    yield from dict.fromkeys(found)


def _parse(file: Path, faults: FaultList) -> AnswerFile | None:
    """Return what a file says, or None after noting its faults."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        faults.add("unreadable", str(file), f"cannot be read: {exc.strerror}. Name another file.")
        return None
    if len(content) > MAX_FILE_BYTES:
        text = f"is larger than the {MAX_FILE_BYTES} bytes that are read. Leave it out."
        faults.add("too large", str(file), text)
        return None
    try:
        return AnswerFile.model_validate_json(content)
    except ValidationError as exc:
        for error in exc.errors()[:SHOWN_PER_FILE]:
            key = ".".join(str(part) for part in error["loc"]) or "the file"
            got = "" if error["type"] == "json_invalid" else f", got {show(error['input'])}"
            text = f"{key}: {error['msg']}{got}. Ask for the file that the page downloads."
            faults.add("wrong value", str(file), text)
        return None


def _check(file: Path, parsed: AnswerFile, study: Study, faults: FaultList) -> Answers | None:
    """Return the answers in the order of the sheet, or None after noting what does not fit it."""
    if parsed.study != study.study_id:
        text = f"answers study {show(parsed.study)}, not {show(study.study_id)}. Leave it out."
        faults.add("other study", str(file), text)
        return None
    steps = draw_sheet(study, parsed.participant)
    misfits = list(_misfits(parsed, steps, study))
    for text in misfits[:SHOWN_PER_FILE]:
        faults.add("not the sheet", str(file), f"{text}. Ask for the file again, or leave it out.")
    if len(misfits) > SHOWN_PER_FILE:
        more = len(misfits) - SHOWN_PER_FILE
        faults.add("not the sheet", str(file), f"and {more} more answers that do not fit.")
    if misfits:
        return None
    records = {(record.pair, record.question): record for record in parsed.answers}
    answers = []
    for step in steps:
        record = records[step.shown.pair_id, step.question]
        answers.append(Answer(step, record.choice, record.ms))
    return Answers(parsed.participant, tuple(answers))


def _misfits(parsed: AnswerFile, steps: Sequence[Step], study: Study) -> Iterator[str]:
    """Yield what sets a participant's answers apart from the sheet they were shown."""
    expected = {(step.shown.pair_id, step.question): step for step in steps}
    given = Counter((record.pair, record.question) for record in parsed.answers)
    for record in parsed.answers:
        where = f"pair {show(record.pair)}, question {show(record.question)}"
        step = expected.get((record.pair, record.question))
        if step is None:
            yield f"{where} is not on the sheet of participant {parsed.participant}"
        elif (record.left, record.right) != (step.left, step.right):
            sides = f"{show(record.left)} and {show(record.right)}"
            yield f"{where} shows {sides}, not {step.left!r} and {step.right!r}"
        elif record.choice == "tie" and not study.ties_allowed:
            yield f"{where} is a tie, which this study does not allow"
    for (pair, question), count in given.items():
        if count > 1:
            yield f"pair {show(pair)}, question {show(question)} is answered {count} times"
    missing = len(expected.keys() - given.keys())
    if missing:
        yield f"{missing} of {len(expected)} answers are missing"


def _note_repeated(read: dict[Path, Answers], faults: FaultList) -> None:
    """Note participants who answer in more than one file."""
    files: dict[str, list[str]] = {}
    for file, answers in read.items():
        files.setdefault(answers.participant, []).append(str(file))
    for participant, names in files.items():
        if len(names) > 1:
            text = f"participant {participant} also answers in {', '.join(names[:-1])}. Keep one."
            faults.add("repeated participant", names[-1], text)
