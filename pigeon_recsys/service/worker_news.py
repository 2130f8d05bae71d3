"""What the worker processes of one service tell each other, so that their memories agree.

In:  a user to forget, items to take out of the index, or a picture that a user was shown.
Out: the same in every other worker; whoever starts the workers carries the messages.

    {"forget": "ada"}
    {"remove": ["gen-3fc9a1b2c3d4e5f6"]}
    {"shown": ["ada", "gen-3fc9a1b2c3d4e5f6", 1767225600000]}
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from pigeon_recsys.ranking.blend_input import Shown

Tell = Callable[[bytes], None]  # sends a message to all other workers; must not block for long


@dataclass(frozen=True, slots=True)
class Forget:
    """A user was erased."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Generated items were erased."""

    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WasShown:
    """A user was shown a generated picture."""

    user_id: str
    shown: Shown


News = Forget | Remove | WasShown


def encode_news(news: News) -> bytes:
    """Return a message that `decode_news` reads."""
    if isinstance(news, Forget):
        return json.dumps({"forget": news.user_id}).encode()
    if isinstance(news, Remove):
        return json.dumps({"remove": news.item_ids}).encode()
    return json.dumps({"shown": [news.user_id, news.shown.item_id, news.shown.at_ms]}).encode()


def decode_news(message: bytes) -> News:
    """Return what a worker told; only workers of the same version talk to each other."""
    told = json.loads(message)
    if "forget" in told:
        return Forget(str(told["forget"]))
    if "remove" in told:
        return Remove(tuple(map(str, told["remove"])))
    user_id, item_id, at_ms = told["shown"]
    return WasShown(str(user_id), Shown(str(item_id), int(at_ms)))
