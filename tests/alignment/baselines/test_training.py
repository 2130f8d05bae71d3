"""Training a baseline on a dataset: what moves, what stays, and what is refused."""

import json

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.baselines.trained_baseline import (
    FrozenBackbone,
    load_preference,
    new_preference,
)
from pigeon_recsys.alignment.baselines.training import (
    CaptionedExamples,
    train_baseline,
    train_preference,
)
from pigeon_recsys.alignment.examples import Examples
from pigeon_recsys.alignment.loop import LoopSettings
from pigeon_recsys.alignment.recipe import StageRecipe
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.model.checkpoint import save_pigeon
from tests.alignment.baselines.weighing import fingerprint
from tests.alignment.tiny_pigeon import NUM_ITEMS, save_tiny_run, tiny_items, tiny_pigeon

STAGE = StageRecipe(steps=2, batch_size=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=20, seed=4, size=64)
    return DatasetFolder.open(folder)


@pytest.fixture
def run(tmp_path, dataset):
    pigeon = tiny_pigeon()
    save_tiny_run(tmp_path / "run", pigeon)
    training = {"dataset": dataset.name, "fingerprint": dataset.fingerprint}
    save_pigeon(tmp_path / "run", pigeon, training)
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["pmg", "ip-adapter"])
def test_training_lowers_the_loss_and_leaves_the_backbone_alone(name, backbone, dataset, tmp_path):
    """All windows of these users end in the same picture, told in the same words."""
    torch.manual_seed(0)
    module = new_preference(name, backbone, dataset)
    window = np.random.default_rng(0).integers(NUM_ITEMS, size=(8, 6))
    window[:, -1] = 3
    examples = Examples(tiny_items(tiny_pigeon()), window, window[:2])
    data = CaptionedExamples(examples, tuple(f"sticker {n}" for n in range(NUM_ITEMS)))
    before = fingerprint(backbone)
    start = {key: value.clone() for key, value in module.state_dict().items()}
    settings = LoopSettings(steps=12, learning_rate=2e-2, warmup_steps=1, log_every=1)
    report = train_preference(name, module, backbone, data, settings, tmp_path, batch_size=4)
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses[-1] < losses[0] - 0.02  # an untrained model hardly listens
    assert report.metrics["validation_loss"] < losses[0]
    assert all(not torch.equal(value, start[key]) for key, value in module.state_dict().items())
    assert fingerprint(backbone) == before


@pytest.mark.parametrize("name", ["pmg", "ip-adapter"])
def test_a_trained_baseline_is_read_back_with_its_backbone(name, dataset, run, tmp_path):
    out = tmp_path / "baselines"
    report = train_baseline(name, dataset, run, out, STAGE, seed=0)
    assert report.steps == 2
    frozen = FrozenBackbone.load(run)
    module = load_preference(out, name, frozen, dataset)
    again = tmp_path / "again"
    train_baseline(name, dataset, run, again, STAGE, seed=0)
    for key, value in load_preference(again, name, frozen, dataset).state_dict().items():
        assert torch.equal(value, module.state_dict()[key])
    content = json.loads((out / f"{name}.json").read_text())
    assert content["backbone"] == frozen.version
    assert content["training"]["fingerprint"] == dataset.fingerprint
    assert not list(out.glob("*.checkpoint.pt"))


def test_a_baseline_of_another_backbone_is_refused(dataset, run, tmp_path):
    out = tmp_path / "baselines"
    train_baseline("ip-adapter", dataset, run, out, STAGE, seed=0)
    frozen = FrozenBackbone.load(run)
    other = FrozenBackbone(frozen.backbone, "0123456789ab")
    with pytest.raises(ArtifactError, match="was trained on backbone .*, not on 0123456789ab"):
        load_preference(out, "ip-adapter", other, dataset)


def test_an_untrained_baseline_says_how_to_train_it(dataset, run, tmp_path):
    fault = r"pmg\.json is missing\. Rebuild it with: pigeon-recsys train baseline --name pmg"
    with pytest.raises(ArtifactError, match=fault):
        load_preference(tmp_path, "pmg", FrozenBackbone.load(run), dataset)


def test_data_that_the_run_was_not_trained_on_are_refused(dataset, run, tmp_path):
    save_pigeon(run, tiny_pigeon(), {"dataset": "elsewhere", "fingerprint": "abc"})
    with pytest.raises(SettingsError, match="was trained on 'elsewhere' with fingerprint abc"):
        train_baseline("pmg", dataset, run, tmp_path / "baselines", STAGE, seed=0)


def test_an_unknown_baseline_lists_those_that_can_be_trained(backbone, dataset):
    with pytest.raises(SettingsError, match="no baseline 'dall-e' to train. Choose among: pmg"):
        new_preference("dall-e", backbone, dataset)
