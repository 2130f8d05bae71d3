"""`pigeon-recsys rank`: from a dataset folder and an index to an ONNX ranker."""

import json
from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.records import RankItem
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from tests.ranking.planted_world import ITEM_IDS, style_vectors, write_folder


def test_a_ranker_is_trained_exported_and_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_folder(tmp_path / "data")
    FaissIndex.build(ITEM_IDS, style_vectors()).save(tmp_path / "index")
    data, index, run, onnx = (str(tmp_path / name) for name in ("data", "index", "run", "r.onnx"))
    report, result = tmp_path / "train.json", tmp_path / "export.json"

    train = ["rank", "train", "--data", data, "--index", index, "--out", run, "--epochs", "1"]
    assert main([*train, "--json", str(report)]) == 0
    assert main(["rank", "export", "--run", run, "--out", onnx, "--json", str(result)]) == 0

    train_line, export_line = capsys.readouterr().out.splitlines()
    assert train_line.startswith(f"{run}: ")
    assert "without item ids" in train_line
    assert export_line.startswith(f"{onnx}: ranker of weights ")
    assert ", with r.items.onnx " in export_line
    assert Path(json.loads(result.read_text())["items"]).is_file()
    assert 0 < json.loads(report.read_text())["auc"] <= 1
    ranker = OnnxRanker.load(Path(onnx), FaissIndex.load(Path(index)))
    assert json.loads(result.read_text())["weights_sha256"] == ranker.weights_sha256
    (score,) = ranker.score(dataset.history("user-00"), [RankItem("gen-1", np.ones(8, np.float32))])
    assert 0 < score < 1


def test_a_setting_that_cannot_work_is_bad_usage_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    train = ["rank", "train", "--data", nowhere, "--index", nowhere, "--out", nowhere]
    assert main([*train, "--epochs", "0"]) == 2
    assert "ranker.epochs must be above 0, got 0" in capsys.readouterr().err


def test_exporting_a_run_that_does_not_exist_fails_with_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "ranker.onnx"
    assert main(["rank", "export", "--run", str(run), "--out", str(out)]) == 1
    assert f"rank train --data DIR --index INDEX_DIR --out {run}" in capsys.readouterr().err
