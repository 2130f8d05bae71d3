"""Predict the reference-mask ratio α_r: one run of the model instead of a sweep of eleven.

In:  a user's history pictures and the reference picture, seen through the embedder.
Out: the score that the selection scorer is expected to give at each ratio, and the best one.

A ridge regression on what the embedder says of history and reference: both mean vectors, how
alike the history is in itself, and how near the reference is to it. On disk:
`ratio_predictor.safetensors` and `ratio_predictor.json`, beside the weights it was trained for.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.files import atomic_path, write_text_atomic
from pigeon_recsys.generation.ratio_choice import taste_and_content
from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.records import Pixels, Vectors

# N requests, F features, R ratios, D width of an embedding

WEIGHTS_FILE = "ratio_predictor.safetensors"
RECORD_FILE = "ratio_predictor.json"
REBUILD = "pigeon-recsys train ratio --data DIR --weights DIR --out RUN"
NUM_SCALARS = 6  # features beside the two mean vectors


@dataclass(frozen=True)
class RatioPredictor:
    """A linear model of the score at each ratio."""

    ratios: tuple[float, ...]
    centre_F: Vectors
    scale_F: Vectors
    weight_FR: Vectors
    bias_R: Vectors

    def scores(self, features_NF: Vectors) -> Vectors:
        """Return the expected score at each ratio, (N, R)."""
        if features_NF.shape[1] != len(self.centre_F):
            raise SettingsError(
                f"the ratio predictor reads {len(self.centre_F)} features, got "
                f"{features_NF.shape[1]}: it belongs to another embedder. Retrain it with: "
                f"{REBUILD}"
            )
        scaled_NF = (features_NF - self.centre_F) / self.scale_F
        return np.asarray(scaled_NF @ self.weight_FR + self.bias_R, np.float32)

    def best_ratios(self, features_NF: Vectors) -> list[float]:
        """Return the ratio of the highest expected score for each row of features."""
        return [self.ratios[place] for place in self.scores(features_NF).argmax(axis=1)]

    def save(self, folder: Path, report: dict[str, Any]) -> None:
        """Write the weights, and what their training reported."""
        from safetensors.numpy import save_file

        tensors = {
            name: np.ascontiguousarray(getattr(self, name), np.float32)
            for name in ("centre_F", "scale_F", "weight_FR", "bias_R")
        }
        with atomic_path(folder / WEIGHTS_FILE) as temporary:
            save_file(tensors, temporary)
        record = {"ratios": self.ratios, **report}
        write_text_atomic(folder / RECORD_FILE, json.dumps(record, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "RatioPredictor":
        """Read what `save` wrote. Raises `ArtifactError` naming the file at fault."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        for name in (WEIGHTS_FILE, RECORD_FILE):
            if not (folder / name).is_file():
                raise ArtifactError(folder / name, "is missing", rebuild=REBUILD)
        try:
            ratios = tuple(json.loads((folder / RECORD_FILE).read_text())["ratios"])
        except (ValueError, KeyError, TypeError) as exc:
            fault = f"does not describe a ratio predictor ({exc})"
            raise ArtifactError(folder / RECORD_FILE, fault, rebuild=REBUILD) from exc
        try:
            predictor = cls(ratios=ratios, **load_file(folder / WEIGHTS_FILE))
        except (SafetensorError, TypeError) as exc:
            fault = f"is corrupt ({exc})"
            raise ArtifactError(folder / WEIGHTS_FILE, fault, rebuild=REBUILD) from exc
        if predictor.weight_FR.shape != (len(predictor.centre_F), len(ratios)):
            fault = f"holds weights {predictor.weight_FR.shape} for {len(ratios)} ratios"
            raise ArtifactError(folder / WEIGHTS_FILE, fault, rebuild=REBUILD)
        return predictor


def ratio_features(
    embedder: ImageEmbedder, history: Sequence[Pixels], reference: Pixels | None
) -> Vectors:
    """Return what the predictor reads of one request, (F,)."""
    pictures = [*history, *([] if reference is None else [reference])]
    vectors_ND = embedder.embed(pictures) if pictures else np.zeros((0, embedder.dim), np.float32)
    history_HD, reference_D = vectors_ND[: len(history)], vectors_ND[len(history) :].sum(axis=0)
    scalars = [len(history), float(reference is not None)]
    for half_ND in taste_and_content(embedder, vectors_ND):
        half_HD, half_D = half_ND[: len(history)], half_ND[len(history) :].sum(axis=0)
        mean_D = half_HD.mean(axis=0) if history else np.zeros_like(half_D)
        scalars += [float(np.linalg.norm(mean_D)), float(mean_D @ half_D)]
    assert len(scalars) == NUM_SCALARS
    mean_D = history_HD.mean(axis=0) if history else np.zeros_like(reference_D)
    return np.concatenate([mean_D, reference_D, np.asarray(scalars, np.float32)], dtype=np.float32)


def fit_ridge(
    features_NF: Vectors, scores_NR: Vectors, ratios: Sequence[float], penalty: float
) -> RatioPredictor:
    """Return the predictor with the least squared error plus `penalty` times N squared weights."""
    centre_F = features_NF.mean(axis=0)
    spread_F = features_NF.std(axis=0)
    scale_F = np.where(spread_F > 0, spread_F, 1).astype(np.float32)
    scaled_NF = (features_NF - centre_F) / scale_F
    bias_R = scores_NR.mean(axis=0)
    moment_FF = scaled_NF.T @ scaled_NF + penalty * len(scaled_NF) * np.eye(len(centre_F))
    weight_FR = np.linalg.solve(moment_FF, scaled_NF.T @ (scores_NR - bias_R))
    return RatioPredictor(tuple(ratios), centre_F, scale_F, weight_FR.astype(np.float32), bias_R)
