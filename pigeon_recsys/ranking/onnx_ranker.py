"""Score items with ONNX Runtime; no torch is loaded.

In:  a file written by `export.export_ranker`, and the index that holds the items' vectors.
Out: the probability of a like for each item, on the scale that `samples.py` explains.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.errors import ArtifactError, MissingExtra, RankingError, SettingsError
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.ranking.export import (
    FEATURES_KEY,
    IMAGE_INPUT,
    OUTPUT,
    TASTE_INPUT,
    WEIGHTS_KEY,
    offsets_input,
    values_input,
)
from pigeon_recsys.ranking.features import Batch, RankFeatures, encode_request
from pigeon_recsys.records import History, RankItem, Vectors

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
FULL_FLOAT32 = {"use_tf32": "0"}  # TF32 would move scores by more than the export's tolerance
ERRORS_ONLY = 3  # ONNX Runtime's log level; its warnings are about its own optimiser


class OnnxRanker:
    """A `Ranker` run by ONNX Runtime."""

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        features: RankFeatures,
        item_vectors: ItemIndex,
        weights_sha256: str,
    ) -> None:
        self._session = session
        self._item_vectors = item_vectors
        self.features = features
        self.weights_sha256 = weights_sha256

    @classmethod
    def load(cls, path: Path, item_vectors: ItemIndex, *, num_threads: int = 1) -> "OnnxRanker":
        """Open an exported ranker.

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
        return cls(session, features, item_vectors, weights_sha256)

    def score(self, history: History, items: Sequence[RankItem]) -> Vectors:
        """Return the probability of a like (len(items),), each above 0 and below 1."""
        if not items:
            return np.empty(0, np.float32)
        return self.probabilities(encode_request(self.features, history, items, self._item_vectors))

    def probabilities(self, batch: Batch) -> Vectors:
        """Return the probability of a like for each row of a batch."""
        inputs: dict[str, Any] = {IMAGE_INPUT: batch.image, TASTE_INPUT: batch.taste}
        for name, bags in batch.bags.items():
            inputs[values_input(name)] = bags.values
            inputs[offsets_input(name)] = bags.offsets
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
