"""One table for all methods: same size, same cases, unanswered ones counted."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.comparison import compare
from pigeon_recsys.evaluation.comparison_report import (
    contact_sheet,
    repainted,
    to_json,
    to_markdown,
)
from pigeon_recsys.evaluation.frechet_distance import FrechetDistance
from pigeon_recsys.evaluation.image_metrics import PairMeasure
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference


def grey(value, side=12):
    return np.full((side, side, 3), value, np.uint8)


def case(user, reference):
    history = (HistoryImage("h", grey(5)),)
    task = GenerationTask(user, history, "", Reference("r", "words"), grey(reference), 0)
    return Case(task, task)


CASES = [case("a", 10), case("a", 20), case("b", 30)]


@dataclass(frozen=True)
class Fixed:
    name: str
    answers: tuple
    selection_weights: tuple = ()

    def pictures(self, cases):
        return list(self.answers)


def difference(images, others):
    return [float(a.mean()) - float(b.mean()) for a, b in zip(images, others, strict=True)]


MEASURES = [PairMeasure("difference", "stand-in encoder", "lower", difference)]
FRECHET = FrechetDistance("net", lambda images: images.float().mean(dim=(2, 3)), frozenset())
COLUMN = Column("difference", "reference", "stand-in encoder", "lower")


@pytest.fixture
def rows():
    methods = [
        Fixed("all", (grey(11), grey(23), grey(34, side=24))),
        Fixed("one", (None, None, grey(31))),
        Fixed("none", (None, None, None)),
    ]
    return compare(methods, CASES, MEASURES, FRECHET, size=(12, 12))


def test_a_user_counts_once_and_sizes_are_made_equal(rows):
    """a: 1 and 3, mean 2; b: 4. Mean over users 3."""
    assert rows[0].estimates[COLUMN].mean == pytest.approx(3)
    assert {pixels.shape for pixels in rows[0].pictures} == {(12, 12, 3)}


def test_unanswered_cases_are_left_out_and_counted(rows):
    assert [row.num_answered for row in rows] == [3, 1, 0]
    assert (rows[1].estimates[COLUMN].mean, rows[1].estimates[COLUMN].num_users) == (1, 1)
    assert rows[2].estimates == {}


def test_a_set_value_needs_two_pictures(rows):
    assert {column.metric for column in rows[0].set_values} == {"FID"}
    assert rows[1].set_values == {}


def test_two_methods_of_one_name_are_refused():
    with pytest.raises(SettingsError, match="two are called 'same'"):
        compare([Fixed("same", ()), Fixed("same", ())], CASES, [], None, size=(12, 12))
    with pytest.raises(SettingsError, match="names of their own: got none"):
        compare([], CASES, [], None, size=(12, 12))


def test_the_json_names_every_column_and_leaves_empty_cells_null(rows):
    table = to_json(rows, {"users": 2})
    assert table["users"] == 2
    title = "difference reference (stand-in encoder)"
    assert table["methods"][0]["values"][title]["mean"] == pytest.approx(3)
    assert table["methods"][2]["values"][title] is None
    assert table["methods"][0]["values"]["FID reference (net)"]["low"] is None
    assert (table["methods"][1]["answered"], table["methods"][1]["asked"]) == (1, 3)


def test_the_markdown_names_the_stand_in_and_says_what_that_means(rows):
    page = to_markdown(rows, {"users": 2, "nested": {"left": "out"}})
    assert "| all | 3 of 3 | 3.000 [2.000, 4.000] |" in page
    assert "difference reference (stand-in encoder) ↓" in page
    assert "compare with no published number" in page
    assert "FID falls with the number of pictures" in page
    assert "nested" not in page


def test_a_table_without_networks_says_which_metrics_are_missing():
    pixels_only = [PairMeasure("SSIM", "", "higher", difference)]
    rows = compare([Fixed("m", (grey(1),) * 3)], CASES, pixels_only, None, size=(12, 12))
    assert "CIS, DIS, CS, LPIPS and FID are missing" in to_markdown(rows, {})


def test_a_repainted_sheet_shows_no_picture_as_it_came():
    shown = repainted(CASES, lambda pixels, seed: np.full_like(pixels, seed % 256))
    for before, after in zip(CASES, shown, strict=True):
        pictures = [image.pixels for image in after.task.history]
        if after.task.reference_pixels is not None:
            pictures.append(after.task.reference_pixels)
        assert pictures
        assert all((picture == before.task.seed % 256).all() for picture in pictures)
        assert after.task.reference == before.task.reference


def test_the_contact_sheet_has_a_row_a_method_and_a_column_a_user(rows, tmp_path):
    """Three users: 250 + 3 · 12 wide; history, reference and three methods: 5 · 12 high."""
    contact_sheet(CASES, rows, (12, 12), tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (60, 286, 3)
    assert sheet[26, 251, 0] == 11
    assert (sheet[48:, 250:] == 255).all()
