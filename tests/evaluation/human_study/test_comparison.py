import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.errors import DatasetError, OutputError, SettingsError
from pigeon_recsys.evaluation.human_study.comparison import (
    Comparison,
    DrawnTask,
    read_comparison,
    write_comparison,
)
from tests.evaluation.human_study.simulated_people import (
    METHODS,
    NUM_TASKS,
    picture,
    small_comparison,
)


def spoil(folder: Path, **changed: Any) -> None:
    """Write the folder's `comparison.json` with other values."""
    path = folder / "comparison.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_comparison(tmp_path / "run")
    return tmp_path / "run"


def test_what_is_written_reads_back(comparison: Comparison) -> None:
    assert comparison.methods == METHODS
    assert len(comparison.tasks) == NUM_TASKS
    assert np.array_equal(comparison.drawn("no-history", "task-2"), picture(12))
    task = comparison.tasks[2]
    assert task.reference is not None
    assert np.array_equal(comparison.pixels(task.reference), picture(202))
    assert np.array_equal(comparison.pixels(task.history[4]), picture(114))
    assert (task.user, task.text) == ("user-2", "a happy sticker, number 2")


def test_a_comparison_replaces_an_older_one_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    small_comparison(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match="something else is there"):
        small_comparison(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    task = DrawnTask("../t", "u", (), None, "a cat")
    with pytest.raises(SettingsError, match=r"'\.\./t' names files"):
        write_comparison(tmp_path / "run", name="n", tasks=[task], pictures={})


def test_every_missing_picture_is_reported_together(folder: Path) -> None:
    (folder / "images" / "no-history" / "task-1.png").unlink()
    (folder / "context" / "task-3" / "reference.png").unlink()
    (folder / "context" / "task-4" / "history-5.png").unlink()
    with pytest.raises(DatasetError) as caught:
        read_comparison(folder)
    assert len(caught.value.faults) == 3
    assert "images/no-history/task-1.png does not exist. Add the file" in str(caught.value)


def test_a_method_may_lack_a_task(folder: Path) -> None:
    pictures = json.loads((folder / "comparison.json").read_text())["pictures"]
    del pictures["no-history"]["task-1"]
    spoil(folder, pictures=pictures)
    assert "task-1" not in read_comparison(folder).pictures["no-history"]


def test_contradictions_are_reported_together(folder: Path) -> None:
    task = {"id": "task-0", "user": "u", "text": " "}
    picture_file = "images/no-history/task-1.png"
    spoil(
        folder,
        methods=["a", "a", "b"],
        tasks=[task, task],
        pictures={"a": {"task-9": picture_file}, "c": {}},
    )
    with pytest.raises(DatasetError) as caught:
        read_comparison(folder)
    text = "\n".join(caught.value.faults)
    assert "method 'a' is listed 2 times. List it once." in text
    assert "task 'task-0' is listed 2 times. List it once." in text
    assert "task 'task-0' asks for nothing. Give a reference, a text, or both." in text
    assert "method 'b' has no pictures. Add them, or drop the method." in text
    assert "pictures of 'c', which is no method. Methods: a, a, b." in text
    assert "pictures.a names 'task-9', which is no task. Drop it." in text


def test_a_picture_outside_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((folder / "images/no-history/task-1.png").read_bytes())
    spoil(folder, pictures={method: {"task-1": "../secret.png"} for method in METHODS})
    with pytest.raises(DatasetError, match="leads out of the folder"):
        read_comparison(folder)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object"),
        ("{}", "methods: Field required"),
        ('{"format": "other"}', "format: Input should be 'pigeon-comparison', got 'other'"),
    ],
    ids=["list", "cut", "deep", "empty", "format"],
)
def test_a_broken_file_is_one_clear_fault(folder: Path, content: str, fault: str) -> None:
    (folder / "comparison.json").write_text(content)
    with pytest.raises(DatasetError) as caught:
        read_comparison(folder)
    assert fault in "\n".join(caught.value.faults)


def test_a_folder_without_the_file_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Name a folder that `evaluate --out` has written"):
        read_comparison(tmp_path)


def test_a_file_that_is_no_picture_is_named(folder: Path) -> None:
    (folder / "images/no-history/task-1.png").write_text("no picture")
    with pytest.raises(DatasetError, match=r"images/no-history/task-1\.png: is no PNG"):
        read_comparison(folder).drawn("no-history", "task-1")
