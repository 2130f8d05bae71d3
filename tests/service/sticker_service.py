"""A slot service over drawn stickers, which keeps what it makes."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pigeon_recsys.generation.image_names import picture_name, sweep_name
from pigeon_recsys.generation.picture_file import encode_picture
from pigeon_recsys.generation.sweep_record import encode_sweep
from pigeon_recsys.ranking.calibration import Calibration
from pigeon_recsys.ranking.calibration_curves import PlattCurve
from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.records import (
    LIKE,
    GeneratedItem,
    Generation,
    GenerationTask,
    History,
    RankContext,
    RankItem,
    Vectors,
    content_hash,
    generated_item_id,
)
from pigeon_recsys.service.slot_service import ServiceParts, SlotService
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.recent_slates import RecentSlates
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import FakeEmbedder, FakeHistoryStore, FakeIndex, FakeRanker
from tests.demo.conftest import NUM_STICKERS, StickerCatalog, make_generation, make_mask

ADA, BOB, HOSTILE = "ada", "bob", '"><script>alert(1)</script>/../%2e%2e'
LIKED = ("sticker-1", "sticker-2", "sticker-3", "sticker-4", "sticker-5")
CALIBRATION = Calibration(
    "platt",
    100.0,
    PlattCurve(1.0, 0.0),
    {"catalog": PlattCurve(1.0, 0.3), "generated": PlattCurve(1.0, -0.3)},
)


class StickerGenerator:
    """Draws eleven stickers between the reference and another style, with a dot of the user's."""

    version = "stickers-1"

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        return [self._drawn(task) for task in tasks]

    def _drawn(self, task: GenerationTask) -> Generation:
        number = (task.reference.item_id or "sticker-6").removeprefix("sticker-")
        drawn = make_generation(task.user_id, task.reference, int(number))
        pixels = drawn.pixels.copy()
        pixels[0, 0] = tuple(hashlib.sha256(task.user_id.encode()).digest()[:3])
        digest = content_hash(pixels)
        shown = tuple(image.item_id for image in task.history)
        told = replace(
            drawn.provenance,
            content_hash=digest,
            history_item_ids=shown,
            history_hash=task.history_hash,
        )
        return replace(
            drawn,
            item_id=generated_item_id(digest),
            pixels=pixels,
            history_masks=tuple(map(make_mask, shown)),
            provenance=told,
        )


class FondRanker(FakeRanker):
    """Likes generated items better than most others."""

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        scores = super().score(history, items, context)
        scores[[item.is_generated for item in items]] = 0.9
        return scores


def history(user_id: str) -> History:
    times = tuple(range(len(LIKED)))
    return History(user_id, LIKED, times, (LIKE,) * len(LIKED), version=1)


def make_service(blending: BlendConstraints | None = None, **changes: object) -> SlotService:
    """Return a service over fifteen stickers, which keeps what it makes."""
    catalog, embedder = StickerCatalog(), FakeEmbedder()
    item_ids = [f"sticker-{number}" for number in range(NUM_STICKERS)]
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in item_ids])
    items, images = FakeGeneratedItemStore(), FakeImageStore()

    def keep(made: Generation, begun_ms: int) -> GeneratedItem:
        images.write(sweep_name(made.provenance.content_hash), encode_sweep(made))
        url = images.write(picture_name(made.provenance.content_hash), encode_picture(made))
        vector = embedder.embed([made.pixels])[0]
        item = GeneratedItem(made.item_id, url, vector, "c0ffee" * 8, "request", made.provenance)
        items.put([item], begun_ms=begun_ms)
        return item

    parts = SlotParts(
        histories=FakeHistoryStore([history(ADA), history(BOB), history(HOSTILE)]),
        catalog=catalog,
        embedder=embedder,
        index=FakeIndex(item_ids, vectors),
        ranker=FondRanker(),
        generator=StickerGenerator(),
        stored=items,
        keep=keep,
        calibration=CALIBRATION,
        recent=RecentSlates(),
    )
    constraints = blending or BlendConstraints(
        allowed_positions=tuple(range(1, 9)), order="as_given"
    )
    settings = SlotSettings(blending=BlendPolicy(constraints))
    return SlotService(
        Slot(replace(parts, **changes), settings), ServiceParts(items=items, images=images)
    )
