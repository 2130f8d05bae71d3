import time

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.text import MAX_LETTERS, HashedText
from pigeon_recsys.testing.text_embedder_contract import TextEmbedderContract

EXPECTED_CAT = [0.0, 0.707107, 0.0, 0.0, 0.0, 0.0, 0.0, 0.707107]


class TestHashedText(TextEmbedderContract):
    def make_embedder(self) -> HashedText:
        return HashedText(64)


def likeness(one: str, two: str) -> float:
    first, second = HashedText(512).embed([one, two])
    return float(first @ second)


def test_texts_are_alike_as_far_as_they_share_words() -> None:
    assert likeness("a happy cat", "a sad cat") > likeness("a happy cat", "an old dog") + 0.2


def test_forms_of_a_word_are_alike() -> None:
    assert likeness("painting", "painted") > 0.3 > abs(likeness("painting", "quux"))


def test_case_and_punctuation_do_not_count() -> None:
    assert likeness("Happy, Cat!", "happy cat") == pytest.approx(1)


def test_the_same_text_hashes_the_same_on_every_machine() -> None:
    """Worked out once; another value means that exported rankers no longer fit."""
    assert HashedText(8).embed(["cat"])[0].tolist() == pytest.approx(EXPECTED_CAT, abs=1e-6)


def test_a_megabyte_of_text_costs_no_more_than_its_first_letters() -> None:
    started_s = time.perf_counter()
    long = HashedText(16).embed(["cat " * 250_000])
    assert time.perf_counter() - started_s < 1
    np.testing.assert_array_equal(long, HashedText(16).embed([("cat " * 250_000)[:MAX_LETTERS]]))


def test_a_width_that_cannot_work_is_refused() -> None:
    with pytest.raises(SettingsError, match="hashed texts must be at least 1, got 0"):
        HashedText(0)
