"""A small comparison and a study of it."""

import pytest

from pigeon_recsys.evaluation.human_study.comparison import Comparison
from pigeon_recsys.evaluation.human_study.plan import plan_study
from pigeon_recsys.evaluation.human_study.study import Study, StudySettings
from tests.evaluation.human_study.simulated_people import small_comparison


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return small_comparison(tmp_path_factory.mktemp("human") / "run")


@pytest.fixture(scope="session")
def study(comparison: Comparison) -> Study:
    """All 18 pairs; each participant judges 6 of them and meets 2 checks."""
    settings = StudySettings(num_pairs=18, per_participant=6, num_checks=2, seed=7)
    return plan_study(comparison, settings)
