"""Score items with ONNX Runtime; no torch is loaded.

In:  a file written by `export.export_ranker`, and the index that holds the items' vectors.
Out: the probability of a like for each item, on the scale that `samples.py` explains.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.errors import ArtifactError, MissingExtra, RankingError, SettingsError
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.export import FEATURES_KEY, OUTPUT, REQUEST_INPUT, WEIGHTS_KEY
from pigeon_recsys.ranking.features import REQUEST_BAGS, Batch, RankFeatures
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
        session: "onnxruntime.InferenceSession",
        features: RankFeatures,
        encoder: RequestEncoder,
        weights_sha256: str,
    ) -> None:
        self._session = session
        self._encoder = encoder
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
        session = _open(path, num_threads)
        metadata = session.get_modelmeta().custom_metadata_map
        try:
            features = RankFeatures.from_json(metadata[FEATURES_KEY])
            weights_sha256 = metadata[WEIGHTS_KEY]
        except (KeyError, TypeError, ValueError) as exc:
            fault = "is no ranker export: its metadata does not describe the features"
            raise ArtifactError(path, fault, rebuild=export_command(path)) from exc
        encoder = RequestEncoder(features, item_vectors, text)
        return cls(session, features, encoder, weights_sha256)

    @property
    def providers(self) -> list[str]:
        """What it runs on, in order of preference."""
        return list(self._session.get_providers())

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        """Return the probability of a like (len(items),), each above 0 and below 1."""
        if not items:
            return np.empty(0, np.float32)
        return self.probabilities(self._encoder.encode(history, items, context))

    def probabilities(self, batch: Batch) -> Vectors:
        """Return the probability of a like for each row of a batch."""
        inputs: dict[str, Any] = {
            "image": batch.image,
            "text": batch.text,
            "taste": batch.taste,
            "context": batch.context,
            REQUEST_INPUT: batch.request_of_row,
        }
        of_request = [batch.bags[name] for name in REQUEST_BAGS]
        of_rows = [bags for name, bags in batch.bags.items() if name not in REQUEST_BAGS]
        for name, bags in (("ids", of_rows), (f"ids.{REQUEST_INPUT}", of_request)):
            packed = Bags.concatenated(bags)
            inputs[f"{name}.values"], inputs[f"{name}.offsets"] = packed.values, packed.offsets
        try:
            probability_B: Vectors = self._session.run([OUTPUT], inputs)[0]
        except Exception as exc:  # its exception types have no public common base
            raise RankingError(f"ONNX Runtime could not score {len(batch)} items: {exc}") from exc
        return probability_B


def export_command(path: Path) -> str:
    """Return the command that writes the export at `path` anew."""
    return f"pigeon-recsys rank export --run RUN --out {path}"


def _open(path: Path, num_threads: int) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ModuleNotFoundError as exc:
        raise MissingExtra("onnx", needed_for="scoring items", library="onnxruntime") from exc
    if not path.is_file():
        raise ArtifactError(path, "does not exist", rebuild=export_command(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = ERRORS_ONLY
    has_cuda = CUDA in onnxruntime.get_available_providers()
    providers = [(CUDA, FULL_FLOAT32), CPU] if has_cuda else [CPU]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as exc:  # its exception types have no public common base
        fault = "is no ONNX file that can be run"
        raise ArtifactError(path, fault, rebuild=export_command(path)) from exc
