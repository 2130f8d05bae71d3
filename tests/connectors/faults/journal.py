"""What workers did and in which order, told by themselves: lines in a file that many append to.

A worker looks for a job's result before it asks the generator, so it notes `looked` before it
reads, `made` before it makes and `stored` after it has written. A picture that is made although a
result was stored before its maker looked is one that cost GPU time for nothing.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pigeon_recsys.ports import ImageStore

LOOKED, MADE, STORED = "looked", "made", "stored"
RESULTS = "results/"  # names of results in an image store


@dataclass(frozen=True)
class Journal:
    """An append-only file. A line is written at once, so lines of many processes do not mix."""

    path: Path

    def note(self, worker: int, what: str, subject: object) -> None:
        """Append a line; who dies right after has still written it."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"{worker} {what} {subject}\n".encode())
        finally:
            os.close(descriptor)

    def lines(self) -> list[tuple[int, str, str]]:
        """Return all lines: worker, what it did, to what."""
        text = self.path.read_text() if self.path.exists() else ""
        found = (line.split(" ", 2) for line in text.splitlines())
        return [(int(worker), what, subject) for worker, what, subject in found]

    def num(self, what: str) -> int:
        """Return how many lines say that."""
        return sum(line[1] == what for line in self.lines())


@dataclass(frozen=True)
class JournaledImages:
    """An image store that notes when a worker looks for a result and when one is stored."""

    store: ImageStore
    journal: Journal
    worker: int

    def read(self, name: str) -> bytes | None:
        """Read, and note it before."""
        if name.startswith(RESULTS):
            self.journal.note(self.worker, LOOKED, Path(name).stem)
        return self.store.read(name)

    def write(self, name: str, content: bytes) -> str:
        """Write, and note it after."""
        url = self.store.write(name, content)
        if name.startswith(RESULTS):
            self.journal.note(self.worker, STORED, Path(name).stem)
        return url


def made_for_nothing(
    lines: Iterable[tuple[int, str, str]], key_of_seed: Mapping[int, str]
) -> list[str]:
    """Return the jobs that were made by a worker which must have found their result."""
    stored: set[str] = set()
    must_know: dict[int, set[str]] = defaultdict(set)  # by worker
    wasted = []
    for worker, what, subject in lines:
        if what == STORED:
            stored.add(subject)
        elif what == LOOKED and subject in stored:
            must_know[worker].add(subject)
        elif what == MADE and key_of_seed.get(int(subject)) in must_know[worker]:
            wasted.append(key_of_seed[int(subject)])
    return wasted
