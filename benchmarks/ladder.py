"""What does each way to a user's picture cost, and what does the faster one lose?

    OMP_NUM_THREADS=1 python -m benchmarks.ladder --out out/bench/ladder.json

A sticker world that trained nothing is drawn, and each of its test users asks for one sticker:
fresh (a sweep over all ratios), in few steps (one ratio) and as a redraw of the fresh picture's
tokens with another seed. The three take turns, user by user, so that a machine that gets busy
slows all of them. What each is made of is timed beside it, in `parts`.
Read `times_less_cpu`, ratios of medians of processor time within this run, or `times_faster`, the
same by the clock, on a machine that does nothing else. `score` is the selection scorer's, by which
a sweep is the best by definition; `content_all` and `style_mean` are the factor judge's, which
selects nothing: the share of pictures with what was asked for, and of the user's main style.
`minus_fresh` holds each way against the fresh picture, user by user, with 95 % intervals.
`new_pictures` is the share of redraws that are not the fresh picture bit by bit, and
`redraw_change` how far they are from it, in grey values of 255 and by their embedding, beside a
fresh picture of the redraw's seed: what a redraw gives to see that is new.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._record import write_result
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import users_in
from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS
from pigeon_recsys.datasets.world import USERS_TRUTH, generate_world
from pigeon_recsys.evaluation.bootstrap import mean_over_users
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.personalization import match, read_main_styles
from pigeon_recsys.files import check_writable
from pigeon_recsys.generation.laddered_generator import LadderedPigeon
from pigeon_recsys.progress import track
from pigeon_recsys.records import Generation, GenerationTask
from pigeon_recsys.wiring import SHIPPED_WEIGHTS, wire_generator

if TYPE_CHECKING:
    from pigeon_recsys.model.inference import SweepOrder

WORLD_SEED = 90_006  # of a world that trained nothing
WORLD_ITEMS = 600
USERS_PER_TEST_USER = 15  # a tenth of a world's users are test users, or a little less
REDRAW = 1_000_000  # added to a task's seed
MEASURES = ("score", "content_all", "style_mean", "style_all")

Made = Mapping[str, Sequence[Generation]]  # one a task by way


@dataclass(frozen=True)
class Seconds:
    """How long something took."""

    wall_s: float
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world"
        num_users = USERS_PER_TEST_USER * args.users
        generate_world(path, num_items=args.items, num_users=num_users, seed=WORLD_SEED, size=72)
        world = DatasetFolder.open(path)
        ladder = LadderedPigeon(wire_generator(args.weights or SHIPPED_WEIGHTS, world))
        tasks = draw_tasks(world, ladder, args.users)
        made, seconds = take_turns(ways(ladder), tasks)
        _, parts = take_turns(parts_of(ladder), tasks)
        wall, cpu = medians(seconds, "wall_s"), medians(seconds, "cpu_s")
        figures: dict[str, Any] = {
            "median_s": wall,
            "median_cpu_s": cpu,
            "times_faster": {way: round(wall["fresh"] / wall[way], 2) for way in wall},
            "times_less_cpu": {way: round(cpu["fresh"] / cpu[way], 2) for way in cpu},
            "parts_median_cpu_s": medians(parts, "cpu_s"),
            "quality": quality(world, tasks, made),
            "new_pictures": float(np.mean(is_new(made["fresh"], made["redraw"]))),
            "redraw_change": {
                name: change(ladder, made["fresh"], made[name])
                for name in ("redraw", "fresh_of_redraws_seed")
            },
        }
    for name in wall:
        print(f"{name:24} {1000 * wall[name]:8.1f} ms  {1000 * cpu[name]:8.1f} ms CPU")
    settings = {
        "weights": "shipped" if args.weights is None else args.weights.name,
        "users": len(tasks),
        "items": args.items,
        "ratios": len(ladder.fresh.settings.ratios),
        "steps": ladder.fresh.settings.steps,
        "quick_ratio": ladder.few_steps.settings.ratio_choice,
        "quick_steps": ladder.few_steps.settings.steps,
        "seed": WORLD_SEED,
    }
    write_result(args.out, "What does each way to a picture cost and lose?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--users", type=int, default=40, help="at most so many")
    parser.add_argument("--items", type=int, default=WORLD_ITEMS)
    return parser.parse_args(argv)


def draw_tasks(world: DatasetFolder, ladder: LadderedPigeon, users: int) -> list[GenerationTask]:
    """Return one task a test user, each about an item drawn from the whole catalog."""
    from pigeon_recsys.alignment.ratio_training import ratio_tasks

    likers = [user for user in users_in(world.user_ids, "test") if world.history(user).liked]
    return ratio_tasks(world, ladder.fresh.index, likers[:users], WORLD_SEED)


def ways(ladder: LadderedPigeon) -> dict[str, Callable[[GenerationTask], Generation]]:
    """Return the three ways, and a fresh picture of the seed that the redraw has."""

    def redraw(task: GenerationTask) -> Generation:
        made = ladder.redraw(of_another_seed(task))
        assert made is not None, "the cache is too small for the benchmark"
        return made

    return {
        "fresh": lambda task: ladder.generate([task])[0],
        "few_steps": lambda task: ladder.quick([task])[0],
        "redraw": redraw,
        "fresh_of_redraws_seed": lambda task: ladder.fresh.generate([of_another_seed(task)])[0],
    }


def of_another_seed(task: GenerationTask) -> GenerationTask:
    """Return the task as a redraw is asked for it."""
    return replace(task, seed=task.seed + REDRAW)


def parts_of(ladder: LadderedPigeon) -> dict[str, Callable[[GenerationTask], object]]:
    """Return what the ways are made of, each to be timed by itself."""
    model, settings, few_steps = ladder.fresh.model, ladder.fresh.settings, ladder.few_steps
    assert not isinstance(few_steps.settings.ratio_choice, str)
    one = (float(few_steps.settings.ratio_choice),)

    def write(task: GenerationTask, ratios: tuple[float, ...]) -> object:
        return model.write_tokens([order_of(task, ratios)], sampling=settings.sampling)

    def paint(task: GenerationTask, steps: int) -> object:
        kept = ladder.kept(task)
        assert kept is not None
        return model.paint(kept.written, seed=task.seed, steps=steps)

    return {
        "write_sweep": lambda task: write(task, settings.ratios),
        "write_one_ratio": lambda task: write(task, one),
        "paint_one_in_all_steps": lambda task: paint(task, settings.steps),
        "paint_one_in_few_steps": lambda task: paint(task, few_steps.settings.steps),
        "look_up": ladder.kept,
    }


def order_of(task: GenerationTask, ratios: Sequence[float]) -> "SweepOrder":
    """Return a task as the model takes it."""
    from pigeon_recsys.model.inference import SweepOrder

    history = [image.pixels for image in task.history]
    return SweepOrder(history, task.reference_pixels, task.reference.text, ratios, task.seed)


def take_turns(
    runs: Mapping[str, Callable[[GenerationTask], Any]], tasks: Sequence[GenerationTask]
) -> tuple[dict[str, list[Any]], dict[str, list[Seconds]]]:
    """Return what each run gives for each task and the seconds it took; the first warms up."""
    for run in runs.values():
        run(tasks[0])
    given: dict[str, list[Any]] = {name: [] for name in runs}
    seconds: dict[str, list[Seconds]] = {name: [] for name in runs}
    for task in track(tasks, "pictures"):
        for name, run in runs.items():
            started_s, started_cpu_s = time.perf_counter(), time.process_time()
            given[name].append(run(task))
            wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
            seconds[name].append(Seconds(wall_s, cpu_s))
    return given, seconds


def medians(seconds: Mapping[str, Sequence[Seconds]], clock: str) -> dict[str, float]:
    """Return each run's median by one of the clocks."""
    return {
        name: round(statistics.median(getattr(each, clock) for each in runs), 5)
        for name, runs in seconds.items()
    }


