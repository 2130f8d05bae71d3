"""Read a sticker's factors back from its picture; for evaluation only.

In:  pictures, catalog or generated, of any size.
Out: the most likely value of each factor, or the probability of every value.

No model, ranker or policy may use the judge, nor the scorer that selects generated images:
what selects must not be what evaluates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pigeon_recsys.datasets.sticker_drawing import FACTORS
from pigeon_recsys.evaluation.network_identity import tensor_hashes
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    from pigeon_recsys.evaluation.factor_network import FactorNetwork

WEIGHTS_FILE = "judge.safetensors"
SHEET_FILE = "judge.json"
SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights" / "judge" / WEIGHTS_FILE
BATCH = 128  # pictures judged at once; bounds memory, changes nothing


@dataclass(frozen=True)
class FactorJudge:
    """Names the six factors of a sticker."""

    network: "FactorNetwork"
    label: str = "sticker judge"

    @property
    def tensor_hashes(self) -> frozenset[str]:
        """The hashes of its learned tensors."""
        return tensor_hashes(self.network.state_dict())

    @classmethod
    def load(cls, path: Path | None = None) -> "FactorJudge":
        """Read a judge, the shipped one by default. Raises `ArtifactError`."""
        from pigeon_recsys.backbones.weights import load_weights
        from pigeon_recsys.evaluation.factor_network import FactorNetwork

        path = path or SHIPPED_WEIGHTS
        network = FactorNetwork()
        load_weights(path, network, rebuild=f"pigeon-recsys train judge --out {path.parent}")
        return cls(network.eval())

    def probabilities(self, images: Sequence[Pixels]) -> dict[str, Vectors]:
        """Return, by factor, the probability of every value (len(images), values)."""
        import torch

        from pigeon_recsys.evaluation.factor_network import to_batch

        rows: dict[str, list[Vectors]] = {
            factor: [np.zeros((0, len(values)), np.float32)] for factor, values in FACTORS.items()
        }
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                batch_BCHW = torch.cat(
                    [
                        to_batch(torch.from_numpy(np.array(pixels))[None])
                        for pixels in images[start : start + BATCH]
                    ]
                )
                for factor, logits_BV in self.network(batch_BCHW).items():
                    rows[factor].append(logits_BV.softmax(dim=-1).numpy())
        return {factor: np.concatenate(parts) for factor, parts in rows.items()}

    def factors(self, images: Sequence[Pixels]) -> list[dict[str, str]]:
        """Return, for each picture, the most likely value of every factor."""
        likely = {
            factor: probability.argmax(axis=1)
            for factor, probability in self.probabilities(images).items()
        }
        return [
            {factor: values[likely[factor][place]] for factor, values in FACTORS.items()}
            for place in range(len(images))
        ]
