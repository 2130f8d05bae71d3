"""A slate log in memory, which can be told to fail, or to refuse entries."""

from collections.abc import Collection, Sequence

from pigeon_recsys.decisions import Decision, Exposure, Outcome, SlateEntry, bounded
from pigeon_recsys.errors import EventError, LogError


class FakeSlateLog:
    """Entries in memory; the next `failures_left` batches fail, as do those of `refused` users."""

    def __init__(self, failures_left: int = 0, refused: Collection[str] = ()) -> None:
        self.entries: list[SlateEntry] = []
        self.batches: list[int] = []
        self.failures_left = failures_left
        self.is_closed = False
        self._refused = refused

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Keep entries, all or none. Raises `LogError` and `EventError`."""
        if self.failures_left:
            self.failures_left -= 1
            raise LogError("the fake slate log fails as it was told to")
        if any(entry.user_id in self._refused for entry in entries):
            raise EventError("wrong-schema", "the fake slate log refuses as it was told to")
        self.entries += [bounded(entry) for entry in entries]
        self.batches.append(len(entries))

    def close(self) -> None:
        """Note that it was called."""
        self.is_closed = True

    @property
    def decisions(self) -> list[Decision]:
        """Those that are kept."""
        return [each for each in self.entries if isinstance(each, Decision)]

    @property
    def exposures(self) -> list[Exposure]:
        """Those that are kept."""
        return [each for each in self.entries if isinstance(each, Exposure)]

    @property
    def outcomes(self) -> list[Outcome]:
        """Those that are kept."""
        return [each for each in self.entries if isinstance(each, Outcome)]
