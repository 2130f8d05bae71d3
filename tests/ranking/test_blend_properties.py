"""What holds for every blend, whatever is given: each constraint, checked on the slate alone."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.ranking.blend import Blend, blend, placeable
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer, Shown
from pigeon_recsys.ranking.constraints import (
    BlendConstraints,
    FrequencyCap,
    Neighbours,
    Window,
)
from pigeon_recsys.ranking.eligibility import is_in_share
from pigeon_recsys.ranking.verdicts import Code
from pigeon_recsys.records import Placement, ScoredItem, Vectors

HOUR_MS = 3_600_000
NOW_MS = 100 * HOUR_MS
NOWHERE = np.zeros(2, np.float32)

# Few distinct values, so that ties, copies and neighbours are common. One number stands for a whole
# candidate or offer, digit by digit, because many small draws are slow.
CONTENTS = (*[None] * 7, "h", "i")
COSINES = st.sampled_from([-0.5, 0.0, 0.6, 0.8])


def digits(number: int, *bases: int) -> list[int]:
    found = []
    for base in bases:
        number, digit = divmod(number, base)
        found.append(digit)
    return found


def direction(digit: int) -> Vectors:
    """Return a unit vector, one of eight, or zeros for 0."""
    angle = digit * np.pi / 4
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return vector if digit else NOWHERE


@dataclass(frozen=True, eq=False)
class Case:
    """All that one blend is given."""

    candidates: Candidates
    offers: list[Offer]
    request: BlendRequest
    constraints: BlendConstraints

    def blend(self) -> Blend:
        return blend(self.candidates, self.offers, self.request, self.constraints)

    @property
    def offer(self) -> dict[str, Offer]:
        """The offers by id; of those given twice the most probable, of equal ones the first."""
        last_first = self.offers[::-1]
        last_first.sort(key=lambda one: one.probability)
        return {one.item_id: one for one in last_first}

    def row(self, item_id: str) -> int:
        """The row of a candidate, the one that counts of those given twice."""
        rows = [r for r, item in enumerate(self.candidates.items) if item.item_id == item_id]
        if self.constraints.order == "as_given":
            return rows[0]
        return max(rows, key=lambda row: (self.probability(row), -row))

    def probability(self, row: int) -> float:
        assert self.candidates.probabilities is not None
        known = self.candidates.probabilities[row]
        return -1.0 if known is None else float(known)

    def vector(self, item_id: str) -> Vectors:
        if item_id not in {item.item_id for item in self.candidates.items}:
            found = self.offer[item_id].vector
            return NOWHERE if found is None else found
        assert self.candidates.vectors_ND is not None
        vector: Vectors = self.candidates.vectors_ND[self.row(item_id)]
        return vector


def placed(slate: Blend) -> list[Placement]:
    """The places that show a generated picture."""
    return [p for p in slate.placements if p.is_generated or p.creative_id is not None]


def picture(place: Placement) -> str:
    return place.creative_id or place.item_id


CANDIDATE = (10, 9, 9, 9, 7, 4)  # id, probability, vector, content, score, 0: probability unknown
OFFER = (6, 9, 9, 9, 11, 10, 6)  # id, probability, vector, content, reference, wearer, kind
CONSTRAINTS = (5, 5, 4, 6, 2, 2, 2, 3)


SIZES = st.integers(1, 9).map(lambda missing: 10 - missing)


def numbers(
    bases: tuple[int, ...], max_size: int, min_size: int = 0
) -> st.SearchStrategy[list[list[int]]]:
    whole = st.integers(0, int(np.prod(bases)) - 1)
    return st.lists(
        whole.map(lambda number: digits(number, *bases)), min_size=min_size, max_size=max_size
    )


def offer(found: list[int]) -> Offer:
    name, eighths, angle, content, reference, wearer, kind = found
    is_creative = kind >= 4
    return Offer(
        item_id=f"w{name}" if is_creative else f"{'gggc'[kind]}{name}",
        probability=eighths / 8,
        kind="creative" if is_creative else "item",
        for_item=f"c{wearer}" if is_creative else None,
        reference_id=None if reference == 10 else f"c{reference}",
        vector=direction(angle),
        content_hash=CONTENTS[content],
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    order = draw(st.sampled_from(["by_score", "as_given"]))
    rows = draw(numbers(CANDIDATE, 9))
    candidates = Candidates(
        [ScoredItem(f"c{row[0]}", row[4] - 3.0) for row in rows],
        [None if order == "as_given" and row[5] == 0 else row[1] / 8 for row in rows],
        np.array([direction(row[2]) for row in rows], np.float32).reshape(len(rows), 2),
        [CONTENTS[row[3]] for row in rows],
    )
    most, least, distance, share, place, copy, *caps = digits(
        draw(st.integers(0, int(np.prod(CONSTRAINTS)) - 1)), *CONSTRAINTS
    )
    constraints = BlendConstraints(
        allowed_positions=tuple(set(range(10)) - draw(st.sets(st.integers(0, 9), max_size=6))),
        max_generated=(3, 4, 2, 1, 0)[most],
        min_score=least / 16,
        min_distance=1 + distance,
        window=draw(st.none() | st.builds(Window, st.integers(1, 3), st.integers(1, 6))),
        item_cap=FrequencyCap(1, 5) if caps[0] else None,
        user_cap=FrequencyCap(2 * caps[1], 8) if caps[1] else None,
        neighbours=draw(st.none() | st.builds(Neighbours, st.integers(1, 3), COSINES)),
        near_copy_cosine=0.999 if copy else None,
        share=0.5 if share == 5 else 1.0,
        order=order,
        place="first_allowed" if place else "by_score",
    )
    shown = [
        Shown(("g0", "g1", "w0")[which], (90 + hour) * HOUR_MS)
        for which, hour in draw(numbers((3, 12), 4))
    ]
    request = BlendRequest("ada", draw(st.sampled_from("rst")), draw(SIZES), NOW_MS, shown)
    return Case(
        candidates, [offer(one) for one in draw(numbers(OFFER, 6, 2))], request, constraints
    )


any_case = given(cases())
many = settings(deadline=None, max_examples=120)


@many
@any_case
def test_number_positions_scores_distance_and_windows_are_kept(case: Case) -> None:
    rules, slate = case.constraints, case.blend()
    shown = placed(slate)
    positions = [place.position for place in shown]
    assert len(shown) <= rules.max_generated
    assert all(p.position in rules.allowed_positions for p in shown if p.is_generated)
    assert all(case.offer[picture(p)].probability >= rules.min_score for p in shown)
    assert all(below - above >= rules.min_distance for above, below in pairwise(positions))
    if rules.window is not None:
        for start in range(case.request.size):
            inside = [p for p in positions if start <= p < start + rules.window.positions]
            assert len(inside) <= rules.window.at_most


@many
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.sets(st.integers(0, 9), min_size=1),
    st.lists(st.integers(0, 9), max_size=4, unique=True),
)
def test_windows_are_kept_where_many_would_be_shown(
    at_most: int, positions: int, allowed: set[int], worn: list[int]
) -> None:
    rules = BlendConstraints(tuple(allowed), 10, window=Window(at_most, positions))
    offered = [Offer(f"g{n}", 0.9) for n in range(5)]
    offered += [Offer(f"w{n}", 0.5, "creative", f"c{n}") for n in worn]
    catalog = Candidates.scored([ScoredItem(f"c{n}", 0.1) for n in range(10)])
    slate = blend(catalog, offered, BlendRequest("ada", "r", 10), rules)
    shown = [place.position for place in placed(slate)]
    for start in range(10):
        assert sum(start <= position < start + positions for position in shown) <= at_most
    if at_most >= positions:  # then every position may show one
        assert {p.position for p in slate.placements if p.is_generated} == set(sorted(allowed)[:5])


@many
@any_case
def test_frequency_caps_are_kept_with_this_slate_counted(case: Case) -> None:
    rules, shown = case.constraints, placed(case.blend())
    for cap in (rules.item_cap, rules.user_cap):
        if cap is None:
            continue
        recent = [s.item_id for s in case.request.shown if s.at_ms > NOW_MS - cap.hours * HOUR_MS]
        now = [picture(place) for place in shown]
        if cap is rules.item_cap:
            counts = Counter(recent)
            assert all(counts[name] + 1 <= cap.at_most for name in now)
        elif now:
            assert len(recent) + len(now) <= cap.at_most


@many
@any_case
def test_no_neighbour_looks_alike_or_is_the_reference(case: Case) -> None:
    rule, slate = case.constraints.neighbours, case.blend().placements
    if rule is None:
        return
    for one in (place for place in slate if place.is_generated):
        for other in slate:
            if other is one or abs(other.position - one.position) > rule.within:
                continue
            assert other.item_id != case.offer[one.item_id].reference_id
            vectors = case.vector(one.item_id), case.vector(other.item_id)
            if all(vector.any() for vector in vectors):
                assert round(float(vectors[0] @ vectors[1]), 5) <= rule.max_cosine


@many
@any_case
def test_nothing_generated_repeats_the_catalog_or_another(case: Case) -> None:
    shown = [case.offer[picture(place)] for place in placed(case.blend())]
    hashes = {content for content in case.candidates.content_hashes or () if content}
    contents = [offer.content_hash for offer in shown if offer.content_hash is not None]
    assert len(set(contents)) == len(contents)
    assert hashes.isdisjoint(contents)
    assert {offer.item_id for offer in shown}.isdisjoint(i.item_id for i in case.candidates.items)
    if (near := case.constraints.near_copy_cosine) is None:
        return
    vectors = [offer.vector for offer in shown if offer.vector is not None]
    for item in case.candidates.items:
        assert all(case.vector(item.item_id) @ vector < near for vector in vectors)
    for at, vector in enumerate(vectors):
        assert all(vector @ other < near for other in vectors[:at])


@many
@any_case
def test_positions_run_without_gaps_up_to_the_size_and_no_item_comes_twice(case: Case) -> None:
    placements = case.blend().placements
    num_catalog = len({item.item_id for item in case.candidates.items})
    assert [p.position for p in placements] == list(range(len(placements)))
    assert min(case.request.size, num_catalog) <= len(placements) <= case.request.size
    assert len({p.item_id for p in placements}) == len(placements)
    pictures = [picture(place) for place in placements]
    assert len(set(pictures)) == len(pictures)


@many
@any_case
def test_the_catalog_keeps_its_order_its_scores_and_its_places_but_for_what_is_put_between(
    case: Case,
) -> None:
    mixed = case.blend().placements
    alone = replace(case, offers=[]).blend().placements
    of_catalog = [(p.item_id, p.score, p.probability) for p in mixed if not p.is_generated]
    assert of_catalog == [(p.item_id, p.score, p.probability) for p in alone][: len(of_catalog)]
    assert not any(p.is_generated or p.creative_id for p in alone)
    ids = [p.item_id for p in alone]
    if case.constraints.order == "as_given":
        assert ids == list(dict.fromkeys(i.item_id for i in case.candidates.items))[: len(ids)]
    else:
        chances = [p.probability or 0 for p in alone]
        assert chances == sorted(chances, reverse=True)


@many
@any_case
def test_by_score_nothing_generated_stands_above_a_candidate_as_probable(case: Case) -> None:
    if case.constraints.order == "as_given":
        return
    case = replace(case, constraints=replace(case.constraints, place="by_score"))
    placements = case.blend().placements
    shown_ids = {place.item_id for place in placements}
    hidden = {case.row(i.item_id) for i in case.candidates.items if i.item_id not in shown_ids}
    for one in (place for place in placements if place.is_generated):
        below = [p.probability or 0 for p in placements[one.position :] if not p.is_generated]
        below += [case.probability(row) for row in hidden]
        assert all(chance < one.score for chance in below)


@many
@any_case
def test_a_more_probable_generated_item_stands_above_a_less_probable_one(case: Case) -> None:
    scores = [place.score for place in case.blend().placements if place.is_generated]
    assert scores == sorted(scores, reverse=True)


@many
@any_case
def test_blending_the_result_again_changes_nothing(case: Case) -> None:
    once = case.blend().placements
    rows = [case.row(place.item_id) for place in once if not place.is_generated]
    given_ = case.candidates
    assert given_.probabilities is not None
    assert given_.vectors_ND is not None
    assert given_.content_hashes is not None
    again = Candidates(
        [given_.items[row] for row in rows],
        [given_.probabilities[row] for row in rows],
        given_.vectors_ND[rows],
        [given_.content_hashes[row] for row in rows],
    )
    shown = [case.offer[picture(place)] for place in once if place.is_generated]
    shown += [case.offer[place.creative_id] for place in once if place.creative_id is not None]
    assert replace(case, candidates=again, offers=shown).blend().placements == once


@many
@any_case
def test_the_order_of_the_offers_and_another_call_change_nothing(case: Case) -> None:
    distinct = list({(o.kind, o.probability): o for o in case.offer.values()}.values())
    case = replace(case, offers=distinct)
    assert case.blend() == case.blend() == replace(case, offers=distinct[::-1]).blend()


@many
@any_case
def test_switches_and_the_share_leave_exactly_the_callers_slate(case: Case) -> None:
    alone = replace(case, offers=[]).blend().placements
    for switch in ("kill_switch", "surface_off"):
        off = replace(case, constraints=replace(case.constraints, switch=switch)).blend()
        assert off.placements == alone
        assert {verdict.code for verdict in off.verdicts.values()} <= {Code(switch)}
    if not is_in_share(case.request, case.constraints):
        assert case.blend().placements == alone


@many
@any_case
def test_every_offer_has_a_verdict_that_tells_the_truth(case: Case) -> None:
    slate = case.blend()
    at = {picture(place): place.position for place in placed(slate)}
    assert slate.verdicts.keys() == case.offer.keys()
    for item_id, verdict in slate.verdicts.items():
        assert verdict.position == at.get(item_id)
        assert (verdict.code == Code.PLACED) == (item_id in at)
        assert (" in place " in verdict.line) == (item_id in at)


@many
@any_case
def test_what_is_placeable_is_placed_alone_unless_the_share_forbids(case: Case) -> None:
    found = placeable(case.candidates, case.offers, case.request, case.constraints)
    all_slates = replace(case.constraints, share=1.0)
    for offer in case.offer.values():
        alone = replace(case, offers=[offer], constraints=all_slates).blend()
        assert (alone.verdicts[offer.item_id].code == Code.PLACED) == (
            offer.item_id in {one.item_id for one in found}
        )
