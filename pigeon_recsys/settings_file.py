"""The settings file of a slot: one YAML file names everything that a slot is made of.

    catalog: data                   # a dataset folder; paths are relative to this file
    artifacts: artifacts            # embedder, index and ranker, as `demo` leaves them
    histories: {path: feature_repo}
    items: {path: feature_repo}     # stored pictures; without it only those made now are shown
    images: {url: images}
    generator: {weights: shipped}   # without it nothing is made for a request
    slot:
      deadline_ms: 50
      ladder: {rungs: [redraw, stored]}
    blend: {allowed_positions: [2, 5], min_score: 0.05}

`docs/integrate.md` has every key with its meaning. Every fault of a file is told at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.ladder import LadderSettings, Rung
from pigeon_recsys.ranking.constraints import BlendPolicy
from pigeon_recsys.ranking.constraints_document import policy_from_mapping
from pigeon_recsys.ranking.experiments import Experiment
from pigeon_recsys.ranking.exploration import Policy, Rule, SlotPolicy
from pigeon_recsys.records import ItemKind
from pigeon_recsys.retrieval.history_selection import SelectionSettings
from pigeon_recsys.slot.settings import SlotSettings, SlotTest

T = TypeVar("T")

SHIPPED = "shipped"
MAX_BYTES = 1 << 20  # of a file
DEADLINE_MS = 1_000.0  # a feed waits no longer, and a store that hangs must not keep it for ever


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StoreFile(_Strict):
    """A store: the entry point that opens it, and where it is."""

    kind: str = "feast"
    path: str


class HistoriesFile(StoreFile):
    """The store of histories."""

    max_age_s: float | None = None  # older ones are told of in the log


class ImagesFile(_Strict):
    """Where pictures are."""

    kind: str = "fsspec"
    url: str


class GeneratorFile(_Strict):
    """What makes pictures here, without a worker behind a broker."""

    weights: str = SHIPPED  # or the folder of a run
    own_process: bool = True  # so that a model that crashes or hangs takes no slate along
    timeout_s: float = Field(default=120.0, gt=0)  # of a picture in its process, which then ends
    ratio_choice: Literal["sweep", "predicted"] | float = "sweep"
    steps: int | None = None
    safety: str | None = None  # entry point of a classifier


class LadderFile(_Strict):
    """See `LadderSettings`."""

    rungs: tuple[Rung, ...] = LadderSettings.rungs
    expected_ms: dict[Rung, float] = Field(default_factory=dict)
    workers: int = LadderSettings.workers
    reserve_ms: float = LadderSettings.reserve_ms
    num_stored: int = LadderSettings.num_stored


class ExperimentFile(_Strict):
    """See `SlotTest`."""

    salt: str
    shares: dict[str, float]
    without_slot: frozenset[str] = frozenset()


class ChoiceFile(_Strict):
    """See `Policy`."""

    rule: Rule = Policy.rule
    epsilon: float = Policy.epsilon
    width: float = Policy.width


class PolicyFile(_Strict):
    """See `SlotPolicy`."""

    slot: ChoiceFile = ChoiceFile()
    item: ChoiceFile = ChoiceFile()
    salt: str = SlotPolicy.salt
    beliefs: str | None = None  # a JSON file of what was learned


class SlotPart(_Strict):
    """See `SlotSettings`; only a file that says null has no deadline."""

    deadline_ms: float | None = DEADLINE_MS
    threads: int = SlotSettings.threads
    history_limit: int = SlotSettings.history_limit
    num_candidates: int = SlotSettings.num_candidates
    max_candidates: int = SlotSettings.max_candidates
    kind: ItemKind = SlotSettings.kind
    selection: dict[str, float] = Field(default_factory=dict)
    ladder: LadderFile = LadderFile()
    policy: PolicyFile | None = None
    test: ExperimentFile | None = None
    kill_file: str | None = None


class LogFile(_Strict):
    """Where decisions, exposures and outcomes are logged."""

    to: Literal["parquet", "kafka"]
    at: str  # a folder, or HOST:PORT
    hash_users: bool = False


class File(_Strict):
    """The whole file."""

    catalog: str
    artifacts: str
    histories: HistoriesFile
    items: StoreFile | None = None
    images: ImagesFile | None = None
    generator: GeneratorFile | None = None
    calibration: str | None = None  # a file that `rank calibrate` wrote
    kafka: str | None = None  # HOST:PORT, to tell workers of requests and erasures
    slot: SlotPart = SlotPart()
    blend: dict[str, Any] | None = None  # docs/blending.md
    log: LogFile | None = None
    recent_slates: int = Field(default=0, ge=0)  # kept for the viewer
    http: dict[str, Any] = Field(default_factory=dict)  # docs/http.md


@dataclass(frozen=True)
class SlotFile:
    """A settings file that was read: its parts, and where its paths start."""

    path: Path
    parts: File
    slot: SlotSettings

    def place(self, text: str) -> Path:
        """Return a path of the file, which may be relative to the file's folder."""
        return self.path.parent / Path(text).expanduser()

    def url(self, text: str) -> str:
        """Return an fsspec URL of the file; one without a scheme is a path."""
        return text if "://" in text else str(self.place(text).absolute())


