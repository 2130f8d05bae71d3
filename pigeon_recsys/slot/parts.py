"""What a slot is made of: ports, and what was fitted for them."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from pigeon_recsys.generation.ladder import Keep
from pigeon_recsys.ports import (
    Closes,
    GeneratedItemStore,
    HistorySource,
    ImageEmbedder,
    ImageGenerator,
    ItemCatalog,
    ItemIndex,
    Ranker,
    SafetyClassifier,
    SlateLog,
)
from pigeon_recsys.ranking.beliefs import BetaBeliefs
from pigeon_recsys.ranking.calibration import Calibration
from pigeon_recsys.ranking.exploration import SlotBeliefs
from pigeon_recsys.slot.recent_slates import RecentSlates
from pigeon_recsys.slot.recently_shown import RecentlyShown


@dataclass(frozen=True)
class SlotParts:
    """What a slot is made of. Parts that are None are done without."""

    histories: HistorySource
    catalog: ItemCatalog
    embedder: ImageEmbedder
    index: ItemIndex
    ranker: Ranker | None = None  # None: candidates stay in their order, nothing is placed
    generator: ImageGenerator | None = None  # None: only stored pictures are shown
    stored: GeneratedItemStore | None = None
    keep: Keep | None = None  # stores what is made for a request
    safety: SafetyClassifier | None = None  # asked of every picture that is made
    calibration: Calibration | None = None
    beliefs: SlotBeliefs = field(default_factory=lambda: SlotBeliefs(BetaBeliefs(), BetaBeliefs()))
    shown: RecentlyShown = field(default_factory=RecentlyShown)
    recent: RecentSlates | None = None  # keeps the newest slates for whoever asks why
    log: SlateLog | None = None  # should not make callers wait: `service.background_log`

    def close(self) -> None:
        """Write the decisions that wait to be logged, and end a generator's process."""
        with ExitStack() as stack:  # all of it, whatever fails
            for part in (self.generator, self.log):
                if isinstance(part, Closes):
                    stack.callback(part.close)
