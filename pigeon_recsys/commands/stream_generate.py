"""`pigeon-recsys stream generate`: turn histories and requests into published images."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.commands.generate import STEPS, ratio_choice
from pigeon_recsys.commands.stream_arguments import (
    add_codec,
    add_idle,
    add_store,
    add_topics,
    codecs,
    open_log,
    stream_parser,
)
from pigeon_recsys.operations.arguments import add_operations_arguments, operating, positive_s

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.generation.generator_process import GeneratorProcess
    from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
    from pigeon_recsys.streaming.making import Stage
    from pigeon_recsys.streaming.trigger_settings import TriggerSettings

GROUP = "pigeon-generate"
IN_FLIGHT = 4  # batches taken in for each one being made, so that none waits for the poll loop


def register_generate(subcommands: Any) -> None:
    """Add `generate` to the commands of `stream`."""
    parser = stream_parser(
        subcommands, "generate", "turn histories and requests into images", run_generate
    )
    add_store(parser)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", required=True, help="the dataset folder: the catalog"
    )
    parser.add_argument(
        "--images", metavar="URL", required=True, help="where pictures go: a folder or fsspec URL"
    )
    parser.add_argument(
        "--artifacts",
        type=Path,
        metavar="DIR",
        help="the embedder and the index of the catalog, as `demo` leaves them; made where absent",
    )
    parser.add_argument("--weights", type=Path, metavar="RUN", help="instead of the shipped ones")
    parser.add_argument("--group", default=GROUP, help="workers of a group share the work")
    add_topics(parser, "histories", "requests", "generated", "state")
    add_codec(parser)
    _add_making(parser)
    _add_trigger(parser)
    add_idle(parser)
    add_operations_arguments(parser)


def _add_making(parser: argparse.ArgumentParser) -> None:
    from pigeon_recsys.streaming.takeovers import MOST

    options = parser.add_argument_group("making images")
    options.add_argument(
        "--generators", type=int, default=1, help="processes with a model each, one a GPU"
    )
    options.add_argument("--batch-size", type=int, default=8, help="users a pass of the model")
    options.add_argument(
        "--timeout", type=positive_s, metavar="SECONDS", default=120.0, help="of a pass"
    )
    options.add_argument(
        "--safety",
        metavar="NAME",
        help="refuse what this classifier, an entry point of pigeon_recsys.safety_classifiers, "
        "finds unsafe",
    )
    options.add_argument("--attempts", type=int, default=3, help="at an image that fails")
    options.add_argument(
        "--takeovers",
        type=int,
        default=MOST,
        help="of a job whose workers ended, before it is given up",
    )
    options.add_argument(
        "--ratio",
        type=ratio_choice,
        default="sweep",
        metavar="R",
        help="share of the reference hidden: a number, `predicted`, or `sweep`",
    )
    options.add_argument("--steps", type=int, default=STEPS, help="DDIM steps")


def _add_trigger(parser: argparse.ArgumentParser) -> None:
    from pigeon_recsys.streaming.trigger_settings import TriggerSettings

    default = TriggerSettings()
    options = parser.add_argument_group("when an image is worth it")
    for name, what in (
        ("min_new_likes", "since the last image"),
        ("min_drift", "of taste since the last image, 0 to 1"),
        ("cooldown_s", "between two images of a user; requests do not wait"),
        ("daily_images", "of one user, requests included"),
        ("daily_gpu_s", "of all users together"),
    ):
        value = getattr(default, name)
        options.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=what
        )


def run_generate(args: argparse.Namespace) -> dict[str, Any]:
    """Work until stopped and say what was done."""
    from collections import Counter

    from pigeon_recsys.streaming.generate import GenerateSettings, GenerationWorker
    from pigeon_recsys.streaming.job_pool import JobPool
    from pigeon_recsys.streaming.job_queue import JobQueue, Made, QueueSettings
    from pigeon_recsys.streaming.making import ItemMaker
    from pigeon_recsys.streaming.planning import Planner
    from pigeon_recsys.streaming.running import STOP_LIMIT_S, stop_on_signals, work_on_log
    from pigeon_recsys.wiring import history_store_type

    queue = QueueSettings(batch_size=args.batch_size, max_attempts=args.attempts)
    settings = GenerateSettings(
        _trigger(args),
        args.histories,
        args.requests,
        args.generated,
        args.state,
        most_takeovers=args.takeovers,
    )
    spoken = codecs(args)
    histories = history_store_type("feast").open(args.store)
    done: Counter[str] = Counter()
    with (
        operating(args) as observer,
        stop_on_signals(STOP_LIMIT_S) as stop,
        _generators(args) as made,
    ):
        stage, processes = made
        planner = Planner(histories, stage.catalog, stage.index, processes[0].version)
        makers = [ItemMaker(process, stage, process.close) for process in processes]
        pool = JobPool(JobQueue(queue), makers, IN_FLIGHT * args.batch_size * len(makers))
        try:
            for step in work_on_log(
                lambda: open_log(args, *settings.reads),
                lambda log: GenerationWorker(log, planner, pool, spoken, settings, observer).step,
                stop,
                args.until_idle,
                observer,
            ):
                num_made = sum(isinstance(each.outcome, Made) for each in step.ended)
                done["records"] += len(step.records)
                done["started"] += len(step.started)
                done["published"] += num_made
                done["failed"] += len(step.ended) - num_made
                done["dead letters"] += len(step.letters)
        finally:
            pool.close()
    print(
        f"{done['records']} records: {done['started']} jobs started, "
        f"{done['published']} images published, {done['dead letters']} dead letters"
    )
    return {name.replace(" ", "_"): count for name, count in done.items()}


@contextmanager
def _generators(args: argparse.Namespace) -> "Iterator[tuple[Stage, list[GeneratorProcess]]]":
    """Open the stores, load the catalog and its index, and start the generators."""
    import tempfile
    from functools import partial

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.generation.generator_process import GeneratorProcess
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS, load_generator

    if args.generators < 1:
        raise SettingsError(f"--generators must be at least 1, got {args.generators}.")
    weights = args.weights or SHIPPED_WEIGHTS
    catalog = DatasetFolder.open(args.data)
    with tempfile.TemporaryDirectory() as folder:
        artifacts = _artifacts(args, Path(folder), weights, catalog)
        stage = _stage(args, catalog, artifacts)
        make = partial(load_generator, artifacts, weights, _generator_settings(args))
        yield stage, [GeneratorProcess(make, args.timeout) for _ in range(args.generators)]


def _artifacts(
    args: argparse.Namespace, folder: Path, weights: Path, catalog: "DatasetFolder"
) -> Path:
    """Return the folder of the embedder and the index, made now where none is named."""
    from pigeon_recsys.wiring import build_artifacts

    if args.artifacts is not None:
        return Path(args.artifacts)
    build_artifacts(folder, weights, catalog)
    return folder


def _stage(args: argparse.Namespace, catalog: "DatasetFolder", artifacts: Path) -> "Stage":
    from pigeon_recsys.generation.generated_catalog import CatalogWithGenerated
    from pigeon_recsys.streaming.making import Stage
    from pigeon_recsys.wiring import connector, load_retrieval

    embedder, index = load_retrieval(artifacts)
    images = connector("image_stores", "fsspec").open(args.images)
    items = connector("item_stores", "feast").open(args.store)
    return Stage(
        catalog=CatalogWithGenerated(catalog, items, images),
        embedder=embedder,
        index=index,
        images=images,
        items=items,
        codec=codecs(args).items,
        safety=connector("safety_classifiers", args.safety)() if args.safety else None,
    )


def _generator_settings(args: argparse.Namespace) -> "GeneratorSettings":
    from pigeon_recsys.generation.pigeon_generator import GeneratorSettings

    return GeneratorSettings(args.ratio, steps=args.steps, batch_size=args.batch_size)


def _trigger(args: argparse.Namespace) -> "TriggerSettings":
    from dataclasses import fields

    from pigeon_recsys.streaming.trigger_settings import TriggerSettings

    return TriggerSettings(
        **{field.name: getattr(args, field.name) for field in fields(TriggerSettings)}
    )
