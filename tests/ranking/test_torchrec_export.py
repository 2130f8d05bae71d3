"""TorchRec models of all kinds give the same in ONNX Runtime."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pigeon_recsys.errors import OutputError, RankingError, SettingsError
from pigeon_recsys.ranking.run_folder import import_torchrec

export = import_torchrec("torchrec_export")

from torchrec.models.dlrm import DLRM, DLRM_DCN  # noqa: E402  after warnings are dealt with
from torchrec.modules.embedding_configs import (  # noqa: E402
    EmbeddingBagConfig,
    EmbeddingConfig,
    PoolingType,
)
from torchrec.modules.embedding_modules import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingCollection,
)
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor  # noqa: E402

TOLERANCE = 1e-5
ROWS = {"a": 7, "b": 11, "c": 5}
KEYS = list(ROWS)
LONGEST = 200  # ids in one bag
DENSE = 6


def table(
    name: str, keys: list[str], dim: int = 8, pooling: PoolingType = PoolingType.SUM
) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(
        name=name,
        embedding_dim=dim,
        num_embeddings=min(ROWS[key] for key in keys),
        feature_names=keys,
        pooling=pooling,
    )


def three_tables() -> EmbeddingBagCollection:
    """Sums of two keys, which share a table, and means of a third."""
    shared = table("shared", ["c", "a"])
    return EmbeddingBagCollection(tables=[shared, table("own", ["b"], pooling=PoolingType.MEAN)])


def ragged(
    num_rows: int, lengths: Sequence[int], seed: int, *, weighted: bool = False
) -> KeyedJaggedTensor:
    """Return bags of random ids whose lengths are drawn from those given."""
    generator = np.random.default_rng(seed)
    drawn = {key: generator.choice(lengths, num_rows) for key in KEYS}
    ids = [generator.integers(0, min(ROWS.values()), drawn[key].sum()) for key in KEYS]
    values = torch.from_numpy(np.concatenate(ids))
    return KeyedJaggedTensor.from_lengths_sync(
        keys=KEYS,
        values=values,
        lengths=torch.from_numpy(np.concatenate(list(drawn.values()))),
        weights=torch.from_numpy(generator.random(len(values), np.float32)) if weighted else None,
    )


def run(path: Path, inputs: dict[str, Tensor]) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return np.asarray(output)


def of_jagged(name: str, ids: KeyedJaggedTensor) -> dict[str, Tensor]:
    inputs = {f"{name}.values": ids.values(), f"{name}.offsets": ids.offsets()}
    if ids.weights_or_none() is not None:
        inputs[f"{name}.weights"] = ids.weights()
    return inputs


def dlrm() -> DLRM:
    return DLRM(three_tables(), DENSE, [16, 8], [12, 1])


def dlrm_dcn() -> DLRM_DCN:
    return DLRM_DCN(three_tables(), DENSE, [16, 8], [12, 1], 2, 4)


@pytest.mark.parametrize("make", [dlrm, dlrm_dcn])
def test_torchrecs_own_models_score_as_in_eager(tmp_path: Path, make: type[nn.Module]) -> None:
    """Random ragged rows; one row; empty bags alone; one id a bag; the longest bags."""
    torch.manual_seed(0)
    model, path = make().eval(), tmp_path / "model.onnx"
    example = {"dense_features": torch.zeros(1, DENSE), "sparse_features": ragged(1, [1], 0)}
    assert export.export_torchrec(model, path, example) == path.stat().st_size
    for num_rows, lengths in ((40, range(5)), (1, [3]), (6, [0]), (6, [1]), (3, [0, LONGEST])):
        dense, ids = torch.randn(num_rows, DENSE), ragged(num_rows, list(lengths), num_rows)
        found = run(path, {"dense_features": dense, **of_jagged("sparse_features", ids)})
        with torch.no_grad():
            expected = model(dense, ids).numpy()
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_pages_example_exports_a_model(tmp_path: Path, repo_root: Path) -> None:
    page = (repo_root / "docs" / "ranking.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "dlrm.onnx"
    exec(compile(code, "ranking.md", "exec"), {"path": path})
    ids = torch.tensor([3, 7])
    inputs = {
        "dense_features": torch.zeros(1, 4),
        "sparse_features.values": ids,
        "sparse_features.offsets": torch.tensor([0, 2]),
    }
    assert run(path, inputs).shape == (1, 1)


class Values(nn.Module):
    """A collection whose pooled vectors are the output."""

    def __init__(self, collection: EmbeddingBagCollection) -> None:
        super().__init__()
        self.collection = collection

    def forward(self, ids: KeyedJaggedTensor) -> Tensor:
        """Return all vectors of a row, one after the other."""
        values: Tensor = self.collection(ids).values()
        return values


def weighted_sums() -> EmbeddingBagCollection:
    return EmbeddingBagCollection(tables=[table("t", KEYS)], is_weighted=True)


def widths_that_differ() -> EmbeddingBagCollection:
    return EmbeddingBagCollection(
        tables=[table("narrow", ["b"], 4), table("wide", ["a", "c"], 12, PoolingType.MEAN)]
    )


def key_in_two_tables() -> EmbeddingBagCollection:
    return EmbeddingBagCollection(tables=[table("one", ["a", "b"]), table("two", ["b"])])


@pytest.mark.parametrize(
    "make", [three_tables, weighted_sums, widths_that_differ, key_in_two_tables]
)
def test_collections_of_all_kinds_pool_as_in_eager(
    tmp_path: Path, make: type[EmbeddingBagCollection]
) -> None:
    torch.manual_seed(0)
    model, path = Values(make()).eval(), tmp_path / "model.onnx"
    is_weighted = model.collection.is_weighted()
    export.export_torchrec(model, path, {"ids": ragged(2, [1], 0, weighted=is_weighted)})
    for num_rows, lengths in ((30, range(4)), (2, [0])):
        ids = ragged(num_rows, list(lengths), seed=num_rows, weighted=is_weighted)
        with torch.no_grad():
            expected = model(ids).numpy()
        assert expected.any() or not any(lengths)
        np.testing.assert_allclose(
            run(path, of_jagged("ids", ids)), expected, rtol=TOLERANCE, atol=TOLERANCE
        )


def test_a_repeated_key_is_given_once_a_request(tmp_path: Path) -> None:
    """Rows 0 and 2 are of request 1, row 1 of request 0; in eager every row has its bags."""
    torch.manual_seed(0)
    model, path = Values(three_tables()).eval(), tmp_path / "model.onnx"
    export.export_torchrec(model, path, {"ids": ragged(2, [1], 0)}, repeated={"request": ["b"]})
    ids = KeyedJaggedTensor(
        keys=KEYS,
        values=torch.tensor([1, 2, 3, 9, 10, 4, 9, 10, 0]),
        lengths=torch.tensor([1, 0, 2, 2, 1, 2, 0, 1, 0]),
    )
    found = run(
        path,
        {
            "ids.values": torch.tensor([1, 2, 3, 0]),
            "ids.offsets": torch.tensor([0, 1, 1, 3, 3, 4, 4]),
            "ids.request.values": torch.tensor([4, 9, 10]),
            "ids.request.offsets": torch.tensor([0, 1, 3]),
            "request": torch.tensor([1, 0, 1]),
        },
    )
    with torch.no_grad():
        np.testing.assert_allclose(found, model(ids).numpy(), atol=TOLERANCE)
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["torchrec.keys"]) == {"ids": ["a", "c"], "ids.request": ["b"]}


class Against(nn.Module):
    """Multiplies every row with the one row that is given once."""

    def __init__(self, collection: EmbeddingBagCollection) -> None:
        super().__init__()
        self.collection = collection

    def forward(self, rows: Tensor, one: Tensor, ids: KeyedJaggedTensor) -> Tensor:
        """Return one number a row."""
        pooled = self.collection(ids).values()
        products: Tensor = rows @ (one + pooled.sum()).T
        return products.squeeze(1)


def test_what_is_given_once_has_one_row_whatever_the_others_have(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Against(three_tables()).eval(), tmp_path / "model.onnx"
    example = {
        "rows": torch.zeros(1, DENSE),
        "one": torch.zeros(1, DENSE),
        "ids": ragged(1, [1], 0),
    }
    export.export_torchrec(model, path, example, once=["one", "ids"])
    for num_rows in (1, 2, 9):
        rows, one, ids = torch.randn(num_rows, DENSE), torch.randn(1, DENSE), ragged(1, [3], 1)
        found = run(path, {"rows": rows, "one": one, **of_jagged("ids", ids)})
        with torch.no_grad():
            expected = model(rows, one, ids).numpy()
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_giving_once_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"once names zzz, .* Those are: ids\."):
        export.export_torchrec(
            Values(three_tables()), tmp_path / "m.onnx", {"ids": ragged(1, [1], 0)}, once=["zzz"]
        )


def test_the_model_is_left_as_it_is(tmp_path: Path) -> None:
    model = Values(three_tables()).train()
    export.export_torchrec(model, tmp_path / "model.onnx", {"ids": ragged(1, [1], 0)})
    assert isinstance(model.collection, EmbeddingBagCollection)
    assert model.training


@pytest.mark.parametrize(("offsets", "row"), [([0, 1, 1, 1], 5), ([0, 0, 1, 1], 11)])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_id_beyond_its_table_fails_instead_of_reading_another(
    tmp_path: Path, offsets: list[int], row: int, sign: int
) -> None:
    """Keys `a` and `c` share a table of 5 rows, `b` has one of 11; in the file they are one."""
    path = tmp_path / "model.onnx"
    export.export_torchrec(Values(three_tables()), path, {"ids": ragged(1, [1], 0)})
    inputs = {"ids.values": torch.tensor([sign * row]), "ids.offsets": torch.tensor(offsets)}
    with pytest.raises(Exception, match="out of data bounds|indices element out of"):
        run(path, inputs)


def test_repeating_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"names zzz, which is no .* Those are: a, b, c\."):
        export.export_torchrec(
            Values(three_tables()),
            tmp_path / "m.onnx",
            {"ids": ragged(1, [1], 0)},
            repeated={"request": ["zzz"]},
        )


def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    example = {"ids": ragged(1, [1], 0), "ids.values": torch.zeros(1, 2)}
    with pytest.raises(SettingsError, match=r"two inputs would be named ids\.values"):
        export.export_torchrec(Values(three_tables()), tmp_path / "m.onnx", example)


def test_an_example_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'x' must have rows"):
        export.export_torchrec(nn.Identity(), tmp_path / "m.onnx", {"x": torch.tensor(1.0)})


def test_a_collection_that_does_not_pool_is_refused_by_its_name(tmp_path: Path) -> None:
    tables = [EmbeddingConfig(name="t", embedding_dim=4, num_embeddings=3, feature_names=["a"])]
    model = nn.Sequential(EmbeddingCollection(tables=tables))
    with pytest.raises(RankingError, match="0 is an EmbeddingCollection, which gives ragged"):
        export.export_torchrec(model, tmp_path / "m.onnx", {"input": ragged(1, [1], 0)})


def test_a_collection_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RankingError, match="alone has no tensor to return; wrap it"):
        export.export_torchrec(three_tables(), tmp_path / "m.onnx", {"ids": ragged(1, [1], 0)})


def test_weights_beyond_one_file_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_BYTES", 100)
    with pytest.raises(RankingError, match="one ONNX file holds 100. Hash the ids"):
        export.export_torchrec(
            Values(three_tables()), tmp_path / "m.onnx", {"ids": ragged(1, [1], 0)}
        )


def test_what_torch_cannot_trace_is_a_ranking_error(tmp_path: Path) -> None:
    class Branching(nn.Module):
        """Reads a value, which no graph can."""

        def forward(self, x: Tensor) -> Tensor:
            """Return x or its double."""
            return x if x.sum().item() > 3 else 2 * x

    with pytest.raises(RankingError, match="could not export the model"):
        export.export_torchrec(Branching(), tmp_path / "m.onnx", {"x": torch.ones(1, 2)})


def test_a_target_that_is_a_folder_stops_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        export.export_torchrec(Values(three_tables()), tmp_path, {"ids": ragged(1, [1], 0)})
