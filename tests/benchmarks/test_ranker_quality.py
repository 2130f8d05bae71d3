"""The ranker's quality: the report of training, and gaps that a log and its calibration give."""

from pathlib import Path

import pytest

from benchmarks import ranker_quality
from benchmarks.ranker_quality import EXCESSES, main, open_world, parse_arguments, simulate, train
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.decisions import Decision, Outcome
from pigeon_recsys.errors import OutputError
from tests.benchmarks.conftest import ReadResult

SMALL = ["--world-items", "120", "--world-users", "60"]


@pytest.mark.slow
def test_the_figures_are_of_training_and_of_a_log_that_was_calibrated_from(
    tmp_path: Path, read_result: ReadResult
) -> None:
    out = tmp_path / "quality.json"
    main(["--out", str(out), "--slates", "12", *SMALL])
    settings, figures = read_result(out)
    assert (settings["world_items"], settings["slates"]) == (120, 12)
    assert 0.5 < figures["held_out"]["auc"] < 1
    assert 0 < figures["held_out"]["calibration_error"] < 0.5
    gaps = figures["source_bias_of_simulated_outcomes"]
    assert set(gaps) == {f"excess_{excess:g}" for excess in EXCESSES}
    own, *_, planted = (gaps[f"excess_{excess:g}"] for excess in EXCESSES)
    assert planted["before"]["score"]["gap"] > own["before"]["score"]["gap"] + 0.05
    for each in (own, planted):
        assert each["log_loss_after"] < each["log_loss_before"]
        assert set(each["by_source"]) == {"catalog", "generated"}


@pytest.mark.slow
def test_slates_are_of_users_that_training_never_saw_and_of_items_they_never_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At log-odds of 30 and more everything is liked; with an excess of 100 no picture is."""
    train(tmp_path, parse_arguments(["--out", str(tmp_path / "out.json"), *SMALL]))
    world = open_world(tmp_path)
    monkeypatch.setattr(ranker_quality, "BASE", 30.0)
    for excess, share in ((0.0, 1.0), (100.0, 0.0)):
        entries = list(simulate(world, 2, excess))
        decisions = [each for each in entries if isinstance(each, Decision)]
        assert {user_split(each.user_id) for each in decisions} == {"validation", "test"}
        for each in decisions:
            met = world.dataset.history(each.user_id).item_ids
            assert not {place.item_id for place in each.placements} & set(met)
            assert len(each.placements) == ranker_quality.SHOWN + 1
        liked = [each.item_id for each in entries if isinstance(each, Outcome)]
        num_made = sum(item_id.startswith("gen-") for item_id in liked)
        assert num_made == share * len(decisions)
        assert len(liked) - num_made == ranker_quality.SHOWN * len(decisions)


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        main(["--out", str(tmp_path)])
