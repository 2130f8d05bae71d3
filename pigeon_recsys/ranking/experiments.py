"""Which experiment bucket a user is in: by a hash, so the same everywhere and at any time.

Experiments with different salts put users into buckets independently of each other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.hashed_uniform import hashed_uniform

SUM_TOLERANCE = 1e-9  # shares such as 0.1 are not exact


@dataclass(frozen=True)
class Experiment:
    """Buckets with their shares of the users, in the order in which they fill the unit interval.

    A bucket that grows at the cost of its neighbour in that order moves no other users.
    """

    salt: str
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        faults = [] if self.salt else ["experiment.salt must not be empty"]
        faults += [
            f"experiment.shares.{bucket} must be a share from 0 to 1, got {share}"
            for bucket, share in self.shares.items()
            if not 0 <= share <= 1
        ]
        total = math.fsum(self.shares.values())
        if not abs(total - 1) <= SUM_TOLERANCE:
            faults.append(f"experiment.shares must sum to 1, got {total:g}")
        if faults:
            raise SettingsError("; ".join(faults))

    def bucket(self, user_id: str) -> str:
        """Return the user's bucket."""
        draw = hashed_uniform(self.salt, user_id)
        end, found = 0.0, ""
        for bucket, share in self.shares.items():
            if share > 0:
                end, found = end + share, bucket
            if draw < end:
                break
        return found  # also where rounding left the last end below the draw
