import numpy as np

from pigeon_recsys.ranking.bags import Bags

RAGGED = Bags.from_lists([[1, 2], [], [3]])


def test_offsets_say_where_bags_start_and_end() -> None:
    assert RAGGED.offsets.tolist() == [0, 2, 2, 3]


def test_taking_rows_repeats_and_reorders_bags() -> None:
    taken = RAGGED.take(np.array([2, 0, 1, 0]))
    assert taken.values.tolist() == [3, 1, 2, 1, 2]
    assert taken.lengths.tolist() == [1, 2, 0, 2]


def test_taking_no_row_gives_no_bag() -> None:
    taken = RAGGED.take(np.array([], np.int64))
    assert (len(taken), taken.values.tolist(), taken.offsets.tolist()) == (0, [], [0])


def test_emptying_a_row_leaves_the_others() -> None:
    emptied = RAGGED.emptied(np.array([True, False, False]))
    assert emptied.values.tolist() == [3]
    assert emptied.lengths.tolist() == [0, 0, 1]


def test_the_mean_of_a_bag_is_that_of_its_vectors_and_zero_for_none() -> None:
    """Rows 1 and 2 are (1, 0) and (3, 2), mean (2, 1); row 3 is (5, 5)."""
    vectors_ID = np.array([[9, 9], [1, 0], [3, 2], [5, 5]], np.float32)
    assert RAGGED.means_of(vectors_ID).tolist() == [[2, 1], [0, 0], [5, 5]]


def test_trailing_and_leading_empty_bags_have_zero_means() -> None:
    vectors_ID = np.array([[4.0]], np.float32)
    assert Bags.from_lists([[], [0], []]).means_of(vectors_ID).tolist() == [[0], [4], [0]]
    assert Bags.from_lists([[], []]).means_of(vectors_ID).tolist() == [[0], [0]]
