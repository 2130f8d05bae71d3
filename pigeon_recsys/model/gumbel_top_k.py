"""Keep the best of each row's tokens: Gumbel top-k with straight-through gradients.

In:  logits of a row's candidates, the share of them to hide, noise or none.
Out: a keep mask, exactly 0 or 1 forward, with the gradient of the softmax backward.
Source: Pigeon, section 3.2; Kool et al., "Stochastic Beams and Where to Find Them", 2019: Gumbel
noise on logits makes their top k a sample without replacement.
"""

import torch
from torch import Tensor

# B rows, N tokens ranked

ROUNDING = 1e-4  # tokens; above the error of a float32 ratio at any length, far below one
MIN_UNIFORM = 1e-9  # keeps the logarithm of a uniform draw finite


def keep_top(
    logit_BN: Tensor,
    candidate_BN: Tensor,
    hidden_ratio_B: Tensor,
    gumbel_BN: Tensor | None = None,
    tolerance: float = ROUNDING,
) -> Tensor:
    """Return keep_BN: 1 for the max(1, ⌊n(1−ratio)⌋) best of a row's n candidates, else 0.

    Gumbel noise on the logits makes the choice a sample without replacement. The result is
    exactly 0 or 1 forward and carries the gradient of the softmax backward. A row without
    candidates keeps nothing.
    """
    perturbed_BN = logit_BN if gumbel_BN is None else logit_BN + gumbel_BN
    ranked_BN = perturbed_BN.masked_fill(~candidate_BN, -torch.inf)
    rank_BN = ranked_BN.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    num_keep_B = num_kept(candidate_BN.sum(dim=1), hidden_ratio_B, tolerance)
    hard_BN = ((rank_BN < num_keep_B[:, None]) & candidate_BN).to(logit_BN.dtype)
    soft_BN = keep_probability(logit_BN, candidate_BN)
    return hard_BN + (soft_BN - soft_BN.detach())


def keep_probability(logit_BN: Tensor, candidate_BN: Tensor) -> Tensor:
    """Return the softmax over each row's candidates, 0 elsewhere."""
    lowest = torch.finfo(logit_BN.dtype).min
    masked_BN = logit_BN.masked_fill(~candidate_BN, lowest)
    return torch.softmax(masked_BN, dim=1) * candidate_BN


def released_training_logit(logit_BN: Tensor, candidate_BN: Tensor) -> Tensor:
    """Return ln(1 − softmax), which the released code ranks reference tokens by in training.

    It spans about 1/n, so the Gumbel noise decides and the choice is in effect random.
    """
    log_BN = torch.log1p(-keep_probability(logit_BN, candidate_BN))
    return log_BN.clamp(min=torch.finfo(log_BN.dtype).min)  # a row's only candidate: ln 0


def gumbel_noise(shape: torch.Size | tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard Gumbel noise."""
    uniform = torch.rand(shape, generator=generator)
    return -torch.log(-torch.log(uniform.clamp(MIN_UNIFORM, 1 - 1e-7)))


def num_kept(
    num_candidates_B: Tensor, hidden_ratio_B: Tensor, tolerance: float = ROUNDING
) -> Tensor:
    """Return how many of n tokens are kept: max(1, ⌊n(1−ratio)⌋), 0 of none.

    A ratio in binary can put n(1−ratio) a hair below a whole number, which costs the released
    code one token at 50 of 256 lengths at ratio 0.8; hence the tolerance.
    """
    exact_B = num_candidates_B.double() * (1 - hidden_ratio_B.double())
    floor_B = torch.floor(exact_B + tolerance).long()
    return floor_B.clamp(min=1).minimum(num_candidates_B)
