"""The personalization benchmark: a world of its own, judged beside a swapped history."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import personalization
from benchmarks.personalization import WORLD_SEED, main
from tests.benchmarks.conftest import ReadResult

SMALLEST = ("--users", "2", "--world-items", "60", "--world-users", "30")


@pytest.mark.slow
def test_the_shipped_weights_are_judged_in_a_small_world(
    tmp_path: Path, read_result: ReadResult
) -> None:
    out = tmp_path / "personalization.json"
    main(["--out", str(out), *SMALLEST])
    settings, figures = read_result(out)
    assert settings == {
        "users": 2,
        "world_seed": WORLD_SEED,
        "world_items": 60,
        "world_users": 30,
    }
    assert figures["world"]["name"] == f"sticker-world-{WORLD_SEED}"
    assert figures["users"] == 2
    for measure in ("content/all", "style/mean", "style/all", "swapped_style/mean"):
        found = figures["measures"][measure]
        assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1
    assert 0 < figures["measures"]["chance_style/mean"]["mean"] < 1


def test_the_commands_ask_for_what_the_settings_say(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run_command(command: Sequence[str]) -> int:
        asked.append(list(command))
        if command[0] == "evaluate":
            out = Path(command[command.index("--out") + 1])
            out.mkdir()
            (out / "personalization.json").write_text('{"users": 7}')
        return 0

    monkeypatch.setattr(personalization, "run_command", run_command)
    main(["--out", str(tmp_path / "found.json"), "--users", "7"])
    assert read_result(tmp_path / "found.json")[1] == {"users": 7}
    world, evaluate = asked
    assert world[:3] == ["data", "world", "--out"]
    assert world[4:] == ["--items", "2000", "--users", "400", "--seed", str(WORLD_SEED)]
    assert evaluate[:3] == ["evaluate", "--data", world[3]]
    assert evaluate[5:] == ["--users", "7", "--methods", "own", "swapped"]


def test_a_command_that_fails_ends_the_benchmark_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personalization, "run_command", lambda command: 2)
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "found.json")])
    assert ended.value.code == 2
    assert not (tmp_path / "found.json").exists()
