"""Quotes that are out of line with the other strikes of their expiration: what one snapshot shows of stale quotes.

A call is never worth more than one struck lower, a put never more than one struck higher. Where a bid is above the ask
of a contract that is worth more, one of the two quotes is wrong; which one, the rest of the ladder says. Quotes that
stood still from one date to the next are ``chains.cleaning``'s, other kinds of arbitrage ``arbitrage``'s.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.options.chains.rows import combined_codes

_LADDER: Final = ("ticker", "quote_date", "expiration", "option_right")


def out_of_line(quotes: pd.DataFrame, *, slack_fraction: float) -> BoolArray:
    """Return which quotes are not in the largest set of quotes that agree with one another, (n,) in the order of the
    rows.

    First no bid may be above the ask of a strike that is worth more; then, among the quotes that are left, no two
    may differ by more than their strikes do, which also a holder who may exercise early never pays for.

    Parameters
    ----------
    quotes : two-sided rows of ``raw.option_chain``, of any number of tickers, dates and expirations.
    slack_fraction : how far, as a fraction of spot, two quotes may contradict each other.

    Known when the quotes are; nothing of another quote date is looked at.
    """
    flagged: BoolArray = np.zeros(len(quotes), dtype=np.bool_)
    if quotes.empty:
        return flagged
    ladder: IntArray = combined_codes([quotes[name] for name in _LADDER])
    strike, bid, ask, spot = (
        quotes[name].to_numpy(dtype=np.float64) for name in ("strike", "bid", "ask", "underlying_price")
    )
    slack, sign = slack_fraction * spot, np.where((quotes["option_right"] == "C").to_numpy(), -1.0, 1.0)
    # What never falls with the strike: the worth of a put (of a call, the negative), and the strike less that.
    rising = np.where(sign > 0, bid, -ask), np.where(sign > 0, ask, -bid)
    for low, high in (rising, (strike - rising[1], strike - rising[0])):
        left = np.flatnonzero(~flagged)
        order = left[np.lexsort((strike[left], ladder[left]))]
        flagged[order] = ~_agreeing(ladder[order], low[order], ceilings=(high + slack)[order])
    return flagged


def _agreeing(ladder: IntArray, lows: FloatArray, *, ceilings: FloatArray) -> BoolArray:
    """Return the rows that agree with the others of their ladder; rows of a ladder stand together, (n,)."""
    agrees: BoolArray = np.ones(len(ladder), dtype=np.bool_)
    begins = np.flatnonzero(np.diff(ladder, prepend=-1))
    ends = np.append(begins[1:], len(ladder))
    for begin, end in zip(begins, ends, strict=True):
        if not (np.maximum.accumulate(lows[begin:end]) > ceilings[begin:end]).any():
            continue
        agrees[begin:end] = most_in_line(lows[begin:end], ceilings[begin:end])
    return agrees


def most_in_line(lows: FloatArray, ceilings: FloatArray) -> BoolArray:
    """Return the most intervals, in the order of what must not fall, of which none begins above the end of a later
    one, (n,).

    Of equally many the ones that come earlier are taken.

    Parameters
    ----------
    lows, ceilings : (n,) finite, where each interval begins and ends; no low above its own ceiling.

    Notes
    -----
    The longest non-decreasing subsequence, over intervals: ``least[j]`` is the smallest that the highest low of j + 1
    agreeing intervals can be. One that joins takes its place among them and pushes the first that is above its
    ceiling out. O(n log n) comparisons; the states are kept, for the way back.

    References
    ----------
    Fredman, "On computing the length of longest increasing subsequences", Discrete Mathematics 11 (1975), 29-35.
    """
    least: list[float] = []
    states: list[list[float]] = [[]]
    for low, ceiling in zip(lows.tolist(), ceilings.tolist(), strict=True):
        pushed_out = bisect_right(least, ceiling)
        if pushed_out < len(least):
            del least[pushed_out]
        least.insert(bisect_left(least, low), low)
        states.append(least.copy())
    agrees: BoolArray = np.zeros(len(lows), dtype=np.bool_)
    length = len(least)
    for row in range(len(lows) - 1, -1, -1):
        before, after = states[row], states[row + 1]
        if length and (len(before) < length or before[length - 1] != after[length - 1]):
            agrees[row] = True
            length -= 1
    return agrees
