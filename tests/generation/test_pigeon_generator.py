"""The generator: the best sound picture of a sweep, signed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.generation.checks import check_not_blank, check_not_copy
from pigeon_recsys.generation.pigeon_generator import (
    GeneratorSettings,
    PigeonGenerator,
    content_hash,
)
from pigeon_recsys.records import GenerationTask, HistoryImage, Pixels, Reference
from pigeon_recsys.testing.fakes import FakeEmbedder, FakeIndex

RATIOS = (0.0, 0.5, 1.0)


def noise(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Painted:
    pictures: tuple[Pixels, ...]
    history_keep: tuple[np.ndarray, ...]


@dataclass
class PaintingModel:
    """Stands in for a loaded Pigeon: returns pictures it was given."""

    pictures: Sequence[Pixels]
    version: str = "v1"
    calls: list[dict[str, object]] = field(default_factory=list)

    def paint_sweep(self, history, reference, text, ratios, **options):  # type: ignore[no-untyped-def]
        self.calls.append({"text": text, "ratios": ratios, **options})
        keep = np.array([[True, False], [True, True]])
        return Painted(tuple(self.pictures), tuple(keep for _ in history))


def make_generator(pictures: Sequence[Pixels], catalog: Sequence[Pixels]) -> PigeonGenerator:
    embedder = FakeEmbedder()
    index = FakeIndex([f"item-{i}" for i in range(len(catalog))], embedder.embed(catalog))
    model = PaintingModel(pictures)
    settings = GeneratorSettings(ratios=RATIOS, steps=3)
    return PigeonGenerator(model, embedder, index, settings, clock_ms=lambda: 1234)  # type: ignore[arg-type]


def make_task(history: Sequence[Pixels], reference: Pixels | None) -> GenerationTask:
    images = tuple(HistoryImage(f"h{i}", pixels) for i, pixels in enumerate(history))
    return GenerationTask("ada", images, "hash", Reference("r1", "a cat"), reference, seed=9)


def test_the_chosen_picture_is_signed() -> None:
    pictures = [noise(1), noise(2), noise(3)]
    generator = make_generator(pictures, [noise(50)])
    (made,) = generator.generate([make_task([noise(10), noise(11)], noise(2))])
    best = max(made.sweep, key=lambda image: image.score)
    assert (made.pixels == best.pixels).all()
    assert made.provenance.content_hash == content_hash(best.pixels)
    assert made.item_id == f"gen-{content_hash(best.pixels)[:16]}"
    assert made.provenance.reference_mask_ratio == best.reference_mask_ratio
    assert made.provenance.history_item_ids == ("h0", "h1")
    assert made.provenance.checks_passed == ("not_blank", "not_copy")
    assert made.provenance.created_ms == 1234
    assert (made.provenance.seed, made.provenance.steps) == (9, 3)
    assert made.history_masks[0].keep == (True, False, True, True)


def test_a_picture_that_fails_a_check_gives_way_to_the_next() -> None:
    """The reference's own copy scores best, and is in the catalog."""
    copy = noise(2)
    generator = make_generator([copy, noise(3), noise(4)], [copy])
    (made,) = generator.generate([make_task([], copy)])
    assert not (made.pixels == copy).all()
    assert len(made.sweep) == 3


def test_a_sweep_without_a_sound_picture_fails_with_the_reason() -> None:
    flat = np.full((12, 12, 3), 200, np.uint8)
    generator = make_generator([flat, flat, flat], [noise(1)])
    with pytest.raises(GenerationError, match=r"blank: contrast 0\.0 of 255, at least 6\.0"):
        generator.generate([make_task([noise(10)], None)])


def test_blank_and_copied_pictures_are_named() -> None:
    embedder = FakeEmbedder()
    picture = noise(1)
    vector = embedder.embed([picture])[0]
    assert check_not_blank(picture) == "not_blank"
    with pytest.raises(GenerationError, match="a copy of catalog item 'known'"):
        check_not_copy(vector, FakeIndex(["known"], vector[None]))
    assert check_not_copy(vector, FakeIndex(["other"], embedder.embed([noise(8)]))) == "not_copy"


def test_the_content_hash_tells_shapes_apart() -> None:
    flat = np.zeros((2, 3, 3), np.uint8)
    assert content_hash(flat) != content_hash(flat.reshape(3, 2, 3))
