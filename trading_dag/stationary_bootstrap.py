"""The stationary bootstrap: which rows a draw takes, and how long its blocks ask to be.

Here belongs drawing and nothing of what is done with the draws. The `arch` package has the same; it imports statsmodels
and matplotlib, which takes a worker half a second, and joins a draw's blocks row by row. Tests hold the two equal draw
by draw: the same generator gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trading_dag.arrays import FloatArray, IntArray


def stationary_draws(n: int, *, mean_block: int, draws: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """Positions of the rows that each draw takes, (n,), one draw after the other.

    A draw is a chain of blocks that begin anywhere, have geometric lengths, and run on around the end.

    Parameters
    ----------
    n : rows to draw from, at least 1.
    mean_block : expected block length in rows, at least 1.
    draws : how many.
    generator : asked for ``n`` beginnings, then for ``n`` uniform numbers, for each draw.

    References
    ----------
    Politis and Romano, "The stationary bootstrap", JASA 89 (1994), 1303–1313.
    """
    place = np.arange(n)
    for begins, at in _blocks(n, mean_block, draws, generator):
        # A row is as far behind the beginning of its block as its place in the draw is.
        row = place + np.repeat(begins - at, np.diff(at, append=n))
        yield np.where(row < n, row, row - n)


def stationary_counts(n: int, *, mean_block: int, draws: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """How often each draw of ``stationary_draws`` takes each row, (n,): the same draws, without writing them out."""
    for begins, at in _blocks(n, mean_block, draws, generator):
        past_end = begins + np.diff(at, append=n)
        steps = np.bincount(begins, minlength=2 * n) - np.bincount(past_end, minlength=2 * n)[: 2 * n]
        running = np.cumsum(steps)
        yield running[:n] + running[n:]


def _blocks(n: int, mean_block: int, draws: int, generator: np.random.Generator) -> Iterator[tuple[IntArray, IntArray]]:
    """The first row of each block of a draw, and the place in the draw at which it begins."""
    share = 1.0 / mean_block
    for _ in range(draws):
        rows = generator.integers(n, size=n, dtype=np.int64)
        begins = generator.random(n) <= share
        begins[0] = True
        at = np.flatnonzero(begins)
        yield rows[at], at


def stationary_block_length(values: FloatArray) -> float:
    """The block length that makes the stationary bootstrap of a series' mean most accurate, in rows; may be NaN.

    Parameters
    ----------
    values : (n,) in order.

    References
    ----------
    Politis and White, Econometric Reviews 23 (2004), 53–70; correction by Patton, Politis and White 28 (2009), 372–375.
    """
    n = len(values)
    deviation = np.asarray(values, dtype=np.float64) - np.mean(values)
    run = max(5, int(np.log10(n)))  # so many insignificant autocorrelations in a row end the search
    lags = int(np.ceil(np.sqrt(n))) + run
    covariance, correlation = np.zeros(lags + 1), np.zeros(lags + 1)
    last: int | None = None
    for lag in range(lags + 1):
        product = deviation[lag:] @ deviation[: n - lag]
        later, earlier = deviation[lag + 1 :], deviation[: n - lag - 1]
        covariance[lag] = product / n
        correlation[lag] = np.abs(product) / np.sqrt((later @ later) * (earlier @ earlier))
        is_quiet = lag >= run and bool(np.all(correlation[lag - run : lag] < 2 * np.sqrt(np.log10(n) / n)))
        if is_quiet and last is None:
            last = lag - run
    window = lags if last is None else min(2 * max(last, 1), lags)
    apart = np.arange(1, window + 1)
    taper = np.where(apart / window <= 0.5, 1.0, 2 * (1 - apart / window))  # the flat-top kernel
    spread = 2 * np.sum(taper * apart * covariance[1 : window + 1])
    long_run = covariance[0] + 2 * np.sum(taper * covariance[1 : window + 1])
    longest = np.ceil(min(3 * np.sqrt(n), n / 3))
    return float(min((spread**2 / long_run**2) ** (1 / 3) * n ** (1 / 3), longest))
