import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import ArtifactError, MissingExtra, RankingError, SettingsError
from pigeon_recsys.ports import ForgetfulRanker
from pigeon_recsys.ranking.export import items_path
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.ranking.request_encoder import RequestEncoder
from pigeon_recsys.ranking.run_folder import load_run
from pigeon_recsys.records import LIKE, History, RankContext, RankItem
from pigeon_recsys.testing.fakes import FakeIndex
from pigeon_recsys.testing.ranker_contract import RankerContract
from tests.ranking.planted_world import IMAGE_DIM, ITEM_IDS, random_batch, style_vectors


class TestOnnxRanker(RankerContract):
    image_dim = IMAGE_DIM

    @pytest.fixture(autouse=True)
    def _loaded(self, exported: Path, index: FakeIndex) -> None:
        self.loaded = OnnxRanker.load(exported, index)

    def make_ranker(self) -> OnnxRanker:
        return self.loaded


def even_style_fan() -> History:
    """Return a user never seen who likes four items of the even style."""
    return History("newcomer", tuple(ITEM_IDS[:8:2]), (1, 2, 3, 4), (LIKE,) * 4)


def test_generated_items_are_ranked_by_the_taste_of_a_user_never_seen(
    exported: Path, index: FakeIndex
) -> None:
    """Pictures of the catalog's own stand for generated ones; half are of the liked style."""
    items = [
        RankItem(f"gen-{number}", vector_D, is_generated=True)
        for number, vector_D in enumerate(style_vectors())
    ]
    scores = OnnxRanker.load(exported, index).score(even_style_fan(), items)
    assert np.median(scores[0::2]) > np.median(scores[1::2]) + 0.05


def test_a_request_scores_as_in_torchrec(
    trained: tuple[Path, RankerReport], exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    model, features, _ = load_run(trained[0])
    vectors_ND = index.vectors(ITEM_IDS)
    items = [
        RankItem(item_id, vector_D, dataset.item(item_id).attributes)
        for item_id, vector_D in zip(ITEM_IDS, vectors_ND, strict=True)
    ]
    history = dataset.history("user-07")
    expected = model.probabilities(RequestEncoder(features, index).encode(history, items))
    found = OnnxRanker.load(exported, index).score(history, items)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_it_knows_the_weights_it_was_exported_from(exported: Path, index: FakeIndex) -> None:
    assert len(OnnxRanker.load(exported, index).weights_sha256) == 64


def beside_its_other_half(path: Path, exported: Path) -> Path:
    """Put the items' half of an export beside `path`."""
    items_path(path).write_bytes(items_path(exported).read_bytes())
    return path


def test_a_missing_export_names_the_command_that_makes_it(tmp_path: Path, index: FakeIndex) -> None:
    path = tmp_path / "ranker.onnx"
    with pytest.raises(ArtifactError) as caught:
        OnnxRanker.load(path, index)
    assert str(caught.value) == (
        f"{path} does not exist. Rebuild it with: pigeon-recsys rank export --run RUN --out {path}"
    )


def test_a_corrupt_export_is_named(tmp_path: Path, exported: Path, index: FakeIndex) -> None:
    path = beside_its_other_half(tmp_path / "ranker.onnx", exported)
    path.write_bytes(exported.read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"ranker\.onnx is no ONNX file that can be run"):
        OnnxRanker.load(path, index)


@pytest.mark.parametrize("key", ["pigeon_recsys.rank_features", "pigeon_recsys.weights_sha256"])
def test_an_onnx_file_of_another_kind_is_refused(
    tmp_path: Path, exported: Path, index: FakeIndex, key: str
) -> None:
    proto = onnx.load(exported)
    kept = {entry.key: entry.value for entry in proto.metadata_props if entry.key != key}
    onnx.helper.set_model_props(proto, kept)
    path = beside_its_other_half(tmp_path / "other.onnx", exported)
    onnx.save(proto, path)
    with pytest.raises(ArtifactError, match="is no ranker export"):
        OnnxRanker.load(path, index)


def test_halves_of_different_rankers_are_refused(
    tmp_path: Path, exported: Path, index: FakeIndex
) -> None:
    path = tmp_path / "ranker.onnx"
    path.write_bytes(exported.read_bytes())
    proto = onnx.load(items_path(exported))
    onnx.helper.set_model_props(proto, {"pigeon_recsys.weights_sha256": "others"})
    onnx.save(proto, items_path(path))
    with pytest.raises(ArtifactError) as caught:
        OnnxRanker.load(path, index)
    assert str(caught.value) == (
        f"{items_path(path)} was exported from other weights than ranker.onnx. "
        f"Rebuild it with: pigeon-recsys rank export --run RUN --out {path}"
    )


def test_an_export_without_its_other_half_names_the_command_that_makes_both(
    tmp_path: Path, exported: Path, index: FakeIndex
) -> None:
    path = tmp_path / "ranker.onnx"
    path.write_bytes(exported.read_bytes())
    with pytest.raises(ArtifactError) as caught:
        OnnxRanker.load(path, index)
    assert str(caught.value) == (
        f"{items_path(path)} does not exist. "
        f"Rebuild it with: pigeon-recsys rank export --run RUN --out {path}"
    )


def test_a_failure_inside_onnx_runtime_is_a_ranking_error(exported: Path, index: FakeIndex) -> None:
    ranker = OnnxRanker.load(exported, index)
    batch = random_batch(ranker.features, 3, seed=0)
    batch.bags["item"].values[:] = 10**9
    with pytest.raises(RankingError, match="ONNX Runtime could not score 3 items: "):
        ranker.probabilities(batch)


def test_a_negative_number_of_threads_is_refused(exported: Path, index: FakeIndex) -> None:
    with pytest.raises(SettingsError, match="num_threads must be 0 or more, got -1"):
        OnnxRanker.load(exported, index, num_threads=-1)


def test_without_onnx_runtime_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, exported: Path, index: FakeIndex
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r'needs onnxruntime\. Run: .*"pigeon-recsys\[onnx\]"'):
        OnnxRanker.load(exported, index)


