"""What a user would want to see: drawn in a sticker world, found in a catalog of styles."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation.truth import CatalogTruth, DrawnTruth, read_truth

STYLED = """
name: styled
task: sticker
items:
  {file: items.parquet, id: item_id, title: concept, image: image, attributes: [concept, style],
   instruction: [concept]}
interactions:
  {file: interactions.parquet, user: user_id, item: item_id, time: timestamp, event: event,
   positive: [like], negative: [skip]}
"""
CONCEPTS_IN = {"flat": ("cat", "dog"), "noto": ("cat",)}


@pytest.fixture
def styled(tmp_path):
    """Cat in both styles, dog in one; u1 wants `noto`, u2 `flat`."""
    items = [(f"{s}-{c}", c, s) for s, concepts in CONCEPTS_IN.items() for c in concepts]
    (tmp_path / "images").mkdir()
    for place, (item_id, _, _) in enumerate(items):
        picture = np.full((8, 8, 3), 40 * place, np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{item_id}.png")
    columns = {
        "item_id": [item_id for item_id, _, _ in items],
        "concept": [concept for _, concept, _ in items],
        "style": [style for _, _, style in items],
        "image": [f"images/{item_id}.png" for item_id, _, _ in items],
    }
    pq.write_table(pa.table(columns), tmp_path / "items.parquet")
    times = pa.array([1_735_689_600_000_000] * 2, pa.timestamp("us", tz="UTC"))
    events = {"user_id": ["u1", "u2"], "item_id": ["noto-cat", "flat-dog"], "event": ["like"] * 2}
    pq.write_table(pa.table(events | {"timestamp": times}), tmp_path / "interactions.parquet")
    truth = {"user_id": ["u1", "u2"], "main_style": ["noto", "flat"]}
    pq.write_table(pa.table(truth), tmp_path / "users_truth.parquet")
    (tmp_path / "dataset.yaml").write_text(STYLED)
    return DatasetFolder.open(tmp_path)


def test_a_catalog_truth_asks_only_for_what_another_style_shows_and_the_users_style_holds(styled):
    """u1 wants noto: the flat cat is fair, the noto cat answers itself, no noto dog exists."""
    truth = read_truth(styled)
    assert isinstance(truth, CatalogTruth)
    fair = [item_id for item_id in styled.item_ids if truth.allows("u1", item_id)]
    assert fair == ["flat-cat"]
    assert np.array_equal(truth.target("u1", "flat-cat"), styled.pixels("noto-cat"))


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
