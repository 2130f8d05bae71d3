"""Put real parts together: connectors by name, a slot from a folder of artifacts.

The core never imports a connector. An installed distribution announces its connectors as
entry points, and they are looked up here by name.
"""

import tempfile
import warnings
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.errors import MissingExtra, SettingsError
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.slot import GenerationSlot, SlotSettings

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.generation.ratio_predictor import RatioPredictor
    from pigeon_recsys.ports import HistorySource
    from pigeon_recsys.retrieval.faiss_index import FaissIndex
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder

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


def wire_slot(
    artifacts: Path,
    weights: Path,
    catalog: "DatasetFolder",
    histories: "HistorySource",
    slot: SlotSettings | None = None,
    generator: GeneratorSettings | None = None,
) -> GenerationSlot:
    """Return a slot over saved artifacts: embedder, index and ranker under `artifacts`.

    Raises `ArtifactError` as `load_generator` does.
    """
    from pigeon_recsys.ranking.onnx_ranker import OnnxRanker

    embedder, index = load_retrieval(artifacts)
    ranker = OnnxRanker.load(artifacts / RANKER_FILE, index)
    return GenerationSlot(
        histories=histories,
        catalog=catalog,
        embedder=embedder,
        index=index,
        generator=_pigeon(weights, embedder, index, generator),
        ranker=ranker,
        settings=slot or SlotSettings(),
    )


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
