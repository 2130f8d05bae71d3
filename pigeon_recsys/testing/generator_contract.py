"""What every image generator must do; inherit and supply `make_generator`.

class TestMyGenerator(ImageGeneratorContract):
    def make_generator(self):
        return MyGenerator(...)

One that has cheaper ways too inherits `LadderedGeneratorContract`, and supplies the same.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.ports import ImageGenerator, LadderedGenerator
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference, content_hash
from pigeon_recsys.testing.fakes import FakeCatalog

SIDE = 24  # pixels of the pictures given


def make_task(num_history: int = 3, *, seed: int = 1, with_picture: bool = True) -> GenerationTask:
    """Return a task over plain-coloured pictures."""
    catalog = FakeCatalog(side=SIDE)
    liked = catalog.item_ids[:num_history]
    reference_id = catalog.item_ids[-1]
    return GenerationTask(
        user_id="ada",
        history=tuple(HistoryImage(item_id, catalog.pixels(item_id)) for item_id in liked),
        history_hash="0123456789abcdef",
        reference=Reference(reference_id if with_picture else None, "a happy cat"),
        reference_pixels=catalog.pixels(reference_id) if with_picture else None,
        seed=seed,
    )


class ImageGeneratorContract(ABC):
    """Inherit and supply `make_generator`."""

    @abstractmethod
    def make_generator(self) -> ImageGenerator:
        """Return a generator."""

    @pytest.fixture
    def generator(self) -> ImageGenerator:
        """The generator under test."""
        return self.make_generator()

    def test_it_has_the_methods_of_the_port(self, generator: ImageGenerator) -> None:
        assert isinstance(generator, ImageGenerator)

    def test_it_has_a_version(self, generator: ImageGenerator) -> None:
        assert generator.version
        assert generator.version == self.make_generator().version

    def test_each_task_gets_its_generation_in_order(self, generator: ImageGenerator) -> None:
        tasks = [make_task(seed=1), replace(make_task(seed=2), user_id="bob")]
        made = generator.generate(tasks)
        assert [generation.provenance.user_id for generation in made] == ["ada", "bob"]

    def test_no_tasks_give_no_generations(self, generator: ImageGenerator) -> None:
        assert generator.generate([]) == []

    def test_the_same_task_gives_the_same_pixels(self, generator: ImageGenerator) -> None:
        first, again = generator.generate([make_task(), make_task()])
        np.testing.assert_array_equal(first.pixels, again.pixels)
        assert first.item_id == again.item_id

    def test_a_picture_is_rgb_bytes(self, generator: ImageGenerator) -> None:
        (made,) = generator.generate([make_task()])
        assert made.pixels.dtype == np.uint8
        assert made.pixels.ndim == 3
        assert made.pixels.shape[2] == 3

    def test_provenance_names_the_pixels(self, generator: ImageGenerator) -> None:
        (made,) = generator.generate([make_task()])
        assert made.provenance.content_hash == content_hash(made.pixels)

    def test_the_picture_is_one_of_the_sweep(self, generator: ImageGenerator) -> None:
        (made,) = generator.generate([make_task()])
        assert any(np.array_equal(image.pixels, made.pixels) for image in made.sweep)

    def test_every_history_picture_has_its_mask(self, generator: ImageGenerator) -> None:
        task = make_task(num_history=4)
        (made,) = generator.generate([task])
        named = [mask.item_id for mask in made.history_masks]
        assert named == [image.item_id for image in task.history]

    @pytest.mark.parametrize("num_history", [0, 1, 5])
    def test_any_length_of_history_will_do(
        self, generator: ImageGenerator, num_history: int
    ) -> None:
        (made,) = generator.generate([make_task(num_history)])
        assert len(made.history_masks) == num_history

    def test_a_text_alone_is_a_reference(self, generator: ImageGenerator) -> None:
        (made,) = generator.generate([make_task(with_picture=False)])
        assert made.provenance.reference.item_id is None

    def test_provenance_repeats_the_task(self, generator: ImageGenerator) -> None:
        task = make_task(seed=7)
        (made,) = generator.generate([task])
        provenance = made.provenance
        assert provenance.history_hash == task.history_hash
        assert provenance.reference == task.reference
        assert provenance.seed == 7
        assert made.item_id == f"gen-{provenance.content_hash[:16]}"


def made_again(task: GenerationTask) -> dict[str, GenerationTask]:
    """Return tasks that look like one made before, and are not equal to it."""
    another = HistoryImage("item-07", FakeCatalog(side=SIDE).pixels("item-07"))
    return {
        "the history changed": replace(task, history_hash="fedcba9876543210"),
        "another history picture": replace(task, history=(*task.history[:-1], another)),
        "other words": replace(task, reference=replace(task.reference, text="a sad cat")),
        "odd words": replace(task, reference=replace(task.reference, text="\ud800\0" * 9)),
        "a user of the same history": replace(task, user_id="ada\n"),
    }


class LadderedGeneratorContract(ImageGeneratorContract):
    """Inherit and supply `make_generator`; one that keeps nothing of other tests, or forgets."""

    @abstractmethod
    def make_generator(self) -> LadderedGenerator:
        """Return a generator."""

    @pytest.fixture
    def generator(self) -> LadderedGenerator:
        """The generator under test, which knows nothing of `ada` yet."""
        generator = self.make_generator()
        generator.forget("ada")
        return generator

    def test_it_has_the_ways_of_the_port(self, generator: LadderedGenerator) -> None:
        assert isinstance(generator, LadderedGenerator)

    def test_the_quick_way_makes_each_task_in_order(self, generator: LadderedGenerator) -> None:
        tasks = [make_task(seed=1), replace(make_task(seed=2), user_id="bob")]
        made = generator.quick(tasks)
        assert [each.provenance.user_id for each in made] == ["ada", "bob"]
        assert [each.provenance.seed for each in made] == [1, 2]
        assert generator.quick([]) == []

    def test_the_quick_way_gives_the_same_pixels_again(self, generator: LadderedGenerator) -> None:
        first, again = (generator.quick([make_task()])[0] for _ in range(2))
        np.testing.assert_array_equal(first.pixels, again.pixels)
        assert first.provenance.content_hash == content_hash(first.pixels)

    def test_nothing_is_redrawn_before_anything_was_made(
        self, generator: LadderedGenerator
    ) -> None:
        assert generator.redraw(make_task()) is None

    @pytest.mark.parametrize("way", ["generate", "quick"])
    def test_what_was_made_is_redrawn_from_another_seed(
        self, generator: LadderedGenerator, way: str
    ) -> None:
        (made,) = getattr(generator, way)([make_task(seed=1)])
        redrawn = generator.redraw(make_task(seed=2))
        again = generator.redraw(make_task(seed=2))
        assert redrawn is not None
        assert again is not None
        np.testing.assert_array_equal(redrawn.pixels, again.pixels)
        told = redrawn.provenance
        assert (told.seed, told.token_seed) == (2, 1)
        assert told.reference_mask_ratio == made.provenance.reference_mask_ratio
        assert told.content_hash == content_hash(redrawn.pixels)
        assert redrawn.item_id == f"gen-{told.content_hash[:16]}"
        assert redrawn.history_masks == made.history_masks

    def test_a_full_picture_was_painted_from_its_own_seed(
        self, generator: LadderedGenerator
    ) -> None:
        (full,), (quick,) = generator.generate([make_task()]), generator.quick([make_task()])
        assert full.provenance.token_seed is None
        assert quick.provenance.token_seed is None

    def test_a_quick_picture_does_not_replace_what_a_full_one_left(
        self, generator: LadderedGenerator
    ) -> None:
        generator.generate([make_task(seed=1)])
        generator.quick([make_task(seed=2)])
        redrawn = generator.redraw(make_task(seed=3))
        assert redrawn is not None
        assert redrawn.provenance.token_seed == 1

    @pytest.mark.parametrize("change", made_again(make_task()))
    def test_another_task_is_not_redrawn(self, generator: LadderedGenerator, change: str) -> None:
        generator.generate([make_task()])
        assert generator.redraw(made_again(make_task())[change]) is None

    def test_a_user_who_is_forgotten_is_not_redrawn(self, generator: LadderedGenerator) -> None:
        generator.generate([make_task(), make_task(with_picture=False)])
        generator.generate([replace(make_task(), user_id="bob")])
        assert generator.forget("ada") == 2
        assert generator.forget("ada") == 0
        assert generator.redraw(make_task()) is None
        assert generator.redraw(replace(make_task(), user_id="bob")) is not None
