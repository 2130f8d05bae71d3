"""The form that asks for a slate, as a browser sends it.

In:  the body of a POST.
Out: what was filled in, and the slate request it stands for.
"""

import math
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import Reference, SlotRequest

MAX_BODY = 16 * 1024  # bytes; the longest text that is allowed, escaped, and the rest
MAX_FIELDS = 20
MAX_DEADLINE_MS = 120_000  # a browser waits no longer
REQUEST_PREFIX = "viewer-"  # of request ids, so that whoever reads logs can leave these out
DEFAULT_SIZE = 10


@dataclass(frozen=True, slots=True)
class SlateForm:
    """The form's fields as text."""

    user_id: str = ""
    reference_item: str = ""
    reference_text: str = ""
    slate_size: str = str(DEFAULT_SIZE)
    deadline_ms: str = ""  # blank: the slot's own

    @classmethod
    def read(cls, body: bytes) -> "SlateForm":
        """Return the fields of a body; unknown ones are left aside. Raises `RequestError`."""
        try:
            told = dict(
                parse_qsl(
                    body.decode("utf-8", "replace"),
                    keep_blank_values=True,
                    max_num_fields=MAX_FIELDS,
                )
            )
        except ValueError as exc:
            raise RequestError([f"form: has more than {MAX_FIELDS} fields"]) from exc
        known = {name: value.strip() for name, value in told.items() if name in cls.__slots__}
        return cls(**known)

    def to_request(self) -> SlotRequest:
        """Return the request that the form stands for. Raises `RequestError` with every fault."""
        faults: list[str] = []
        size = _number(self.slate_size, "slate_size", faults, whole=True)
        deadline = _number(self.deadline_ms, "deadline_ms", faults) if self.deadline_ms else None
        if deadline is not None and (deadline < 0 or deadline > MAX_DEADLINE_MS):
            faults.append(f"deadline_ms must be from 0 to {MAX_DEADLINE_MS}, got {deadline:g}")
        if not self.user_id:
            faults.append("user_id must not be empty")
        if faults:
            raise RequestError(faults)
        has_reference = bool(self.reference_item or self.reference_text)
        return SlotRequest(
            request_id=f"{REQUEST_PREFIX}{uuid.uuid4().hex}",
            user_id=self.user_id,
            reference=Reference(self.reference_item or None, self.reference_text)
            if has_reference
            else None,
            slate_size=int(size),
            deadline_ms=deadline,
        )


def _number(text: str, path: str, faults: list[str], whole: bool = False) -> float:
    """Return a number, or note what is wrong with it."""
    try:
        value = float(int(text)) if whole else float(text)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        kind = "a whole number" if whole else "a number"
        faults.append(f"{path} must be {kind}, got {text[:40]!r}")
    return value
