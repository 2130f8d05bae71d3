"""What can and cannot be asked of sampling."""

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.sampling import Sampling


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", -0.1, "temperature must be at least 0, got -0.1"),
        ("temperature", float("nan"), "temperature must be at least 0, got nan"),
        ("top_k", 0, "top_k must be at least 1, got 0"),
        ("top_p", 0.0, "top_p must be above 0 and at most 1, got 0.0"),
        ("top_p", 1.1, "top_p must be above 0 and at most 1, got 1.1"),
        ("beams", 0, "beams must be at least 1, got 0"),
        ("guidance", -1.0, "guidance must be at least 0, got -1.0"),
        ("guidance", float("inf"), "guidance must be at least 0, got inf"),
    ],
)
def test_impossible_sampling_is_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Sampling(**{field: value})  # type: ignore[arg-type]
