"""The generator: the best sound picture of a sweep, signed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from pigeon_recsys.errors import GenerationError, SettingsError
from pigeon_recsys.generation.checks import check_not_blank, check_not_copy
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.generation.ratio_predictor import RatioPredictor, ratio_features
from pigeon_recsys.model.inference import WrittenSweep
from pigeon_recsys.records import GenerationTask, HistoryImage, Pixels, Reference, content_hash
from pigeon_recsys.testing.fakes import FakeEmbedder, FakeIndex

RATIOS = (0.0, 0.5, 1.0)


def noise(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)


@dataclass
class PaintingModel:
    """Stands in for a loaded Pigeon: returns pictures it was given."""

    pictures: Sequence[Pixels]
    version: str = "v1"
    calls: list[dict[str, object]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    painted: list[dict[str, object]] = field(default_factory=list)

    def write_tokens(self, orders, **options):  # type: ignore[no-untyped-def]
        self.calls += [{"ratios": tuple(order.ratios), **options} for order in orders]
        self.batches.append(len(orders))
        keep = np.array([[True, False], [True, True]])
        return [
            WrittenSweep(
                tuple(order.ratios),
                np.full((len(order.ratios), 4), order.seed, np.int32),
                tuple(keep for _ in order.history),
            )
            for order in orders
        ]

    def paint(self, written, **options):  # type: ignore[no-untyped-def]
        self.painted.append({"ratios": written.ratios, **options})
        return tuple(self.pictures[: len(written.ratios)])


def make_generator(
    pictures: Sequence[Pixels],
    catalog: Sequence[Pixels],
    predictor: RatioPredictor | None = None,
    **changed: object,
) -> PigeonGenerator:
    embedder = FakeEmbedder()
    index = FakeIndex([f"item-{i}" for i in range(len(catalog))], embedder.embed(catalog))
    model = PaintingModel(pictures)
    settings = GeneratorSettings(**({"ratios": RATIOS, "steps": 3} | changed))  # type: ignore[arg-type]
    return PigeonGenerator(
        model,  # type: ignore[arg-type]
        embedder,
        index,
        settings,
        clock_ms=lambda: 1234,
        predictor=predictor,
    )


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


def test_a_fixed_ratio_is_the_only_one_painted() -> None:
    generator = make_generator([noise(1)], [noise(50)], ratio_choice=0.25)
    (made,) = generator.generate([make_task([noise(10)], noise(2))])
    assert generator.model.calls[0]["ratios"] == (0.25,)  # type: ignore[attr-defined]
    assert made.provenance.reference_mask_ratio == 0.25
    assert len(made.sweep) == 1


def test_a_predicted_ratio_is_the_only_one_painted() -> None:
    """Without weights the biases decide, and the middle ratio has the highest."""
    task = make_task([noise(10)], noise(2))
    history = [image.pixels for image in task.history]
    num_features = len(ratio_features(FakeEmbedder(), history, task.reference_pixels))
    predictor = RatioPredictor(
        RATIOS,
        np.zeros(num_features, np.float32),
        np.ones(num_features, np.float32),
        np.zeros((num_features, 3), np.float32),
        np.array([0.1, 0.3, 0.2], np.float32),
    )
    generator = make_generator([noise(1)], [noise(50)], predictor, ratio_choice="predicted")
    (made,) = generator.generate([task])
    assert made.provenance.reference_mask_ratio == RATIOS[1]
    assert len(made.sweep) == 1


def test_a_predicted_ratio_needs_a_predictor() -> None:
    with pytest.raises(SettingsError, match=r"Train one with: pigeon-recsys train ratio"):
        make_generator([], [], ratio_choice="predicted")


def test_tasks_are_painted_a_batch_at_a_time() -> None:
    generator = make_generator([noise(1), noise(2), noise(3)], [noise(50)], batch_size=2)
    assert len(generator.generate([make_task([noise(10)], None)] * 5)) == 5
    assert generator.model.batches == [2, 2, 1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ratio_choice": "best"}, "'sweep', 'predicted' or a number, got 'best'"),
        ({"ratio_choice": 1.5}, "from 0 to 1, got 1.5"),
        ({"ratios": (0.5, -0.1)}, "from 0 to 1, got -0.1"),
        ({"ratios": ()}, "at least one reference-mask ratio, got none"),
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        GeneratorSettings(**changed)  # type: ignore[arg-type]
