"""Jobs left in hand: at once at first, alone when they are suspect, forgotten when gone."""

from pigeon_recsys.streaming.takeovers import TRUSTED, Takeovers


def test_jobs_that_were_taken_over_seldom_go_on_together() -> None:
    takeovers = Takeovers()
    takeovers.found(["a", "b"])
    assert takeovers.due({"a": 0, "b": TRUSTED - 1}) == ["a", "b"]
    assert takeovers.due({"a": 1, "b": TRUSTED}) == [], "once"


def test_suspects_are_tried_one_after_the_other_beside_those_that_are_none() -> None:
    takeovers = Takeovers()
    takeovers.found(["a", "b", "c"])
    assert takeovers.due({"a": TRUSTED, "b": TRUSTED, "c": 0}) == ["c", "a"]
    in_hand = {"a": TRUSTED + 1, "b": TRUSTED, "c": 1}
    assert takeovers.due(in_hand) == [], "a is on trial"
    del in_hand["a"]
    assert takeovers.due(in_hand) == ["b"]


def test_a_job_that_was_called_off_is_forgotten() -> None:
    takeovers = Takeovers()
    takeovers.found(["a", "b"])
    takeovers.due({"a": TRUSTED, "b": TRUSTED})
    assert takeovers.due({}) == []
    takeovers.found(["c"])
    assert takeovers.due({"c": TRUSTED}) == ["c"]


def test_a_job_found_again_is_due_again() -> None:
    """The pool has dropped it: its partition was lost in between."""
    takeovers = Takeovers()
    takeovers.found(["a"])
    assert takeovers.due({"a": TRUSTED}) == ["a"]
    takeovers.found(["a"])
    assert takeovers.due({"a": TRUSTED + 1}) == ["a"]
