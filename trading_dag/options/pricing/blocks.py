"""Long arrays in cache-sized blocks on two threads, for elementwise formulas of many steps.

How inputs become arrays of one shape and how the work is cut belong here; formulas do not. A formula of
fifty NumPy steps over whole columns moves fifty columns through memory, while over blocks that fit the
caches it moves only its inputs and outputs. NumPy releases the interpreter's lock inside a step, so that two threads
work at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.errors import OptionPricingError

# Long enough that the two threads seldom meet at the interpreter's lock between steps (at 8,192 they lose half their
# time there), short enough that the steps' arrays stay in the caches. Measured best between 20 and 50 thousand.
BLOCK_LENGTH = 24_576
THREADS = 2
# Just below 32 MB, the largest from which the library learns.
_LARGE_LENGTH = 2**22 - 2**12

Array = NDArray[Any]
# Numbers first, then whether the contract is a call, each of the block's length or of length one; by name the outputs.
Kernel = Callable[..., None]


def in_blocks(
    kernel: Kernel, numbers: Sequence[ArrayLike], *, is_call: ArrayLike, n_outputs: int
) -> tuple[FloatArray, ...]:
    """Apply an elementwise kernel to inputs that broadcast, block by block.

    Parameters
    ----------
    kernel : called as ``kernel(*numbers, is_call, out=outputs)`` with one-dimensional arrays of one length, or of
        length one where an input is a scalar, and ``n_outputs`` arrays of that length, which it fills (they are the
        result itself, so that nothing is copied). It runs in two threads and must not keep state. Floating-point
        warnings are off inside it.
    numbers : converted to float64.
    is_call : booleans, or numbers that are all 0 or 1.

    Returns
    -------
    ``n_outputs`` float64 arrays of the broadcast shape.

    Raises
    ------
    OptionPricingError : an input is no number, ``is_call`` is no boolean, or the shapes do not broadcast.
    """
    arrays: list[Array] = [*(as_numbers(value) for value in numbers), as_flags(is_call)]
    shape = common_shape(arrays)
    columns = [_flat(array, shape) for array in arrays]
    outputs = tuple(np.empty(shape) for _ in range(n_outputs))
    flat_outputs = [output.reshape(-1) for output in outputs]
    length = flat_outputs[0].size

    def work(starts: Iterator[int]) -> None:
        with np.errstate(all="ignore"):
            for start in starts:
                block = slice(start, start + BLOCK_LENGTH)
                inputs = (column if column.size == 1 else column[block] for column in columns)
                kernel(*inputs, out=[output[block] for output in flat_outputs])

    starts = iter(range(0, length, BLOCK_LENGTH))
    if length <= THREADS * BLOCK_LENGTH:
        work(starts)
    else:
        _keep_freed_memory()
        # The threads draw from one iterator, so a slow core takes fewer blocks.
        with ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(work, starts) for _ in range(THREADS)]:
                done.result()
    return outputs


def _keep_freed_memory() -> None:
    """Let the C library keep the pages of the intermediate arrays from one block to the next.

    Freeing one large array raises the size up to which the GNU library keeps freed memory at the end of a heap (see
    M_TRIM_THRESHOLD in mallopt(3)). Before that it returns the pages after every block and asks for them again,
    which doubles the time of a kernel. Nothing is touched, so this costs microseconds.
    """
    np.empty(_LARGE_LENGTH)


def as_numbers(value: ArrayLike) -> FloatArray:
    """Return the value as float64; raises OptionPricingError where it is no number."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionPricingError(f"not numbers: {error}") from error


def as_flags(value: ArrayLike) -> BoolArray:
    """Return the value as booleans; raises OptionPricingError for anything that is not False, True, 0 or 1.

    NumPy itself would read the strings "C" and "P", and NaN, as True.
    """
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array.astype(np.bool_, copy=False)
    try:
        are_flags = array.dtype.kind in "iufO" and bool(((array == 0) | (array == 1)).all())
    except TypeError:  # a missing value of pandas has no truth value
        are_flags = False
    if not are_flags:
        raise OptionPricingError(f"is_call must be booleans, not {array.dtype} values such as {array.reshape(-1)[:1]}")
    return array.astype(np.bool_)


def common_shape(arrays: Sequence[Array]) -> tuple[int, ...]:
    """Return the shape to which all broadcast; raises OptionPricingError where there is none."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError as error:
        raise OptionPricingError(f"shapes do not broadcast: {[array.shape for array in arrays]}") from error


def _flat(array: Array, shape: tuple[int, ...]) -> Array:
    """Return a one-dimensional array: a view where the memory allows it; a scalar stays one element."""
    return array.reshape(-1) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1)
