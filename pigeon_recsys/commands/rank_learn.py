"""`pigeon-recsys rank learn`: what a policy that explores believes after a decision log."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands.log_arguments import add_log_arguments, left_out, outcome_rules

if TYPE_CHECKING:
    from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs
    from pigeon_recsys.ranking.exploration import SlotBeliefs

KINDS = ("beta", "linear")
SLOT_KIND, ITEM_KIND = "beta", "linear"  # rates tell slot from no slot; pictures share one rate


def register(subcommands: Any) -> None:
    """Add `learn` to the subcommands of `rank`."""
    parser = subcommands.add_parser(
        "learn",
        help="learn the beliefs of exploration, from logged outcomes",
        description="Turn a decision log into the beliefs that a slot's policy chooses by: whether "
        "to fill the slot, and with which picture. Each slate may be learned from once: with "
        "--from, name the days that those beliefs do not hold yet.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--log", type=Path, metavar="DIR", required=True, help="the folder of a decision log"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="the .json to write"
    )
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="start", help="beliefs to go on from"
    )
    for name, kind in (("slot", SLOT_KIND), ("item", ITEM_KIND)):
        parser.add_argument(
            f"--{name}",
            choices=KINDS,
            help=f"what is believed of the {name}, if not with --from: a rate an arm, or a line "
            f"over the context; {kind} unless given",
        )
    add_log_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Learn, write and say what is believed."""
    from pigeon_recsys.files import check_writable
    from pigeon_recsys.ranking.beliefs_document import write_slot_beliefs
    from pigeon_recsys.ranking.seen_slates import SeenSlates
    from pigeon_recsys.slot.learning import learn

    check_writable(args.out)
    start = _start(args)
    slates = SeenSlates(args.log, outcome_rules(args))
    learned = learn(start, slates)
    write_slot_beliefs(args.out, learned.beliefs)
    print(
        f"{args.out}: {learned.num_slates} slates taught the slot, {learned.num_pictures} pictures "
        f"the item; left out: {learned.num_without_choice} seen slates without a choice, "
        f"{learned.num_without_context} without a context, {left_out(slates)}"
    )
    return {
        "beliefs": str(args.out),
        "num_slates": learned.num_slates,
        "num_pictures": learned.num_pictures,
        "num_without_choice": learned.num_without_choice,
        "num_without_context": learned.num_without_context,
        "num_waiting": slates.num_waiting,
        "num_unseen": slates.num_unseen,
    }


def _start(args: argparse.Namespace) -> "SlotBeliefs":
    """Return what is believed before the log."""
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.ranking.beliefs_document import read_slot_beliefs
    from pigeon_recsys.ranking.exploration import SlotBeliefs
    from pigeon_recsys.slot.context import ITEM_FEATURES, SLOT_FEATURES

    if args.start is None:
        return SlotBeliefs(
            _fresh(args.slot or SLOT_KIND, len(SLOT_FEATURES)),
            _fresh(args.item or ITEM_KIND, len(ITEM_FEATURES)),
        )
    if args.slot or args.item:
        raise SettingsError(
            f"{args.start} says what kinds its beliefs are. Leave out --slot, --item."
        )
    return read_slot_beliefs(args.start)


def _fresh(kind: str, num_features: int) -> "BetaBeliefs | LinearBeliefs":
    from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs

    return BetaBeliefs() if kind == "beta" else LinearBeliefs(num_features)
