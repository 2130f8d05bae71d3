"""Ablations: Pigeon without one of its parts, to see what the part is worth.

In:  a prompt batch.
Out: the same batch with a part taken away, for every row at once.

A part that is taken away leaves its place in the prompt, which is then not attended to: nothing
that follows can depend on it.
"""

from dataclasses import dataclass, replace

import torch

from pigeon_recsys.model.mask import MaskKind
from pigeon_recsys.model.prompt import PromptBatch


@dataclass(frozen=True)
class Inputs:
    """Which inputs the model is shown; a checkpoint may be trained without some."""

    history: bool = True
    reference_image: bool = True
    text: bool = True

    def shown(self, batch: PromptBatch) -> PromptBatch:
        """Return the batch without the inputs that are switched off."""
        if not self.history:
            batch = replace(batch, present_BH=torch.zeros_like(batch.present_BH))
        if not self.text:
            batch = replace(batch, has_text_BL=torch.zeros_like(batch.has_text_BL))
        if not self.reference_image:
            batch = replace(
                batch,
                reference_BT=torch.zeros_like(batch.reference_BT),  # the history's mask sees it
                has_reference_B=torch.zeros_like(batch.has_reference_B),
            )
        return batch


@dataclass(frozen=True)
class Ablation(Inputs):
    """What to leave out when writing; `mask` stands in for the kind the model was trained with."""

    mask: MaskKind | None = None


FULL = Ablation()  # leaves nothing out
