"""The multimodal instruction as data: the words around the pictures.

A checkpoint is trained with one wording; it is stored with the weights.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """The fixed words of the prompt. The reference's own text follows `before_reference`."""

    before_history: str = "this person likes:"
    before_reference: str = "draw for them:"
