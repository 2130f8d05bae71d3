"""The stand-in: trained on pictures and texts alone, saved small, apart from what selects."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.evaluation import evaluator_training
from pigeon_recsys.evaluation.evaluator_training import (
    EvaluatorData,
    quality,
    train_evaluator,
    view_recalls,
)
from pigeon_recsys.evaluation.evaluators import EvaluatorFiles, Evaluators
from pigeon_recsys.evaluation.methods import Generated
from pigeon_recsys.evaluation.stand_in import LABEL, StandIn, StandInCaptions, StandInViews

MAX_BYTES = 2_000_000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "world"
    return DatasetFolder.open(
        generate_world(folder, num_items=50, num_users=3, seed=4, size=64).folder
    )


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluator")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator_training, "BATCH", 8)
        sheet = train_evaluator(dataset, out, steps=2, seed=3)
    return out, sheet


def test_the_sheet_says_what_it_was_trained_on_and_how_good_it_is(trained, dataset):
    out, sheet = trained
    assert json.loads((out / "evaluator.json").read_text()) == sheet
    assert sheet["dataset"]["fingerprint"] == dataset.fingerprint
    recalls = {"view_recall_at_1", "view_recall_at_1_of_same_text", "text_in_nearest_5"}
    assert set(sheet["quality"]) == {"items", *recalls, "caption_recall_at_10"}
    assert sheet["weights_bytes"] == (out / "evaluator.safetensors").stat().st_size < MAX_BYTES


def test_training_never_reads_a_like(dataset):
    assert "history" not in inspect.getsource(evaluator_training)
    data = EvaluatorData.read(dataset)
    assert data.pixels.shape == (50, 64, 64, 3)
    assert len(data.buckets) == 50


def test_batches_hold_pictures_with_the_same_text_side_by_side(dataset):
    """Of runs of four rows in the order of 3 texts of 4 pictures, half share one text or more."""
    data = replace(
        EvaluatorData.read(dataset),
        pixels=np.zeros((12, 1, 1, 3), np.uint8),
        caption_N=torch.tensor([0, 1, 2] * 4),
        by_caption_N=torch.tensor([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]),
    )
    rows = data.draw(400, torch.Generator().manual_seed(0)).view(-1, 4)
    assert len(rows) == 100
    neighbours = data.caption_N[rows]
    assert (neighbours[:, 1:] == neighbours[:, :-1]).float().mean() > 0.6  # 0.27 if by chance


def test_data_lists_rows_in_the_order_of_their_texts(dataset):
    data = EvaluatorData.read(dataset)
    ordered = data.caption_N[data.by_caption_N]
    assert (ordered.diff() >= 0).all()
    assert sorted(data.by_caption_N.tolist()) == list(range(50))


def test_recalls_count_the_picture_itself_its_text_and_its_style():
    """Of pictures 0 to 3 the first two share a text; picture 0 is tried and looks like 2 most.

    So it is not found first, but it is nearer to itself than to 1, and its text is among the
    three there are. Picture 3 is found, and shares its text with none.
    """
    similarity = torch.tensor([[0.8, 0.5, 0.9, 0.1], [0.1, 0.2, 0.3, 0.9]])
    caption = torch.tensor([0, 0, 1, 2])
    assert view_recalls(similarity, torch.tensor([0, 3]), caption) == {
        "view_recall_at_1": 0.5,
        "view_recall_at_1_of_same_text": 1.0,
        "text_in_nearest_5": 1.0,
    }


def test_where_no_two_pictures_share_a_text_none_is_told_from_its_likes(trained, dataset):
    """A poster has a title of its own."""
    data = replace(EvaluatorData.read(dataset), caption_N=torch.arange(50))
    found = quality(StandIn.load(trained[0] / "evaluator.safetensors"), data)
    assert found["view_recall_at_1_of_same_text"] is None
    assert found["items"] == 50


def test_both_spaces_give_unit_vectors_of_pictures_of_any_size(trained):
    stand_in = StandIn.load(trained[0] / "evaluator.safetensors")
    pictures = [np.full((30, 50, 3), 90, np.uint8), np.full((64, 64, 3), 20, np.uint8)]
    for space in (StandInCaptions(stand_in), StandInViews(stand_in)):
        vectors = space.image_vectors(pictures)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert StandInCaptions(stand_in).text_vectors(["a happy cat"]).shape == (1, vectors.shape[1])


def test_the_stand_in_takes_every_place_and_is_named_so(trained):
    found = Evaluators.load(EvaluatorFiles(stand_in=trained[0] / "evaluator.safetensors"))
    assert set(found.hashes()) == {LABEL}
    names = [getattr(measure, "metric", "CS") for measure in found.measures(72, 72)]
    assert names == ["SSIM", "MS-SSIM of 3 scales", "LPIPS", "CIS", "CS", "DIS"]
    pictures = [np.full((72, 72, 3), 10 * n, np.uint8) for n in range(3)]
    assert found.frechet is not None
    assert found.frechet.distance(pictures, pictures) == pytest.approx(0, abs=1e-3)


def test_the_network_that_selects_is_refused_as_evaluator(trained, tmp_path):
    """A copy under another name, in another folder, is still the same network."""
    path = trained[0] / "evaluator.safetensors"
    copy = tmp_path / "embedder.safetensors"
    state = StandIn.load(path).network.state_dict()
    save_weights(copy, {f"encoder.{name}": value for name, value in state.items()})
    method = Generated("Pigeon", None, list, (copy,))
    with pytest.raises(
        SettingsError,
        match=f"{LABEL} evaluates and embedder.safetensors selects pictures, but they share",
    ):
        Evaluators.load(EvaluatorFiles(stand_in=path)).check_apart_from([method])


def test_without_networks_only_pixels_are_compared():
    names = [measure.metric for measure in Evaluators().measures(72, 72)]
    assert names == ["SSIM", "MS-SSIM of 3 scales"]
    assert Evaluators().hashes() == {}


def test_bad_input_is_refused(dataset, tmp_path):
    with pytest.raises(SettingsError, match="steps must be at least 1, got 0"):
        train_evaluator(dataset, tmp_path, steps=0)
    with pytest.raises(ArtifactError, match="is missing.*pigeon-recsys train evaluator --data DIR"):
        StandIn.load(tmp_path / "none.safetensors")
