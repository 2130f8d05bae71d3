"""The table style by style: the same scores, taken apart by the users' main style."""

import pytest

from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.comparison import MethodRow
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.style_breakdown import StyleBreakdown
from pigeon_recsys.evaluation.truth import CatalogTruth
from pigeon_recsys.records import GenerationTask, Reference

STYLE = Column("style right", "", "net", "higher")
OTHER = Column("SSIM", "target", "", "higher")
MAINS = {"a": "soft", "b": "flat", "c": "soft"}


def case(user_id):
    task = GenerationTask(user_id, (), "", Reference("r"), None, 0)
    return Case(task, task)


@pytest.fixture
def table():
    """a is right once of two, c always, b never; the copy has no answer for b."""
    cases = [case(user_id) for user_id in ("a", "b", "c", "a")]
    rows = [
        MethodRow("own", (), {}, {}, {STYLE: [1.0, 0.0, 1.0, 0.0], OTHER: [0.5] * 4}),
        MethodRow("copy", (), {}, {}, {STYLE: [1.0, None, 1.0, 1.0]}),
        MethodRow("none", (), {}, {}),
    ]
    return StyleBreakdown.of(CatalogTruth(None, MAINS, {}), cases, rows, seed=0)


def test_each_styles_users_are_averaged_by_themselves(table):
    """soft: a has 0.5, c has 1, mean 0.75. flat: b has 0."""
    values = table.to_json()["methods"][0]["values"]
    assert values["style right (net)"]["soft"]["mean"] == pytest.approx(0.75)
    assert values["style right (net)"]["soft"]["num_users"] == 2
    assert values["style right (net)"]["flat"]["mean"] == 0


def test_only_columns_of_the_planted_truth_are_broken_down(table):
    assert table.columns == (STYLE,)


def test_an_empty_cell_is_null(table):
    methods = {
        each["name"]: each["values"]["style right (net)"] for each in table.to_json()["methods"]
    }
    assert methods["copy"]["flat"] is None
    assert methods["copy"]["soft"]["mean"] == 1
    assert methods["none"] == {"flat": None, "soft": None}


def test_the_page_says_how_many_users_and_cases_each_style_has(table):
    page = table.to_markdown()
    assert "## style right (net), by the user's main style" in page
    assert "| method | flat (1 users, 1 cases) | soft (2 users, 3 cases) |" in page
    assert "| copy | – | 1.000 [1.000, 1.000] |" in page
