"""`pigeon-recsys stream`: make the topics, turn events into histories and these into images."""

import argparse
from typing import Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands.stream_archive import register_archive
from pigeon_recsys.commands.stream_arguments import (
    TOPICS,
    add_codec,
    add_idle,
    add_store,
    add_topics,
    codecs,
    open_log,
    security,
    stream_parser,
)
from pigeon_recsys.commands.stream_follow import register_follow
from pigeon_recsys.commands.stream_generate import register_generate
from pigeon_recsys.commands.stream_parity import register_parity
from pigeon_recsys.commands.stream_send import register_ask, register_send
from pigeon_recsys.operations.arguments import add_operations_arguments, operating

DEFAULT_PARTITIONS = 12
POLL_S = 0.5
INGEST_GROUP, REPLAY_GROUP = "pigeon-ingest", "pigeon-replay"


def register(commands: Any) -> None:
    """Add `stream` and its subcommands to the command line."""
    stream = commands.add_parser("stream", help="events in, images out, on Kafka")
    subcommands = stream.add_subparsers(dest="stream_command", required=True, metavar="COMMAND")
    _register_topics(subcommands)
    _register_store(subcommands)
    _register_ingest(subcommands)
    register_generate(subcommands)
    register_follow(subcommands)
    register_archive(subcommands)
    register_parity(subcommands)
    register_send(subcommands)
    register_ask(subcommands)
    _register_replay(subcommands)


def _register_topics(subcommands: Any) -> None:
    parser = stream_parser(subcommands, "topics", "make the topics that are missing", run_topics)
    parser.add_argument(
        "--partitions",
        type=int,
        default=DEFAULT_PARTITIONS,
        help="of events and histories: the most workers that can share them; choose once",
    )
    parser.add_argument("--replication", type=int, default=1, help="copies of each record")
    add_topics(parser, *TOPICS)


def _register_store(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "store",
        help="make an empty history store",
        description="Make an empty Feast feature repository for the workers, on SQLite. "
        "See docs/feast.md for other online stores.",
    )
    add_store(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run_store)


def _register_ingest(subcommands: Any) -> None:
    parser = stream_parser(
        subcommands, "ingest", "turn interaction events into histories", run_ingest
    )
    add_topics(parser, "events", "histories")
    add_codec(parser)
    add_store(parser)
    parser.add_argument("--group", default=INGEST_GROUP, help="workers of a group share the work")
    add_idle(parser)
    add_operations_arguments(parser)


def _register_replay(subcommands: Any) -> None:
    from pigeon_recsys.streaming.topics import EVENTS

    parser = stream_parser(
        subcommands, "replay", "send dead letters back to their topic", run_replay
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=("dlq",),
        default="dlq",
        help="dlq: the dead-letter topic",
    )
    parser.add_argument("--topic", default=EVENTS, help="the topic whose dead letters they are")
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
    names = TopicNames(**{field: getattr(args, field) for field in TOPICS})
    topics = streaming_topics(args.partitions, names)
    make_topics = connector("topic_makers", "kafka")
    made = make_topics(args.kafka, topics, args.replication, security(args))
    for topic in topics:
        print(f"{topic.name}: {'made' if topic.name in made else 'was there'}")
    return {"made": made}


def run_store(args: argparse.Namespace) -> dict[str, Any]:
    """Make the store, where nothing is yet."""
    from pigeon_recsys.errors import OutputError
    from pigeon_recsys.wiring import history_store_type

    if args.store.exists() and (not args.store.is_dir() or any(args.store.iterdir())):
        raise OutputError(f"{args.store} is not empty. Name a new folder, or use what is there.")
    history_store_type("feast").create(args.store, [])
    print(f"{args.store}: an empty history store")
    return {"store": str(args.store)}


def run_ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Work until stopped and say what was done."""
    from dataclasses import asdict

    from pigeon_recsys.streaming.ingest import HistoryIngest, Ingested, IngestSettings
    from pigeon_recsys.streaming.messages import MessageReader
    from pigeon_recsys.streaming.running import STOP_LIMIT_S, stop_on_signals, work_on_log
    from pigeon_recsys.wiring import history_store_type

    total = Ingested()
    settings = IngestSettings(changelog=args.histories)
    reader = MessageReader(codecs(args).events)
    with operating(args) as observer:
        store = history_store_type("feast").open(args.store)
        with stop_on_signals(STOP_LIMIT_S) as stop:  # from here on there is a batch to finish
            for done in work_on_log(
                lambda: open_log(args, args.events),
                lambda log: HistoryIngest(log, store, reader, settings, observer).step,
                stop,
                args.until_idle,
                observer,
            ):
                total += done
    print(
        f"{total.num_records} records: {total.num_changed} histories changed, "
        f"{total.num_dead} dead letters"
    )
    return asdict(total)


def run_replay(args: argparse.Namespace) -> dict[str, Any]:
    """Send back the letters that are there, and say how many."""
    from contextlib import closing

    from pigeon_recsys.streaming.dead_letters import SUFFIX
    from pigeon_recsys.streaming.replay import Replay
    from pigeon_recsys.streaming.running import STOP_LIMIT_S, run_steps, stop_on_signals

    with closing(open_log(args, args.topic + SUFFIX)) as log, stop_on_signals(STOP_LIMIT_S) as stop:
        replay = Replay(log)
        count = sum(run_steps(lambda: replay.step(POLL_S), stop, args.until_idle))
    print(f"{count} dead letters sent back to {args.topic}")
    return {"replayed": count}
