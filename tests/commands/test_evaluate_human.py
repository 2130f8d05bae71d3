import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.evaluation.human_study.study_folder import read_study
from tests.evaluation.human_study.simulated_people import (
    METHODS,
    answer_file,
    in_order,
    small_comparison,
)


@pytest.fixture(autouse=True)
def _only_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pigeon_recsys.cli.COMMANDS", ("evaluate",))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    small_comparison(tmp_path / "run")
    return tmp_path / "run"


def human(*arguments: object) -> int:
    return main(["evaluate", "human", *(str(each) for each in arguments)])


def test_a_study_is_written_answered_and_read(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = tmp_path / "study", tmp_path / "r.json"
    counts = ("--pairs", 18, "--per-participant", 9, "--checks", 2)
    assert human("--run", run_folder, "--out", out, *counts, "--json", result) == 0
    study = read_study(out)
    assert json.loads(result.read_text())["study_id"] == study.study_id
    assert "give out this file only" in capsys.readouterr().out
    assert not any(method in result.read_text() for method in METHODS)

    answers = tmp_path / "answers"
    answers.mkdir()
    for person in ("p1", "p2", "p3"):
        content = json.dumps(answer_file(study, person, in_order(*METHODS)))
        (answers / f"{person}.json").write_text(content)
    assert human("--answers", answers, "--study", out, "--json", result) == 0
    assert "3 of 3 participants count" in capsys.readouterr().out
    found = json.loads(result.read_text())
    assert found == json.loads((out / "results.json").read_text())
    assert [each["method"] for each in found["questions"][0]["methods"]] == list(METHODS)
    assert (out / "results.md").read_text().startswith("# Human study of three ways to draw")


def test_faults_of_answers_are_a_result_too(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert human("--run", run_folder, "--out", tmp_path / "study") == 0
    (tmp_path / "a.json").write_text("{}")
    result = tmp_path / "r.json"
    paths = ("--answers", tmp_path / "a.json", "--study", tmp_path / "study")
    assert human(*paths, "--json", result) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert json.loads(result.read_text())["faults"][0]["kind"] == "wrong value"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "needs --run RUN and --out DIR to write a study, or --answers PATH and --study DIR"),
        (("--run", "r"), "needs --run RUN and --out DIR to write a study"),
        (("--answers", "a"), "needs --study DIR as well, to read answers"),
        (("--study", "s"), "needs --answers PATH as well, to read answers"),
        (
            ("--answers", "a", "--study", "s", "--pairs", "3", "--no-ties", "--run", "r"),
            "--run, --pairs, --no-ties decides how a study is written; drop it",
        ),
    ],
)
def test_options_that_do_not_go_together_are_bad_usage(
    arguments: tuple[str, ...], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert human(*arguments) == 2
    assert fault in capsys.readouterr().err


def test_the_options_reach_the_study(run_folder: Path, tmp_path: Path) -> None:
    counts = ("--pairs", 5, "--per-participant", 4, "--checks", 3, "--max-failed", 1, "--seed", 9)
    more = ("--questions", "asked", "--no-ties")
    assert human("--run", run_folder, "--out", tmp_path / "study", *counts, *more) == 0
    study = read_study(tmp_path / "study")
    assert (len(study.pairs), study.per_participant, len(study.checks)) == (5, 4, 3)
    assert (study.max_failed_checks, study.seed) == (1, 9)
    assert (study.questions, study.ties_allowed) == (("asked",), False)


@pytest.mark.parametrize(
    ("arguments", "missing"), [((), "--data DIR"), (("--data", "d"), "--out DIR")]
)
def test_evaluate_without_a_command_still_needs_its_own_options(
    arguments: tuple[str, ...], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    assert f"evaluate needs {missing}, or a command: evaluate human" in capsys.readouterr().err


def test_a_result_file_named_before_the_command_is_written(
    run_folder: Path, tmp_path: Path
) -> None:
    result = tmp_path / "r.json"
    paths = ["--run", str(run_folder), "--out", str(tmp_path / "study")]
    assert main(["evaluate", "--json", str(result), "human", *paths]) == 0
    assert result.exists()
