"""Each stage learns as it did when its curve was recorded (`record_curves.py` says how)."""

import json
from pathlib import Path

import pytest

from tests.alignment.record_curves import CURVES, NAMES, STAGES, STEPS, train_curves

TOLERANCE = 1e-3  # relative; other processors round differently
PAIR_TOLERANCE = 5e-2  # margins are small differences of scores near 1
NUM_PAIRS = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("curves")


@pytest.fixture(scope="module")
def curves(run: Path) -> dict[str, list[float]]:
    return train_curves(run)


@pytest.mark.parametrize("stage", NAMES)
def test_the_loss_curve_is_the_recorded_one(stage: str, curves: dict[str, list[float]]) -> None:
    recorded = json.loads((CURVES / f"{stage}.json").read_text())
    assert len(recorded) == (NUM_PAIRS if stage == "pairs" else STEPS)
    tolerance = PAIR_TOLERANCE if stage == "pairs" else TOLERANCE
    assert curves[stage] == pytest.approx(recorded, rel=tolerance), (
        "The training changed. If it was meant to, run: python -m tests.alignment.record_curves"
    )


def test_the_run_folder_shows_what_was_done(run: Path, curves: dict[str, list[float]]) -> None:
    folder = run / "run"
    settings = json.loads((folder / "settings.json").read_text())
    assert set(settings) == set(STAGES)
    for stage, started in settings.items():
        expected = {"windows": 4} if stage == "pairs" else {"steps": STEPS}
        assert expected.items() <= started["origin"]["recipe"].items()
        assert started["processes"] == 1
        assert {"python", "torch"} <= started["versions"].keys()
        assert {"commit", "hardware", "device"} <= started.keys()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    sheets = sorted(path.name for path in (folder / "samples").iterdir())
    assert sheets == [
        "backbone-000006.png",
        "refiner-000006.png",
        "stage1-000006.png",
        "stage2-000006.png",
        "tokenizer-000006.png",
    ]
    assert not list(folder.glob("*.checkpoint.pt"))
