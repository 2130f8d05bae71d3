"""User ids as logs may show them: the same user, the same word, and no way back.

In:  a user id; the key `PIGEON_LOG_KEY`, the same for all workers whose logs are to be joined.
Out: twelve hex digits. Without the key they differ from process to process.
"""

import hmac
import os
import secrets
from functools import cache

KEY_VARIABLE = "PIGEON_LOG_KEY"
NUM_DIGITS = 12  # 48 bits: among a million users, two share a word once in 500 logs
NUM_KEY_BYTES = 32


def hashed(user_id: str) -> str:
    """Return the word that stands for a user in logs: HMAC-SHA256, cut short."""
    return hmac.digest(_key(), user_id.encode("utf-8", "surrogatepass"), "sha256").hex()[
        :NUM_DIGITS
    ]


def without_user(text: object, user_id: str) -> str:
    """Return a text, such as an error's, with a quoted user id replaced by its word."""
    return str(text).replace(repr(user_id), hashed(user_id))


def is_keyed() -> bool:
    """Say whether the key is set, so that all processes write the same words."""
    return bool(os.environ.get(KEY_VARIABLE))


@cache
def _key() -> bytes:
    return os.environ.get(KEY_VARIABLE, "").encode() or secrets.token_bytes(NUM_KEY_BYTES)
