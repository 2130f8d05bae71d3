"""The stand-in evaluator, loaded: a small network trained by `train evaluator`.

In:  pictures and texts.
Out: what CLIP, DINO, Inception and the LPIPS network give elsewhere, each named as a stand-in.

Its numbers order methods on one dataset. They are no CLIP, DINO, FID or LPIPS numbers and
compare with none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pigeon_recsys.evaluation.network_identity import tensor_hashes
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from pigeon_recsys.evaluation.evaluator_network import EvaluatorNetwork

WEIGHTS_FILE = "evaluator.safetensors"
SHEET_FILE = "evaluator.json"
LABEL = "stand-in encoder"
BATCH = 128  # pictures at once; bounds memory, changes nothing


@dataclass(frozen=True)
class StandIn:
    """The network with its identity; `images` and `views` are its two image spaces."""

    network: "EvaluatorNetwork"
    tensor_hashes: frozenset[str]

    @classmethod
    def load(cls, path: Path) -> "StandIn":
        """Read a stand-in. Raises `ArtifactError`."""
        from pigeon_recsys.backbones.weights import load_weights
        from pigeon_recsys.evaluation.evaluator_network import EvaluatorNetwork

        network = EvaluatorNetwork()
        rebuild = f"pigeon-recsys train evaluator --data DIR --out {path.parent}"
        load_weights(path, network, rebuild=rebuild)
        return cls(network.eval(), tensor_hashes(network.state_dict()))

    def pyramid(self, pixels_BCHW: "Tensor") -> list["Tensor"]:
        """Return feature maps of every stage for pixels in [0, 1]."""
        return self.network.pyramid(pixels_BCHW)

    def features(self, images_BCHW: "Tensor") -> "Tensor":
        """Return pooled features of uint8 pictures, for a Fréchet distance."""
        return self.network.features(images_BCHW.float() / 255)


@dataclass(frozen=True)
class _Space:
    """A space that the stand-in has learned."""

    stand_in: StandIn
    label: str = LABEL

    @property
    def tensor_hashes(self) -> frozenset[str]:
        """The hashes of its learned tensors."""
        return self.stand_in.tensor_hashes


@dataclass(frozen=True)
class StandInCaptions(_Space):
    """The space shared by pictures and texts, in CLIP's place."""

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors of pictures."""
        network = self.stand_in.network
        return _embedded(network, images, network.caption_vectors)

    def text_vectors(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of texts."""
        import torch

        from pigeon_recsys.alignment.caption_tower import text_buckets

        with torch.inference_mode():
            vectors = self.stand_in.network.captions([text_buckets(text) for text in texts])
        array: Vectors = vectors.numpy()
        return array


@dataclass(frozen=True)
class StandInViews(_Space):
    """The space learned from pictures alone, in DINO's place."""

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors of pictures."""
        network = self.stand_in.network
        return _embedded(network, images, network.view_vectors)


def _embedded(
    network: "EvaluatorNetwork", images: Sequence[Pixels], head: Callable[["Tensor"], "Tensor"]
) -> Vectors:
    import torch

    from pigeon_recsys.evaluation.evaluator_network import to_input_size, to_unit_range

    parts: list[Vectors] = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch_BCHW = torch.cat(
                [
                    to_input_size(to_unit_range(torch.from_numpy(np.array(pixels))[None]))
                    for pixels in images[start : start + BATCH]
                ]
            )
            parts.append(head(network.described(batch_BCHW)).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
