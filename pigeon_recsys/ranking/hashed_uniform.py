"""Random numbers that anyone can draw again: uniform, and fixed by what they are drawn for.

A slate's share, its exploration and a user's experiment bucket are all such draws. Another salt
gives draws that know nothing of each other.
"""

import hashlib

NUM_BITS = 53  # as many as a float holds, so that every draw is exact


def hashed_uniform(salt: str, *parts: str) -> float:
    """Return a number from 0 to below 1 for this salt and these parts.

    Each part goes in with its length, so ("ab", "c") and ("a", "bc") are drawn apart.
    """
    digest = hashlib.sha256()
    for part in (salt, *parts):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return float((int.from_bytes(digest.digest()[:8], "big") >> (64 - NUM_BITS)) / 2**NUM_BITS)
