"""Keywords: what stands out in one user's captions."""

from pigeon_recsys.alignment.baselines.keywords import Keywords

CATALOG = ["a happy cat", "a sad cat", "a happy dog", "a dragon with a hat"]


def test_a_word_counts_for_more_the_more_of_the_likes_and_the_fewer_of_the_catalog_hold_it():
    """Of four captions "a" is in all: weight 2·ln(5/5) = 0. "cat" 2·ln(5/3) = 1.02 is above
    "happy" ln(5/3) = 0.51 and below nothing; "sad" has ln(5/2) = 0.92."""
    picked = Keywords.of(CATALOG).pick(["a happy cat", "a sad cat"])
    assert picked == ("cat", "sad", "happy", "a")


def test_at_most_so_many_words_are_picked_and_equals_come_in_order_of_spelling():
    picked = Keywords.of(CATALOG).pick(["a dragon with a hat"], count=2)
    assert picked == ("dragon", "hat")


def test_no_captions_have_no_keywords():
    assert Keywords.of(CATALOG).pick([]) == ()
