"""`pigeon-recsys stream follow`: bring a FAISS index up to date with generated items."""

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

SAVE_EVERY_S = 60.0


def register_follow(subcommands: Any) -> None:
    """Add `follow` to the commands of `stream`."""
    parser = stream_parser(
        subcommands, "follow", "bring an item index up to date with generated items", run_follow
    )
    add_topics(parser, "generated")
    add_codec(parser)
    parser.add_argument(
        "--index",
        type=Path,
        metavar="DIR",
        required=True,
        help="the index folder to keep up to date, made by `pigeon-recsys index build`",
    )
    parser.add_argument(
        "--save-every",
        type=float,
        metavar="SECONDS",
        default=SAVE_EVERY_S,
        help="write the folder as often; what came since the last time is read again after a kill",
    )
    parser.add_argument(
        "--group", help="remembers what the index has; by default one of the folder's own"
    )
    add_idle(parser)


def run_follow(args: argparse.Namespace) -> dict[str, Any]:
    """Follow until stopped and say what was added."""
    from contextlib import closing
    from dataclasses import asdict

    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.files import recover_folder
    from pigeon_recsys.retrieval.faiss_index import FaissIndex
    from pigeon_recsys.streaming.follow_items import (
        Followed,
        FollowSettings,
        ItemFollower,
        group_of,
        only_follower,
    )
    from pigeon_recsys.streaming.running import STOP_LIMIT_S, run_steps, stop_on_signals

    if not args.save_every > 0:
        raise SettingsError(f"--save-every must be above 0 seconds, got {args.save_every}.")
    settings = FollowSettings(save_every_s=args.save_every)
    folder = args.index.absolute()
    total = Followed()
    with only_follower(folder):
        recover_folder(folder)
        index = FaissIndex.load(folder)
        args.group = args.group or group_of(folder, index.source)
        with closing(open_log(args, args.generated)) as log, stop_on_signals(STOP_LIMIT_S) as stop:
            follower = ItemFollower(log, index, folder, codecs(args).items, settings)
            for done in run_steps(follower.step, stop, args.until_idle):
                total += done
            follower.finish()
    print(
        f"{args.index}: {len(index)} items; {total.num_items} came in {total.num_records} records, "
        f"{total.num_dead} dead letters"
    )
    return asdict(total)
