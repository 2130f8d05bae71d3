"""Pigeon as a whole: what trains, what does not, and what a row may depend on."""

from dataclasses import replace

import torch

from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.prompt import PromptBatch
from pigeon_recsys.model.sampling import Sampling

RATIOS = (0.0, 0.5, 1.0)


def loss_of(pigeon: Pigeon, prompts: PromptBatch) -> torch.Tensor:
    target = prompts.reference_BT.flip(0)
    ratio = torch.tensor([0.3, 0.6, 0.9])
    generator = torch.Generator().manual_seed(4)
    return pigeon.reconstruction_loss(prompts, target, ratio, generator)


def test_every_trainable_tensor_moves(pigeon: Pigeon, prompts: PromptBatch) -> None:
    """LoRA's B matrices start at zero and hold back the A matrices, hence the second step."""
    pigeon.train()
    before = {name: tensor.clone() for name, tensor in pigeon.own_state().items()}
    trainable = [p for p in pigeon.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(pigeon, prompts).backward()
        optimizer.step()
    still = [n for n, tensor in pigeon.own_state().items() if torch.equal(tensor, before[n])]
    assert still == []


def test_gradients_reach_the_mask_generator(pigeon: Pigeon, prompts: PromptBatch) -> None:
    pigeon.train()
    loss_of(pigeon, prompts).backward()
    for name, parameter in pigeon.mask_generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_backbone_stays_as_it_was(pigeon: Pigeon, prompts: PromptBatch) -> None:
    loss_of(pigeon, prompts).backward()
    frozen = [p for n, p in pigeon.backbone.named_parameters() if "lora_" not in n]
    assert frozen
    assert all(p.grad is None and not p.requires_grad for p in frozen)


def test_the_same_seed_writes_the_same_tokens(pigeon: Pigeon, prompts: PromptBatch) -> None:
    first, again, other = (write(pigeon, prompts, seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_run_of_the_prompt_serves_all_ratios(pigeon: Pigeon, prompts: PromptBatch) -> None:
    """The sweep's greedy tokens are those of the same ratios written one at a time."""
    together = write(pigeon, prompts, seed=0, temperature=0.0)
    for row, ratio in enumerate(RATIOS):
        alone = write(pigeon, prompts, seed=0, temperature=0.0, ratios=(ratio,))
        assert torch.equal(together[row], alone[0])


def test_written_tokens_are_those_the_training_pass_predicts(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    """Greedy tokens, fed back as a target, are each the likeliest: their loss is the lowest."""
    row = first_row(prompts)
    tokens = write(pigeon, prompts, seed=0, temperature=0.0, ratios=(0.5,))
    pigeon.eval()
    ratio = torch.tensor([0.5])
    own = pigeon.reconstruction_loss(row, tokens, ratio, None)
    other = tokens.clone()
    other[0, -1] = (other[0, -1] + 1) % pigeon.backbone.spec.num_visual
    assert own < pigeon.reconstruction_loss(row, other, ratio, None)


def test_absent_history_and_reference_have_no_influence(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    pigeon.eval()
    ratio = torch.full((3,), 0.5)
    changed_history = prompts.history_BHT.clone()
    changed_history[1, :3] = 0
    changed = replace(prompts, history_BHT=changed_history)
    target = prompts.reference_BT
    same = pigeon.reconstruction_loss(prompts, target, ratio, None)
    torch.testing.assert_close(pigeon.reconstruction_loss(changed, target, ratio, None), same)


def first_row(prompts: PromptBatch) -> PromptBatch:
    return PromptBatch(*(getattr(prompts, name)[:1] for name in prompts.__dataclass_fields__))


def write(
    pigeon: Pigeon,
    prompts: PromptBatch,
    seed: int,
    temperature: float = 1.0,
    ratios: tuple[float, ...] = RATIOS,
) -> torch.Tensor:
    pigeon.eval()
    generators = [torch.Generator().manual_seed(seed + row) for row in range(len(ratios))]
    sampling = Sampling(temperature=temperature)
    ratio = torch.tensor([ratios])
    return pigeon.write(first_row(prompts), ratio, sampling, generators).visual_BRT[0]
