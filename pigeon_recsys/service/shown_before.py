"""What users were shown before this process began, read from the decision log.

In:  a folder of the log, and since when a showing counts.
Out: the showings that frequency caps count.

A service that is started anew would else show everybody what their caps forbid. A log that cannot
be read costs the caps their past and nothing else.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from pigeon_recsys.decision_tables import read_exposures
from pigeon_recsys.errors import DatasetError
from pigeon_recsys.ranking.blend_input import Shown
from pigeon_recsys.slot.recently_shown import RecentlyShown

logger = logging.getLogger(__name__)


def shown_before(log: Path, since_ms: int) -> RecentlyShown:
    """Return the showings of generated pictures since a moment, in epoch milliseconds, UTC."""
    found = RecentlyShown()
    first = datetime.fromtimestamp(since_ms / 1000, UTC).date()
    try:
        for exposure in read_exposures(log, first):
            if exposure.at_ms >= since_ms and exposure.picture_id is not None:
                found.add(exposure.user_id, Shown(exposure.picture_id, exposure.at_ms))
    except DatasetError as exc:
        logger.warning("frequency caps do not know all that was shown before: %s", exc)
    return found
