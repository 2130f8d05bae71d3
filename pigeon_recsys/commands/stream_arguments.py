"""What the commands of `pigeon-recsys stream` have in common."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments

if TYPE_CHECKING:
    from pigeon_recsys.streaming.codecs import Codecs
    from pigeon_recsys.streaming.event_log import EventLog, RecordWriter


def stream_parser(subcommands: Any, name: str, what: str, run: Any) -> argparse.ArgumentParser:
    """Return the parser of a command that talks to a broker."""
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=what,
        description=f"{what.capitalize()}. See docs/streaming.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", required=True, help="brokers, separated by commas"
    )
    parser.add_argument(
        "--kafka-settings",
        type=Path,
        metavar="FILE",
        help="YAML with what a secured Kafka asks for, see docs/operations.md",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run)
    return parser


TOPICS = {
    "events": "interaction events",
    "histories": "changed histories",
    "requests": "generation requests",
    "generated": "generated items",
    "state": "what generate workers remember",
    "exposures": "what was shown",
    "decisions": "how slates were decided",
    "outcomes": "what was done with what was shown",
}


def add_topics(parser: argparse.ArgumentParser, *fields: str) -> None:
    """Add an option for the name of each of these topics."""
    from pigeon_recsys.streaming.topics import TopicNames

    names = TopicNames()
    for field in fields:
        parser.add_argument(
            f"--{field}",
            metavar="TOPIC",
            default=getattr(names, field),
            help=f"the topic of {TOPICS[field]}",
        )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add `--store`."""
    parser.add_argument(
        "--store", type=Path, metavar="DIR", required=True, help="the Feast feature repository"
    )


def add_codec(parser: argparse.ArgumentParser) -> None:
    """Add `--codec`."""
    parser.add_argument(
        "--codec",
        metavar="NAME",
        default="json",
        help="how values are written: json, or an entry point of pigeon_recsys.codecs",
    )


def codecs(args: argparse.Namespace) -> "Codecs":
    """Return the set of codecs that `--codec` names."""
    from pigeon_recsys.wiring import connector

    found: Codecs = connector("codecs", args.codec)()
    return found


def add_idle(parser: argparse.ArgumentParser, default: float | None = None) -> None:
    """Add `--until-idle`."""
    parser.add_argument(
        "--until-idle",
        type=float,
        metavar="SECONDS",
        default=default,
        help="end once nothing has come for so long; never, where not given",
    )


def open_log(args: argparse.Namespace, *topics: str) -> "EventLog":
    """Join the group of `args` as a reader of these topics."""
    from pigeon_recsys.wiring import connector

    open_kafka = connector("event_logs", "kafka")
    log: EventLog = open_kafka(args.kafka, args.group, list(topics), security=security(args))
    return log


def open_writer(args: argparse.Namespace) -> "RecordWriter":
    """Return what writes records to the topics."""
    from pigeon_recsys.wiring import connector

    writer: RecordWriter = connector("record_writers", "kafka")(args.kafka, security=security(args))
    return writer


def security(args: argparse.Namespace) -> dict[str, Any] | None:
    """Return what `--kafka-settings` holds, None without it."""
    from pigeon_recsys.wiring import connector

    if args.kafka_settings is None:
        return None
    settings: dict[str, Any] = connector("log_settings", "kafka")(args.kafka_settings)
    return settings
