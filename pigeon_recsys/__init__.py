"""A generation slot for any recommender system: images made for one user, ranked in the feed.

Public names resolve on first use, so importing this package stays cheap and loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pigeon_recsys.generation_slot import GenerationSlot
    from pigeon_recsys.records import Reference, ScoredItem, Slate, SlotRequest

__version__ = "0.1.0"

_HOME = {
    "GenerationSlot": "pigeon_recsys.generation_slot",
    "Reference": "pigeon_recsys.records",
    "ScoredItem": "pigeon_recsys.records",
    "Slate": "pigeon_recsys.records",
    "SlotRequest": "pigeon_recsys.records",
}

__all__ = ["GenerationSlot", "Reference", "ScoredItem", "Slate", "SlotRequest"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
