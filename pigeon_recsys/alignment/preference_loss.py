"""Losses of pairwise preference alignment: DPO, IPO and hinge, from log-probabilities.

In:  log-probabilities of the chosen and the rejected image under the policy and the reference.
Out: a loss for each pair, and the implicit rewards β·(policy − reference).

A log-probability here is the sum over an image's tokens, not their mean: images of one
backbone have equally many tokens, so no pair is favoured by its length, and β keeps the
meaning it has in the literature.
Sources: Rafailov et al. 2023 (DPO), Mitchell 2023 (label smoothing), Azar et al. 2023 (IPO),
Zhao et al. 2023 (hinge).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.errors import SettingsError

# B pairs, T tokens per image, V visual ids

IGNORED = -100  # a target that is no token, as in torch's cross-entropy

LossKind = Literal["sigmoid", "ipo", "hinge"]


@dataclass(frozen=True)
class PreferenceLoss:
    """Which loss, and how hard it pulls the policy away from the reference."""

    kind: LossKind = "sigmoid"  # sigmoid is DPO
    beta: float = 0.1  # small lets the policy leave the reference; IPO aims at a margin of 1/(2β)
    label_smoothing: float = 0.0  # share of pairs believed to be the wrong way round; sigmoid only

    def __post_init__(self) -> None:
        if self.kind not in get_args(LossKind):
            known = ", ".join(get_args(LossKind))
            raise SettingsError(f"preference loss must be one of {known}, got {self.kind!r}.")
        if self.beta <= 0:
            raise SettingsError(f"preference loss: beta must be above 0, got {self.beta}.")
        if not 0 <= self.label_smoothing < 0.5:
            raise SettingsError(
                "preference loss: label_smoothing must be at least 0 and below 0.5, where a label "
                f"says nothing, got {self.label_smoothing}."
            )
        if self.label_smoothing and self.kind != "sigmoid":
            raise SettingsError(
                f"preference loss: label_smoothing {self.label_smoothing} has no effect on "
                f"{self.kind}. Set it to 0, or use sigmoid."
            )

    def of_margin(self, margin_B: Tensor) -> Tensor:
        """Return loss_B of the log-probability margin, (policy − reference) of both images."""
        if self.kind == "hinge":
            return torch.relu(1 - self.beta * margin_B)
        if self.kind == "ipo":
            return (margin_B - 1 / (2 * self.beta)).square()
        right_B = functional.logsigmoid(self.beta * margin_B)
        wrong_B = functional.logsigmoid(-self.beta * margin_B)
        return -(1 - self.label_smoothing) * right_B - self.label_smoothing * wrong_B


@dataclass(frozen=True)
class PairLogProbs:
    """Log-probabilities of both images of each pair, summed over image tokens."""

    chosen_B: Tensor
    rejected_B: Tensor


@dataclass(frozen=True)
class PreferenceResult:
    """A loss a pair, and what the policy's change is worth to each image."""

    loss_B: Tensor
    chosen_reward_B: Tensor
    rejected_reward_B: Tensor

    @property
    def reward_margin_B(self) -> Tensor:
        """How much more the policy has come to prefer the chosen image."""
        return self.chosen_reward_B - self.rejected_reward_B


def token_log_probs(logit_BTV: Tensor, target_BT: Tensor) -> Tensor:
    """Return log_prob_BT of each target token, 0 where the target is `IGNORED`."""
    log_prob_BTV = torch.log_softmax(logit_BTV.float(), dim=-1)
    is_token_BT = target_BT != IGNORED
    index_BT1 = target_BT.masked_fill(~is_token_BT, 0)[..., None]
    return log_prob_BTV.gather(-1, index_BT1)[..., 0] * is_token_BT


def image_log_prob(
    logit_BTV: Tensor, target_BT: Tensor, *, drops_first_token: bool = False
) -> Tensor:
    """Return log_prob_B, summed over image tokens; logits align with the tokens they predict.

    `drops_first_token` mirrors the released code, which leaves an image's first token out of
    the sum; only for comparison with it.
    """
    log_prob_BT = token_log_probs(logit_BTV, target_BT)
    return log_prob_BT[:, int(drops_first_token) :].sum(dim=1)


def compare(
    policy: PairLogProbs, reference: PairLogProbs, loss: PreferenceLoss
) -> PreferenceResult:
    """Return the loss and the rewards of each pair; rewards carry no gradient."""
    chosen_B = policy.chosen_B - reference.chosen_B
    rejected_B = policy.rejected_B - reference.rejected_B
    return PreferenceResult(
        loss_B=loss.of_margin(chosen_B - rejected_B),
        chosen_reward_B=loss.beta * chosen_B.detach(),
        rejected_reward_B=loss.beta * rejected_B.detach(),
    )
