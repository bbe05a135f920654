"""Work in blocks: every row once, in its place, scalars as they are, and errors of a thread reach the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.blocks import BLOCK_LENGTH, THREADS, in_blocks

SEVERAL_BLOCKS = THREADS * BLOCK_LENGTH + 3 * BLOCK_LENGTH // 2


def sum_and_flag(first: Any, second: Any, flag: Any, *, out: Sequence[Any]) -> None:
    """A kernel with two outputs."""
    np.add(first, second, out=out[0])
    out[1][:] = flag


@settings(deadline=None, max_examples=20)
@given(length=st.integers(0, SEVERAL_BLOCKS))
def test_every_row_is_computed_and_lands_in_its_place(length):
    rows = np.arange(length)
    total, flag = in_blocks(sum_and_flag, (rows, 0.5), is_call=rows % 3 == 0, n_outputs=2)
    assert total.tolist() == [row + 0.5 for row in range(length)]
    assert flag.tolist() == [float(row % 3 == 0) for row in range(length)]


@pytest.mark.parametrize("length", [0, 1, BLOCK_LENGTH, SEVERAL_BLOCKS])
def test_no_block_is_longer_than_the_limit_and_a_scalar_stays_one_element(length):
    seen = []

    def kernel(first: Any, second: Any, flag: Any, *, out: Sequence[Any]) -> None:
        seen.append((first.shape, second.shape, flag.shape, out[0].shape))
        out[0][:] = first

    in_blocks(kernel, (np.ones(length), 2.0), is_call=True, n_outputs=1)
    assert sum(shapes[0][0] for shapes in seen) == length
    assert all(first == out and first[0] <= BLOCK_LENGTH for first, _, _, out in seen)
    assert {shapes[1:3] for shapes in seen} <= {((1,), (1,))}


def test_inputs_of_several_dimensions_broadcast():
    total, flag = in_blocks(
        sum_and_flag, ([[1.0], [2.0]], [10.0, 20.0, 30.0]), is_call=[True, False, True], n_outputs=2
    )
    assert total.tolist() == [[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]
    assert flag.tolist() == [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]


@pytest.mark.parametrize("length", [10, SEVERAL_BLOCKS])
def test_an_error_in_any_block_reaches_the_caller(length):
    def kernel(first: Any, flag: Any, *, out: Sequence[Any]) -> None:
        if (first == length - 1).any():
            raise OptionPricingError("the last row")

    with pytest.raises(OptionPricingError, match="the last row"):
        in_blocks(kernel, (np.arange(length),), is_call=True, n_outputs=1)


def test_floating_point_warnings_are_off_inside_and_on_again_outside():
    def kernel(first: Any, flag: Any, *, out: Sequence[Any]) -> None:
        np.divide(1.0, first, out=out[0])

    assert in_blocks(kernel, ([0.0, 2.0],), is_call=True, n_outputs=1)[0].tolist() == [np.inf, 0.5]
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.divide(1.0, np.zeros(1))
