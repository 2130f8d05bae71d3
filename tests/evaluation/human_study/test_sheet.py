from collections import Counter
from itertools import islice

from pigeon_recsys.evaluation.human_study.sheet import _fnv1a, _mulberry32, draw_sheet
from pigeon_recsys.evaluation.human_study.study import Check, Study


def test_the_hash_is_fnv1a() -> None:
    """Published test vectors: the empty text gives the offset, `a` 0xe40c292c."""
    assert _fnv1a("") == 0x811C9DC5
    assert _fnv1a("a") == 0xE40C292C
    assert _fnv1a("foobar") == 0xBF9CF968


def test_the_numbers_use_all_of_their_32_bits() -> None:
    numbers = list(islice(_mulberry32(1), 4000))
    assert len(set(numbers)) == 4000
    assert all(0 <= number < 2**32 for number in numbers)
    for bit in range(32):
        assert 0.45 < sum(number >> bit & 1 for number in numbers) / 4000 < 0.55


def test_a_sheet_is_the_same_every_time_and_another_for_everybody(study: Study) -> None:
    assert draw_sheet(study, "p1") == draw_sheet(study, "p1")
    assert draw_sheet(study, "p1") != draw_sheet(study, "p2")


def test_everybody_meets_every_check_and_as_many_pairs(study: Study) -> None:
    for number in range(20):
        shown = {step.shown.pair_id: step.shown for step in draw_sheet(study, f"p{number}")}
        num_checks = sum(isinstance(each, Check) for each in shown.values())
        assert (len(shown), num_checks) == (8, 2)


def test_both_questions_of_a_pair_follow_each_other_with_the_same_sides(study: Study) -> None:
    sheet = draw_sheet(study, "p1")
    for one, other in zip(sheet[::2], sheet[1::2], strict=True):
        assert one.shown is other.shown
        assert (one.left, one.right) == (other.left, other.right)
        assert (one.question, other.question) == ("personal", "asked")


def test_sides_places_and_pairs_are_even_over_participants(study: Study) -> None:
    """400 participants: each pair's share of 6/18 and each side's ½, within four deviations."""
    left: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    check_first = 0
    for number in range(400):
        steps = draw_sheet(study, f"person-{number}")[::2]
        check_first += isinstance(steps[0].shown, Check)
        for step in steps:
            seen[step.shown.pair_id] += 1
            left[step.shown.pair_id] += step.left == step.shown.pictures[0]
    for pair in study.pairs:
        assert 95 <= seen[pair.pair_id] <= 172
        assert 0.3 < left[pair.pair_id] / seen[pair.pair_id] < 0.7
    assert 65 <= check_first <= 135  # a quarter of all
