"""Writing tokens: the fast way and the plain way give the same ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pigeon_recsys.model.ablation import Inputs
from pigeon_recsys.model.decode import draw
from pigeon_recsys.model.mask import KeepMasks
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.prompt import (
    PromptBatch,
    join,
    marker_part,
    prompt_before_reference,
)
from pigeon_recsys.model.sampling import Sampling

RATIOS = (0.0, 0.5, 1.0)
GREEDY = Sampling(temperature=0)


def one_row(prompts: PromptBatch, row: int) -> PromptBatch:
    """One prompt as it is when nobody stands beside it: its text is not padded."""
    fields = {n: getattr(prompts, n)[row : row + 1] for n in prompts.__dataclass_fields__}
    num_text = max(1, int(fields["has_text_BL"].sum()))
    fields["text_BL"] = fields["text_BL"][:, -num_text:]
    fields["has_text_BL"] = fields["has_text_BL"][:, -num_text:]
    return PromptBatch(**fields)


def log_probs(
    pigeon: Pigeon, row: PromptBatch, ratio: float, written: Tensor, guidance: float = 1.0
) -> Tensor:
    """The next token's log-probabilities after one whole pass: no cache, nothing shared."""
    masks = pigeon.masks(row, torch.tensor([ratio]), None)
    led = after(pigeon, row, masks, written)
    unled = after(pigeon, Inputs(history=False).shown(row), masks, written)
    return (unled + guidance * (led - unled)).log_softmax(dim=-1)


def after(pigeon: Pigeon, row: PromptBatch, masks: KeepMasks, written: Tensor) -> Tensor:
    """The next token's logits."""
    backbone = pigeon.backbone
    parts = [
        prompt_before_reference(backbone, row, pigeon.config.instruction, masks.history_BHT),
        pigeon.reference_part(row, masks.reference_BT),
        marker_part(backbone, "image_start", 1),
    ]
    prompt = join(parts)
    embed, attend = prompt.embed_BSD, prompt.attend_BS
    if len(written):
        embed = torch.cat([embed, backbone.embed_visual(written[None])], dim=1)
        attend = torch.cat([attend, torch.ones(1, len(written), dtype=torch.bool)], dim=1)
    hidden = backbone.hidden(embed, attend)
    return backbone.visual_logits(hidden[:, -1])[0]


def plain_beams(
    pigeon: Pigeon, row: PromptBatch, ratio: float, beams: int, guidance: float
) -> Tensor:
    """Beam search over Python lists; one beam is greedy."""
    found = [(0.0, torch.zeros(0, dtype=torch.long))]
    for _ in range(pigeon.backbone.spec.tokens_per_image):
        longer = []
        for score, written in found:
            best = log_probs(pigeon, row, ratio, written, guidance).topk(beams)
            for value, token in zip(best.values, best.indices, strict=True):
                longer.append((score + value.item(), torch.cat([written, token[None]])))
        found = sorted(longer, key=lambda pair: -pair[0])[:beams]
    return found[0][1]


def write(
    pigeon: Pigeon, batch: PromptBatch, sampling: Sampling, first_seed: int = 0
) -> torch.Tensor:
    num_users = len(batch.present_BH)
    generators = [
        torch.Generator().manual_seed(100 * (first_seed + user) + place)
        for user in range(num_users)
        for place in range(len(RATIOS))
    ]
    ratios = torch.tensor([RATIOS] * num_users)
    return pigeon.write(batch, ratios, sampling, generators).visual_BRT


@torch.no_grad()
@pytest.mark.parametrize(("beams", "guidance"), [(1, 1.0), (3, 1.0), (1, 4.0), (3, 2.5), (1, 0.0)])
def test_the_shared_prompt_and_cache_change_no_token(
    pigeon: Pigeon, prompts: PromptBatch, beams: int, guidance: float
) -> None:
    """Three users, one without a reference picture and one with a short history."""
    pigeon.eval()
    fast = write(pigeon, prompts, replace(GREEDY, beams=beams, guidance=guidance))
    for user in range(3):
        for place, ratio in enumerate(RATIOS):
            plain = plain_beams(pigeon, one_row(prompts, user), ratio, beams, guidance)
            assert torch.equal(fast[user, place], plain)


@torch.no_grad()
def test_more_beams_find_an_image_at_least_as_likely(pigeon: Pigeon, prompts: PromptBatch) -> None:
    pigeon.eval()

    def total(tokens: Tensor) -> float:
        row = one_row(prompts, 0)
        steps = (
            log_probs(pigeon, row, RATIOS[0], tokens[:place])[token]
            for place, token in enumerate(tokens)
        )
        return float(sum(steps))

    first = one_row(prompts, 0)
    greedy, searched = (
        total(write(pigeon, first, replace(GREEDY, beams=beams))[0, 0]) for beams in (1, 4)
    )
    assert searched >= greedy


