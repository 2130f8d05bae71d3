"""Pictures to vectors with ONNX Runtime; no torch is loaded.

In:  RGB pictures of any size, and a file written by `embedder_export.export_embedder`.
Out: unit vectors, the content half before the taste half.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.errors import ArtifactError, MissingExtra, SettingsError
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    import onnxruntime

BATCH_SIZE = 64  # pictures a run; larger ones were no faster on 2 cores and hold more memory
REBUILD = "pigeon-recsys index embedder --weights WEIGHTS.safetensors --out FILE.onnx"
METADATA_KEYS = ("image_size", "dim", "content_dim", "weights_sha256")


def prepare(images: Sequence[Pixels], image_size: int) -> Pixels:
    """Return the pictures as one uint8 array (N, size, size, 3).

    A picture that is not square is squashed: bars beside it would tell pictures apart by
    their shape. Training and inference both come through here.
    """
    prepared = np.empty((len(images), image_size, image_size, 3), np.uint8)
    for row, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise SettingsError(
                f"picture {row} must be uint8 RGB (height, width, 3), "
                f"got {image.dtype} {image.shape}. Convert it first."
            )
        prepared[row] = resize(image, image_size, image_size)
    return prepared


class OnnxEmbedder:
    """An `ImageEmbedder` run by ONNX Runtime."""

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        image_size: int,
        halves: tuple[int, int],
        weights_sha256: str,
    ) -> None:
        self._session = session
        self._halves = halves
        self.image_size = image_size
        self.weights_sha256 = weights_sha256

    @classmethod
    def load(cls, path: Path, *, num_threads: int = 0) -> "OnnxEmbedder":
        """Open an exported encoder; `num_threads` 0 lets ONNX Runtime choose."""
        try:
            import onnxruntime
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "onnx", needed_for="embedding pictures", library="onnxruntime"
            ) from exc
        if not path.is_file():
            raise ArtifactError(path, "does not exist", rebuild=REBUILD)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3  # errors only: the others are about its own optimiser
        try:
            session = onnxruntime.InferenceSession(
                path, options, providers=onnxruntime.get_available_providers()
            )
        except Exception as exc:  # its exception types have no public common base
            raise ArtifactError(path, "is no ONNX file that can be run", rebuild=REBUILD) from exc
        return cls._of_session(session, path)

    @classmethod
    def _of_session(cls, session: "onnxruntime.InferenceSession", path: Path) -> "OnnxEmbedder":
        metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
        missing = [key for key in METADATA_KEYS if key not in metadata]
        if missing:
            fault = f"is no image embedder: its metadata lacks {', '.join(missing)}"
            raise ArtifactError(path, fault, rebuild=REBUILD)
        dim, content_dim = int(metadata["dim"]), int(metadata["content_dim"])
        return cls(
            session,
            image_size=int(metadata["image_size"]),
            halves=(content_dim, dim - content_dim),
            weights_sha256=metadata["weights_sha256"],
        )

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return sum(self._halves)

    @property
    def content_dim(self) -> int:
        """Width of the content half, which comes first; the rest is the taste half."""
        return self._halves[0]

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors (len(images), dim); pictures may differ in size."""
        vectors = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), BATCH_SIZE):
            batch = prepare(images[start : start + BATCH_SIZE], self.image_size)
            outputs: list[Any] = self._session.run(None, {"pixels": batch})
            vectors[start : start + len(batch)] = outputs[0]
        return vectors