def read_slot_file(path: Path) -> SlotFile:
    """Read a settings file. Raises `SettingsError` with every fault and its key."""
    faults: list[str] = []
    parts = _parsed(path)
    blending = _noting(faults, lambda: _blending(parts.blend))
    slot = _noting(faults, lambda: _slot(parts.slot, blending, path.parent))
    if parts.items is not None and parts.images is None:
        faults.append("images: is missing, and items names pictures that are stored there")
    if faults or slot is None:
        raise SettingsError(f"{path}: {'; '.join(faults)}")
    return SlotFile(path, parts, slot)


def _parsed(path: Path) -> File:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path} is larger than {MAX_BYTES} bytes: no settings file.")
        return File.model_validate(yaml.safe_load(path.read_text()))
    except OSError as exc:
        raise SettingsError(f"cannot read {path}: {exc.strerror}. Name a settings file.") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path} is not YAML: {exc}") from exc
    except ValidationError as exc:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']} (got {str(e['input'])[:80]!r})"
            for e in exc.errors()
        )
        raise SettingsError(f"{path}: {faults}") from exc


def _blending(given: Mapping[str, Any] | None) -> BlendPolicy:
    """Return what the file says of blending; the caller's order is kept unless it says so."""
    if given is None:
        return SlotSettings().blending
    return policy_from_mapping({"order": "as_given", **given})


def _slot(part: SlotPart, blending: BlendPolicy | None, folder: Path) -> SlotSettings:
    policy, test = part.policy, part.test
    return SlotSettings(
        deadline_ms=part.deadline_ms,
        threads=part.threads,
        history_limit=part.history_limit,
        num_candidates=part.num_candidates,
        max_candidates=part.max_candidates,
        kind=part.kind,
        selection=_selection(part.selection),
        ladder=LadderSettings(**part.ladder.model_dump()),
        blending=blending or SlotSettings().blending,
        policy=None
        if policy is None
        else SlotPolicy(
            Policy(**policy.slot.model_dump()), Policy(**policy.item.model_dump()), policy.salt
        ),
        test=None
        if test is None
        else SlotTest(Experiment(test.salt, test.shares), test.without_slot),
        kill_file=None if part.kill_file is None else folder / Path(part.kill_file).expanduser(),
    )


def _selection(given: Mapping[str, float]) -> SelectionSettings:
    try:
        return SelectionSettings(**given)  # type: ignore[arg-type]
    except TypeError as exc:
        raise SettingsError(f"slot.selection: {exc}") from exc


def _noting(faults: list[str], read: Callable[[], T]) -> T | None:
    """Return what was read, or note what is wrong with it."""
    try:
        return read()
    except SettingsError as exc:
        faults.append(str(exc))
        return None
