"""A comparison folder: what several methods drew for the same tasks.

    comparison.json          names, tasks, and which picture is where
    images/METHOD/TASK.png   one picture a method and task
    context/TASK/…           the user's history and the reference, as the method was given them

In:  a folder, which may come from anywhere; or the pictures themselves, to write one.
Out: a `Comparison`, or every fault of the folder together.

`comparison.json` holds `format`, `version`, `name`, `methods`, `tasks` (each with `id`, `user`,
`history`, `reference` and `text`) and `pictures`, which leads from a method over a task to a
file. All paths are relative to the folder. A method need not have a picture for every task. A
ground truth, where there is one, is a method like any other.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.datasets.pictures import BadPicture, decode_picture, picture_path
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.files import atomic_folder
from pigeon_recsys.records import Pixels

COMPARISON_FILE = "comparison.json"
PICTURES_FOLDER = "pictures"  # where an evaluation leaves its comparison
FORMAT = "pigeon-comparison"
VERSION = 1

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
PictureFile = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True)
class DrawnTask:
    """One task with its pictures in memory, to be written."""

    task_id: str
    user_id: str
    history: tuple[Pixels, ...]  # oldest first, as the methods were given it
    reference: Pixels | None
    text: str


class ComparisonTask(BaseModel):
    """One task: for whom, from which history, and what was asked for."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    id: Name
    user: Name
    history: tuple[PictureFile, ...] = ()
    reference: PictureFile | None = None
    text: Annotated[str, StringConstraints(max_length=2000)] = ""


class Comparison(BaseModel):
    """What `comparison.json` says; `folder` is where its paths begin."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    format: Literal["pigeon-comparison"]
    version: Literal[1]
    name: Name
    methods: Annotated[tuple[Name, ...], Field(min_length=1)]
    tasks: Annotated[tuple[ComparisonTask, ...], Field(min_length=1)]
    pictures: dict[Name, dict[Name, PictureFile]]
    folder: Path = Path()

    def pixels(self, path: str) -> Pixels:
        """Return one of its pictures in RGB. Raises `DatasetError`."""
        try:
            return decode_picture(picture_path(self.folder, path))
        except BadPicture as exc:
            raise DatasetError(self.folder, [f"{path}: {exc}"]) from exc

    def drawn(self, method: str, task_id: str) -> Pixels:
        """Return what a method drew for a task."""
        return self.pixels(self.pictures[method][task_id])


def comparison_folder(run: Path) -> Path:
    """Return the folder with the comparison: this one, or that inside what an evaluation wrote."""
    inside = run / PICTURES_FOLDER
    is_inside = not (run / COMPARISON_FILE).exists() and (inside / COMPARISON_FILE).exists()
    return inside if is_inside else run


def read_comparison(folder: Path) -> Comparison:
    """Return the comparison in `folder`; raise one `DatasetError` with every fault in it."""
    faults = FaultList()
    comparison = _parse(folder, faults)
    if comparison is not None:
        for fault in _contradictions(comparison):
            faults.add("contradiction", COMPARISON_FILE, fault)
        for file in sorted(_files(comparison)):
            try:
                picture_path(comparison.folder, file)
            except BadPicture as exc:
                faults.add(exc.kind, COMPARISON_FILE, f"picture {file} {exc}", value=file)
    faults.raise_any(folder)
    assert comparison is not None
    return comparison


def _parse(folder: Path, faults: FaultList) -> Comparison | None:
    """Return what the file says, or None after noting what is wrong with it."""
    try:
        content = json.loads((folder / COMPARISON_FILE).read_bytes())
        # A path in the file could lead anywhere; the folder is ours to say.
        content = {**content, "folder": folder.resolve()}
        return Comparison.model_validate(content)
    except OSError as exc:
        text = f"cannot be read: {exc.strerror}. Name a folder that `evaluate --out` has written."
        faults.add("unreadable", COMPARISON_FILE, text)
    except ValidationError as exc:
        for error in exc.errors():
            key = ".".join(str(part) for part in error["loc"])
            text = f"{key}: {error['msg']}, got {show(error['input'])}."
            faults.add("wrong value", COMPARISON_FILE, text)
    except (ValueError, TypeError, RecursionError) as exc:
        faults.add("not json", COMPARISON_FILE, f"is not a JSON object: {exc}. Write it again.")
    return None


def _contradictions(comparison: Comparison) -> Iterator[str]:
    """Yield where parts of the file do not fit together."""
    tasks = [task.id for task in comparison.tasks]
    for kind, names in (("method", comparison.methods), ("task", tasks)):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{kind} {show(name)} is listed {count} times. List it once."
    for task in comparison.tasks:
        if task.reference is None and not task.text.strip():
            yield f"task {show(task.id)} asks for nothing. Give a reference, a text, or both."
    for method in sorted(set(comparison.methods) - set(comparison.pictures)):
        yield f"method {show(method)} has no pictures. Add them, or drop the method."
    for method, pictures in comparison.pictures.items():
        if method not in comparison.methods:
            known = ", ".join(comparison.methods)
            yield f"pictures of {show(method)}, which is no method. Methods: {known}."
        for task_id in sorted(set(pictures) - set(tasks)):
            yield f"pictures.{method} names {show(task_id)}, which is no task. Drop it."


def _files(comparison: Comparison) -> set[str]:
    """Return every picture file that is named."""
    files = {file for pictures in comparison.pictures.values() for file in pictures.values()}
    for task in comparison.tasks:
        files.update(task.history)
        if task.reference is not None:
            files.add(task.reference)
    return files


def write_comparison(
    folder: Path,
    *,
    name: str,
    tasks: Sequence[DrawnTask],
    pictures: Mapping[str, Mapping[str, Pixels]],
) -> Comparison:
    """Write a comparison folder, whole or not at all, and return it as it reads back.

    `pictures[method][task_id]` holds what each method drew. Replaces an older comparison.
    """
    for each in (*pictures, *(task.task_id for task in tasks)):
        if "/" in each or each.startswith("."):
            raise SettingsError(f"{each!r} names files, so it may not hold `/` or begin with `.`")
    with atomic_folder(folder, lambda old: (old / COMPARISON_FILE).is_file()) as fresh:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            "methods": list(pictures),
            "tasks": [_write_task(fresh, task) for task in tasks],
            "pictures": {
                method: {
                    task_id: _write_picture(fresh, f"images/{method}/{task_id}.png", pixels)
                    for task_id, pixels in drawn.items()
                }
                for method, drawn in pictures.items()
            },
        }
        (fresh / COMPARISON_FILE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        read_comparison(fresh)
    return read_comparison(folder)


def _write_task(folder: Path, task: DrawnTask) -> dict[str, object]:
    """Write a task's pictures and return its entry."""
    context = f"context/{task.task_id}"
    history = [
        _write_picture(folder, f"{context}/history-{number}.png", pixels)
        for number, pixels in enumerate(task.history, start=1)
    ]
    reference = None
    if task.reference is not None:
        reference = _write_picture(folder, f"{context}/reference.png", task.reference)
    entry = {"id": task.task_id, "user": task.user_id, "text": task.text}
    return {**entry, "history": history, "reference": reference}


def _write_picture(folder: Path, file: str, pixels: Pixels) -> str:
    """Write one PNG and return its path relative to the folder."""
    from PIL import Image

    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return file
