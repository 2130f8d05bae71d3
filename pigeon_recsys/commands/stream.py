"""`pigeon-recsys stream`: make the topics, turn events into histories, replay dead letters."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments

if TYPE_CHECKING:
    from pigeon_recsys.streaming.event_log import EventLog

DEFAULT_PARTITIONS = 12
POLL_S = 0.5
INGEST_GROUP, REPLAY_GROUP = "pigeon-ingest", "pigeon-replay"


def register(commands: Any) -> None:
    """Add `stream` and its subcommands to the command line."""
    stream = commands.add_parser("stream", help="events in, histories out, on Kafka")
    subcommands = stream.add_subparsers(dest="stream_command", required=True, metavar="COMMAND")
    _register_topics(subcommands)
    _register_ingest(subcommands)
    _register_replay(subcommands)


def _register_topics(subcommands: Any) -> None:
    parser = _parser(subcommands, "topics", "make the topics that are missing", run_topics)
    parser.add_argument(
        "--partitions",
        type=int,
        default=DEFAULT_PARTITIONS,
        help="of events and histories: the most workers that can share them; choose once",
    )
    parser.add_argument("--replication", type=int, default=1, help="copies of each record")
    _add_histories(parser)


def _register_ingest(subcommands: Any) -> None:
    parser = _parser(subcommands, "ingest", "turn interaction events into histories", run_ingest)
    parser.add_argument(
        "--store", type=Path, metavar="DIR", required=True, help="the Feast feature repository"
    )
    parser.add_argument("--group", default=INGEST_GROUP, help="workers of a group share the work")
    _add_histories(parser)
    _add_idle(parser)


def _register_replay(subcommands: Any) -> None:
    parser = _parser(subcommands, "replay", "send dead letters back to their topic", run_replay)
    parser.add_argument("--group", default=REPLAY_GROUP, help="remembers what has been replayed")
    _add_idle(parser, default=5.0)


def _parser(subcommands: Any, name: str, what: str, run: Any) -> argparse.ArgumentParser:
    from pigeon_recsys.streaming.topics import EVENTS

    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=what,
        description=f"{what.capitalize()}. See docs/streaming.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", required=True, help="brokers, separated by commas"
    )
    parser.add_argument("--events", default=EVENTS, help="the topic of interaction events")
    add_common_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def _add_histories(parser: argparse.ArgumentParser) -> None:
    from pigeon_recsys.streaming.topics import HISTORIES

    parser.add_argument("--histories", default=HISTORIES, help="the topic of changed histories")


def _add_idle(parser: argparse.ArgumentParser, default: float | None = None) -> None:
    parser.add_argument(
        "--until-idle",
        type=float,
        metavar="SECONDS",
        default=default,
        help="end once nothing has come for so long; never, where not given",
    )


def run_topics(args: argparse.Namespace) -> dict[str, Any]:
    """Make the topics and say which were missing."""
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.streaming.topics import ingest_topics
    from pigeon_recsys.wiring import connector

    for name in ("partitions", "replication"):
        if getattr(args, name) < 1:
            raise SettingsError(f"--{name} must be at least 1, got {getattr(args, name)}.")
    topics = ingest_topics(args.partitions, args.events, args.histories)
    make_topics = connector("topic_makers", "kafka")
    made = make_topics(args.kafka, topics, args.replication)
    for topic in topics:
        print(f"{topic.name}: {'made' if topic.name in made else 'was there'}")
    return {"made": made}


def run_ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Work until stopped and say what was done."""
    from contextlib import closing
    from dataclasses import asdict

    from pigeon_recsys.streaming.ingest import HistoryIngest, Ingested, IngestSettings
    from pigeon_recsys.streaming.interaction_messages import EventReader, JsonEvents
    from pigeon_recsys.streaming.running import run_steps, stop_on_signals
    from pigeon_recsys.wiring import history_store_type

    store = history_store_type("feast").open(args.store)
    total = Ingested()
    settings = IngestSettings(changelog=args.histories)
    with closing(_log(args, args.events)) as log, stop_on_signals() as stop:
        worker = HistoryIngest(log, store, EventReader(JsonEvents()), settings)
        for done in run_steps(worker.step, stop, args.until_idle):
            total += done
    print(
        f"{total.num_records} records: {total.num_changed} histories changed, "
        f"{total.num_dead} dead letters"
    )
    return asdict(total)


def run_replay(args: argparse.Namespace) -> dict[str, Any]:
    """Send letters back until none has come for a while, and say how many."""
    from contextlib import closing

    from pigeon_recsys.streaming.dead_letters import SUFFIX
    from pigeon_recsys.streaming.replay import replay_step
    from pigeon_recsys.streaming.running import run_steps, stop_on_signals

    with closing(_log(args, args.events + SUFFIX)) as log, stop_on_signals() as stop:
        count = sum(run_steps(lambda: replay_step(log, POLL_S), stop, args.until_idle))
    print(f"{count} dead letters sent back to {args.events}")
    return {"replayed": count}


def _log(args: argparse.Namespace, topic: str) -> "EventLog":
    from pigeon_recsys.wiring import connector

    log: EventLog = connector("event_logs", "kafka")(args.kafka, args.group, [topic])
    return log
