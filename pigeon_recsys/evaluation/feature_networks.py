"""Networks that evaluate: pictures and texts to vectors.

In:  a hub id or a local folder of pretrained weights.
Out: CLIP and DINO behind two small protocols, which the stand-in of `stand_in.py` obeys too.

Every network carries its tensor hashes, so that one that also selects is refused.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pigeon_recsys.errors import ArtifactError, MissingExtra
from pigeon_recsys.evaluation.network_identity import tensor_hashes
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    from torch import Tensor

CLIP_NAME = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"  # the paper's
DINO_NAME = "facebook/dinov2-large"
BATCH = 32  # pictures at once; bounds memory, changes nothing


class ImageNetwork(Protocol):
    """Pictures to unit vectors."""

    @property
    def label(self) -> str:
        """What the table calls the network."""

    @property
    def tensor_hashes(self) -> frozenset[str]:
        """The hashes of its learned tensors."""

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors (len(images), D)."""


class ImageTextNetwork(ImageNetwork, Protocol):
    """Pictures and texts to unit vectors of one space."""

    def text_vectors(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (len(texts), D)."""


@dataclass(frozen=True)
class ClipNetwork:
    """A CLIP model with its processor."""

    label: str
    model: Any
    processor: Any
    tensor_hashes: frozenset[str]

    @classmethod
    def load(cls, name_or_path: str = CLIP_NAME) -> "ClipNetwork":
        """Read a `transformers` CLIP checkpoint. Raises `ArtifactError`."""
        with _loading(name_or_path, "--clip"):
            from transformers import CLIPModel, CLIPProcessor

            model: Any = CLIPModel.from_pretrained(name_or_path, use_safetensors=True)
            processor = CLIPProcessor.from_pretrained(name_or_path)
        model.eval()
        hashes = tensor_hashes(model.state_dict())
        return cls(_label("CLIP", name_or_path), model, processor, hashes)

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        """Return the projected image embeddings."""
        return _in_batches(images, self._images)

    def text_vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the projected text embeddings; a long text is cut where CLIP stops reading."""
        return _in_batches(texts, self._texts)

    def _images(self, images: Sequence[Pixels]) -> "Tensor":
        inputs = self.processor(images=list(images), return_tensors="pt")
        tensor: Tensor = self.model.get_image_features(**inputs).pooler_output
        return tensor

    def _texts(self, texts: Sequence[str]) -> "Tensor":
        longest = self.model.config.text_config.max_position_embeddings
        inputs = self.processor(
            text=list(texts),
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        )
        tensor: Tensor = self.model.get_text_features(**inputs).pooler_output
        return tensor


@dataclass(frozen=True)
class DinoNetwork:
    """A DINOv2 model with its image processor; a picture is its class token."""

    label: str
    model: Any
    processor: Any
    tensor_hashes: frozenset[str]

    @classmethod
    def load(cls, name_or_path: str = DINO_NAME) -> "DinoNetwork":
        """Read a `transformers` DINO checkpoint. Raises `ArtifactError`."""
        with _loading(name_or_path, "--dino"):
            from transformers import AutoImageProcessor, AutoModel

            model = AutoModel.from_pretrained(name_or_path, use_safetensors=True).eval()
            processors: Any = AutoImageProcessor
            processor = processors.from_pretrained(name_or_path)
        hashes = tensor_hashes(model.state_dict())
        return cls(_label("DINO", name_or_path), model, processor, hashes)

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        """Return the normalised class tokens."""
        return _in_batches(images, self._images)

    def _images(self, images: Sequence[Pixels]) -> "Tensor":
        inputs = self.processor(images=list(images), return_tensors="pt")
        tensor: Tensor = self.model(**inputs).pooler_output
        return tensor


def _in_batches(inputs: Sequence[Any], embed: Any) -> Vectors:
    """Return the unit vectors of all inputs."""
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH):
            vectors = embed(inputs[start : start + BATCH]).float()
            parts.append(torch.nn.functional.normalize(vectors, dim=1).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


@contextmanager
def _loading(name_or_path: str, option: str) -> Iterator[None]:
    """Turn what `transformers` says of a checkpoint it cannot load into one clear error."""
    try:
        import transformers
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "model", needed_for="loading pretrained scorers", library="transformers"
        ) from exc
    logging: Any = transformers.logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError) as exc:
        first_line = str(exc).strip().splitlines()[0]
        rebuild = f"hf download {name_or_path} --local-dir DIR, then pass {option} DIR"
        raise ArtifactError(
            Path(name_or_path), f"cannot be loaded ({first_line})", rebuild=rebuild
        ) from exc
    finally:
        logging.set_verbosity(verbosity)


def _label(kind: str, name_or_path: str) -> str:
    """Return the network's name without the folders it lies in."""
    return f"{kind} {os.path.basename(name_or_path.rstrip('/'))}"
