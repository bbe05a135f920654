"""The stationary bootstrap against that of ``arch``: the same rows from the same generator, the same block lengths."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from trading_dag.stationary_bootstrap import stationary_block_length, stationary_counts, stationary_draws


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 90), block=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_each_draw_takes_the_rows_that_arch_takes(n: int, block: int, seed: int) -> None:
    theirs = StationaryBootstrap(block, np.arange(n), seed=np.random.default_rng(seed)).bootstrap(5)
    ours = stationary_draws(n, mean_block=block, draws=5, generator=np.random.default_rng(seed))
    counts = stationary_counts(n, mean_block=block, draws=5, generator=np.random.default_rng(seed))
    for rows, count, (resampled, _) in zip(ours, counts, theirs, strict=True):
        assert rows.dtype == np.int64
        assert np.array_equal(rows, resampled[0])
        assert np.array_equal(count, np.bincount(resampled[0], minlength=n))


@pytest.mark.parametrize("n", [10, 37, 400, 5_000])
@pytest.mark.parametrize("coefficient", [-0.4, 0.0, 0.6, 0.98])
def test_the_block_length_is_that_of_arch(n: int, coefficient: float) -> None:
    noise = np.random.default_rng(n).normal(size=n)
    series = lfilter([1.0], [1.0, -coefficient], noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = optimal_block_length(series)["stationary"].iloc[0]
        assert stationary_block_length(series) == pytest.approx(expected, rel=1e-12)
