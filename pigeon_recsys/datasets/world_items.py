"""The catalog of the sticker world: packs of stickers, each in one style, and their captions.

In:  a number of items and a random generator.
Out: the factors of every item, and what its title says (content only, never style).

Artists publish packs. All stickers of a pack share one style; the contents of a pack differ.
Every style value occurs in as many packs as any other, and the factors are drawn apart from
each other, so no factor tells anything about another.
"""

from itertools import product

import numpy as np

from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS, Sticker

PACK_SIZE = 36  # stickers of a pack; a user's main pack outlasts the user's likes in it
CONTENTS = tuple(product(*CONTENT_FACTORS.values()))

FEELINGS = {
    "happy": ("happy", "cheerful", "smiling"),
    "sad": ("sad", "tearful", "unhappy"),
    "angry": ("angry", "furious", "cross"),
    "surprised": ("surprised", "astonished", "amazed"),
    "love": ("loving", "lovestruck", "smitten"),
    "sleepy": ("sleepy", "drowsy", "tired"),
    "playful": ("playful", "cheeky", "teasing"),
    "cool": ("cool", "laid-back", "easygoing"),
}
THINGS = {
    "heart": "a heart",
    "star": "a star",
    "balloon": "a balloon",
    "cup": "a cup of coffee",
    "flower": "a flower",
    "umbrella": "an umbrella",
    "gift": "a gift",
}
PLAIN_TEMPLATES = ("{a} {feeling} sticker", "feeling {feeling}", "in {a} {feeling} mood")
PROP_TEMPLATES = (
    "{a} {feeling} sticker with {thing}",
    "feeling {feeling}, holding {thing}",
    "{a} {feeling} friend carrying {thing}",
    "{feeling}, with {thing} in hand",
)


def draw_catalog(
    num_items: int, rng: np.random.Generator, pack_size: int = PACK_SIZE
) -> list[Sticker]:
    """Return the factors of every item, packs mixed so that an id says nothing of style."""
    num_packs = -(-num_items // pack_size)
    styles = list(zip(*(balanced(v, num_packs, rng) for v in STYLE_FACTORS.values()), strict=True))
    stickers = [
        Sticker(*style, *CONTENTS[content])
        for style in styles
        for content in rng.permutation(len(CONTENTS))[:pack_size]
    ]
    return [stickers[place] for place in rng.permutation(len(stickers))[:num_items]]


def balanced(values: tuple[str, ...], count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` values in random order, each as often as any other, or once more."""
    order = rng.permutation(len(values))
    filled = np.resize(order, count)
    return [values[place] for place in rng.permutation(filled)]


def caption(emotion: str, prop: str, rng: np.random.Generator) -> str:
    """Return a phrase that says mood and prop; the generator picks among natural wordings."""
    feeling = FEELINGS[emotion][rng.integers(len(FEELINGS[emotion]))]
    templates = PLAIN_TEMPLATES if prop == "none" else PROP_TEMPLATES
    template = templates[rng.integers(len(templates))]
    article = "an" if feeling[0] in "aeiou" else "a"
    return template.format(a=article, feeling=feeling, thing=THINGS.get(prop, ""))
