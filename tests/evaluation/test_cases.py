"""The requests every method answers: new references, two histories, users never trained on."""

import numpy as np
import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.cases import CaseSource
from pigeon_recsys.evaluation.truth import read_truth
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from tests.evaluation.styled_catalog import write_styled


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


def test_further_cases_come_in_rounds_and_no_user_is_asked_for_the_same_twice(source):
    """Three rounds of four users; the first is what one case a user draws."""
    users = source.dataset.user_ids
    cases = source.draw(users, 4, cases_per_user=3, seed=2)
    order = [case.user_id for case in cases]
    assert order == order[:4] * 3
    assert len({case.task.seed for case in cases}) == 12
    for user_id in order[:4]:
        own = [case.task.reference.item_id for case in cases if case.user_id == user_id]
        assert len({source.truth.content(item_id) for item_id in own}) == 3
    single = source.draw(users, 4, seed=2)
    drawn = [(case.user_id, case.task.reference, case.task.seed) for case in cases[:4]]
    assert drawn == [(case.user_id, case.task.reference, case.task.seed) for case in single]


def test_a_user_who_was_asked_for_everything_has_fewer_cases(tmp_path):
    """u1 wants noto: only cat and dog exist in it and elsewhere; u2 can be asked for three."""
    pictures = {
        f"{style}-{concept}": 7 * number
        for number, (style, concept) in enumerate(
            [(s, c) for s in ("flat", "noto") for c in ("cat", "dog", "owl")][:5]
        )
    }
    dataset = write_styled(
        tmp_path / "styled",
        {**pictures, "line-owl": 90, "flat-fox": 91, "line-fox": 92},
        {"u1": "noto", "u2": "flat"},
        {"u1": ["flat-fox"], "u2": ["line-fox"]},
    )
    vectors = np.eye(len(dataset.item_ids), dtype=np.float32)
    source = CaseSource(dataset, FaissIndex.build(dataset.item_ids, vectors), read_truth(dataset))
    cases = source.draw(("u1", "u2"), 2, cases_per_user=4)
    assert sorted(case.user_id for case in cases) == ["u1"] * 2 + ["u2"] * 3


def test_too_few_or_too_many_users_are_refused(source):
    with pytest.raises(SettingsError, match="users must be from 2 to the 12 .* got 1"):
        source.draw(source.dataset.user_ids, 1)
    with pytest.raises(SettingsError, match="from 2 to the 12 that may be asked for, got 13"):
        source.draw(source.dataset.user_ids, 13)


def test_a_user_who_has_met_everything_is_named(source, monkeypatch):
    monkeypatch.setattr(type(source.truth), "allows", lambda *_: False)
    with pytest.raises(SettingsError, match="no reference was found for user 'w4-u"):
        source.draw(source.dataset.user_ids, 2)
