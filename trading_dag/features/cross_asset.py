"""features.cross_asset: how a ticker moves with named benchmarks, and how these move among themselves.

The benchmarks are named by the settings, the first of them is the market: what else is in the universe changes no row
here. Whose slices are read, and from which source, is decided where the asset is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from trading_dag.arrays import FloatArray
from trading_dag.features.formulas import documents_features
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of
from trading_dag.schemas import CROSS_ASSET, CROSS_ASSET_FEATURES, PRICES_DAILY

_SHORT, _LONG = 20, 60
# A variance below that share of the mean square is rounding: the returns of the window are all the same.
_NO_VARIANCE: Final = 1e-12


@documents_features(CROSS_ASSET_FEATURES)
def build_cross_asset(technical: pd.DataFrame, benchmarks: pd.DataFrame, *, named: tuple[str, ...]) -> pd.DataFrame:
    """Cross-asset features of one ticker.

    Parameters
    ----------
    technical : ``features.technical`` of the ticker; its sessions are the rows, its ``log_return_1d`` is compared.
    benchmarks : ``raw.prices_daily`` of the named tickers that are stored, any order (ticker, session, adj_close).
    named : tickers of the benchmarks; the first is the market. The ticker itself, where it is one, is compared with
        the others.

    Returns
    -------
    pd.DataFrame : ``features.cross_asset``, one row per row of ``technical``.

    When it is known
    ----------------
    At t's close: returns of the ticker and of the benchmarks over the same sessions, the last of which is t.

    NaN policy
    ----------
    A benchmark's return is that between the same two closes as the ticker's, NaN where it lacks one of them. A window
    needs all its returns, and a mean over benchmarks needs all of them: what is averaged never changes its composition
    from row to row. ``benchmarks_missing`` counts those that lack a close. The market has no correlation with itself:
    what is "to the market" is NULL in its own rows. A window without variance gives NaN.

    Raises
    ------
    SchemaError : for missing columns, a benchmark whose sessions repeat, or sessions that do not ascend.
    """
    sessions = require_sessions(technical, ("ticker", "log_return_1d"), table="features.technical")
    require_columns(benchmarks, PRICES_DAILY.qualified_name, columns=("ticker", "session", "adj_close"))
    ticker = ticker_of(technical)
    own = technical["log_return_1d"].to_numpy(dtype=np.float64, na_value=np.nan)
    returns = {name: _returns(benchmarks[benchmarks["ticker"] == name], sessions) for name in named}
    others = {name: theirs for name, theirs in returns.items() if name != ticker}
    of_all = {name: _Windows.of(theirs, _LONG) for name, theirs in returns.items()}
    pairs = [_correlation(of_all[one], of_all[other]) for one, other in combinations(named, 2)]
    values = {
        "ticker": ticker,
        "session": sessions,
        **_relative_strengths(own, others, market=named[0] if named else ""),
        **_correlations(own, others, market=named[0] if named else ""),
        "correlation_60_of_benchmarks": _mean(pairs, len(own)),
        "market": named[0] if named else None,
        "benchmarks_missing": np.sum([np.isnan(values) for values in others.values()], axis=0, initial=0.0)
        + np.zeros(len(own)),
    }
    return table_frame(CROSS_ASSET, values, rows=len(sessions))


def _returns(bars: pd.DataFrame, sessions: pd.DatetimeIndex) -> FloatArray:
    """Return the log returns of a benchmark from each of the ticker's sessions to the next, NaN where it lacks one."""
    bars = bars.sort_values("session", ignore_index=True)
    index = require_sessions(bars, ("adj_close",), table=PRICES_DAILY.qualified_name)
    closes = pd.Series(bars["adj_close"].to_numpy(dtype=np.float64, na_value=np.nan), index=index)
    found = np.log(closes.where(closes > 0).reindex(sessions).to_numpy())
    return np.diff(found, prepend=np.nan)


def _relative_strengths(own: FloatArray, others: Mapping[str, FloatArray], *, market: str) -> dict[str, FloatArray]:
    """Return the log returns beyond the market's and beyond the mean of the other benchmarks'."""
    beyond = {
        "market": own - others.get(market, np.full(len(own), np.nan)),
        "peers": own - _mean(list(others.values()), len(own)),
    }
    return {
        f"relative_strength_{window}_to_{whom}": _at_ends(_windows(excess, window).sum(axis=1), len(own))
        for window in (_SHORT, _LONG)
        for whom, excess in beyond.items()
    }


def _correlations(own: FloatArray, others: Mapping[str, FloatArray], *, market: str) -> dict[str, FloatArray]:
    """Return correlations and beta with the market, NaN where the ticker is it, and with the other benchmarks."""
    nothing = np.full(len(own), np.nan)
    columns = {"beta_60_to_market": nothing}
    for window in (_SHORT, _LONG):
        mine = _Windows.of(own, window)
        theirs = {name: _Windows.of(returns, window) for name, returns in others.items()}
        found = {name: _correlation(mine, windows) for name, windows in theirs.items()}
        columns[f"correlation_{window}_to_market"] = found.get(market, nothing)
        columns[f"correlation_{window}_to_peers"] = _mean(list(found.values()), len(own))
        if window == _LONG and market in theirs:
            slope = _covariation(mine, theirs[market]) / theirs[market].variation
            columns["beta_60_to_market"] = _at_ends(slope, len(own))
    return columns


def _mean(columns: list[FloatArray], rows: int) -> FloatArray:
    """Return the mean by row, NaN where one of them is, or where there is none."""
    return np.mean(columns, axis=0) if columns else np.full(rows, np.nan)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Every window of a column of returns.

    Attributes
    ----------
    rows : length of the column.
    values : (windows, window) returns.
    total : (windows,) their sums.
    variation : (windows,) sums of squared deviations from the mean, NaN where nothing varies.
    """

    rows: int
    values: FloatArray
    total: FloatArray
    variation: FloatArray

    @classmethod
    def of(cls, column: FloatArray, window: int) -> _Windows:
        values = _windows(column, window)
        total, squares = values.sum(axis=1), np.einsum("ij,ij->i", values, values)
        variation = squares - total**2 / window
        return cls(len(column), values, total, np.where(variation > _NO_VARIANCE * squares, variation, np.nan))


def _correlation(one: _Windows, other: _Windows) -> FloatArray:
    """Pearson's correlation at the end of each window, NaN where a return is missing or nothing varies."""
    scale = np.sqrt(one.variation * other.variation)
    return _at_ends(np.clip(_covariation(one, other) / scale, -1.0, 1.0), one.rows)


def _covariation(one: _Windows, other: _Windows) -> FloatArray:
    """Return the sum of products of deviations from the means, by window."""
    products = np.einsum("ij,ij->i", one.values, other.values)
    covariation: FloatArray = products - one.total * other.total / one.values.shape[1]
    return covariation


def _windows(values: FloatArray, window: int) -> FloatArray:
    """Return every window of so many values, one a row; none where there are fewer."""
    return sliding_window_view(values, window) if len(values) >= window else np.empty((0, window))


def _at_ends(of_windows: FloatArray, rows: int) -> FloatArray:
    """Return the values of windows at the rows on which they end, NaN before the first."""
    return np.concatenate((np.full(rows - len(of_windows), np.nan), of_windows))