def test_scoring_loads_no_torch(exported: Path, repo_root: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from pigeon_recsys.ranking.onnx_ranker import OnnxRanker\n"
        "from pigeon_recsys.records import History, RankItem\n"
        "from pigeon_recsys.testing.fakes import FakeIndex\n"
        "index = FakeIndex([], np.empty((0, 8), np.float32))\n"
        f"ranker = OnnxRanker.load(Path({str(exported)!r}), index)\n"
        "item = RankItem('a', np.zeros(8, np.float32))\n"
        "assert ranker.score(History('u', (), (), ()), [item]).shape == (1,)\n"
        "assert not {'torch', 'torchrec', 'onnx'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=True)


def catalog_items(dataset: DatasetFolder) -> list[RankItem]:
    items = [dataset.item(item_id) for item_id in ITEM_IDS]
    return [
        RankItem(item.item_id, vector_D, item.attributes, text=item.title)
        for item, vector_D in zip(items, style_vectors(), strict=True)
    ]


def test_threads_that_share_a_ranker_get_the_scores_of_one(
    exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    items, users = catalog_items(dataset), dataset.user_ids[:8] * 8
    alone = OnnxRanker.load(exported, index)
    expected = [alone.score(dataset.history(user), items) for user in users]
    shared = OnnxRanker.load(exported, index)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda user: shared.score(dataset.history(user), items), users))
    np.testing.assert_array_equal(found, expected)


def test_ten_thousand_items_are_scored_as_few_are(
    exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    items, history = catalog_items(dataset), dataset.history("user-07")
    ranker = OnnxRanker.load(exported, index)
    many = ranker.score(history, items * 125)
    assert many.shape == (10_000,)
    few = ranker.score(history, items)
    np.testing.assert_allclose(many, np.tile(few, 125), rtol=0, atol=1e-6)


def test_a_known_time_counts_and_the_same_time_scores_the_same(
    exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    items, history = catalog_items(dataset), dataset.history("user-07")
    ranker = OnnxRanker.load(exported, index)
    at_ms = history.times_ms[-1] + 3_600_000
    timed = ranker.score(history, items, RankContext(at_ms))
    np.testing.assert_array_equal(timed, ranker.score(history, items, RankContext(at_ms)))
    assert (timed != ranker.score(history, items)).any()


def test_an_item_whose_title_changed_is_scored_anew(
    exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    item, history = catalog_items(dataset)[0], dataset.history("user-07")
    renamed = replace(item, text="something else altogether")
    ranker = OnnxRanker.load(exported, index)
    before, after = ranker.score(history, [item]), ranker.score(history, [renamed])
    assert after == OnnxRanker.load(exported, index).score(history, [renamed])
    assert before != after


def test_what_is_kept_of_generated_items_can_be_dropped(
    exported: Path, index: FakeIndex, dataset: DatasetFolder
) -> None:
    ranker, history = OnnxRanker.load(exported, index), dataset.history("user-07")
    items = [RankItem("gen-1", style_vectors()[0], is_generated=True), *catalog_items(dataset)[:2]]
    before = ranker.score(history, items)
    assert isinstance(ranker, ForgetfulRanker)
    assert [ranker.forget_generated(), ranker.forget_generated()] == [1, 0]
    np.testing.assert_array_equal(ranker.score(history, items), before)


@pytest.mark.gpu
def test_on_cuda_it_scores_as_in_torchrec(
    trained: tuple[Path, RankerReport], exported: Path, index: FakeIndex
) -> None:
    ranker = OnnxRanker.load(exported, index)
    if "CUDAExecutionProvider" not in ranker.providers:
        pytest.skip("ONNX Runtime has no CUDA device here")
    model, features, _ = load_run(trained[0])
    for num_rows, num_requests in ((1, 1), (500, 1), (1000, 7)):
        batch = random_batch(features, num_rows, seed=num_rows, num_requests=num_requests)
        found = ranker.probabilities(batch)
        np.testing.assert_allclose(found, model.probabilities(batch), rtol=0, atol=1e-5)
