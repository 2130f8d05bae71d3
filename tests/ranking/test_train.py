import json
import sys
from pathlib import Path

import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split, users_in
from pigeon_recsys.errors import DatasetError, MissingExtra, OutputError
from pigeon_recsys.ranking import run_folder
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.ranking.run_folder import load_run
from pigeon_recsys.ranking.train import _num_epochs, train_ranker
from pigeon_recsys.testing.fakes import FakeIndex
from tests.ranking.planted_world import SETTINGS, USER_IDS, write_folder

Trained = tuple[Path, RankerReport]


def test_it_ranks_unseen_interactions_by_the_planted_taste(trained: Trained) -> None:
    """Half of the drawn negatives are of the liked style, so 0.75 and a little is the most."""
    assert trained[1].auc > 0.7
    assert trained[1].log_loss < trained[1].log_loss_of_base_rate


def test_the_report_holds_intervals_lists_and_honesty(trained: Trained) -> None:
    report = trained[1]
    assert report.auc_interval.low < report.auc < report.auc_interval.high
    assert report.ndcg_at_10_of_chance < report.ndcg_at_10_interval.low
    assert 0 <= report.calibration_error < 0.2
    assert len(report.epoch_losses) >= SETTINGS.epochs
    assert report.epoch_losses[-1] == report.train_loss < report.epoch_losses[0]
    assert report.num_processes == 1


def test_it_ranks_without_item_ids_too(trained: Trained) -> None:
    assert trained[1].auc_without_item_id > 0.7


def test_it_ranks_for_users_it_never_saw(trained: Trained) -> None:
    assert trained[1].auc_new_users is not None
    assert trained[1].auc_new_users > 0.6


def test_test_users_change_nothing(trained: Trained, index: FakeIndex, tmp_path: Path) -> None:
    """The planted world without its test users gives the same weights."""
    others = [user for user in USER_IDS if user_split(user) != "test"]
    assert len(others) < len(USER_IDS)
    train_ranker(write_folder(tmp_path / "folder", others), index, tmp_path / "run", SETTINGS)
    assert weights_hash(tmp_path / "run") == weights_hash(trained[0])


def weights_hash(run: Path) -> str:
    return str(json.loads((run / "ranker.json").read_text())["weights_sha256"])


def test_a_saved_run_scores_as_before(trained: Trained) -> None:
    _, features, manifest = load_run(trained[0])
    assert features.bag_names == ("user", "history", "item", "attribute.shape", "attribute.tags")
    assert manifest["format"] == run_folder.FORMAT


def test_a_dataset_without_likes_of_training_users_is_refused(
    tmp_path: Path, index: FakeIndex
) -> None:
    dataset = write_folder(tmp_path / "folder", users_in(USER_IDS, "test"))
    with pytest.raises(DatasetError, match="no like of a training user lies in the older part"):
        train_ranker(dataset, index, tmp_path / "run", SETTINGS)
    assert not list((tmp_path / "run").iterdir())


def test_a_run_folder_that_cannot_be_written_stops_before_any_work(
    tmp_path: Path, dataset: DatasetFolder, index: FakeIndex
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):
        train_ranker(dataset, index, tmp_path / "file" / "run", SETTINGS)


def test_without_torchrec_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: DatasetFolder, index: FakeIndex
) -> None:
    monkeypatch.setitem(sys.modules, "pigeon_recsys.ranking.torchrec_ranker", None)
    monkeypatch.delattr("pigeon_recsys.ranking.torchrec_ranker")
    with pytest.raises(MissingExtra, match=r'pip install "pigeon-recsys\[torchrec\]"'):
        train_ranker(dataset, index, tmp_path, SETTINGS)


def test_a_small_dataset_is_passed_over_until_the_least_number_of_steps() -> None:
    """300 rows make 3 steps of 128 a pass: 80 steps take 27 passes; 12,800 rows take 2."""
    assert _num_epochs(300, SETTINGS) == 27
    assert _num_epochs(12_800, SETTINGS) == SETTINGS.epochs == 2
