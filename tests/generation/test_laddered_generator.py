"""The three ways to a picture: what each writes and paints, and that provenance can repeat it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import GenerationError, SettingsError
from pigeon_recsys.generation.laddered_generator import LadderedPigeon, QuickSettings
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.model.inference import PigeonModel, SweepOrder
from pigeon_recsys.records import Pixels, Vectors, content_hash
from pigeon_recsys.testing.fakes import FakeEmbedder, FakeIndex
from pigeon_recsys.testing.generator_contract import make_task
from pigeon_recsys.wiring import SHIPPED_WEIGHTS
from tests.generation.test_pigeon_generator import RATIOS, PaintingModel, make_generator, noise

PICTURES = [noise(1), noise(2), noise(3)]


class CountingEmbedder(FakeEmbedder):
    """Counts the pictures of each call."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        self.counts.append(len(images))
        return super().embed(images)


def model_of(ladder: LadderedPigeon) -> PaintingModel:
    model: PaintingModel = ladder.fresh.model  # type: ignore[assignment]
    return model


def test_the_quick_way_writes_and_paints_one_ratio_in_few_steps() -> None:
    ladder = LadderedPigeon(make_generator(PICTURES, []), quick=QuickSettings(0.25, steps=2))
    (made,) = ladder.quick([make_task()])
    assert [call["ratios"] for call in model_of(ladder).calls] == [(0.25,)]
    assert model_of(ladder).painted == [{"ratios": (0.25,), "seed": 1, "steps": 2}]
    assert (made.provenance.steps, made.provenance.reference_mask_ratio) == (2, 0.25)


def test_the_quick_way_never_takes_more_steps_than_the_full_one() -> None:
    ladder = LadderedPigeon(make_generator(PICTURES, [], steps=0))
    assert ladder.quick([make_task()])[0].provenance.steps == 0


def test_a_redraw_writes_nothing_and_paints_the_chosen_ratio_in_all_steps() -> None:
    ladder = LadderedPigeon(make_generator(PICTURES, []))
    (made,) = ladder.generate([make_task(seed=1)])
    ladder.redraw(make_task(seed=2))
    ratio = made.provenance.reference_mask_ratio
    assert len(model_of(ladder).calls) == 1
    assert model_of(ladder).painted[-1] == {"ratios": (ratio,), "seed": 2, "steps": 3}


def test_a_redraw_embeds_its_picture_and_nothing_else() -> None:
    """History and reference were embedded with the fresh picture, and take longer than painting."""
    embedder = CountingEmbedder()
    ladder = LadderedPigeon(replace(make_generator(PICTURES, []), embedder=embedder))
    ladder.generate([make_task(num_history=3, seed=1)])
    assert embedder.counts == [len(RATIOS) + 3 + 1]
    model_of(ladder).pictures = [noise(9)] * 3
    ladder.redraw(make_task(num_history=3, seed=2))
    assert embedder.counts[1:] == [1]


def test_the_scores_of_the_sweep_are_kept() -> None:
    ladder = LadderedPigeon(make_generator(PICTURES, []))
    (made,) = ladder.generate([make_task()])
    kept = ladder.kept(make_task(seed=9))
    assert kept is not None
    assert kept.ratio_scores == tuple((i.reference_mask_ratio, i.score) for i in made.sweep)
    assert [ratio for ratio, _ in kept.ratio_scores] == list(RATIOS)


def test_a_redraw_passes_the_same_checks_and_nothing_of_a_refused_picture_is_kept() -> None:
    """The second picture is blank; one of another user is so from the start."""
    ladder = LadderedPigeon(make_generator(PICTURES, []))
    ladder.generate([make_task(seed=1)])
    blank = np.full((12, 12, 3), 200, np.uint8)
    model_of(ladder).pictures = [blank] * 3
    with pytest.raises(GenerationError, match="the picture is blank"):
        ladder.redraw(make_task(seed=2))
    other = replace(make_task(), user_id="bob")
    with pytest.raises(GenerationError, match="the picture is blank"):
        ladder.generate([other])
    assert ladder.redraw(other) is None


def test_what_is_made_while_a_user_is_forgotten_is_not_kept() -> None:
    ladder = LadderedPigeon(make_generator(PICTURES, []))
    paint = model_of(ladder).paint

    def paint_while_erased(written, **options):  # type: ignore[no-untyped-def]
        ladder.forget("ada")
        return paint(written, **options)

    model_of(ladder).paint = paint_while_erased  # type: ignore[method-assign]
    assert ladder.generate([make_task()])
    assert ladder.redraw(make_task()) is None


@pytest.mark.parametrize(
    ("quick", "message"),
    [
        (QuickSettings(ratio=1.5), "from 0 to 1, got 1.5"),
        (QuickSettings(ratio="predicted"), "needs a ratio predictor, got none"),
        (QuickSettings(steps=-1), "steps must be at least 0, got -1"),
    ],
)
def test_impossible_quick_settings_are_refused(quick: QuickSettings, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        LadderedPigeon(make_generator(PICTURES, []), quick=quick)


def test_provenance_makes_a_redrawn_picture_again() -> None:
    """From both seeds, ratio and steps alone, without a cache."""
    model = PigeonModel.load(SHIPPED_WEIGHTS)
    settings = GeneratorSettings(ratios=(0.2, 0.8), steps=2)
    index = FakeIndex([], np.zeros((0, FakeEmbedder().dim), np.float32))
    ladder = LadderedPigeon(PigeonGenerator(model, FakeEmbedder(), index, settings))
    ladder.generate([make_task(seed=1)])
    task = make_task(seed=2)
    redrawn = ladder.redraw(task)
    assert redrawn is not None
    told = redrawn.provenance
    assert told.token_seed is not None
    order = SweepOrder(
        [image.pixels for image in task.history],
        task.reference_pixels,
        told.reference.text,
        (told.reference_mask_ratio,),
        told.token_seed,
    )
    (written,) = model.write_tokens([order], sampling=settings.sampling)
    (pixels,) = model.paint(written, seed=told.seed, steps=told.steps)
    assert content_hash(pixels) == told.content_hash
