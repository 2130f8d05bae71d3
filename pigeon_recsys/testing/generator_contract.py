"""What every image generator must do; inherit and supply `make_generator`.

class TestMyGenerator(ImageGeneratorContract):
    def make_generator(self):
        return MyGenerator(...)
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.ports import ImageGenerator
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
