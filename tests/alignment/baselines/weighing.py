"""What tests of baselines look at: the backbone's weights, and what a baseline writes."""

import hashlib

import torch
from torch import Tensor

from pigeon_recsys.alignment.baselines.prompted import Baseline, BaselineRequest
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.model.sampling import Sampling


def fingerprint(backbone: MiniBackbone) -> str:
    """Return a hash over the names, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    for name, tensor in backbone.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def written(baseline: Baseline, request: BaselineRequest, num_images: int = 4) -> Tensor:
    """Return images drawn at a temperature that shows every change of the probabilities."""
    generators = [torch.Generator().manual_seed(number) for number in range(num_images)]
    return baseline.write(request, Sampling(temperature=1.0, top_k=1000), generators)
