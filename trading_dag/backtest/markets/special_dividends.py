"""Which cash dividends are special, so that the clearing house adjusts contracts for them; the rest it does not.

No table says so. A dividend counts as special by its size alone, beside those of the years before; what that rule
cannot judge counts as ordinary, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.options.chains.quoted_closes import closes_as_quoted, dividends_as_paid

if TYPE_CHECKING:
    import pandas as pd

LEAST_USD: Final = 0.125
OUT_OF_LINE: Final = 3.0
LEAST_RECORD: Final = 3
RECORD_DAYS: Final = 731
_UNUSUAL_SHARE: Final = 0.02
_OLD_SHARE: Final = 0.10
_NEW_RULE: Final = np.datetime64("2009-02-01", "D").astype(np.int64)


@dataclass(frozen=True)
class SpecialDividends:
    """Holds what each row of the prices paid, and whether it is special.

    Attributes
    ----------
    amounts : (rows,) USD a share as paid; NaN where unknown.
    is_special : (rows,) contracts are adjusted for it.
    is_unjudged : (rows,) as large as a special one, without enough dividends before it to tell; taken as ordinary.
    """

    amounts: FloatArray
    is_special: BoolArray
    is_unjudged: BoolArray


def special_dividends(prices: pd.DataFrame) -> SpecialDividends:
    """Return which dividends are special: at least 12.50 USD a contract, and more than three times every ordinary one
    of the two years before, of which there are three at least.

    Before February 2009, when contracts were adjusted by size alone: more than 10 % of the close before.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker, sessions ascending, from its first session on: ``dividend``,
        ``split_factor``, and ``close`` where there is one.

    References
    ----------
    OCC By-Laws, Article VI, Section 11A, Interpretation .01; Federal Register 73, 55582 (SR-OCC-2008-16): the
    threshold of 12.50 USD a contract, and the rule of 10 % before it.
    """
    amounts = dividends_as_paid(prices)
    days = np.asarray(prices["session"].to_numpy().astype("datetime64[D]").astype(np.int64))
    close = closes_as_quoted(prices) if "close" in prices else np.full(len(days), np.nan)
    is_special, is_unjudged = np.zeros(len(days), dtype=np.bool_), np.zeros(len(days), dtype=np.bool_)
    ordinary: list[int] = []
    for row in np.flatnonzero(amounts > 0.0).tolist():
        share = amounts[row] / close[row - 1] if row else np.nan
        if days[row] < _NEW_RULE:
            is_special[row] = bool(share > _OLD_SHARE)
        elif amounts[row] >= LEAST_USD:
            record = _record(ordinary, days, amounts, since=days[row] - RECORD_DAYS)
            is_special[row] = len(record) >= LEAST_RECORD and bool(amounts[row] > OUT_OF_LINE * record.max())
            is_unjudged[row] = len(record) < LEAST_RECORD and bool(share >= _UNUSUAL_SHARE)
        if not is_special[row]:
            ordinary.append(row)
    return SpecialDividends(amounts, is_special, is_unjudged)


def _record(ordinary: list[int], days: IntArray, amounts: FloatArray, *, since: int) -> FloatArray:
    """Ordinary dividends from a day on."""
    return np.array([amounts[row] for row in ordinary if days[row] >= since], dtype=np.float64)
