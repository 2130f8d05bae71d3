from typing import Any

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.settings import RankerSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, r"ranker\.epochs must be above 0, got 0\. Leave it out to use 2\."),
        ({"seed": -1}, r"ranker\.seed must be 0 or more, got -1"),
        ({"item_dropout": 1.0}, r"ranker\.item_dropout must be at least 0 and below 1, got 1\.0"),
        ({"holdout_share": 0.0}, r"ranker\.holdout_share must be above 0 and below 1, got 0\.0"),
        ({"learning_rate": float("nan")}, r"ranker\.learning_rate must be above 0, got nan"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        RankerSettings(**setting)
