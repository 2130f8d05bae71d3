"""How the slot composes its stages."""

from dataclasses import dataclass, field
from pathlib import Path

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.ladder import LadderSettings
from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.ranking.experiments import Experiment
from pigeon_recsys.ranking.exploration import SlotPolicy
from pigeon_recsys.records import ItemKind
from pigeon_recsys.retrieval.history_selection import NUM_IMAGES, SelectionSettings


def _blending() -> BlendPolicy:
    """Return one generated picture a slate, not in the first place, in the caller's order."""
    return BlendPolicy(BlendConstraints(allowed_positions=tuple(range(1, 10)), order="as_given"))


@dataclass(frozen=True)
class SlotTest:
    """An experiment that some buckets of which go without the slot."""

    experiment: Experiment
    without_slot: frozenset[str]  # buckets; their users get the caller's own slate

    def __post_init__(self) -> None:
        unknown = sorted(self.without_slot - self.experiment.shares.keys())
        if unknown:
            raise SettingsError(
                f"slot.test.without_slot names {unknown}, which are no buckets. Name some of "
                f"{sorted(self.experiment.shares)}."
            )


@dataclass(frozen=True)
class SlotSettings:
    """What holds for every request that does not say otherwise."""

    deadline_ms: float | None = None  # until the slate is there; None: nothing cuts a wait short
    threads: int = 16  # requests at work at once under a deadline; further ones get their own slate
    history_limit: int = 60  # newest interactions read
    history_images: int = NUM_IMAGES  # liked images shown to the generator
    num_candidates: int = 100  # retrieved when the request brings none
    max_candidates: int = 2000  # a request may bring
    kind: ItemKind = "item"  # creative: pictures are worn by the items they were made from
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    ladder: LadderSettings = field(default_factory=LadderSettings)
    blending: BlendPolicy = field(default_factory=_blending)
    policy: SlotPolicy | None = None  # None: no exploration, the blend decides alone
    test: SlotTest | None = None
    kill_file: Path | None = None  # while it exists, every slate is the caller's own

    def __post_init__(self) -> None:
        faults = [
            f"slot.{name} must be 1 or more, got {getattr(self, name)}"
            for name in _COUNTS
            if getattr(self, name) < 1
        ]
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            faults.append(f"slot.deadline_ms must be above 0 or null, got {self.deadline_ms}")
        if faults:
            raise SettingsError("; ".join(faults))


_COUNTS = ("threads", "history_limit", "history_images", "num_candidates", "max_candidates")
