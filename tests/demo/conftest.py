"""A plausible demo report with drawn stickers: a placed, a cold-start and an unplaced story."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.datasets.sticker_drawing import FACTORS, Sticker, draw_sticker
from pigeon_recsys.demo.report import DemoReport, StageTiming
from pigeon_recsys.demo.story import UserStory, tell_story
from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.records import (
    Generation,
    Item,
    Pixels,
    Placement,
    Provenance,
    Reference,
    ScoredItem,
    Slate,
    SweepImage,
    TokenMask,
)

SIDE = 64  # pixels of a sticker
TOKENS = 8  # rows and columns of its token grid
CREATED_MS = 1_700_000_000_000
CHOSEN = 4  # index in the sweep, so α_r 0.4
NUM_STICKERS = 15


def sticker(number: int) -> Sticker:
    """Return one of the stickers; neighbours differ in most factors."""
    steps = zip(FACTORS.items(), (1, 2, 3, 4, 1, 5), strict=True)
    return Sticker(**{name: values[number * step % len(values)] for (name, values), step in steps})


def draw(drawn: Sticker) -> Pixels:
    """Draw a sticker, always the same way."""
    return draw_sticker(drawn, SIDE, np.random.default_rng(0))


def draw_in_style(content: Sticker, style: Sticker, ratio: float) -> Pixels:
    """Draw `content` with more of another sticker's style the larger the mask ratio."""
    starts = {"palette": 0.2, "background": 0.4, "line": 0.6, "character": 0.8}
    taken = {name: getattr(style, name) for name, start in starts.items() if ratio >= start}
    return draw(replace(content, **taken))


class StickerCatalog:
    """A catalog of drawn stickers, `sticker-0` to `sticker-14`."""

    def item(self, item_id: str) -> Item:
        number = item_id.removeprefix("sticker-")
        if not number.isdigit() or int(number) >= NUM_STICKERS:
            raise UnknownItem(item_id, num_known=NUM_STICKERS)
        drawn = sticker(int(number))
        return Item(item_id, f"{drawn.emotion} {drawn.character}", "", {})

    def has(self, item_ids: Sequence[str]) -> list[bool]:
        known = {f"sticker-{number}" for number in range(NUM_STICKERS)}
        return [item_id in known for item_id in item_ids]

    def pixels(self, item_id: str) -> Pixels:
        return draw(sticker(int(self.item(item_id).item_id.removeprefix("sticker-"))))

    def popular(self, limit: int) -> list[ScoredItem]:
        return [ScoredItem(f"sticker-{number}", 1.0) for number in range(limit)]


def make_generation(user_id: str, reference: Reference, seed: int) -> Generation:
    """Eleven stickers from the reference (α_r 0) to the history's style (α_r 1)."""
    sweep = []
    for step in range(11):
        ratio = step / 10
        liked = 0.48 + 0.3 * math.sin(math.pi * ratio / 2) - 0.004 * (step - CHOSEN) ** 2
        asked = 0.86 - 0.34 * ratio**1.5
        pixels = draw_in_style(sticker(seed), sticker(seed + 2), ratio)
        sweep.append(SweepImage(ratio, pixels, liked, asked, (liked + asked) / 2))
    history = tuple(f"sticker-{(seed + step) % 15}" for step in range(1, 6))
    digest = hashlib.sha256(sweep[CHOSEN].pixels.tobytes()).hexdigest()
    return Generation(
        item_id=f"gen-{digest[:16]}",
        pixels=sweep[CHOSEN].pixels,
        sweep=tuple(sweep),
        history_masks=tuple(make_mask(item_id) for item_id in history),
        provenance=Provenance(
            content_hash=digest,
            model="pigeon-mini",
            weights_version="stage2-2f9c1d",
            user_id=user_id,
            history_hash="0123456789abcdef",
            history_item_ids=history,
            reference=reference,
            reference_mask_ratio=CHOSEN / 10,
            seed=seed,
            steps=25,
            history_score=sweep[CHOSEN].history_score,
            reference_score=sweep[CHOSEN].reference_score,
            checks_passed=("near copy", "blank", "safety"),
            created_ms=CREATED_MS,
        ),
    )


