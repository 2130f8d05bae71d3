"""Score items with ONNX Runtime; no torch is loaded.

In:  a file written by `export.export_ranker`, and the index that holds the items' vectors.
Out: the probability of a like for each item, on the scale that `samples.py` explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.errors import ArtifactError, MissingExtra, RankingError, SettingsError
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.export import FEATURES_KEY, OUTPUT, STATE, WEIGHTS_KEY, items_path
from pigeon_recsys.ranking.features import REQUEST_BAGS, Batch, RankFeatures, RequestSide
from pigeon_recsys.ranking.item_encoder import ItemColumns
from pigeon_recsys.ranking.item_states import ItemStates
from pigeon_recsys.ranking.request_encoder import RequestEncoder
from pigeon_recsys.records import History, RankContext, RankItem, Vectors

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
FULL_FLOAT32 = {"use_tf32": "0"}  # TF32 would move scores by more than the export's tolerance
ERRORS_ONLY = 3  # ONNX Runtime's log level; its warnings are about its own optimiser


class OnnxRanker:
    """A `Ranker` run by ONNX Runtime; threads may share it."""

    def __init__(
        self,
        halves: "Halves",
        features: RankFeatures,
        encoder: RequestEncoder,
        weights_sha256: str,
    ) -> None:
        self._halves = halves
        self._encoder = encoder
        self._states = ItemStates(lambda items: self._item_states(encoder.items(items)))
        self.features = features
        self.weights_sha256 = weights_sha256

    @classmethod
    def load(
        cls,
        path: Path,
        item_vectors: ItemIndex,
        *,
        num_threads: int = 1,
        text: TextEmbedder | None = None,
    ) -> "OnnxRanker":
        """Open an exported ranker.

        `text` is the embedder of texts where it was trained with another than the built-in one;
        without it every item brings its own `text_embedding`.

        One thread suits a server that answers several requests at once; 0 lets ONNX Runtime
        choose. It runs on CUDA where the installed ONNX Runtime offers it.
        """
        if num_threads < 0:
            raise SettingsError(f"num_threads must be 0 or more, got {num_threads}")
        request = _open(path, num_threads, path)
        halves = Halves(_open(items_path(path), num_threads, path), request)
        metadata = halves.request.get_modelmeta().custom_metadata_map
        try:
            features = RankFeatures.from_json(metadata[FEATURES_KEY])
            weights_sha256 = metadata[WEIGHTS_KEY]
        except (KeyError, TypeError, ValueError) as exc:
            fault = "is no ranker export: its metadata does not describe the features"
            raise ArtifactError(path, fault, rebuild=export_command(path)) from exc
        if halves.items.get_modelmeta().custom_metadata_map.get(WEIGHTS_KEY) != weights_sha256:
            fault = f"was exported from other weights than {path.name}"
            raise ArtifactError(items_path(path), fault, rebuild=export_command(path))
        encoder = RequestEncoder(features, item_vectors, text)
        return cls(halves, features, encoder, weights_sha256)

    @property
    def providers(self) -> list[str]:
        """What it runs on, in order of preference."""
        return list(self._halves.request.get_providers())

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        """Return the probability of a like (len(items),), each above 0 and below 1."""
        if not items:
            return np.empty(0, np.float32)
        return self._probabilities(self._states.of(items), self._encoder.side(history, context))

    def probabilities(self, batch: Batch) -> Vectors:
        """Return the probability of a like for each row of a batch, one request after another."""
        bags = {name: bags for name, bags in batch.bags.items() if name not in REQUEST_BAGS}
        states_BS = self._item_states(ItemColumns(batch.image, batch.text, bags))
        probability_B = np.empty(len(batch), np.float32)
        for request in np.unique(batch.request_of_row).tolist():
            is_of_request_B = batch.request_of_row == request
            found = self._probabilities(states_BS[is_of_request_B], batch.side(request))
            probability_B[is_of_request_B] = found
        return probability_B

    def forget_generated(self) -> int:
        """Drop what is kept of generated items; return of how many it was."""
        return self._states.forget_generated()

    def _item_states(self, items: ItemColumns) -> Vectors:
        inputs = {"image": items.pictures, "text": items.texts, **_packed(items.bags)}
        return _run(self._halves.items, STATE, inputs, len(items.pictures))

    def _probabilities(self, states_BS: Vectors, side: RequestSide) -> Vectors:
        inputs = {STATE: states_BS, "taste": side.taste, "context": side.context}
        return _run(self._halves.request, OUTPUT, {**inputs, **_packed(side.bags)}, len(states_BS))


@dataclass(frozen=True)
class Halves:
    """The two files of an export, opened."""

    items: "onnxruntime.InferenceSession"
    request: "onnxruntime.InferenceSession"


def export_command(path: Path) -> str:
    """Return the command that writes the export at `path` anew."""
    return f"pigeon-recsys rank export --run RUN --out {path}"


def _open(path: Path, num_threads: int, ranker: Path) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ModuleNotFoundError as exc:
        raise MissingExtra("onnx", needed_for="scoring items", library="onnxruntime") from exc
    if not path.is_file():
        raise ArtifactError(path, "does not exist", rebuild=export_command(ranker))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = ERRORS_ONLY
    has_cuda = CUDA in onnxruntime.get_available_providers()
    providers = [(CUDA, FULL_FLOAT32), CPU] if has_cuda else [CPU]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as exc:  # its exception types have no public common base
        fault = "is no ONNX file that can be run"
        raise ArtifactError(path, fault, rebuild=export_command(ranker)) from exc


def _run(
    session: "onnxruntime.InferenceSession", output: str, inputs: dict[str, Any], num_items: int
) -> Vectors:
    try:
        found: Vectors = session.run([output], inputs)[0]
    except Exception as exc:  # its exception types have no public common base
        raise RankingError(f"ONNX Runtime could not score {num_items} items: {exc}") from exc
    return found


def _packed(bags: Mapping[str, Bags]) -> dict[str, Any]:
    packed = Bags.concatenated(list(bags.values()))
    return {"ids.values": packed.values, "ids.offsets": packed.offsets}
