"""`pigeon-recsys stream send` and `ask`: records for trying things out without a producer."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.commands.stream_arguments import (
    add_codec,
    add_topics,
    codecs,
    open_writer,
    stream_parser,
)

if TYPE_CHECKING:
    from pigeon_recsys.records import Reference

BATCH = 1000  # records a transaction


def register_send(subcommands: Any) -> None:
    """Add `send` to the commands of `stream`."""
    parser = stream_parser(subcommands, "send", "send a dataset's interactions as events", run_send)
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="dataset folder")
    parser.add_argument("--users", type=int, metavar="N", help="of the first N users; of all")
    add_topics(parser, "events")
    add_codec(parser)


def register_ask(subcommands: Any) -> None:
    """Add `ask` to the commands of `stream`."""
    parser = stream_parser(subcommands, "ask", "ask for an image for a user", run_ask)
    parser.add_argument("--user", metavar="U", required=True, help="for whom")
    parser.add_argument("--reference", metavar="ITEM", help="the item to draw anew")
    parser.add_argument("--text", metavar="T", default="", help="what to draw")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another picture")
    add_topics(parser, "requests")
    add_codec(parser)


def run_send(args: argparse.Namespace) -> dict[str, Any]:
    """Send the events and say how many."""
    from contextlib import closing
    from itertools import islice

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.history.from_interactions import event_of
    from pigeon_recsys.streaming.sending import event_record

    if args.users is not None and args.users < 1:
        raise SettingsError(f"--users must be at least 1, got {args.users}.")
    dataset = DatasetFolder.open(args.data)
    users = frozenset(dataset.user_ids[: args.users])
    rows = (row for row in dataset.interactions if row.user_id in users)
    codec = codecs(args).events
    records = (event_record(args.events, event, codec) for event in map(event_of, rows))
    num_sent = 0
    with closing(open_writer(args)) as writer:
        while batch := list(islice(records, BATCH)):
            writer.write(batch)
            num_sent += len(batch)
    print(f"{num_sent} events of {len(users)} users sent to {args.events}")
    return {"events": num_sent, "users": len(users)}


def run_ask(args: argparse.Namespace) -> dict[str, Any]:
    """Send the request and say under which id."""
    import time
    import uuid
    from contextlib import closing

    from pigeon_recsys.streaming.generation_requests import GenerationRequest
    from pigeon_recsys.streaming.sending import request_record

    at_ms = time.time_ns() // 1_000_000
    request = GenerationRequest(args.user, uuid.uuid4().hex, at_ms, _reference(args), args.seed)
    with closing(open_writer(args)) as writer:
        writer.write([request_record(args.requests, request, codecs(args).requests)])
    print(f"request {request.request_id} sent to {args.requests}")
    return {"request_id": request.request_id}


def _reference(args: argparse.Namespace) -> "Reference":
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.records import Reference

    try:
        return Reference(args.reference, args.text)
    except ValueError as exc:
        raise SettingsError("nothing to draw: give --reference ITEM, --text T, or both.") from exc
