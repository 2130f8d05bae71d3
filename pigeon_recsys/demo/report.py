"""What one demo run did: the numbers and the stories, for the terminal and for machines.

In:  a `DemoReport`, filled in by the run.
Out: `report.json` (everything but the pixels) and a short summary for the terminal.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np

from pigeon_recsys.demo.story import UserStory
from pigeon_recsys.demo.streamed import StreamedImage
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.records import TokenMask

SECONDS_PER_MINUTE = 60

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class StageTiming:
    """How long one stage of the run took."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """One run of the demo, in full."""

    dataset: str
    task: str
    num_items: int
    num_users: int
    settings: Mapping[str, Setting]  # the seed among them
    timings: tuple[StageTiming, ...]  # in the order the stages ran
    counts: Mapping[str, int]  # what was made, by name: `images made`, `slates` …
    peak_memory_mib: float | None
    versions: Mapping[str, str]
    weights_version: str
    hardware: str
    commit: str | None  # ends in `-dirty` where the working tree was changed
    created_ms: int
    users: tuple[UserStory, ...]
    streamed: tuple[StreamedImage, ...] = ()  # of a run with a broker

    @property
    def total_s(self) -> float:
        """Seconds over all stages."""
        return math.fsum(timing.seconds for timing in self.timings)


def to_json(report: DemoReport) -> dict[str, JsonValue]:
    """Return the report as strict JSON: no pixels, and null for a number that is not finite."""
    return _record_json(report)


def write_report(report: DemoReport, path: Path) -> None:
    """Write `report.json`, whole or not at all."""
    content = json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomic(path, content + "\n")


def summary_lines(report: DemoReport) -> list[str]:
    """Return the run in a few aligned lines for a terminal."""
    rows = [
        ("dataset", f"{report.dataset} ({report.num_items:,} items, {report.num_users:,} users)"),
        *((name, f"{count:,}") for name, count in report.counts.items()),
        *((f"time: {timing.stage}", duration(timing.seconds)) for timing in report.timings),
        ("time: total", duration(report.total_s)),
    ]
    if report.peak_memory_mib is not None:
        rows.append(("peak memory", f"{report.peak_memory_mib:,.0f} MiB"))
    rows += [(f"user {story.user_id}", story_outcome(story)) for story in report.users]
    width = max(len(name) for name, _ in rows)
    return [f"{_printable(name):<{width}}  {_printable(value)}" for name, value in rows]


def story_outcome(story: UserStory) -> str:
    """Return in a few words what came of one user's request; positions count from 1."""
    if story.generation is None:
        return "catalog only"
    place = story.generated_placement
    if place is None:
        return "image made, not placed"
    return f"image at position {place.position + 1} of {len(story.slate.placements)}"


def duration(seconds: float) -> str:
    """Return a duration as a person says it: `0.42 s`, `34.0 s`, `2 min 5 s`."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), SECONDS_PER_MINUTE)
    return f"{minutes} min {rest} s"


def _record_json(record: object) -> dict[str, JsonValue]:
    """Return a dataclass by its field names, leaving out pixels and writing masks as rows."""
    if isinstance(record, TokenMask):
        return _mask_json(record)
    assert is_dataclass(record), f"no JSON form for a {type(record).__name__}"
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: _value_json(value)
        for name, value in values.items()
        if not isinstance(value, np.ndarray)
    }


def _value_json(value: object) -> JsonValue:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _value_json(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_value_json(held) for held in value]
    return _record_json(value)


def _mask_json(mask: TokenMask) -> dict[str, JsonValue]:
    """Return a mask with one string a row of tokens: `1` kept, `0` hidden."""
    flags = "".join("1" if kept else "0" for kept in mask.keep)
    starts = range(0, len(flags), mask.columns)
    rows: list[JsonValue] = [flags[start : start + mask.columns] for start in starts]
    return {"item_id": mask.item_id, "rows": mask.rows, "columns": mask.columns, "keep": rows}


def _printable(text: str) -> str:
    """Return `text` without characters that could steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
