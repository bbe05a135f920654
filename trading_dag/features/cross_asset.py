"""features.cross_asset: how a ticker moves with named benchmarks, and how these move among themselves.

The benchmarks are named by the settings, the first of them is the market: what else is in the universe changes no row
here. Whose slices are read, and from which source, is decided where the asset is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    others = {name: values for name, values in returns.items() if name != ticker}
    values = {
        "ticker": ticker,
        "session": sessions,
        **_to_market(own, others.get(named[0]) if named else None),
        **_to_peers(own, others),
        "correlation_60_of_benchmarks": _mean(
            [_correlation(returns[one], returns[other], _LONG) for one, other in combinations(named, 2)], len(own)
        ),
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


def _to_market(own: FloatArray, market: FloatArray | None) -> dict[str, FloatArray]:
    """Correlation, beta and relative strength against the market; NaN where the ticker is the market."""
    theirs = np.full(len(own), np.nan) if market is None else market
    return {
        "correlation_20_to_market": _correlation(own, theirs, _SHORT),
        "correlation_60_to_market": _correlation(own, theirs, _LONG),
        "beta_60_to_market": _beta(own, theirs, _LONG),
        "relative_strength_20_to_market": _sums(own - theirs, _SHORT),
        "relative_strength_60_to_market": _sums(own - theirs, _LONG),
    }


def _to_peers(own: FloatArray, peers: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Mean correlation with, and return beyond the mean of, the benchmarks other than the ticker."""
    beyond = own - _mean(list(peers.values()), len(own))
    columns = {}
    for window in (_SHORT, _LONG):
        correlations = [_correlation(own, theirs, window) for theirs in peers.values()]
        columns[f"correlation_{window}_to_peers"] = _mean(correlations, len(own))
        columns[f"relative_strength_{window}_to_peers"] = _sums(beyond, window)
    return columns


def _mean(columns: list[FloatArray], rows: int) -> FloatArray:
    """Return the mean by row, NaN where one of them is, or where there is none."""
    return np.mean(columns, axis=0) if columns else np.full(rows, np.nan)


def _sums(values: FloatArray, window: int) -> FloatArray:
    """Sum over the last ``window`` values; NaN where one of them is."""
    return _at_ends(_windows(values, window).sum(axis=1), len(values))


def _correlation(one: FloatArray, other: FloatArray, window: int) -> FloatArray:
    """Pearson's correlation over the last ``window`` returns, NaN where one is missing or nothing varies."""
    left, right = _windows(one, window), _windows(other, window)
    scale = np.sqrt(_covariance(left, left) * _covariance(right, right))
    return _at_ends(np.clip(_covariance(left, right) / scale, -1.0, 1.0), len(one))


def _beta(own: FloatArray, market: FloatArray, window: int) -> FloatArray:
    """Least-squares slope of the ticker's returns on the market's, NaN where one is missing or the market's stand."""
    left, right = _windows(own, window), _windows(market, window)
    return _at_ends(_covariance(left, right) / _covariance(right, right), len(own))


def _covariance(left: FloatArray, right: FloatArray) -> FloatArray:
    """Sum of products of deviations by window; of a window with itself NaN where it does not vary."""
    products = np.einsum("ij,ij->i", left, right)
    sums: FloatArray = products - left.sum(axis=1) * right.sum(axis=1) / left.shape[1]
    if left is right:
        sums = np.where(sums > _NO_VARIANCE * products, sums, np.nan)
    return sums


def _windows(values: FloatArray, window: int) -> FloatArray:
    """Return every window of so many values, one a row; none where there are fewer."""
    return sliding_window_view(values, window) if len(values) >= window else np.empty((0, window))


def _at_ends(of_windows: FloatArray, rows: int) -> FloatArray:
    """Return the values of windows at the rows on which they end, NaN before the first."""
    return np.concatenate((np.full(rows - len(of_windows), np.nan), of_windows))
