"""Parse `dataset.yaml`, which says how to read a dataset folder.

In:  the bytes of the file.
Out: a `DatasetSpec`, or one fault per wrong key. Unknown keys are faults, so a typo fails.

Interactions come in two shapes: named events (`event`), or ratings with thresholds (`rating`).
"""

from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from pigeon_recsys.datasets.faults import FaultList, show

SPEC_FILE = "dataset.yaml"

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ItemColumns(_Section):
    """Which file and columns hold the catalog."""

    file: Text
    id: Text
    title: Text
    image: Text
    attributes: list[Text]
    instruction: list[Text] = Field(min_length=1)


class EventColumns(_Section):
    """Interactions that carry a named event."""

    file: Text
    user: Text
    item: Text
    time: Text
    event: Text
    positive: list[Text] = Field(min_length=1)
    negative: list[Text] = []
    neutral: list[Text] = []

    @model_validator(mode="after")
    def _each_event_once(self) -> "EventColumns":
        names = [*self.positive, *self.negative, *self.neutral]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each event may be listed once; listed twice: {', '.join(twice)}")
        return self


class AtLeast(_Section):
    """Ratings from here up are likes."""

    at_least: float


class AtMost(_Section):
    """Ratings from here down are skips."""

    at_most: float


class RatingColumns(_Section):
    """Interactions that carry a rating; between the thresholds it is neutral."""

    file: Text
    user: Text
    item: Text
    time: Text
    rating: Text
    positive: AtLeast
    negative: AtMost | None = None

    @model_validator(mode="after")
    def _thresholds_apart(self) -> "RatingColumns":
        if self.negative and self.negative.at_most >= self.positive.at_least:
            raise ValueError(
                f"negative.at_most ({self.negative.at_most}) must be below "
                f"positive.at_least ({self.positive.at_least})"
            )
        return self


def _shape_of_interactions(section: Any) -> Literal["event", "rating"]:
    """Ratings when only `rating` is given, else events."""
    is_rating = isinstance(section, dict) and "rating" in section and "event" not in section
    return "rating" if is_rating else "event"


class DatasetSpec(_Section):
    """The whole of `dataset.yaml`."""

    name: Text
    task: Literal["sticker", "poster"]
    items: ItemColumns
    interactions: Annotated[
        Annotated[EventColumns, Tag("event")] | Annotated[RatingColumns, Tag("rating")],
        Discriminator(_shape_of_interactions),
    ]


def parse_spec(content: bytes, faults: FaultList) -> DatasetSpec | None:
    """Return what `dataset.yaml` says, or None after noting every fault in it."""
    try:
        parsed = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        reason = " ".join(str(exc).split())
        faults.add("not yaml", SPEC_FILE, f"is not YAML: {reason}. Correct it there.")
        return None
    if not isinstance(parsed, dict):
        text = f"must hold keys such as `name:` and `items:`, holds {show(parsed)}."
        faults.add("not yaml", SPEC_FILE, text, value=show(parsed))
        return None
    try:
        return DatasetSpec.model_validate(parsed)
    except ValidationError as exc:
        for error in exc.errors():
            _note(error, parsed, faults)
        return None


def _note(error: ErrorDetails, parsed: dict[Any, Any], faults: FaultList) -> None:
    """Note one pydantic error in our own words."""
    shape = _shape_of_interactions(parsed.get("interactions"))
    path = list(error["loc"])
    if path[:2] == ["interactions", shape]:
        del path[1]  # the tag pydantic adds for the shape
    key = ".".join(str(part) for part in path)
    known = _known_keys([str(part) for part in path[:-1]], shape)
    match error["type"]:
        case "missing":
            faults.add("missing key", SPEC_FILE, f"{key} is missing. Keys there: {known}.")
        case "extra_forbidden":
            text = f"{key} is not a known key. Keys there: {known}."
            faults.add("unknown key", SPEC_FILE, text, value=show(error["input"]))
        case "value_error":
            text = f"{key}: {error['ctx']['error']}."
            faults.add("wrong value", SPEC_FILE, text)
        case _:
            text = f"{key}: {error['msg']}, got {show(error['input'])}."
            faults.add("wrong value", SPEC_FILE, text, value=show(error["input"]))


def _known_keys(section: list[str], shape: Literal["event", "rating"]) -> str:
    """Return the keys that may stand in a section, as a message lists them."""
    interactions: dict[str, type[_Section]] = {"event": EventColumns, "rating": RatingColumns}
    models: dict[str, type[_Section]] = {
        "": DatasetSpec,
        "items": ItemColumns,
        "interactions": interactions[shape],
        "interactions.positive": AtLeast,
        "interactions.negative": AtMost,
    }
    keys = ", ".join(models[".".join(section)].model_fields)
    return f"{keys} (or `rating` for `event`)" if keys.endswith("neutral") else keys
