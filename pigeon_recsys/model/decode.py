"""Write preference tokens: the visual ids of the personalized images, one after the other.

In:  the prompt of each user, what differs between the images of that user, sampling settings.
Out: visual ids.

Several images are written for a user at a time: one for each reference-mask ratio, or for each
beam. They are lanes of one sequence. A lane sees the user's prompt and what it has written
itself, so the prompt's keys and values are computed once, kept once and read once a token for
all lanes; and a beam search moves no cache, it only changes which lane sees what.

Guidance reads every prompt twice, with the history and without. Both rows write the same tokens,
chosen by what the history adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.cache import ReservedCache
from pigeon_recsys.model.prompt import Part, stack
from pigeon_recsys.model.sampling import Sampling

# B users, X rows: the users, and where there is guidance the same without history; R images of a
# user, K beams of an image, L lanes of a user (R·K), T tokens per image, S tokens of a part,
# N keys in the cache, Q queries, D width, V visual ids


@dataclass(frozen=True)
class Opening:
    """What stands before the first written token."""

    prompt: Part  # a row a user
    position_XS: Tensor  # of the prompt's tokens
    lanes: Part  # a row an image, users one after the other; ends in image_start

    def guided(self, unled: Part) -> "Opening":
        """Return this beside the same with `unled`, the prompts without the history."""
        prompt, lanes = self.prompt, self.lanes
        return Opening(
            stack([prompt, unled]),
            torch.cat([self.position_XS, self.position_XS]),
            stack([lanes, lanes]),
        )


def write_tokens(
    backbone: Backbone,
    opening: Opening,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Return visual_BRT; every image draws from its own generator, users one after the other."""
    with torch.inference_mode(), backbone.frozen():
        visual_BRT = _write(backbone, opening, sampling, generators)
    return visual_BRT.clone()  # out here an ordinary tensor, which training may read


