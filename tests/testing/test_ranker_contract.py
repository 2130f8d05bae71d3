"""The fake ranker obeys the contract that every ranker obeys."""

from pigeon_recsys.testing.fakes import FakeRanker
from pigeon_recsys.testing.ranker_contract import RankerContract


class TestFakeRanker(RankerContract):
    def make_ranker(self) -> FakeRanker:
        return FakeRanker()
