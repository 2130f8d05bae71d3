"""Collect every fault of a dataset folder, to report them together.

A fault names the file, the row (counted from 0, as pandas does), the value and the fix.
The printed list is cut off per kind of fault; the count and the JSON result never are.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pigeon_recsys.errors import DatasetError

SHOWN_PER_KIND = 5  # enough to see the pattern, few enough to read
SHOWN_CHARS = 80  # of a value; a longer one is cut


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    kind: str  # e.g. `duplicate item id`; stable, for programs
    file: str  # relative to the folder
    row: int | None  # counted from 0; None when the fault is not in one row
    value: str | None  # the offending value as the text quotes it; None where there is none
    text: str  # the fault and its fix

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row index {self.row}"
        return f"{where}: {self.text}"


class FaultList:
    """The faults found so far, in the order they were found."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(
        self, kind: str, file: str, text: str, *, row: int | None = None, value: str | None = None
    ) -> None:
        """Note one fault."""
        self._faults.append(Fault(kind, file, row, value, text))

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def raise_any(self, folder: Path) -> None:
        """Raise one `DatasetError` that holds all faults; do nothing without any."""
        if not self._faults:
            return
        error = DatasetError(folder, [str(fault) for fault in self], listing=self.listing())
        error.result["faults"] = [asdict(fault) for fault in self]
        raise error

    def listing(self) -> list[str]:
        """Return the lines to print: all kinds of fault, a few of each."""
        by_kind: dict[str, list[Fault]] = {}
        for fault in self:
            by_kind.setdefault(fault.kind, []).append(fault)
        lines = []
        for kind, faults in by_kind.items():
            lines += [str(fault) for fault in faults[:SHOWN_PER_KIND]]
            if len(faults) > SHOWN_PER_KIND:
                lines.append(f"and {len(faults) - SHOWN_PER_KIND} more faults of kind `{kind}`")
        return lines


def show(value: object) -> str:
    """Return a value as a message quotes it, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
