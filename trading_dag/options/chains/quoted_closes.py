"""Prices in the dollars of their own day, from prices that are adjusted for every later split.

Option chains quote what was traded that day; bars are adjusted. A comparison of the two starts here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray


def new_shares_since(prices: pd.DataFrame) -> FloatArray:
    """Return how many of today's shares one share of each session has become, (rows,): the product of all later
    splits.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker, sessions ascending: ``split_factor``, new shares per old share where a
        split takes effect. NULL counts as no split.
    """
    factor = prices["split_factor"].to_numpy(dtype=np.float64, na_value=np.nan)
    factor = np.where(np.isfinite(factor), factor, 1.0)
    from_here_on = np.cumprod(factor[::-1])[::-1]
    return np.append(from_here_on[1:], np.ones(min(len(factor), 1)))


def closes_as_quoted(prices: pd.DataFrame) -> FloatArray:
    """Return the close of each session as it was quoted then, USD, (rows,).

    Parameters
    ----------
    prices : as ``new_shares_since`` takes them, and ``close``, split-adjusted.
    """
    return np.asarray(prices["close"].to_numpy(dtype=np.float64, na_value=np.nan) * new_shares_since(prices))


def dividends_as_paid(prices: pd.DataFrame) -> FloatArray:
    """Return the dividend a share of each session as it was paid then, USD, (rows,); NaN where unknown.

    Parameters
    ----------
    prices : as ``new_shares_since`` takes them, and ``dividend``, split-adjusted as the prices are.
    """
    return np.asarray(prices["dividend"].to_numpy(dtype=np.float64, na_value=np.nan) * new_shares_since(prices))
