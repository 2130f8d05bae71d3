"""Put real parts together: connectors by name, a slot from a folder of artifacts.

The core never imports a connector. An installed distribution announces its connectors as
entry points, and they are looked up here by name.
"""

import tempfile
import time
import warnings
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.errors import MissingExtra, SettingsError
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.ranking.beliefs import BetaBeliefs
from pigeon_recsys.ranking.eligibility import MS_PER_HOUR
from pigeon_recsys.ranking.exploration import SlotBeliefs
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.recent_slates import RecentSlates
from pigeon_recsys.slot.recently_shown import RecentlyShown

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.generation.ladder import Keep
    from pigeon_recsys.generation.laddered_generator import LadderedPigeon
    from pigeon_recsys.generation.ratio_predictor import RatioPredictor
    from pigeon_recsys.ports import (
        GeneratedItemStore,
        ImageStore,
        ItemCatalog,
        LadderedGenerator,
        SafetyClassifier,
        SlateLog,
    )
    from pigeon_recsys.ranking.calibration import Calibration
    from pigeon_recsys.retrieval.faiss_index import FaissIndex
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder
    from pigeon_recsys.settings_file import SlotFile

EMBEDDER_FILE = "embedder.onnx"
INDEX_FOLDER = "index"
RANKER_FILE = "ranker.onnx"
SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "world"


def history_store_type(name: str) -> Any:
    """Return the history store class announced under `name`."""
    return connector("history_stores", name)


def connector(kind: str, name: str) -> Any:
    """Return what is announced under `name` as an entry point of `pigeon_recsys.KIND`."""
    found = {point.name: point for point in entry_points(group=f"pigeon_recsys.{kind}")}
    what = kind.removesuffix("s").replace("_", " ")
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise SettingsError(
            f"there is no {what} {name!r}. Installed: {known}. "
            "Reinstall pigeon-recsys if its own are missing."
        )
    try:
        with warnings.catch_warnings():  # of libraries among themselves, and filters they set
            warnings.simplefilter("ignore", DeprecationWarning)
            return found[name].load()
    except ModuleNotFoundError as exc:
        raise MissingExtra(name, needed_for=f"the {name} {what}") from exc


def build_artifacts(folder: Path, weights: Path, catalog: "DatasetFolder") -> None:
    """Export the embedder of some weights and index a catalog's pictures with it."""
    from pigeon_recsys.retrieval.catalog_index import index_catalog
    from pigeon_recsys.retrieval.embedder_export import export_embedder
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder

    export_embedder(weights / "embedder.safetensors", folder / EMBEDDER_FILE)
    index_catalog(catalog, OnnxEmbedder.load(folder / EMBEDDER_FILE)).save(folder / INDEX_FOLDER)


def load_generator(
    artifacts: Path, weights: Path, settings: GeneratorSettings | None = None
) -> PigeonGenerator:
    """Return a generator over what `build_artifacts` made.

    Raises `ArtifactError` naming the first file that is missing, corrupt or made from another
    embedder.
    """
    return _pigeon(weights, *load_retrieval(artifacts), settings)


def load_retrieval(artifacts: Path) -> "tuple[OnnxEmbedder, FaissIndex]":
    """Return the embedder and the index that `build_artifacts` made. Raises `ArtifactError`."""
    from pigeon_recsys.retrieval.faiss_index import FaissIndex
    from pigeon_recsys.retrieval.index_manifest import IndexSource
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder

    embedder = OnnxEmbedder.load(artifacts / EMBEDDER_FILE)
    source = IndexSource(embedder.weights_sha256)
    return embedder, FaissIndex.load(artifacts / INDEX_FOLDER, expected=source)


def slot_parts(file: "SlotFile") -> SlotParts:
    """Return the parts of the slot that a settings file describes.

    Raises `ArtifactError` naming what is missing, `GenerationError` where the model's own process
    cannot load it, `DatasetError`, and what a store raises that cannot be reached.
    """
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.generation.generated_catalog import CatalogWithGenerated
    from pigeon_recsys.ranking.onnx_ranker import OnnxRanker

    parts = file.parts
    artifacts = file.place(parts.artifacts)
    embedder, index = load_retrieval(artifacts)
    ranker = OnnxRanker.load(artifacts / RANKER_FILE, index)
    items, images, safety = _item_store(file), image_store(file), _safety(file)
    catalog: ItemCatalog = DatasetFolder.open(file.place(parts.catalog))
    if items is not None and images is not None:
        catalog = CatalogWithGenerated(catalog, items, images)
    histories = connector("history_stores", parts.histories.kind).open(
        file.place(parts.histories.path), max_age_s=parts.histories.max_age_s
    )
    calibration, beliefs = _calibration(file), _beliefs(file)
    generator = _generator(file, artifacts, embedder, index)
    return SlotParts(
        histories=histories,
        catalog=catalog,
        embedder=embedder,
        index=index,
        ranker=ranker,
        generator=generator,
        stored=items,
        keep=_keep(embedder, index, images, items, safety, generator),
        safety=safety,
        calibration=calibration,
        beliefs=beliefs,
        shown=shown_lately(file),
        recent=RecentSlates(parts.recent_slates) if parts.recent_slates else None,
        log=_slate_log(file),
    )


