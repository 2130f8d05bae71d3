"""The six colour schemes of the sticker world."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.datasets.sticker_shapes import Color, mix

WHITE: Color = (255, 255, 255)
INK_BASE: Color = (52, 36, 48)  # a warm near-black, kinder than black


@dataclass(frozen=True)
class Palette:
    """A colour scheme: the figure's body, its deeper accent and the paper behind it."""

    body: Color
    accent: Color
    paper: Color
    pattern: Color  # of the background's dots, stripes, rays or circle

    @property
    def pale(self) -> Color:
        """Muzzles, bellies and the insides of ears."""
        return mix(self.body, WHITE, 0.62)

    @property
    def shade(self) -> Color:
        """The part of the figure that lies in shadow."""
        return mix(self.body, self.accent, 0.3)

    @property
    def ink(self) -> Color:
        """Eyes, mouths and bold outlines."""
        return mix(INK_BASE, self.accent, 0.18)

    def shifted(self, by: NDArray[np.int64]) -> "Palette":
        """Return the palette with `by` added to every colour's three channels."""

        def move(color: Color) -> Color:
            red, green, blue = (
                int(np.clip(channel + step, 0, 255))
                for channel, step in zip(color, by, strict=True)
            )
            return red, green, blue

        return replace(
            self,
            body=move(self.body),
            accent=move(self.accent),
            paper=move(self.paper),
            pattern=move(self.pattern),
        )


PALETTES: dict[str, Palette] = {
    "coral": Palette((255, 139, 122), (205, 62, 58), (255, 228, 221), (255, 193, 181)),
    "mint": Palette((126, 217, 176), (26, 138, 104), (221, 246, 234), (168, 229, 204)),
    "sky": Palette((120, 186, 245), (36, 101, 184), (221, 238, 254), (168, 210, 250)),
    "lavender": Palette((186, 156, 240), (106, 66, 190), (237, 228, 253), (211, 190, 250)),
    "lemon": Palette((255, 221, 84), (205, 142, 0), (255, 248, 212), (255, 232, 142)),
    "cocoa": Palette((186, 134, 98), (104, 62, 36), (240, 226, 213), (217, 189, 164)),
}
