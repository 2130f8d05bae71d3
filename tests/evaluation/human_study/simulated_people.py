"""A small comparison to judge, and people who judge it as they are told to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.evaluation.human_study.answers import FORMAT
from pigeon_recsys.evaluation.human_study.comparison import (
    Comparison,
    DrawnTask,
    write_comparison,
)
from pigeon_recsys.evaluation.human_study.sheet import Step, draw_sheet
from pigeon_recsys.evaluation.human_study.study import Check, Pair, Study
from pigeon_recsys.records import Pixels

METHODS = ("zebra-tuned", "no-history", "quagga-copy")
NUM_TASKS = 6
SIDE = 24  # pixels

Chooser = Callable[[Pair, str], str | None]  # the preferred method, or None for a tie


def picture(number: int) -> Pixels:
    """Return a gradient; every number gives another."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] * 255 // SIDE
    third = np.full_like(rows, number * 37 % 256)
    return np.stack([rows, columns, third], axis=-1).astype(np.uint8)


def small_comparison(folder: Path) -> Comparison:
    """Write three methods' pictures for six tasks of six users."""
    tasks = [
        DrawnTask(
            task_id=f"task-{number}",
            user_id=f"user-{number}",
            history=tuple(picture(100 + 5 * number + place) for place in range(5)),
            reference=picture(200 + number),
            text=f"a happy sticker, number {number}",
        )
        for number in range(NUM_TASKS)
    ]
    pictures = {
        method: {task.task_id: picture(10 * place + i) for i, task in enumerate(tasks)}
        for place, method in enumerate(METHODS)
    }
    return write_comparison(folder, name="three ways to draw", tasks=tasks, pictures=pictures)


def in_order(*methods: str) -> Chooser:
    """Return somebody who always prefers the method named earlier."""
    return lambda pair, question: min(pair.methods, key=methods.index)


def side_of(step: Step, choose: Chooser) -> str:
    """Return `left`, `right` or `tie`; attention checks are passed."""
    shown = step.shown
    if isinstance(shown, Check):
        return "left" if step.left == shown.pictures[0] else "right"
    method = choose(shown, step.question)
    if method is None:
        return "tie"
    return "left" if step.left == shown.pictures[shown.methods.index(method)] else "right"


def answer_file(study: Study, participant: str, choose: Chooser) -> dict[str, Any]:
    """Return what the page would download for somebody who chooses so."""
    return {
        "format": FORMAT,
        "version": 1,
        "study": study.study_id,
        "participant": participant,
        "finished_ms": 1_700_000_000_000,
        "answers": [
            {
                "pair": step.shown.pair_id,
                "question": step.question,
                "left": step.left,
                "right": step.right,
                "choice": side_of(step, choose),
                "ms": 1500,
            }
            for step in draw_sheet(study, participant)
        ],
    }
