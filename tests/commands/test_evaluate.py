"""`pigeon-recsys evaluate` and `train evaluator`: what a person meets."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.datasets.world import USERS_TRUTH, generate_world
from pigeon_recsys.evaluation import evaluator_training
from pigeon_recsys.evaluation.factor_judge import SHIPPED_WEIGHTS as JUDGE_WEIGHTS
from pigeon_recsys.evaluation.human_study.comparison import read_comparison
from pigeon_recsys.evaluation.human_study.study_folder import read_study
from pigeon_recsys.evaluation.network_identity import MIN_VALUES
from pigeon_recsys.wiring import SHIPPED_WEIGHTS
from tests.evaluation.styled_catalog import many_styled


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=8, seed=4, size=72)
    return folder


@pytest.fixture(scope="module")
def evaluator(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluator")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator_training, "BATCH", 8)
        arguments = ["--data", str(world), "--out", str(out), "--steps", "1"]
        assert main(["train", "evaluator", *arguments]) == 0
    return out / "evaluator.safetensors"


def test_one_command_writes_the_whole_comparison(
    world: Path, evaluator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--users", "2"]
    arguments += ["--evaluator", str(evaluator), "--methods", "own", "swapped", "truth"]
    assert main(["evaluate", *arguments]) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    assert {"commit", "versions", "hardware"} <= set(table)
    names = [method["name"] for method in table["methods"]]
    assert names == ["Pigeon", "Pigeon, swapped user", "ground truth"]
    assert table["methods"][2]["values"]["content right (sticker judge)"]["mean"] == 1
    titles = {column["title"] for column in table["columns"]}
    for metric in ("CIS", "DIS", "LPIPS", "FID"):
        assert f"{metric} history (stand-in encoder)" in titles
    assert {"CS text (stand-in encoder)", "SSIM target", "near copy of catalog"} <= titles
    assert set(table["selecting_networks"]) == {"embedder.safetensors"}
    assert set(table["evaluating_networks"]) == {"stand-in encoder", "sticker judge"}
    assert "| ground truth | 2 of 2 |" in capsys.readouterr().out
    assert (tmp_path / "table.md").is_file()
    assert (tmp_path / "contact_sheet.png").stat().st_size > 1000
    assert (tmp_path / "painted_sheet.png").stat().st_size > 1000
    assert list(read_comparison(tmp_path / "pictures").methods) == names
    found = json.loads((tmp_path / "personalization.json").read_text())
    assert found["users"] == 2
    sources = {name.split("/")[0] for name in found["measures"]}
    assert sources == {"content", "style", "swapped_style", "chance_style"}


def test_ablations_are_rows_that_paint_otherwise(world: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--users", "2"]
    assert main(["evaluate", *arguments, "--ratios", "0.5", "--methods", "ablations"]) == 0
    found = read_comparison(tmp_path / "pictures")
    assert list(found.methods) == [
        "Pigeon",
        "Pigeon, no history",
        "Pigeon, no reference picture",
        "Pigeon, no text",
        "Pigeon, random mask",
        "Pigeon, no mask",
    ]
    drawn = [[found.drawn(name, task.id) for task in found.tasks] for name in found.methods]
    for ablated in drawn[1:]:
        assert not np.array_equal(ablated, drawn[0])


def test_how_pictures_are_made_can_be_said_and_is_told(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--users", "2", "--methods", "own"]
    assert main(["evaluate", *arguments, "--ratios", "0.5", "--guidance", "2"]) == 0
    made_by = json.loads((tmp_path / "table.json").read_text())["generator"]
    assert made_by["ratios"] == [0.5]
    assert made_by["sampling"]["guidance"] == 2
    assert main(["evaluate", *arguments, "--ratios", "0.5", "1.5"]) == 2
    assert "ratio must be from 0 to 1, got 1.5" in capsys.readouterr().err


def test_people_can_be_asked_about_what_an_evaluation_wrote(world: Path, tmp_path: Path) -> None:
    out, study = tmp_path / "evaluated", tmp_path / "study"
    arguments = ["--data", str(world), "--out", str(out), "--users", "4"]
    methods = ["--methods", "retrieval", "history-copy", "truth"]
    assert main(["evaluate", *arguments, *methods]) == 0
    counts = ["--pairs", "6", "--per-participant", "3"]
    for number, run in enumerate((out, out / "pictures")):
        written = study / str(number)
        assert main(["evaluate", "human", "--run", str(run), "--out", str(written), *counts]) == 0
        assert (written / "study.html").is_file()
        assert set(read_study(written).methods) == set(read_comparison(out / "pictures").methods)


def test_without_a_truth_there_is_no_target_and_no_judge(world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    generate_world(folder, num_items=60, num_users=3, seed=4, size=72)
    (folder / USERS_TRUTH).unlink()
    arguments = ["--data", str(folder), "--out", str(tmp_path / "out"), "--users", "2"]
    arguments += ["--methods", "retrieval", "history-copy", "truth"]
    assert main(["evaluate", *arguments]) == 0
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [method["name"] for method in table["methods"]] == [
        "nearest catalog image",
        "copy of the most similar history image",
    ]
    shown = {(column["against"], column["network"]) for column in table["columns"]}
    assert not {against for against, _ in shown} & {"target", ""}
    assert not {network for _, network in shown} - {""}
    assert table["methods_left_out"] == "truth: not for this data"
    assert table["target"].startswith("none known")


def test_where_pictures_were_withheld_exactly_these_are_asked_for(
    evaluator: Path, tmp_path: Path
) -> None:
    """The shipped weights, with a card that says they were trained on this catalog."""
    dataset = many_styled(tmp_path / "styled", num_users=40)
    weights = tmp_path / "weights"
    shutil.copytree(SHIPPED_WEIGHTS, weights)
    card = json.loads((weights / "pigeon.json").read_text())
    rule = {"attribute": "concept", "share": 0.9}
    card["training"] |= {"fingerprint": dataset.fingerprint, "recipe": {"withhold": rule}}
    (weights / "pigeon.json").write_text(json.dumps(card))
    arguments = ["--data", str(dataset.path), "--weights", str(weights), "--users", "2"]
    arguments += ["--out", str(tmp_path / "out"), "--evaluator", str(evaluator)]
    arguments += ["--cases-per-user", "2", "--methods", "retrieval", "reference-copy", "style-copy"]
    assert main(["evaluate", *arguments, "truth", "degraded-truth", "roundtrip"]) == 0

    withheld = Withholding(**rule).items(dataset)
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert table["withheld"] == f"{len(withheld)} pictures of {len(withheld)} concepts"
    assert (table["cases"], table["cases_per_user"]) == (4, 2)
    names = [method["name"] for method in table["methods"]]
    assert names[-3:] == [
        "ground truth",
        "ground truth, slightly degraded",
        "ground truth, through the tokenizer",
    ]
    assert all(method["answered"] == 4 for method in table["methods"])
    assert [method["name"] for method in table["by_style"]["methods"]] == names
    assert sum(style["cases"] for style in table["by_style"]["styles"].values()) == 4
    page = (tmp_path / "out" / "table.md").read_text()
    assert f"- withheld: {len(withheld)} pictures" in page
    assert "## style right given the concept (stand-in encoder), by the user's main style" in page

    withheld_greys = {int(dataset.pixels(item_id)[0, 0, 0]) for item_id in withheld}
    drawn = read_comparison(tmp_path / "out" / "pictures")
    for task in drawn.tasks:
        shown = {name: int(drawn.drawn(name, task.id)[0, 0, 0]) for name in names[:4]}
        assert shown["ground truth"] in withheld_greys
        del shown["ground truth"]
        assert withheld_greys.isdisjoint(shown.values())


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("--cases-per-user", "0", "cases per user must be at least 1, got 0"),
        ("--users", "0", "users must be at least 2, so that histories can be swapped, got 0"),
        ("--seed", "-1", "--seed must be from 0 to 4294967295, got -1. Use 0."),
        ("--seed", "4294967296", "--seed must be from 0 to 4294967295, got 4294967296"),
    ],
)
def test_numbers_out_of_range_are_refused(
    option: str,
    value: str,
    fault: str,
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), option, value]
    assert main(["evaluate", *arguments]) == 2
    assert fault in capsys.readouterr().err


def test_a_truth_that_is_not_there_cannot_be_all_that_is_asked_for(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--methods", "style-copy"]
    assert main(["evaluate", *arguments]) == 2
    assert "plants no truth that style-copy could show" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_copy_of_the_selecting_encoder_is_refused_as_evaluator(
    dtype: torch.dtype, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under another name, with other names inside and, once, in another precision."""
    selecting = load_file(SHIPPED_WEIGHTS / "embedder.safetensors")
    copy = tmp_path / "evaluator.safetensors"
    save_file({f"mine.{name}": value.to(dtype) for name, value in selecting.items()}, copy)
    arguments = ["--data", str(world), "--out", str(tmp_path / "out"), "--evaluator", str(copy)]
    assert main(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err
    assert "evaluator.safetensors evaluates and embedder.safetensors selects pictures" in error
    assert "What selects may not evaluate: train another with: pigeon-recsys train evaluat" in error


def test_an_encoder_that_selects_with_a_part_of_the_judge_is_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One tensor of the judge is put among those of the weights that select."""
    weights = tmp_path / "weights"
    shutil.copytree(SHIPPED_WEIGHTS, weights)
    path = weights / "embedder.safetensors"
    selecting, judging = load_file(path), load_file(JUDGE_WEIGHTS)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    places = {value.shape: name for name, value in selecting.items() if value.numel() >= MIN_VALUES}
    shared = next(value for value in judging.values() if value.shape in places)
    save_file(selecting | {places[shared.shape]: shared.clone()}, path, metadata)
    arguments = ["--data", str(world), "--out", str(tmp_path / "out"), "--weights", str(weights)]
    assert main(["evaluate", *arguments]) == 2
    assert "sticker judge evaluates and embedder.safetensors selects" in capsys.readouterr().err


def test_an_evaluator_that_is_not_there_names_the_command_that_trains_it(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "evaluator.safetensors"
    arguments = ["--data", str(world), "--out", str(tmp_path / "out"), "--evaluator", str(absent)]
    assert main(["evaluate", *arguments]) == 1
    error = capsys.readouterr().err
    assert "is missing. Rebuild it with: pigeon-recsys train evaluator" in error


def test_an_unknown_method_lists_the_known_ones(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--methods", "magic"]
    assert main(["evaluate", *arguments]) == 2
    assert "there is no method 'magic'. Choose among: own, no-history" in capsys.readouterr().err


def test_data_and_out_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 2
    assert "evaluate needs --data DIR" in capsys.readouterr().err
