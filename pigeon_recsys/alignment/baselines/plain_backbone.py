"""The backbone without Pigeon's modules, in the place that LaVIT has in the paper's tables.

In:  liked pictures.
Out: a part of the prompt that shows all their tokens.

Source: Xu et al., "Personalized Image Generation with Large Multimodal Models", WWW 2025,
section 4.1, where a pretrained LaVIT is prompted with the history and not aligned further.
Scale: LaVIT has seven billion parameters and has read the web; the mini backbone has a few
million and has read documents of pictures that one person liked, so it is nearer to the task.
"""

from pigeon_recsys.alignment.baselines.prompted import INSTRUCTION, Liked
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.prompt import Part, history_part, join, words_part


def shown_history(backbone: Backbone, liked: Liked) -> Part:
    """Return the history as the backbone knows it from its own training: nothing is hidden."""
    num_rows = len(liked.present_BH)
    return join(
        [
            words_part(backbone, INSTRUCTION.before_history, num_rows),
            history_part(backbone, liked.visual_BHT, liked.present_BH),
        ]
    )
