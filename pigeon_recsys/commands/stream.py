"""`pigeon-recsys stream`: make the topics, turn events into histories, replay dead letters."""

import argparse
from typing import Any

from pigeon_recsys.commands.stream_arguments import (
    add_events,
    add_histories,
    add_idle,
    add_store,
    open_log,
    security,
    stream_parser,
)
from pigeon_recsys.commands.stream_follow import register_follow
from pigeon_recsys.commands.stream_generate import register_generate
from pigeon_recsys.operations.arguments import add_operations_arguments, operating

DEFAULT_PARTITIONS = 12
POLL_S = 0.5
INGEST_GROUP, REPLAY_GROUP = "pigeon-ingest", "pigeon-replay"


def register(commands: Any) -> None:
    """Add `stream` and its subcommands to the command line."""
    stream = commands.add_parser("stream", help="events in, histories out, on Kafka")
    subcommands = stream.add_subparsers(dest="stream_command", required=True, metavar="COMMAND")
    _register_topics(subcommands)
    _register_ingest(subcommands)
    register_generate(subcommands)
    register_follow(subcommands)
    _register_replay(subcommands)


def _register_topics(subcommands: Any) -> None:
    parser = stream_parser(subcommands, "topics", "make the topics that are missing", run_topics)
    add_events(parser)
    parser.add_argument(
        "--partitions",
        type=int,
        default=DEFAULT_PARTITIONS,
        help="of events and histories: the most workers that can share them; choose once",
    )
    parser.add_argument("--replication", type=int, default=1, help="copies of each record")
    add_histories(parser)


def _register_ingest(subcommands: Any) -> None:
    parser = stream_parser(
        subcommands, "ingest", "turn interaction events into histories", run_ingest
    )
    add_events(parser)
    add_store(parser)
    parser.add_argument("--group", default=INGEST_GROUP, help="workers of a group share the work")
    add_histories(parser)
    add_idle(parser)
    add_operations_arguments(parser)


def _register_replay(subcommands: Any) -> None:
    parser = stream_parser(
        subcommands, "replay", "send dead letters back to their topic", run_replay
    )
    add_events(parser)
    parser.add_argument("--group", default=REPLAY_GROUP, help="remembers what has been replayed")
    add_idle(parser, default=5.0)


def run_topics(args: argparse.Namespace) -> dict[str, Any]:
    """Make the topics and say which were missing."""
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.streaming.topics import TopicNames, streaming_topics
    from pigeon_recsys.wiring import connector

    for name in ("partitions", "replication"):
        if getattr(args, name) < 1:
            raise SettingsError(f"--{name} must be at least 1, got {getattr(args, name)}.")
    names = TopicNames(events=args.events, histories=args.histories)
    topics = streaming_topics(args.partitions, names)
    make_topics = connector("topic_makers", "kafka")
    made = make_topics(args.kafka, topics, args.replication, security(args))
    for topic in topics:
        print(f"{topic.name}: {'made' if topic.name in made else 'was there'}")
    return {"made": made}


def run_ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Work until stopped and say what was done."""
    from contextlib import closing
    from dataclasses import asdict

    from pigeon_recsys.streaming.ingest import HistoryIngest, Ingested, IngestSettings
    from pigeon_recsys.streaming.interaction_messages import JsonEvents
    from pigeon_recsys.streaming.messages import MessageReader
    from pigeon_recsys.streaming.running import run_steps, stop_on_signals
    from pigeon_recsys.wiring import history_store_type

    store = history_store_type("feast").open(args.store)
    total = Ingested()
    settings = IngestSettings(changelog=args.histories)
    with (
        operating(args) as observer,
        closing(open_log(args, args.events)) as log,
        stop_on_signals() as stop,
    ):
        worker = HistoryIngest(log, store, MessageReader(JsonEvents()), settings, observer)
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

    with closing(open_log(args, args.events + SUFFIX)) as log, stop_on_signals() as stop:
        count = sum(run_steps(lambda: replay_step(log, POLL_S), stop, args.until_idle))
    print(f"{count} dead letters sent back to {args.events}")
    return {"replayed": count}