def make_mask(item_id: str) -> TokenMask:
    """Hide 12 of the 64 tokens, a fifth, as masking a history does."""
    rng = np.random.default_rng(int(item_id.removeprefix("sticker-")))
    hidden = set(rng.choice(TOKENS * TOKENS, size=12, replace=False).tolist())
    keep = tuple(index not in hidden for index in range(TOKENS * TOKENS))
    return TokenMask(item_id, TOKENS, TOKENS, keep)


def make_slate(user_id: str, generation: Generation | None, position: int | None) -> Slate:
    """Ten placements with falling scores, the generated item at `position` (None: nowhere)."""
    placements = []
    for place in range(10):
        is_generated = generation is not None and place == position
        item_id = generation.item_id if generation and is_generated else f"sticker-{place}"
        placements.append(Placement(place, item_id, 0.91 - 0.043 * place, is_generated))
    if generation is None:
        reason = "unknown user: cold-start slate"
    elif position is None:
        reason = "generated item scored below the slate: 0.31 < 0.52"
    else:
        reason = f"generated item at position {position + 1} of 10"
    slate = Slate(f"request-{user_id}", user_id, tuple(placements), reason)
    return replace(slate, generation=generation)


def make_story(user_id: str, seed: int, position: int | None, reference: Reference) -> UserStory:
    """Tell the story of one user for whom an image was made."""
    generation = make_generation(user_id, reference, seed)
    return tell_story(make_slate(user_id, generation, position), StickerCatalog())


def make_report(*users: UserStory) -> DemoReport:
    """Wrap stories into a report with numbers of a realistic size."""
    return DemoReport(
        dataset="sticker-world",
        task="sticker",
        num_items=480,
        num_users=160,
        settings={"seed": 7, "history length": 5, "sweep": 11, "slate size": 10},
        timings=(
            StageTiming("world", 2.31),
            StageTiming("histories", 0.62),
            StageTiming("tokenizer", 31.4),
            StageTiming("stage 1", 48.9),
            StageTiming("generation", 14.2),
            StageTiming("ranking", 6.05),
        ),
        counts={"images made": 1_320, "slates": 24, "generated items placed": 19},
        peak_memory_mib=1834.2,
        versions={"pigeon-recsys": "0.1.0", "torch": "2.13.0", "faiss": "1.15.1"},
        weights_version="stage2-2f9c1d",
        hardware="2 CPU cores, 8 GiB",
        commit=None,
        created_ms=CREATED_MS,
        users=users,
    )


@pytest.fixture
def catalog() -> StickerCatalog:
    """The catalog of drawn stickers."""
    return StickerCatalog()


@pytest.fixture(scope="session")
def cold_start_story() -> UserStory:
    """A user without a history gets a slate from the catalog alone."""
    return tell_story(make_slate("user-new", None, None), StickerCatalog())


@pytest.fixture(scope="session")
def report(cold_start_story: UserStory) -> DemoReport:
    """Four users: two with the item placed, one where it was not, one cold start."""
    text = Reference(text="a sleepy bear waving")
    both = Reference("sticker-6", "a playful cat")
    return make_report(
        make_story("user-0042", 5, 2, Reference("sticker-5")),
        make_story("user-0107", 8, 0, both),
        make_story("user-0113", 11, None, text),
        cold_start_story,
    )


@pytest.fixture
def report_of() -> Callable[..., DemoReport]:
    """Make a report of given stories."""
    return make_report


@pytest.fixture
def story_of() -> Callable[..., UserStory]:
    """Make a story of a user id, a seed, a position and a reference."""
    return make_story


@pytest.fixture
def slate_of() -> Callable[..., Slate]:
    """Make a slate of a user id, a generation and a position."""
    return make_slate


@pytest.fixture
def generation() -> Generation:
    """An image made for user-0042 from five history images."""
    return make_generation("user-0042", Reference("sticker-5"), 5)
