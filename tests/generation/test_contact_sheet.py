"""The sheet of a sweep."""

from pigeon_recsys.generation.contact_sheet import FRAME, MARGIN, contact_sheet
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task


def test_the_chosen_picture_is_framed() -> None:
    """Five places for history, the reference, a gap, and the one picture of the sweep."""
    task = make_task(num_history=2)
    (made,) = FakeGenerator(side=16).generate([task])
    sheet = contact_sheet([(task, made), (task, made)], num_history=5)
    side = 16 + 2 * MARGIN
    assert sheet.shape == (2 * side, 8 * side, 3)
    assert tuple(sheet[0, -1]) == FRAME
    assert (sheet[MARGIN : MARGIN + 16, -MARGIN - 16 : -MARGIN] == made.pixels).all()
    assert (sheet[:, : 3 * side] == 255).all()
