"""What the model hid of a history, and what it tried, before it came to a picture.

In:  a generation.
Out: a JSON file that lies beside the picture in the image store; and back.

Of the pictures that a sweep did not choose the scores alone are kept: eleven pictures would take
ten times the room of one. A record names items that a user liked, so it leaves the house in no
picture, and an erasure deletes it.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pigeon_recsys.records import Generation, SweepImage, TokenMask

MAX_BYTES = 2**20  # of a file; twelve masks and eleven ratios take some 3 KB
MAX_ENTRIES = 1_000
KEPT, HIDDEN = "1", "0"


class BadSweepRecord(ValueError):
    """A file is no record of a sweep."""


@dataclass(frozen=True, slots=True)
class SweepScore:
    """A picture that was made at one reference-mask ratio, as the selection scorer judged it."""

    reference_mask_ratio: float
    history_score: float
    reference_score: float
    score: float


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """The masks of history pictures, and the scores of a sweep in its order."""

    history_masks: tuple[TokenMask, ...]
    sweep: tuple[SweepImage | SweepScore, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")


class _Mask(_Part):
    item_id: str
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    keep: str = Field(pattern=f"^[{HIDDEN}{KEPT}]*$")  # row by row


class _Score(_Part):
    reference_mask_ratio: float
    history_score: float
    reference_score: float
    score: float


class _File(_Part):
    history_masks: tuple[_Mask, ...] = Field(max_length=MAX_ENTRIES)
    sweep: tuple[_Score, ...] = Field(max_length=MAX_ENTRIES)


def encode_sweep(made: Generation) -> bytes:
    """Return the file of a generation's sweep and masks."""
    masks = tuple(
        _Mask(
            item_id=mask.item_id,
            rows=mask.rows,
            columns=mask.columns,
            keep="".join(KEPT if kept else HIDDEN for kept in mask.keep),
        )
        for mask in made.history_masks
    )
    names = _Score.model_fields
    scores = tuple(_Score(**{name: getattr(each, name) for name in names}) for each in made.sweep)
    return _File(history_masks=masks, sweep=scores).model_dump_json().encode()


def decode_sweep(file: bytes) -> SweepRecord:
    """Return what a file says. Raises `BadSweepRecord`."""
    if len(file) > MAX_BYTES:
        raise BadSweepRecord(f"the record has {len(file)} bytes, at most {MAX_BYTES} are read.")
    try:
        found = _File.model_validate_json(file)
        masks = tuple(
            TokenMask(each.item_id, each.rows, each.columns, tuple(k == KEPT for k in each.keep))
            for each in found.history_masks
        )
    except (ValidationError, ValueError) as exc:
        fault = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else str(exc)
        raise BadSweepRecord(f"the record of the sweep cannot be read: {fault}") from exc
    return SweepRecord(masks, tuple(SweepScore(**each.model_dump()) for each in found.sweep))
