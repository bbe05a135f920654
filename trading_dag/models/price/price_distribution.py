"""The predictive distribution of the price at the target, and the naive distributions beside it.

Here belongs what is known when, and which rows of predictions.price follow. Every session's forecast is computed anew
from the moves known by then, so there is nothing to fit, to store or to retrain: fold is 0, and model_version NULL.
How large a move is to be expected stands in ``volatility_scale``, the quantiles in ``sequential_quantiles``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray, TextArray
from trading_dag.frames import require_prices, require_sessions, table_frame
from trading_dag.labels import price_at_target
from trading_dag.models.price.price_table import horizons_of_slice, price_table
from trading_dag.models.price.sequential_quantiles import (
    NEVER,
    SequentialQuantiles,
    expanding_quantiles,
    outcome_known_at,
    rolling_quantiles,
)
from trading_dag.models.price.volatility_scale import expected_move
from trading_dag.schemas import PREDICTIONS_PRICE, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.vocabulary import SCALE_SOURCES, VOLATILITY_THIRDS
from trading_dag.sessions import target_sessions
from trading_dag.slices import Horizon
from trading_dag.validation.scores.baselines import RANDOM_WALK, ROLLING_QUANTILE

PRICE_DISTRIBUTION: Final = "price_distribution"
LEAST_OUTCOMES: Final = 250
# γ of the correction, for outcomes that do not overlap: of those that do, h say nearly the same.
STEP_SIZE: Final = 0.01
_LEVELS: Final = np.array(QUANTILE_LEVELS)
_INDEX, _PROXY_INDEX, _REALIZED, _UNSCALED = SCALE_SOURCES
_REALIZED_COLUMNS: Final = ("hv_5", "hv_20", "hv_60")


@dataclass(frozen=True)
class _Moves:
    """The moves of one ticker to one target, by the position of their session.

    Attributes
    ----------
    horizon : how far they go.
    target_price : (sessions,) USD, NaN where not known.
    log_return : (sessions,) logarithm of target price over close.
    arrivals : (sessions,) whose outcome becomes known at each session.
    """

    horizon: Horizon
    target_price: FloatArray
    log_return: FloatArray
    arrivals: IntArray


def build_price_distribution(
    prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame, *, horizon: Horizon
) -> pd.DataFrame:
    """Return predictions.price of ``price_distribution``, ``rolling_quantile_250`` and ``random_walk`` of one slice.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker.
    technical : ``features.technical`` of the same ticker: hv_5, hv_20, hv_60.
    implied_volatility : ``features.implied_volatility`` of the same ticker: vix_close, iv_source.
    horizon : of the slice. 168h has rows for 10 and 21 sessions ahead, too.

    Returns
    -------
    Rows of each model from the session on at which 250 of its outcomes are known; of ``price_distribution`` those are
    standardised ones, which begin 250 outcomes later. None where the history is shorter.

    price_distribution : the logarithmic return to the target over its expected size, the quantiles of those ratios
        known by the session, corrected so that the 90 % interval covers, times the size expected now.
    rolling_quantile_250 : quantiles of the last 250 known logarithmic returns.
    random_walk : today's close as the point, quantiles of all known logarithmic returns around it.

    When it is known
    ----------------
    At the session's close; ``fitted_through`` is the last target session whose price went in. The volatility index is
    struck a quarter of an hour after the close. For 12h, which ends at the next open, that is a good part of the news
    there is, so that 12h reads the index of the session before.

    NaN policy
    ----------
    No row where the expected size is not known: within the first 60 sessions, in gaps of the features, and where
    realised volatility is 0. Without an index it rests on realised volatility alone; ``scale_source`` says so.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or prices that are not
        positive and finite.
    ValueError : where a price's session is no session of the exchange.
    """
    sessions = require_sessions(prices, ("ticker", "open", "close"), table="raw.prices_daily")
    require_prices(prices, ("open", "close"), table="raw.prices_daily")
    realized = _at(sessions, technical, _REALIZED_COLUMNS, table="features.technical").to_numpy(dtype=np.float64)
    of_index = _at(sessions, implied_volatility, ("vix_close", "iv_source"), table="features.implied_volatility")
    if horizon.target_field == "open":
        of_index = of_index.shift(1)
    thirds = _volatility_thirds(of_index["vix_close"], realized[:, 1])
    parts = []
    for ahead in horizons_of_slice(horizon):
        moves = _moves(prices, sessions, ahead)
        expected = expected_move(
            moves.log_return,
            moves.arrivals,
            index=of_index["vix_close"].to_numpy(dtype=np.float64),
            realized=realized,
            sessions_ahead=ahead.scaling_sessions,
        )
        is_own = of_index["iv_source"].eq(_INDEX).to_numpy()
        source = np.where(expected.uses_index, np.where(is_own, _INDEX, _PROXY_INDEX), _REALIZED).astype(object)
        parts += [
            _rows(prices, moves, _scaled(moves, expected.scale), model=PRICE_DISTRIBUTION, source=source),
            _rows(prices, moves, _rolling(moves), model=ROLLING_QUANTILE),
            _rows(prices, moves, _expanding(moves), model=RANDOM_WALK),
        ]
    return price_table([part.assign(volatility_third=thirds.reindex(part["session"]).to_numpy()) for part in parts])


def _volatility_thirds(index: pd.Series, hv_20: FloatArray) -> pd.Series:
    """Return the third of the past, today included, that the volatility of each session lies in; missing before 250
    sessions of it. By session. Bounds taken from all sessions would know what was still to come."""
    share = index.expanding(LEAST_OUTCOMES).rank(pct=True)
    realized = pd.Series(hv_20, index=index.index).expanding(LEAST_OUTCOMES).rank(pct=True)
    position = np.ceil(3.0 * share.fillna(realized).to_numpy()) - 1.0
    names = np.array(VOLATILITY_THIRDS, dtype=object)[np.nan_to_num(position).astype(np.intp)]
    return pd.Series(names, index=index.index, dtype="str").where(np.isfinite(position))


def _at(sessions: pd.DatetimeIndex, frame: pd.DataFrame, columns: tuple[str, ...], *, table: str) -> pd.DataFrame:
    """Return the columns at the sessions of the prices, missing where the frame has no such row."""
    return frame.set_axis(require_sessions(frame, columns, table=table))[list(columns)].reindex(sessions)


def _moves(prices: pd.DataFrame, sessions: pd.DatetimeIndex, horizon: Horizon) -> _Moves:
    target_price = price_at_target(prices, horizon=horizon)
    position = sessions.get_indexer(target_sessions(sessions, horizon))
    known = np.where(np.isfinite(target_price), position, NEVER).astype(np.int64)
    log_return = np.log(target_price / prices["close"].to_numpy(dtype=np.float64))
    return _Moves(horizon, target_price, log_return, outcome_known_at(known))


def _scaled(moves: _Moves, scale: FloatArray) -> SequentialQuantiles:
    made = expanding_quantiles(
        moves.log_return / scale,
        moves.arrivals,
        np.isfinite(scale),
        levels=_LEVELS,
        least=LEAST_OUTCOMES,
        step_size=STEP_SIZE / moves.horizon.gap_sessions,
    )
    return SequentialQuantiles(made.values * scale[:, np.newaxis], made.last_used, made.miss_rate)


def _rolling(moves: _Moves) -> SequentialQuantiles:
    return rolling_quantiles(moves.log_return, moves.arrivals, levels=_LEVELS, window=LEAST_OUTCOMES)


def _expanding(moves: _Moves) -> SequentialQuantiles:
    every = np.ones(len(moves.log_return), dtype=bool)
    return expanding_quantiles(moves.log_return, moves.arrivals, every, levels=_LEVELS, least=LEAST_OUTCOMES)


def _rows(
    prices: pd.DataFrame, moves: _Moves, made: SequentialQuantiles, *, model: str, source: TextArray | None = None
) -> pd.DataFrame:
    """Return the rows of one model to one target; without ``source`` it is a baseline, whose width follows nothing."""
    rows = np.flatnonzero(made.last_used != NEVER)
    sessions = pd.DatetimeIndex(prices["session"]).as_unit("us")
    close = prices["close"].to_numpy(dtype=np.float64)[rows]
    ends = target_sessions(sessions, moves.horizon)
    with np.errstate(over="ignore"):  # an infinite price is refused where the slice is stored
        quantiles = close[:, np.newaxis] * np.exp(made.values[rows])
    values: dict[str, Any] = {
        "ticker": str(prices["ticker"].iloc[0]) if len(prices) else "",
        "horizon": moves.horizon.key,
        "session": sessions[rows],
        "target_session": ends[rows],
        "sessions_ahead": moves.horizon.target_offset,
        "model": model,
        "fold": 0,
        "fitted_through": ends[made.last_used[rows]],
        "close": close,
        "y_true": moves.target_price[rows],
        "forward_return": moves.target_price[rows] / close - 1.0,
        "y_pred": close if model == RANDOM_WALK else quantiles[:, len(_LEVELS) // 2],
        **dict(zip(QUANTILE_COLUMNS, quantiles.T, strict=True)),
        "interval_low": quantiles[:, 0],
        "interval_high": quantiles[:, -1],
        "scale_source": _UNSCALED if source is None else source[rows],
        "is_baseline": source is None,
        "is_out_of_sample": ends[made.last_used[rows]] <= sessions[rows],
    }
    return table_frame(PREDICTIONS_PRICE, values, rows=len(rows))
