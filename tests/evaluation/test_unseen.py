"""What weights have not seen of a dataset follows from their card and the data alone."""

import json

import numpy as np
import pytest

from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.unseen import UnseenPart, users_never_trained_on
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from tests.evaluation.styled_catalog import many_styled, write_styled

RULE = {"attribute": "concept", "share": 0.5}


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    return many_styled(tmp_path_factory.mktemp("data") / "styled", num_users=40)


def write_card(folder, training):
    (folder / "pigeon.json").write_text(json.dumps({"training": training}))


def trained(folder, dataset, withhold=RULE):
    write_card(folder, {"fingerprint": dataset.fingerprint, "recipe": {"withhold": withhold}})
    return UnseenPart.of(dataset, folder)


def index_of(dataset):
    vectors = np.random.default_rng(0).normal(size=(len(dataset.item_ids), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return FaissIndex.build(dataset.item_ids, vectors)


def test_data_the_weights_were_trained_on_is_asked_of_test_users_only(styled, tmp_path):
    write_card(tmp_path, {"fingerprint": styled.fingerprint})
    users = users_never_trained_on(styled, tmp_path)
    assert users
    assert all(user_split(user) == "test" for user in users)
    (tmp_path / "pigeon.json").write_text("{}")
    assert users_never_trained_on(styled, tmp_path) == styled.user_ids


def test_withheld_pictures_are_gone_from_catalog_and_histories(styled, tmp_path):
    part = trained(tmp_path, styled)
    assert part.withheld == Withholding(**RULE).items(styled)
    assert part.withheld.isdisjoint(part.catalog.item_ids)
    liked = {row.item_id for row in styled.interactions}
    assert part.withheld & liked, "some of them were liked"
    assert part.withheld.isdisjoint(row.item_id for row in part.catalog.interactions)
    count = len(part.withheld)
    assert part.told()["withheld"] == f"{count} pictures of {count} concepts"


def test_weights_of_other_data_or_without_a_rule_withhold_nothing(styled, tmp_path):
    write_card(tmp_path, {"fingerprint": "other", "recipe": {"withhold": RULE}})
    assert UnseenPart.of(styled, tmp_path).withheld == frozenset()
    part = trained(tmp_path, styled, withhold=None)
    assert part.withheld == frozenset()
    assert part.catalog.item_ids == styled.item_ids
    assert part.told() == {}


def test_users_whose_history_is_too_thin_are_left_out_and_counted(tmp_path):
    """Five history images: u1 has five likes, u2 four."""
    pictures = {f"flat-c{number}": number for number in range(9)}
    likes = {"u1": list(pictures)[:5], "u2": list(pictures)[5:]}
    dataset = write_styled(tmp_path / "styled", pictures, {"u1": "flat", "u2": "flat"}, likes)
    part = UnseenPart.of(dataset, tmp_path)
    assert part.user_ids == ("u1",)
    assert part.told() == {"users_left_out": "1 with fewer than 5 likes"}


def test_an_index_that_holds_a_withheld_picture_is_refused(styled, tmp_path):
    part = trained(tmp_path, styled)
    part.check_not_in(index_of(part.catalog))
    with pytest.raises(SettingsError, match=r"the index holds '.*', which training withheld"):
        part.check_not_in(index_of(styled))