def quality(world: DatasetFolder, tasks: Sequence[GenerationTask], made: Made) -> dict[str, Any]:
    """Return every measure of every way, and how far it is above the fresh picture's."""
    judge, styles = FactorJudge.load(), read_main_styles(world.path / USERS_TRUTH)
    values: dict[str, dict[str, list[float]]] = {}
    for way, generations in made.items():
        rows = []
        seen = judge.factors([each.pixels for each in generations])
        for task, each, factors in zip(tasks, generations, seen, strict=True):
            assert task.reference.item_id is not None
            item = world.item(task.reference.item_id)
            asked = {factor: str(item.attributes[factor]) for factor in CONTENT_FACTORS}
            style = match(factors, styles[task.user_id], STYLE_FACTORS)
            content = match(factors, asked, CONTENT_FACTORS)["all"]
            best = max(image.score for image in each.sweep)
            rows.append((best, content, style["mean"], style["all"]))
        columns = zip(*rows, strict=True)
        values[way] = {name: list(column) for name, column in zip(MEASURES, columns, strict=True)}
    users = [task.user_id for task in tasks]
    return {
        way: {
            name: {
                "mean": over_users(users, numbers),
                "minus_fresh": over_users(
                    users, np.subtract(numbers, values["fresh"][name]).tolist()
                ),
            }
            for name, numbers in each.items()
        }
        for way, each in values.items()
    }


def over_users(users: Sequence[str], numbers: Sequence[float]) -> dict[str, float | int]:
    """Return the mean of one number a user, with its interval."""
    by_user = {user: [number] for user, number in zip(users, numbers, strict=True)}
    return asdict(mean_over_users(by_user, seed=WORLD_SEED))


def is_new(before: Sequence[Generation], after: Sequence[Generation]) -> list[bool]:
    """Say of each picture whether any bit differs."""
    return [one.item_id != other.item_id for one, other in zip(before, after, strict=True)]


def change(
    ladder: LadderedPigeon, before: Sequence[Generation], after: Sequence[Generation]
) -> dict[str, float]:
    """Return how far pictures are from those before: mean grey values, and mean cosine."""
    grey = [
        float(np.abs(one.pixels.astype(int) - other.pixels).mean())
        for one, other in zip(before, after, strict=True)
    ]
    embed = ladder.fresh.embedder.embed
    left, right = (embed([each.pixels for each in side]) for side in (before, after))
    return {
        "grey_values": round(float(np.mean(grey)), 3),
        "cosine": round(float((left * right).sum(axis=1).mean()), 4),
    }


if __name__ == "__main__":
    main()