@torch.no_grad()
def test_guidance_without_a_history_leads_nowhere(pigeon: Pigeon, prompts: PromptBatch) -> None:
    pigeon.eval()
    bare = Inputs(history=False).shown(prompts)
    plain, guided = (write(pigeon, bare, Sampling(1.0, guidance=g)) for g in (1.0, 3.0))
    assert torch.equal(plain, guided)


@torch.no_grad()
def test_more_guidance_writes_what_the_history_makes_likelier(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    """What the history adds to the logit of the first token written does not fall."""
    pigeon.eval()
    row = one_row(prompts, 0)
    masks = pigeon.masks(row, torch.tensor([0.0]), None)
    bare = Inputs(history=False).shown(row)

    def added(guidance: float) -> float:
        tokens = write(pigeon, row, replace(GREEDY, guidance=guidance))[0, 0]
        first = after(pigeon, row, masks, tokens[:0]) - after(pigeon, bare, masks, tokens[:0])
        return float(first[tokens[0]])

    assert added(0.0) <= added(1.0) <= added(8.0)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(1.0), Sampling(1.0, 20, 0.8), Sampling(beams=2), Sampling(1.0, guidance=2.0)],
)
def test_a_users_tokens_do_not_depend_on_the_neighbours(
    pigeon: Pigeon, prompts: PromptBatch, sampling: Sampling
) -> None:
    pigeon.eval()
    together = write(pigeon, prompts, sampling)
    for user in range(3):
        alone = write(pigeon, one_row(prompts, user), sampling, first_seed=user)
        assert torch.equal(alone[0], together[user])


def probabilities(*values: float) -> Tensor:
    return torch.tensor([[values]]).log()


@pytest.mark.parametrize(
    ("uniform", "token"), [(0.0, 1), (0.49, 1), (0.51, 2), (0.79, 2), (0.81, 0), (0.999, 0)]
)
def test_a_uniform_number_picks_from_the_likeliest_down(uniform: float, token: int) -> None:
    """Probabilities 0.2, 0.5, 0.3: by falling probability the bounds are 0.5, 0.8, 1."""
    drawn = draw(probabilities(0.2, 0.5, 0.3), Sampling(1.0), torch.tensor([[uniform]]))
    assert drawn.item() == token


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (Sampling(1.0, top_k=2), {1, 2}),
        (Sampling(1.0, top_p=0.5), {1}),
        (Sampling(1.0, top_p=0.6), {1, 2}),
        (Sampling(1.0, top_p=1e-6), {1}),
        (Sampling(0), {1}),
    ],
)
def test_what_is_cut_off_is_never_drawn(sampling: Sampling, possible: set[int]) -> None:
    """Probabilities 0.15, 0.55, 0.3: a nucleus of 0.5 is the first alone, of 0.6 two."""
    logit = probabilities(0.15, 0.55, 0.3)
    numbers = torch.linspace(0, 0.9999, 101)
    drawn = {draw(logit, sampling, number.view(1, 1)).item() for number in numbers}
    assert drawn == possible


def test_temperature_sharpens(pigeon: Pigeon) -> None:
    """At temperature ½ odds are squared: 0.6 to 0.4 becomes 9/13, which 0.65 stays below."""
    number = torch.tensor([[0.65]])
    assert draw(probabilities(0.6, 0.4), Sampling(1.0), number).item() == 1
    assert draw(probabilities(0.6, 0.4), Sampling(0.5), number).item() == 0


def test_written_tokens_can_be_trained_on(pigeon: Pigeon, prompts: PromptBatch) -> None:
    """Stage 2 learns from them: tensors made in inference mode would be refused there."""
    pigeon.eval()
    written = write(pigeon, prompts, GREEDY)
    pigeon.reconstruction_loss(prompts, written[:, 0], torch.zeros(3), None).backward()
    assert not written.is_inference()


def test_a_changed_table_is_seen_by_the_next_write(pigeon: Pigeon, prompts: PromptBatch) -> None:
    """Without its head a model scores all ids alike, and greedy decoding takes the first."""
    pigeon.eval()
    assert write(pigeon, prompts, GREEDY).any()
    with torch.no_grad():
        for parameter in pigeon.backbone.visual_head.parameters():
            parameter.zero_()
    assert not write(pigeon, prompts, GREEDY).any()
