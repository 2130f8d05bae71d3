"""`pigeon-recsys stream parity`: do the stream, the offline table and the store agree?"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands.stream_arguments import (
    add_codec,
    add_store,
    add_topics,
    codecs,
    open_log,
)

if TYPE_CHECKING:
    from pigeon_recsys.history.events import HistoryEvent
    from pigeon_recsys.history.parity import Difference

PARITY_GROUP = "pigeon-parity"  # joined by nobody: reading a topic through needs no membership
JOIN, ONLINE = "point-in-time join", "online store"
NUM_MOMENTS = 4
NUM_SHOWN = 10  # differences; `--json` has them all


def register_parity(subcommands: Any) -> None:
    """Add `parity` to the commands of `stream`."""
    what = "compare histories from the stream, a point-in-time join and the store"
    parser = subcommands.add_parser(
        "parity",
        help=what,
        description=f"{what.capitalize()}. Exit code 1 where they differ. See docs/streaming.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--kafka", metavar="HOST:PORT", help="read the topic from its beginning")
    source.add_argument("--log", type=Path, metavar="FILE", help="read events from JSON lines")
    parser.add_argument(
        "--kafka-settings", type=Path, metavar="FILE", help="YAML, see docs/operations.md"
    )
    add_topics(parser, "events")
    add_codec(parser)
    add_store(parser)
    parser.add_argument("--share", type=float, default=1.0, help="of the users, above 0 up to 1")
    parser.add_argument(
        "--moments", type=int, default=NUM_MOMENTS, help="times to compare a user, beside the end"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of moments")
    add_common_arguments(parser)
    parser.set_defaults(run=run_parity, group=PARITY_GROUP)


def run_parity(args: argparse.Namespace) -> dict[str, Any]:
    """Compare and say how much was compared. Raises `HistoriesDiffer`."""
    from pigeon_recsys.errors import HistoriesDiffer, SettingsError
    from pigeon_recsys.history.parity import moments
    from pigeon_recsys.wiring import history_store_type

    if not 0 < args.share <= 1:
        raise SettingsError(f"--share must be above 0 and at most 1, got {args.share}.")
    if args.moments < 0:
        raise SettingsError(f"--moments must not be below 0, got {args.moments}.")
    store_type = history_store_type("feast")
    store = store_type.open(args.store)
    log, num_unusable = _read_log(args)
    asked = moments(log, args.moments, args.seed)
    found = _differences(log, asked, store_type, store)
    result = {
        "events": sum(map(len, log.values())),
        "unusable": num_unusable,
        "users": len(log),
        "moments": len(asked),
        "differences": [each.to_json() for each in found],
    }
    compared = (
        f"{result['users']} users with {result['events']} events at {len(asked)} moments, "
        f"{num_unusable} records that are no events"
    )
    if found:
        raise HistoriesDiffer(f"{len(found)} differences: {compared}\n{_listing(found)}", result)
    print(f"no difference: {compared}")
    return result


def _read_log(args: argparse.Namespace) -> "tuple[dict[str, list[HistoryEvent]], int]":
    """Return the events of the users compared, in order of arrival, and how many are none."""
    from pigeon_recsys.errors import EventError
    from pigeon_recsys.history.parity import is_sampled
    from pigeon_recsys.streaming.interaction_messages import JsonEvents
    from pigeon_recsys.streaming.messages import MessageReader

    log: dict[str, list[HistoryEvent]] = {}
    reader = MessageReader(JsonEvents() if args.log else codecs(args).events)
    num_unusable = 0
    for key, value in _lines(args.log) if args.log else _records(args):
        try:
            event = reader.read(key, value)
        except EventError:  # ingest made a dead letter of it
            num_unusable += 1
            continue
        if is_sampled(event.user_id, args.share):
            log.setdefault(event.user_id, []).append(event)
    return log, num_unusable


def _records(args: argparse.Namespace) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield the topic's records from its beginning; nobody's offsets move."""
    from contextlib import closing

    with closing(open_log(args, args.events)) as log:
        for record in log.contents(args.events, range(log.num_partitions(args.events))):
            yield record.key, record.value


def _lines(path: Path) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield a file's lines as records, each keyed by the user it names."""
    from pigeon_recsys.errors import EventError, SettingsError
    from pigeon_recsys.streaming.interaction_messages import JsonEvents

    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    yield JsonEvents().decode(line).user_id.encode(), line
                except EventError:
                    yield None, line
    except OSError as exc:
        raise SettingsError(f"cannot read {path}: {exc.strerror}. Check --log.") from exc


def _differences(log: Any, asked: Any, store_type: Any, store: Any) -> "list[Difference]":
    """Return where the join differs from the stream, then where the store does, at the end."""
    import tempfile

    from pigeon_recsys.history.parity import differences, streamed, table
    from pigeon_recsys.history.state import DEFAULT_CAPACITY
    from pigeon_recsys.progress import track

    ours = [streamed(log, each, DEFAULT_CAPACITY) for each in track(asked, "replaying")]
    with tempfile.TemporaryDirectory() as folder:
        rows = store_type.create_over_time(Path(folder) / "parity", table(log, DEFAULT_CAPACITY))
        joined = rows.historical(asked)
    last = {user_id: (at_ms, mine) for (user_id, at_ms), mine in zip(asked, ours, strict=True)}
    ends = [(user_id, at_ms) for user_id, (at_ms, _) in last.items()]
    served = [_served(store, user_id, DEFAULT_CAPACITY) for user_id in last]
    return [
        *differences(asked, JOIN, ours, joined),
        *differences(ends, ONLINE, [mine for _, mine in last.values()], served),
    ]


def _served(store: Any, user_id: str, limit: int) -> Any:
    """Return what the store serves of a user now; None of one it does not know."""
    from pigeon_recsys.errors import UnknownUser

    try:
        return store.recent(user_id, limit)
    except UnknownUser:
        return None


def _listing(found: "list[Difference]") -> str:
    """Return some differences, a line each; user ids are hashed, as in logs."""
    from pigeon_recsys.hashed_ids import hashed

    lines = [
        f"  user {hashed(each.user_id)} at {each.at_ms}: the stream has {_told(each.streamed)}, "
        f"the {each.source} {_told(each.found)}"
        for each in found[:NUM_SHOWN]
    ]
    if len(found) > NUM_SHOWN:
        lines.append(f"  and {len(found) - NUM_SHOWN} more; --json FILE writes all, with user ids")
    return "\n".join(lines)


def _told(history: Any) -> str:
    if history is None:
        return "none"
    return f"{len(history.item_ids)} items, version {history.version}, {history.content_hash}"
