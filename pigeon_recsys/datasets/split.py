"""The split by user: 80 % train, 10 % validation, 10 % test.

A user's part follows from the user id alone, so it is the same in every command, on every
machine, and stays the same when users or events are added.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal

Split = Literal["train", "validation", "test"]

SALT = "pigeon-recsys split v1:"  # changing it moves users between the parts
NUM_BUCKETS = 100
FIRST_VALIDATION_BUCKET = 80
FIRST_TEST_BUCKET = 90


def user_split(user_id: str) -> Split:
    """Return the part of the data this user belongs to."""
    digest = hashlib.sha256(f"{SALT}{user_id}".encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % NUM_BUCKETS
    if bucket < FIRST_VALIDATION_BUCKET:
        return "train"
    return "validation" if bucket < FIRST_TEST_BUCKET else "test"


def users_in(user_ids: Iterable[str], split: Split) -> tuple[str, ...]:
    """Return the users of one part, in the order given."""
    return tuple(user_id for user_id in user_ids if user_split(user_id) == split)