def _write(
    backbone: Backbone,
    opening: Opening,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Return visual_BRT, token by token."""
    num_rows = len(opening.prompt.embed_BSD)
    num_users = num_rows // (2 if sampling.is_guided else 1)
    num_images = len(generators) // num_users
    num_tokens = backbone.spec.tokens_per_image
    num_keys = opening.prompt.embed_BSD.shape[1] + num_images * opening.lanes.embed_BSD.shape[1]
    cache = ReservedCache(num_keys + num_images * sampling.beams * (num_tokens - 1))
    hidden_XRD, visible_XRN = _open(backbone, opening, num_images, cache)
    position_X1 = opening.position_XS[:, -1:] + opening.lanes.embed_BSD.shape[1]
    uniform_BRT = torch.stack([torch.rand(num_tokens, generator=g) for g in generators])
    uniform_BRT = uniform_BRT.view(num_users, num_images, num_tokens).to(hidden_XRD.device)
    hidden_XLD = hidden_XRD.repeat_interleave(sampling.beams, dim=1)
    visible_XLN = visible_XRN.repeat_interleave(sampling.beams, dim=1)
    search = BeamSearch(num_users, num_images, sampling.beams, hidden_XLD.device)
    for place in range(num_tokens):
        logit_BLV = led(backbone.visual_logits(hidden_XLD), sampling)
        if sampling.beams > 1:
            parent_BL = search.step(logit_BLV)
            visible_XLN = _of_parents(visible_XLN, _for_rows(parent_BL, num_rows))
        else:
            search.append(draw(logit_BLV, sampling, uniform_BRT[..., place]))
        if place + 1 < num_tokens:
            visible_XLN = _with_own(visible_XLN)
            token_XL = _for_rows(search.visual_BLT[..., -1], num_rows)
            embed_XLD = backbone.embed_visual(token_XL.reshape(-1, 1), place).view_as(hidden_XLD)
            position_XL = (position_X1 + 1 + place).expand(visible_XLN.shape[:2])
            hidden_XLD = backbone.hidden(embed_XLD, visible_XLN, cache, position_XL)
    visual_BRT: Tensor = search.visual_BLT[:, :: sampling.beams]
    return visual_BRT


def led(logit_XLV: Tensor, sampling: Sampling) -> Tensor:
    """Return logit_BLV: those of each user, led by what the history adds to them."""
    if not sampling.is_guided:
        return logit_XLV
    with_BLV, without_BLV = logit_XLV.chunk(2)
    return torch.lerp(without_BLV, with_BLV, sampling.guidance)


def _for_rows(value_BL: Tensor, num_rows: int) -> Tensor:
    """Return what both rows of a user have in common."""
    return value_BL.repeat(num_rows // len(value_BL), 1)


@dataclass
class BeamSearch:
    """What the lanes have written; the beams of an image stand side by side, the best first."""

    visual_BLT: Tensor
    log_prob_BRK: Tensor  # summed over the tokens written

    def __init__(self, num_users: int, num_images: int, beams: int, device: torch.device) -> None:
        shape = (num_users, num_images * beams, 0)
        self.visual_BLT = torch.zeros(shape, dtype=torch.long, device=device)
        self.log_prob_BRK = torch.zeros(num_users, num_images, beams, device=device)
        self.log_prob_BRK[..., 1:] = -torch.inf  # beams start alike: only the first may branch

    def append(self, token_BL: Tensor) -> None:
        """Add one token to every lane."""
        self.visual_BLT = torch.cat([self.visual_BLT, token_BL[..., None]], dim=-1)

    def step(self, logit_BLV: Tensor) -> Tensor:
        """Go on with the likeliest images; return parent_BL, the lane each one continues."""
        num_users, num_images, beams = self.log_prob_BRK.shape
        log_prob_BLV = functional.log_softmax(logit_BLV.float(), dim=-1)
        total_BRKV = log_prob_BLV.unflatten(1, (num_images, beams)) + self.log_prob_BRK[..., None]
        best = total_BRKV.flatten(2).topk(beams, dim=-1)
        self.log_prob_BRK = best.values
        num_visual = logit_BLV.shape[-1]
        first_R1 = torch.arange(0, num_images * beams, beams, device=logit_BLV.device)[:, None]
        parent_BL: Tensor = (first_R1 + best.indices // num_visual).view(num_users, -1)
        self.visual_BLT = _of_parents(self.visual_BLT, parent_BL)
        self.append((best.indices % num_visual).view(num_users, -1))
        return parent_BL


def draw(logit_BLV: Tensor, sampling: Sampling, uniform_BL: Tensor) -> Tensor:
    """Return token_BL: the id at which the cumulative probability passes the uniform number."""
    if sampling.temperature == 0:
        return logit_BLV.argmax(dim=-1)
    top = logit_BLV.topk(min(sampling.top_k, logit_BLV.shape[-1]), dim=-1)
    probability_BLK = torch.softmax(top.values.float() / sampling.temperature, dim=-1)
    before_BLK = probability_BLK.cumsum(dim=-1) - probability_BLK
    outside_BLK = before_BLK >= sampling.top_p
    outside_BLK[..., 0] = False
    cumulative_BLK = probability_BLK.masked_fill(outside_BLK, 0).cumsum(dim=-1)
    goal_BL1 = uniform_BL[..., None] * cumulative_BLK[..., -1:]
    choice_BL = (cumulative_BLK <= goal_BL1).sum(dim=-1)
    last_BL = (~outside_BLK).sum(dim=-1) - 1  # rounding may carry a goal to the very end
    choice_BL = torch.minimum(choice_BL, last_BL)
    return top.indices.gather(-1, choice_BL[..., None])[..., 0]


def _open(
    backbone: Backbone, opening: Opening, num_images: int, cache: ReservedCache
) -> tuple[Tensor, Tensor]:
    """Read the prompts and what follows them; return hidden_XRD and visible_XRN."""
    prompt, lanes = opening.prompt, opening.lanes
    num_rows, num_prompt = prompt.attend_BS.shape
    num_own = lanes.attend_BS.shape[1]
    with cache.only_filled(backbone.spec.num_layers):
        backbone.hidden(prompt.embed_BSD, prompt.attend_BS, cache, opening.position_XS)
    embed_XQD = lanes.embed_BSD.reshape(num_rows, num_images * num_own, -1)
    device = embed_XQD.device
    image_Q = torch.arange(num_images, device=device).repeat_interleave(num_own)
    step_Q = torch.arange(num_own, device=device).repeat(num_images)
    own_QQ = (image_Q[:, None] == image_Q) & (step_Q[:, None] >= step_Q)
    attend_XQ = lanes.attend_BS.reshape(num_rows, -1)
    own_XQQ = own_QQ & attend_XQ[:, None]
    shared_XQN = prompt.attend_BS[:, None].expand(num_rows, len(image_Q), num_prompt)
    visible_XQN = torch.cat([shared_XQN, own_XQQ], dim=-1)
    position_XQ = opening.position_XS[:, -1:] + 1 + step_Q
    hidden_XQD = backbone.hidden(embed_XQD, visible_XQN, cache, position_XQ)
    last = slice(num_own - 1, None, num_own)  # image_start, which predicts the first token
    return hidden_XQD[:, last], visible_XQN[:, last]


def _with_own(visible_XLN: Tensor) -> Tensor:
    """Return visible_XLN grown by a token a lane, which that lane alone sees."""
    num_rows, num_lanes, _ = visible_XLN.shape
    own_LL = torch.eye(num_lanes, dtype=torch.bool, device=visible_XLN.device)
    return torch.cat([visible_XLN, own_LL.expand(num_rows, -1, -1)], dim=-1)


def _of_parents(value_XLY: Tensor, parent_XL: Tensor) -> Tensor:
    """Return what belongs to each lane's parent."""
    return value_XLY.gather(1, parent_XL[..., None].expand(-1, -1, value_XLY.shape[-1]))
