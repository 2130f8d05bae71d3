"""Plan a study: draw the pairs, the attention checks and the codes that hide the methods.

In:  a comparison, and settings.
Out: a `Study`.

Pairs are drawn evenly over the pairs of methods. Two pictures with the same pixels are not
asked about. An attention check shows the reference (or a history picture) beside a patchwork of
random colours: whoever looks at the screen gets it right.
"""

import hashlib
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, zip_longest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.human_study.comparison import Comparison, ComparisonTask
from pigeon_recsys.evaluation.human_study.study import (
    KEY_VERSION,
    Check,
    Pair,
    Study,
    StudySettings,
)

NUM_CODES = 16**8  # eight hexadecimal digits a code
CODES_EACH = 3  # a pair or check takes one for itself and one for each picture


@dataclass(frozen=True, slots=True)
class Draw:
    """One task for which two methods' pictures are to be compared."""

    task: ComparisonTask
    methods: tuple[str, str]


def plan_study(comparison: Comparison, settings: StudySettings) -> Study:
    """Return a study; without a seed in the settings, no two are alike."""
    seed = secrets.randbits(53) if settings.seed is None else settings.seed
    rng = random.Random(seed)
    draws, num_identical = _draw_pairs(comparison, settings, rng)
    num_codes = CODES_EACH * (len(draws) + settings.num_checks)
    codes = (f"{code:08x}" for code in rng.sample(range(NUM_CODES), num_codes))
    checked = _draw_checks([draw.task for draw in draws], settings.num_checks, rng)
    pairs = tuple(_pair(draw, settings, codes) for draw in draws)
    asked = {name for pair in pairs for name in pair.questions}
    study = Study(
        version=KEY_VERSION,
        study_id="",
        comparison=comparison.name,
        methods=comparison.methods,
        questions=tuple(name for name in settings.questions if name in asked),
        ties_allowed=settings.ties_allowed,
        per_participant=min(settings.per_participant, len(draws)),
        max_failed_checks=settings.max_failed_checks,
        seed=seed,
        num_identical=num_identical,
        pictures_sha256=_pictures_sha256(comparison, draws),
        pairs=pairs,
        checks=tuple(_check(task, settings, codes) for task in checked),
    )
    return replace(study, study_id=study.content_hash())


def _draw_pairs(
    comparison: Comparison, settings: StudySettings, rng: random.Random
) -> tuple[list[Draw], int]:
    """Return what to compare, and how many pairs were left out as identical.

    Each pair of methods gets its tasks in an order of its own; then all take turns.
    """
    tasks = {task.id: task for task in comparison.tasks if askable(task, settings.questions)}
    queues = []
    for methods in combinations(comparison.methods, 2):
        draws = _shared_draws(comparison.pictures, tasks, methods)
        queues.append(rng.sample(draws, len(draws)))
    rng.shuffle(queues)
    turns = (draw for turn in zip_longest(*queues) for draw in turn if draw is not None)
    drawn: list[Draw] = []
    num_identical = 0
    for draw in turns:
        if len(drawn) == settings.num_pairs:
            break
        if _is_identical(comparison, draw):
            num_identical += 1
        else:
            drawn.append(draw)
    if not drawn:
        raise SettingsError(
            f"{comparison.folder} holds no two different pictures to ask "
            f"{' and '.join(settings.questions)} about. It needs two methods with pictures for "
            "one task; `personal` needs the task's history, too."
        )
    return drawn, num_identical


def _shared_draws(
    pictures: Mapping[str, Mapping[str, str]],
    tasks: Mapping[str, ComparisonTask],
    methods: tuple[str, str],
) -> list[Draw]:
    """Return one draw for each task that both methods have a picture for."""
    drawn = [pictures[method] for method in methods]
    return [
        Draw(task, methods)
        for task_id, task in tasks.items()
        if all(task_id in each for each in drawn)
    ]


def askable(task: ComparisonTask, questions: Sequence[str]) -> tuple[str, ...]:
    """Return the questions a task allows: without a history, not what the person would use."""
    return tuple(name for name in questions if name != "personal" or task.history)


def _is_identical(comparison: Comparison, draw: Draw) -> bool:
    one, other = (comparison.drawn(method, draw.task.id) for method in draw.methods)
    return one.shape == other.shape and bool((one == other).all())


def _draw_checks(
    tasks: Sequence[ComparisonTask], count: int, rng: random.Random
) -> list[ComparisonTask]:
    """Return tasks of the study that have a real picture to check by."""
    able = [task for task in tasks if task.reference or task.history]
    if not able:
        raise SettingsError(
            "attention checks need a reference or history picture, and no task of the study has "
            "one. Add them to the comparison."
        )
    return rng.choices(able, k=count)


def _pair(draw: Draw, settings: StudySettings, codes: Iterator[str]) -> Pair:
    return Pair(
        pair_id=next(codes),
        task_id=draw.task.id,
        user_id=draw.task.user,
        questions=askable(draw.task, settings.questions),
        pictures=(next(codes), next(codes)),
        methods=draw.methods,
    )


def _check(task: ComparisonTask, settings: StudySettings, codes: Iterator[str]) -> Check:
    return Check(
        pair_id=next(codes),
        task_id=task.id,
        questions=askable(task, settings.questions),
        pictures=(next(codes), next(codes)),
        real_file=task.reference or task.history[-1],
    )


def _pictures_sha256(comparison: Comparison, draws: Sequence[Draw]) -> str:
    digest = hashlib.sha256()
    for draw in draws:
        for method in draw.methods:
            digest.update(comparison.drawn(method, draw.task.id).tobytes())
    return digest.hexdigest()
