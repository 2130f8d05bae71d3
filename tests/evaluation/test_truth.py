"""What a user would want to see: drawn in a sticker world, found in a catalog of styles."""

import numpy as np
import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation.truth import CatalogTruth, DrawnTruth, read_truth
from tests.evaluation.styled_catalog import write_styled


@pytest.fixture
def styled(tmp_path):
    """Cat in both styles, dog in one; u1 wants `noto`, u2 `flat`."""
    pictures = {"flat-cat": 0, "flat-dog": 40, "noto-cat": 80}
    likes = {"u1": ["noto-cat"], "u2": ["flat-dog"]}
    return write_styled(tmp_path / "styled", pictures, {"u1": "noto", "u2": "flat"}, likes)


def test_a_catalog_truth_asks_only_for_what_another_style_shows_and_the_users_style_holds(styled):
    """u1 wants noto: the flat cat is fair, the noto cat answers itself, no noto dog exists."""
    truth = read_truth(styled)
    assert isinstance(truth, CatalogTruth)
    fair = [item_id for item_id in styled.item_ids if truth.allows("u1", item_id)]
    assert fair == ["flat-cat"]
    assert np.array_equal(truth.target("u1", "flat-cat"), styled.pixels("noto-cat"))


def test_where_pictures_are_withheld_only_these_are_asked_for(tmp_path):
    """Noto's cat and flat's dog are withheld: the flat cat asks u1 for the one, nothing asks
    for the noto dog, and the flat dog may not be shown as a reference."""
    pictures = {"flat-cat": 0, "flat-dog": 40, "noto-cat": 80, "noto-dog": 120}
    styled = write_styled(tmp_path / "styled", pictures, {"u1": "noto"}, {"u1": ["noto-dog"]})
    truth = read_truth(styled, frozenset({"noto-cat", "flat-dog"}))
    assert [item_id for item_id in styled.item_ids if truth.allows("u1", item_id)] == ["flat-cat"]
    assert np.array_equal(truth.target("u1", "flat-cat"), styled.pixels("noto-cat"))


def test_references_of_one_content_ask_for_the_same(styled):
    truth = read_truth(styled)
    assert [truth.content(item_id) for item_id in styled.item_ids] == ["cat", "dog", "cat"]


def test_an_unknown_user_is_asked_for_nothing(styled):
    assert not read_truth(styled).allows("nobody", "flat-cat")


def test_a_world_draws_the_references_content_in_the_users_style(tmp_path):
    from pigeon_recsys.evaluation.factor_judge import FactorJudge

    world = DatasetFolder.open(
        generate_world(tmp_path / "w", num_items=50, num_users=3, seed=0, size=64).folder
    )
    truth = read_truth(world)
    assert isinstance(truth, DrawnTruth)
    user, item = world.user_ids[1], world.item_ids[7]
    picture = truth.target(user, item)
    assert picture.shape == (64, 64, 3)
    (seen,) = FactorJudge.load().factors([picture])
    attributes = world.item(item).attributes
    wanted = {name: attributes[name] for name in ("emotion", "prop")} | truth.main_styles[user]
    assert sum(seen[factor] == value for factor, value in wanted.items()) >= 5
    assert np.array_equal(picture, truth.target(user, item))


def test_data_without_planted_tastes_has_no_truth(styled):
    (styled.path / "users_truth.parquet").unlink()
    assert read_truth(styled) is None
