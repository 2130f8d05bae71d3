"""`pigeon-recsys stream archive`: copy the decision log from Kafka into a folder of parquet."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.commands.stream_arguments import (
    add_codec,
    add_idle,
    add_topics,
    codecs,
    open_log,
    stream_parser,
)

GROUP = "pigeon-archive"
WRITE_EVERY_S = 60.0


def register_archive(subcommands: Any) -> None:
    """Add `archive` to the commands of `stream`."""
    parser = stream_parser(
        subcommands, "archive", "copy the decision log into a folder of parquet", run_archive
    )
    add_topics(parser, "decisions", "exposures", "outcomes")
    add_codec(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        required=True,
        help="the folder, which `rank calibrate --log` and `rank learn --log` read",
    )
    parser.add_argument(
        "--write-every",
        type=float,
        metavar="SECONDS",
        default=WRITE_EVERY_S,
        help="write files as often, or when 10,000 entries have come",
    )
    parser.add_argument("--group", default=GROUP, help="workers of a group share the work")
    add_idle(parser)


def run_archive(args: argparse.Namespace) -> dict[str, Any]:
    """Copy until stopped and say how much."""
    from contextlib import closing
    from dataclasses import asdict

    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.streaming.archive import Archived, Archiver, ArchiveSettings
    from pigeon_recsys.streaming.running import STOP_LIMIT_S, run_steps, stop_on_signals
    from pigeon_recsys.streaming.topics import TopicNames
    from pigeon_recsys.wiring import connector

    if not args.write_every > 0:
        raise SettingsError(f"--write-every must be above 0 seconds, got {args.write_every}.")
    settings = ArchiveSettings(write_every_s=args.write_every)
    topics = TopicNames(decisions=args.decisions, exposures=args.exposures, outcomes=args.outcomes)
    total = Archived()
    with (
        closing(connector("slate_logs", "parquet")(args.out)) as archive,
        closing(open_log(args, topics.decisions, topics.exposures, topics.outcomes)) as log,
        stop_on_signals(STOP_LIMIT_S) as stop,
    ):
        archiver = Archiver(log, archive, topics, codecs(args), settings)
        for done in run_steps(archiver.step, stop, args.until_idle):
            total += done
        archiver.finish()
    print(f"{args.out}: {total.num_records} records, {total.num_dead} dead letters")
    return asdict(total)
