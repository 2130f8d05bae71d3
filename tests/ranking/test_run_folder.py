import json
from pathlib import Path

import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.ranking import run_folder
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.ranking.run_folder import load_run
from tests.ranking.planted_world import SETTINGS

Trained = tuple[Path, RankerReport]


def test_the_manifest_tells_data_settings_versions_and_metrics(
    trained: Trained, dataset: DatasetFolder
) -> None:
    run, report = trained
    manifest = json.loads((run / "ranker.json").read_text())
    assert manifest["dataset_fingerprint"] == dataset.fingerprint
    assert manifest["settings"]["history_len"] == SETTINGS.history_len
    assert manifest["report"]["auc"] == report.auc
    assert set(manifest["versions"]) == {"torch", "torchrec", "numpy"}
    assert manifest["num_rows"]["item"] == 80 + SETTINGS.unseen_item_rows


def test_a_saved_run_comes_back_with_its_features(trained: Trained) -> None:
    _, features, manifest = load_run(trained[0])
    assert features.bag_names == ("user", "history", "item", "attribute.shape", "attribute.tags")
    assert manifest["format"] == run_folder.FORMAT


def copy_of(run: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_missing_run_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ranker\.json does not exist.*rank train --data"):
        load_run(tmp_path)


def test_weights_that_were_changed_are_not_loaded(trained: Trained, tmp_path: Path) -> None:
    run = copy_of(trained[0], tmp_path / "run")
    weights = bytearray((run / "ranker.safetensors").read_bytes())
    weights[-1] ^= 1
    (run / "ranker.safetensors").write_bytes(weights)
    with pytest.raises(ArtifactError, match=r"ranker\.safetensors has sha256 .*ranker\.json says"):
        load_run(run)


def test_missing_weights_are_named(trained: Trained, tmp_path: Path) -> None:
    run = copy_of(trained[0], tmp_path / "run")
    (run / "ranker.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"ranker\.safetensors does not exist"):
        load_run(run)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format"'])
def test_a_broken_manifest_is_named(trained: Trained, tmp_path: Path, content: str) -> None:
    run = copy_of(trained[0], tmp_path / "run")
    (run / "ranker.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"ranker\.json is no ranker manifest"):
        load_run(run)


def test_a_manifest_of_another_format_is_refused(trained: Trained, tmp_path: Path) -> None:
    run = copy_of(trained[0], tmp_path / "run")
    (run / "ranker.json").write_text('{"format": "pigeon-recsys ranker 0"}')
    with pytest.raises(ArtifactError, match="has the format 'pigeon-recsys ranker 0'"):
        load_run(run)


@pytest.mark.parametrize("key", ["features", "settings"])
def test_a_manifest_without_its_model_is_refused(
    trained: Trained, tmp_path: Path, key: str
) -> None:
    run = copy_of(trained[0], tmp_path / "run")
    manifest = json.loads((run / "ranker.json").read_text())
    del manifest[key]
    (run / "ranker.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=rf"its weights do not fit \(KeyError\('{key}'\)\)"):
        load_run(run)
