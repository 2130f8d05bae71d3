"""A baseline as a row of the comparison."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.baselines.plain_backbone import shown_history
from pigeon_recsys.alignment.baselines.prompted import Prompted
from pigeon_recsys.evaluation.baselines.baseline_method import BaselineMethod, Studio
from pigeon_recsys.evaluation.methods import Case, Method
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder
from tests.alignment.tiny_pigeon import tiny_backbone


@pytest.fixture
def studio():
    settings = GeneratorSettings(ratios=(0.0, 0.5, 1.0), steps=1)
    backbone = tiny_backbone().requires_grad_(False)
    return Studio(backbone, FakeCatalog(), FakeEmbedder(), settings)


def task_of(catalog, history):
    return GenerationTask(
        user_id="u1",
        history=tuple(HistoryImage(i, catalog.pixels(i)) for i in history),
        history_hash="h",
        reference=Reference("item-09", "a happy sticker"),
        reference_pixels=catalog.pixels("item-09"),
        seed=7,
    )


@dataclass
class Recorded:
    """Writes the same image for everyone and remembers what it was asked."""

    requests: list = field(default_factory=list)

    def write(self, request, sampling, generators):
        self.requests.append((request, sampling, len(generators)))
        return torch.arange(4).expand(len(generators), -1)


def test_it_answers_every_case_with_the_same_picture_each_time(studio):
    method = BaselineMethod("backbone", Prompted(studio.backbone, shown_history), studio)
    assert isinstance(method, Method)
    catalog = studio.catalog
    cases = [
        Case(task_of(catalog, ids), task_of(catalog, ids)) for ids in (["item-01", "item-02"], [])
    ]
    pictures = method.pictures(cases)
    assert [picture.shape for picture in pictures] == [(24, 24, 3)] * 2
    alone = [method.pictures([case])[0] for case in cases]
    assert all(np.array_equal(one, two) for one, two in zip(pictures, alone, strict=True))


def test_a_baseline_paints_as_many_pictures_as_pigeon_and_sees_no_reference_picture(studio):
    baseline = Recorded()
    task = task_of(studio.catalog, ["item-01", "item-02"])
    studio.paint(baseline, task)
    studio.paint(baseline, replace(task, reference_pixels=None))
    (request, sampling, num_images), (without, _, _) = baseline.requests
    assert num_images == 3
    assert sampling == studio.settings.sampling
    assert (request.text, request.seed) == ("a happy sticker", 7)
    captions = tuple(studio.catalog.item(i).instruction for i in ("item-01", "item-02"))
    assert request.captions == without.captions == captions
    assert torch.equal(request.history_HT, without.history_HT)


def test_only_the_newest_pictures_that_pigeon_takes_are_shown(studio):
    ids = [f"item-{n:02d}" for n in range(8)]
    request = studio.request(task_of(studio.catalog, ids))
    newest = studio.request(task_of(studio.catalog, ids[-5:]))
    assert torch.equal(request.history_HT, newest.history_HT)
    assert len(request.history_HT) == len(request.captions) == 5
