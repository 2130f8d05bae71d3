"""API keys: random words that let a caller do some things, of which only hashes are kept.

In:  a key as a caller presents it.
Out: what it is called and what it may do, or nothing.

A key holds 256 random bits, so its SHA-256 cannot be turned back and needs no salt.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "pigeon_"  # by which people, and scanners for leaked secrets, know one
NUM_BYTES = 32
HASH_DIGITS = 64  # hex

SCOPES = {
    "slates": "fill slates",
    "generations": "ask for pictures and see what became of it",
    "items": "read generated items and their pictures",
    "feedback": "report what became of slates",
    "erase": "erase users",
    "metrics": "read the metrics",
    "viewer": "see whose a picture is and what led to it: personal data",
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key."""

    name: str  # says in logs and metrics whose it is
    sha256: str  # of the key, hex
    scopes: frozenset[str]


def new_key() -> str:
    """Return a key that nobody knows."""
    return PREFIX + secrets.token_urlsafe(NUM_BYTES)


def key_hash(key: str) -> str:
    """Return what the settings keep of a key."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


class Keyring:
    """The keys that are let in."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented; the time it takes tells nothing of it."""
        found, digest = None, key_hash(presented)
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found
