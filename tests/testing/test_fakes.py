"""The fakes obey the contracts of the ports, and do what their docstrings say."""

import numpy as np
import pytest

from pigeon_recsys import ports
from pigeon_recsys.errors import GenerationError, UnknownItem
from pigeon_recsys.records import (
    LIKE,
    GenerationTask,
    History,
    HistoryImage,
    RankItem,
    Reference,
)
from pigeon_recsys.testing.catalog_contract import ItemCatalogContract
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStateStore,
    FakeHistoryStore,
    FakeIndex,
    FakeRanker,
)
from pigeon_recsys.testing.history_contract import HistoryStoreContract
from pigeon_recsys.testing.history_state_contract import HistoryStateStoreContract

HISTORY = History("ada", ("item-01",), (1,), (LIKE,))


class TestFakeCatalog(ItemCatalogContract):
    def make_catalog(self) -> FakeCatalog:
        return FakeCatalog()


class TestFakeHistoryStore(HistoryStoreContract):
    def make_store(self) -> FakeHistoryStore:
        return FakeHistoryStore()


class TestFakeHistoryStateStore(HistoryStateStoreContract):
    def make_state_store(self) -> FakeHistoryStateStore:
        return FakeHistoryStateStore()


def task(user_id: str = "ada", seed: int = 0, num_images: int = 2) -> GenerationTask:
    catalog = FakeCatalog()
    images = tuple(HistoryImage(i, catalog.pixels(i)) for i in catalog.item_ids[:num_images])
    reference = Reference(text="a cat")
    return GenerationTask(user_id, images, HISTORY.content_hash, reference, None, seed)


def test_the_fakes_have_the_methods_of_the_ports() -> None:
    embedder = FakeEmbedder()
    assert isinstance(embedder, ports.ImageEmbedder)
    assert isinstance(FakeIndex([], np.empty((0, 13), np.float32)), ports.ItemIndex)
    assert isinstance(FakeGenerator(), ports.ImageGenerator)
    assert isinstance(FakeRanker(), ports.Ranker)


def test_pictures_of_different_items_differ() -> None:
    catalog = FakeCatalog(num_items=50)
    pictures = {catalog.pixels(item_id).tobytes() for item_id in catalog.item_ids}
    assert len(pictures) == 50


def test_embeddings_are_unit_vectors_of_pictures_of_any_size() -> None:
    embedder = FakeEmbedder()
    images = [np.full((height, 5, 3), 90, np.uint8) for height in (2, 3, 16)]
    vectors_ND = embedder.embed(images)
    assert vectors_ND.shape == (3, embedder.dim)
    assert vectors_ND.dtype == np.float32
    assert np.linalg.norm(vectors_ND, axis=1) == pytest.approx(1)
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_a_picture_is_nearest_to_itself() -> None:
    catalog, embedder = FakeCatalog(), FakeEmbedder()
    vectors_ND = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    index = FakeIndex(catalog.item_ids, vectors_ND)
    for item_id, vector_D in zip(catalog.item_ids, vectors_ND, strict=True):
        assert index.search(vector_D, k=1)[0].item_id == item_id


def test_a_search_stays_within_the_ids_given() -> None:
    index = FakeIndex(["a", "b", "c"], np.eye(3, dtype=np.float32))
    query = np.array([0.9, 0.4, 0.1], np.float32)
    assert [item.item_id for item in index.search(query, 9)] == ["a", "b", "c"]
    assert [item.item_id for item in index.search(query, 9, within=["c", "b", "x"])] == ["b", "c"]


def test_the_index_names_an_unknown_item() -> None:
    index = FakeIndex(["a"], np.eye(1, dtype=np.float32))
    assert index.vectors(["a", "a"]).shape == (2, 1)
    with pytest.raises(UnknownItem, match="the index holds no item 'x' among its 1 items"):
        index.vectors(["a", "x"])


def test_the_same_task_makes_the_same_picture_and_another_seed_another() -> None:
    generator = FakeGenerator()
    first, again, other = generator.generate([task(), task(), task(seed=1)])
    assert first.provenance == again.provenance
    assert first.item_id == f"gen-{first.provenance.content_hash[:16]}"
    assert first.item_id != other.item_id
    assert first.provenance.history_item_ids == ("item-00", "item-01")


def test_a_task_without_any_picture_can_be_done() -> None:
    (generation,) = FakeGenerator(side=8).generate([task(num_images=0)])
    assert generation.pixels.shape == (8, 8, 3)
    assert generation.history_masks == ()


def test_the_generator_fails_for_the_users_named() -> None:
    with pytest.raises(GenerationError, match="'bob'"):
        FakeGenerator(fails_for=["bob"]).generate([task("bob")])


def test_the_ranker_scores_between_zero_and_one_and_by_name_where_told() -> None:
    embedding = np.ones(1, np.float32)
    items = [RankItem(f"item-{number}", embedding) for number in range(100)]
    scores = FakeRanker({"item-3": 0.25}).score(HISTORY, items)
    assert scores.dtype == np.float32
    assert np.all((scores > 0) & (scores < 1))
    assert scores[3] == 0.25
    assert len(set(scores.tolist())) > 90
