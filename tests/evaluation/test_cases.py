"""The requests every method answers: new references, two histories, users never trained on."""

import json

import numpy as np
import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.cases import CaseSource, users_never_trained_on
from pigeon_recsys.evaluation.truth import read_truth
from pigeon_recsys.retrieval.faiss_index import FaissIndex


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "world"
    dataset = DatasetFolder.open(
        generate_world(folder, num_items=60, num_users=12, seed=4, size=64).folder
    )
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return CaseSource(dataset, FaissIndex.build(dataset.item_ids, vectors), read_truth(dataset))


def test_a_reference_is_new_to_its_user_and_every_user_has_one_case(source):
    cases = source.draw(source.dataset.user_ids, 6, seed=1)
    assert len({case.user_id for case in cases}) == 6
    for case in cases:
        met = source.dataset.history(case.user_id).item_ids
        assert case.task.reference.item_id not in met
        assert case.target is not None


def test_the_swapped_task_differs_in_the_history_alone(source):
    """The other user is the next case's, and the last case takes the first one's."""
    cases = source.draw(source.dataset.user_ids, 3, seed=1)
    for case, other in zip(cases, [*cases[1:], cases[0]], strict=True):
        assert case.swapped.history_hash == other.task.history_hash != case.task.history_hash
        assert case.swapped.reference == case.task.reference
        assert (case.swapped.seed, case.swapped.user_id) == (case.task.seed, case.user_id)


def test_the_same_seed_draws_the_same_cases(source):
    one, two = (source.draw(source.dataset.user_ids, 4, seed=2) for _ in range(2))
    assert [case.task.reference for case in one] == [case.task.reference for case in two]


def test_data_the_weights_were_trained_on_is_asked_of_test_users_only(source, tmp_path):
    training = {"training": {"fingerprint": source.dataset.fingerprint}}
    (tmp_path / "pigeon.json").write_text(json.dumps(training))
    users = users_never_trained_on(source.dataset, tmp_path)
    assert all(user_split(user) == "test" for user in users)
    (tmp_path / "pigeon.json").write_text("{}")
    assert users_never_trained_on(source.dataset, tmp_path) == source.dataset.user_ids


def test_too_few_or_too_many_users_are_refused(source):
    with pytest.raises(SettingsError, match="users must be from 2 to the 12 .* got 1"):
        source.draw(source.dataset.user_ids, 1)
    with pytest.raises(SettingsError, match="from 2 to the 12 that may be asked for, got 13"):
        source.draw(source.dataset.user_ids, 13)


def test_a_user_who_has_met_everything_is_named(source, monkeypatch):
    monkeypatch.setattr(type(source.truth), "allows", lambda *_: False)
    with pytest.raises(SettingsError, match="no reference was found for user 'w4-u"):
        source.draw(source.dataset.user_ids, 2)
