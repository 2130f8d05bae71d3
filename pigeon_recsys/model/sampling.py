"""How preference tokens are chosen from the language model's probabilities. No torch needed."""

from dataclasses import dataclass

from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. Temperature 0 takes the most probable one.

    With more than one beam nothing is drawn: the likeliest image that a beam search finds is
    written, and the three settings before it have no say.

    Guidance leads away from what would be written for nobody (classifier-free guidance, Ho and
    Salimans 2022): a token's logit without the history, plus `guidance` times what the history
    adds to it. 1 writes by the history as it is and takes half the work of any other value. It
    suits models that have met requests without a history in training.

    Masks keep the most relevant tokens, without a draw. With `mask_noise` Gumbel noise joins the
    relevance, as in training: which tokens of a history are hidden then follows from the seed,
    and from the first ratio of a sweep, by which it is drawn.
    """

    temperature: float = 0.5
    top_k: int = 50  # only this many of the likeliest ids can be drawn
    top_p: float = 1.0  # only the likeliest ids that together reach this probability (nucleus)
    beams: int = 1  # images searched side by side for each one written
    guidance: float = 1.0  # how far the history leads
    mask_noise: bool = False  # hide tokens by Gumbel top-k instead of top-k

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise SettingsError(f"temperature must be at least 0, got {self.temperature}")
        if self.top_k < 1:
            raise SettingsError(f"top_k must be at least 1, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.beams < 1:
            raise SettingsError(f"beams must be at least 1, got {self.beams}")
        if not 0 <= self.guidance < float("inf"):
            raise SettingsError(f"guidance must be at least 0, got {self.guidance}")

    @property
    def is_guided(self) -> bool:
        """Whether everything is also written without the history, to lead away from."""
        return self.guidance != 1.0