def _item_store(file: "SlotFile") -> "GeneratedItemStore | None":
    told = file.parts.items
    return None if told is None else connector("item_stores", told.kind).open(file.place(told.path))


def image_store(file: "SlotFile") -> "ImageStore | None":
    """Return the store of pictures that a settings file names, None without one."""
    told = file.parts.images
    return None if told is None else connector("image_stores", told.kind).open(file.url(told.url))


def _generator(
    file: "SlotFile", artifacts: Path, embedder: "OnnxEmbedder", index: "FaissIndex"
) -> "LadderedGenerator | None":
    """Return what makes pictures for requests, loaded, in a process of its own or in this one."""
    told = file.parts.generator
    if told is None:
        return None
    from pigeon_recsys.generation.generator_process import LadderedGeneratorProcess
    from pigeon_recsys.generation.laddered_generator import LadderedPigeon

    settings = GeneratorSettings(told.ratio_choice)
    if told.steps is not None:
        settings = replace(settings, steps=told.steps)
    weights = SHIPPED_WEIGHTS if told.weights == "shipped" else file.place(told.weights)
    if not told.own_process:
        return LadderedPigeon(_pigeon(weights, embedder, index, settings))
    make = partial(load_laddered, artifacts.absolute(), weights.absolute(), settings)
    process = LadderedGeneratorProcess(make, told.timeout_s)
    process.start()
    return process


def load_laddered(artifacts: Path, weights: Path, settings: GeneratorSettings) -> "LadderedPigeon":
    """Return `load_generator`'s with its cheaper ways."""
    from pigeon_recsys.generation.laddered_generator import LadderedPigeon

    return LadderedPigeon(load_generator(artifacts, weights, settings))


def _safety(file: "SlotFile") -> "SafetyClassifier | None":
    told = file.parts.generator
    if told is None or told.safety is None:
        return None
    classifier: SafetyClassifier = connector("safety_classifiers", told.safety)()
    return classifier


def _keep(
    embedder: "OnnxEmbedder",
    index: "FaissIndex",
    images: "ImageStore | None",
    items: "GeneratedItemStore | None",
    safety: "SafetyClassifier | None",
    generator: "LadderedGenerator | None",
) -> "Keep | None":
    """Return what stores the pictures made for slates, None where there are no stores."""
    from pigeon_recsys.generation.keeping import PictureKeeper, keeps_for_slates

    if generator is None or images is None or items is None:
        return None
    return keeps_for_slates(PictureKeeper(embedder, index, images, safety), items, generator.forget)


def _calibration(file: "SlotFile") -> "Calibration | None":
    from pigeon_recsys.ranking.calibration import Calibration

    told = file.parts.calibration
    return None if told is None else Calibration.load(file.place(told))


def _beliefs(file: "SlotFile") -> SlotBeliefs:
    """Return what was learned: a file of `rank learn`."""
    from pigeon_recsys.ranking.beliefs_document import read_slot_beliefs

    policy = file.parts.slot.policy
    if policy is None or policy.beliefs is None:
        return SlotBeliefs(BetaBeliefs(), BetaBeliefs())
    return read_slot_beliefs(file.place(policy.beliefs))


def shown_lately(file: "SlotFile") -> RecentlyShown:
    """Return what frequency caps count already, where the log is at hand and tells users."""
    from pigeon_recsys.service.shown_before import shown_before

    told, hours = file.parts.log, file.slot.blending.cap_hours
    if told is None or told.to != "parquet" or told.hash_users or not hours:
        return RecentlyShown()
    since_ms = time.time_ns() // 1_000_000 - round(hours * MS_PER_HOUR)
    return shown_before(file.place(told.at), since_ms)


def _slate_log(file: "SlotFile") -> "SlateLog | None":
    """Return the log behind a queue, so that no request waits for it."""
    from pigeon_recsys.service.background_log import BackgroundSlateLog

    told = file.parts.log
    if told is None:
        return None
    at = str(file.place(told.at)) if told.to == "parquet" else told.at
    log = connector("slate_logs", told.to)(at, hash_users=told.hash_users)
    return BackgroundSlateLog(log)


def wire_generator(
    weights: Path, catalog: "DatasetFolder", settings: GeneratorSettings | None = None
) -> PigeonGenerator:
    """Return a generator for a catalog without artifacts: its pictures are indexed now."""
    _ratio_predictor(weights, settings)  # one that is missing is told of before the work
    with tempfile.TemporaryDirectory() as folder:
        build_artifacts(Path(folder), weights, catalog)
        return load_generator(Path(folder), weights, settings)


def _pigeon(
    weights: Path,
    embedder: "OnnxEmbedder",
    index: "FaissIndex",
    settings: GeneratorSettings | None,
) -> PigeonGenerator:
    from pigeon_recsys.model.inference import PigeonModel

    predictor = _ratio_predictor(weights, settings)
    model = PigeonModel.load(weights)
    return PigeonGenerator(
        model, embedder, index, settings or GeneratorSettings(), predictor=predictor
    )


def _ratio_predictor(weights: Path, settings: GeneratorSettings | None) -> "RatioPredictor | None":
    """Return the predictor beside the weights where the settings ask for one."""
    from pigeon_recsys.generation.ratio_predictor import RatioPredictor

    if settings is None or settings.ratio_choice != "predicted":
        return None
    return RatioPredictor.load(weights)
