"""A table of visual ids: what its rows are, and when it may be built once for many uses."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pigeon_recsys.backbones.mini.code_table import CodeTable, built_once
from pigeon_recsys.backbones.mini.quantizer import FiniteScalarQuantizer

QUANTIZER = FiniteScalarQuantizer((3, 2))  # id = first digit + 3 · second digit


def table_of_digits() -> CodeTable:
    """A table whose free rows are zero; the digits' rows are 1, 2, 3 and 10, 20."""
    table = CodeTable(QUANTIZER, dim=1)
    with torch.no_grad():
        table.own_VD.zero_()
        table.digit_LD.copy_(torch.tensor([[1.0], [2.0], [3.0], [10.0], [20.0]]))
    return table


def test_a_row_is_the_sum_of_its_digits_rows() -> None:
    """Ids 0 to 5 have the digits (0,0) (1,0) (2,0) (0,1) (1,1) (2,1)."""
    assert table_of_digits()().flatten().tolist() == [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]


def test_every_id_also_has_a_row_of_its_own() -> None:
    table = table_of_digits()
    with torch.no_grad():
        table.own_VD[4] = 0.5
    assert table().flatten().tolist() == [11.0, 12.0, 13.0, 21.0, 22.5, 23.0]


def test_what_one_id_learns_moves_the_ids_that_share_its_digits() -> None:
    """Id 1 is (1, 0): ids 0 and 2 share its second digit, id 4 its first, 3 and 5 none."""
    table = CodeTable(QUANTIZER, dim=2)
    before_VD = table().detach().clone()
    table()[1].sum().backward()
    with torch.no_grad():
        for parameter in table.parameters():
            assert parameter.grad is not None
            parameter.sub_(parameter.grad)
    moved = (table() - before_VD).abs().sum(dim=1) > 0
    assert moved.tolist() == [True, True, True, False, True, False]


def test_inside_the_block_a_table_is_built_once() -> None:
    table = table_of_digits()
    with built_once(table):
        assert table() is table()
    assert table() is not table()


def test_after_the_block_a_changed_weight_changes_the_table() -> None:
    """The block may be left by an error; id 4 then gains the 0.5 that its own row gained."""
    table = table_of_digits()
    with pytest.raises(KeyError), built_once(table):
        raise KeyError
    with torch.no_grad():
        table.own_VD[4] = 0.5
    assert table().flatten()[4].item() == 22.5
    assert table().requires_grad


def test_blocks_nest_and_other_tables_are_not_touched() -> None:
    first, second, other = table_of_digits(), table_of_digits(), table_of_digits()
    with built_once(first):
        outer = first()
        with built_once(second):
            assert first() is outer
            assert second() is second()
        assert second() is not second()
        assert first() is outer
        assert other().requires_grad


def test_another_thread_builds_its_own() -> None:
    """Such as one that trains, or one whose block ends later."""
    table = table_of_digits()
    with built_once(table), ThreadPoolExecutor(1) as pool:
        assert pool.submit(table).result().requires_grad
