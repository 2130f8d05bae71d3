"""A blind study as records: its settings, its pairs and checks, and the experimenter's key.

Participants see codes only. A code is drawn for each picture of each pair, so that nothing can
be learnt about a method from pair to pair. What decides who is excluded is fixed when the study
is written, before any answer is seen.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from math import comb

from pydantic import ConfigDict

from pigeon_recsys.errors import SettingsError

QUESTIONS = {
    "personal": "Which picture would this person rather use?",
    "asked": "Which picture shows better what was asked for?",
}
KEY_VERSION = 1


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How much is asked, and who counts as attentive."""

    num_pairs: int = 120
    per_participant: int = 24  # at two questions a pair, about ten minutes
    num_checks: int = 4
    max_failed_checks: int = 0
    questions: tuple[str, ...] = tuple(QUESTIONS)
    ties_allowed: bool = True
    seed: int | None = None  # None draws one, so that nobody can work the codes out

    def __post_init__(self) -> None:
        for name in ("num_pairs", "per_participant", "num_checks"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.max_failed_checks < self.num_checks:
            raise SettingsError(
                f"max_failed_checks must be from 0 to {self.num_checks - 1} with "
                f"{self.num_checks} checks, got {self.max_failed_checks}"
            )
        unknown = [name for name in self.questions if name not in QUESTIONS]
        if unknown or not self.questions or len(set(self.questions)) < len(self.questions):
            raise SettingsError(
                f"questions must be some of {', '.join(QUESTIONS)}, each once, "
                f"got {', '.join(self.questions) or 'none'}"
            )


@dataclass(frozen=True)
class Pair:
    """Two methods' pictures for one task; the two tuples align."""

    pair_id: str
    task_id: str
    user_id: str
    questions: tuple[str, ...]
    pictures: tuple[str, str]  # codes
    methods: tuple[str, str]


@dataclass(frozen=True)
class Check:
    """An attention check: the first picture is a real one, the second a patchwork."""

    pair_id: str
    task_id: str
    questions: tuple[str, ...]
    pictures: tuple[str, str]  # codes
    real_file: str  # of the first picture, in the comparison folder


@dataclass(frozen=True)
class Study:
    """Everything the experimenter keeps; `key.json` holds exactly this."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    version: int
    study_id: str  # a hash of everything else
    comparison: str
    methods: tuple[str, ...]
    questions: tuple[str, ...]
    ties_allowed: bool
    per_participant: int
    max_failed_checks: int
    seed: int
    num_identical: int  # pairs left out because both pictures are the same
    pictures_sha256: str  # of every picture that is judged
    pairs: tuple[Pair, ...]
    checks: tuple[Check, ...]

    def content_hash(self) -> str:
        """Return sixteen hex digits that change whenever anything but `study_id` does."""
        content = json.dumps(asdict(replace(self, study_id="")), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def num_shown(self) -> int:
        """Pairs and checks that one participant meets."""
        return self.per_participant + len(self.checks)

    def chance_of_passing(self) -> float:
        """Return how likely somebody passes who always chooses one side: each check is a coin."""
        num_checks = len(self.checks)
        passing = sum(comb(num_checks, failed) for failed in range(self.max_failed_checks + 1))
        return float(passing / 2**num_checks)
