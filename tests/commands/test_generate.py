"""`pigeon-recsys generate`: what a person meets."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.generation.picture_file import read_provenance
from pigeon_recsys.generation.xmp import COMPOSITE, GENERATED


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=30, seed=4, size=72)
    return DatasetFolder.open(folder)


def arguments(world: DatasetFolder, out: Path, **changed: str | None) -> list[str]:
    values: dict[str, str | None] = {
        "data": str(world.path),
        "user": world.user_ids[0],
        "reference": world.item_ids[0],
        "out": str(out),
        "steps": "1",
    }
    given = {name: value for name, value in (values | changed).items() if value is not None}
    return ["generate", *(part for name, value in given.items() for part in (f"--{name}", value))]


def test_a_sweep_leaves_picture_sheet_and_record(
    world: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert main([*arguments(world, out), "--json", str(tmp_path / "result.json")]) == 0
    record = json.loads((out / "generation.json").read_text())
    assert record == json.loads((tmp_path / "result.json").read_text())
    (image,) = record["images"]
    assert len(image["sweep"]) == 11
    assert Path(image["file"]).name in capsys.readouterr().out
    assert image["provenance"]["user_id"] == world.user_ids[0]
    assert image["provenance"]["reference"]["text"] == world.item(world.item_ids[0]).instruction
    with Image.open(out / "sweep.png") as sheet:
        assert sheet.size == ((5 + 1 + 1 + 11) * (72 + 6), 72 + 6)


def test_every_picture_says_that_a_model_made_it_and_not_for_whom(
    world: DatasetFolder, tmp_path: Path
) -> None:
    """The folder's record says for whom; the pictures may be passed on."""
    out = tmp_path / "made"
    assert main(arguments(world, out, ratio="0.5", **{"num-images": "2"})) == 0
    images = json.loads((out / "generation.json").read_text())["images"]
    assert {path.name for path in out.glob("*.png")} - {"sweep.png"} == {
        Path(image["file"]).name for image in images
    }
    for image in images:
        found = read_provenance(Path(image["file"]))
        assert found.source_type == GENERATED
        assert found.record is not None
        told = found.record.model_dump(mode="json")
        assert told.items() <= image["provenance"].items()
        kept_back = {"user_id", "history_item_ids", "seed", "token_seed"}
        assert image["provenance"].keys() - told == kept_back
    assert read_provenance(out / "sweep.png").source_type == COMPOSITE


def test_images_come_from_successive_seeds_and_come_again(
    world: DatasetFolder, tmp_path: Path
) -> None:
    """The second of two images is the first one of the next seed; the folder is replaced."""
    out = tmp_path / "made"

    def pictures(**changed: str) -> list[np.ndarray]:
        assert main(arguments(world, out, ratio="0.5", **changed)) == 0
        made = json.loads((out / "generation.json").read_text())["images"]
        return [np.asarray(Image.open(image["file"])) for image in made]

    _, second = pictures(**{"num-images": "2", "seed": "3"})
    (alone,) = pictures(seed="4")
    np.testing.assert_array_equal(second, alone)


def test_noise_in_the_masks_gives_another_picture(world: DatasetFolder, tmp_path: Path) -> None:
    plain, noisy = (arguments(world, tmp_path / name, ratio="0.5") for name in ("plain", "noisy"))
    assert main(plain) == 0
    assert main([*noisy, "--mask-noise"]) == 0
    drawn = []
    for name in ("plain", "noisy"):
        record = json.loads((tmp_path / name / "generation.json").read_text())
        drawn.append(record["images"][0]["provenance"]["content_hash"])
    assert drawn[0] != drawn[1]


def test_a_text_alone_and_beams_will_do(world: DatasetFolder, tmp_path: Path) -> None:
    changed = {"reference": None, "text": "a happy sticker", "ratio": "0.5", "beams": "2"}
    assert main(arguments(world, tmp_path / "made", **changed)) == 0
    (image,) = json.loads((tmp_path / "made" / "generation.json").read_text())["images"]
    assert image["provenance"]["reference"] == {"item_id": None, "text": "a happy sticker"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user": "nobody"}, "holds no user 'nobody' among its 30. Such as: "),
        ({"reference": "nothing"}, "holds no item 'nothing' among its 60. Such as: "),
        ({"reference": None}, "nothing to draw: give --reference ITEM, --text T, or both"),
        ({"text": " "}, "--text is empty"),
        ({"num-images": "0"}, "--num-images must be at least 1, got 0"),
        ({"ratio": "1.5"}, "a reference-mask ratio must be from 0 to 1, got 1.5"),
        ({"temperature": "-1"}, "temperature must be at least 0, got -1.0"),
        ({"guidance": "-1"}, "guidance must be at least 0, got -1.0"),
        (
            {"beams": "2", "top-k": "5"},
            "a search over 2 beams draws nothing, so --top-k would have no effect",
        ),
    ],
)
def test_bad_usage_is_named_and_leaves_nothing(
    world: DatasetFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str | None],
    message: str,
) -> None:
    assert main(arguments(world, tmp_path / "made", **changed)) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_that_is_no_number_is_bad_usage(
    world: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments(world, tmp_path, ratio="best"))
    assert "must be sweep, predicted or a number from 0 to 1, got 'best'" in capsys.readouterr().err


def test_something_else_in_the_way_is_kept(
    world: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    assert main(arguments(world, tmp_path)) == 1
    assert "something else is there" in capsys.readouterr().err
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_weights_without_a_ratio_predictor_name_the_command_that_trains_one(
    world: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {"weights": str(tmp_path / "weights"), "ratio": "predicted"}
    assert main(arguments(world, tmp_path / "made", **changed)) == 1
    error = capsys.readouterr().err
    assert "ratio_predictor.safetensors is missing" in error
    assert "pigeon-recsys train ratio" in error
