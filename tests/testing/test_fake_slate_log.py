"""The slate log in memory keeps the contract, and fails as it is told."""

from collections.abc import Iterable

import pytest

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import EventError, LogError
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.slate_log_contract import (
    SlateLogContract,
    make_decision,
    make_exposure,
    make_outcome,
)


class TestFakeSlateLog(SlateLogContract):
    def make_log(self) -> FakeSlateLog:
        self.log = FakeSlateLog()
        return self.log

    def logged(self) -> Iterable[SlateEntry]:
        return self.log.entries


def test_it_fails_and_refuses_as_told_and_keeps_nothing_of_it() -> None:
    log = FakeSlateLog(failures_left=1, refused={"bob"})
    with pytest.raises(LogError, match="as it was told to"):
        log.write([make_decision()])
    with pytest.raises(EventError, match="as it was told to"):
        log.write([make_decision(), make_decision(user_id="bob")])
    log.write([make_decision(), make_exposure(), make_outcome()])
    assert (log.decisions, log.exposures) == ([make_decision()], [make_exposure()])
    assert log.outcomes == [make_outcome()]
