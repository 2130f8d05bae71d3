"""What an image has to be worth, and what may be spent on images. Loads nothing heavy."""

from dataclasses import dataclass, fields

from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What an image has to be worth, and what may be spent.

    A higher `min_new_likes` or `min_drift` means fewer and staler images; `cooldown_s` spreads a
    busy user's images; `daily_images` bounds what one user can cost, `daily_gpu_s` what all can.
    """

    min_new_likes: int = 3
    min_drift: float = 0.25  # 1 − cosine of the taste vectors: 0 no change, 1 nothing in common
    cooldown_s: float = 900.0  # between two images of a user; requests do not wait for it
    daily_images: int = 12  # of one user, requests included
    daily_gpu_s: float = 36_000.0  # of all users together

    def __post_init__(self) -> None:
        for field in fields(self):
            if not (value := getattr(self, field.name)) > 0:
                raise SettingsError(f"trigger.{field.name} must be above 0, got {value}.")
