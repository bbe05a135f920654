"""labels.targets: what happened after each session. The only place that looks forward, on purpose.

Labels are never joined to features by anything but the models' training code, which purges them. What was
known at the session's close is in ``trading_dag.features``.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.features.doubtful_closes import lone_closes_of_index
from trading_dag.frames import require_prices, require_sessions, ticker_of
from trading_dag.schemas import TABLES
from trading_dag.sessions import TIME_UNIT, target_sessions
from trading_dag.slices import Horizon

DEAD_BAND_WEEKLY: Final = 0.01
SESSIONS_PER_WEEK: Final = 5
IV_RANK_NORMAL: Final = 30.0
IV_RANK_HIGH: Final = 60.0
SPREAD_Z: Final = 0.5
STALE_OPEN_WINDOW: Final = 252
STALE_OPEN_MINIMUM: Final = 60
STALE_OPEN_SHARE: Final = 0.5
_SAME_PRICE: Final = 1e-9
_OF_INDEX: Final = ("iv_rank", "vix_close", "vix_filled_sessions")


def build_targets(
    prices: pd.DataFrame,
    technical: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    *,
    horizon: Horizon,
    judge_closes: bool = True,
) -> pd.DataFrame:
    """Return what happened between each session's close and the end of the horizon.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker.
    technical : ``features.technical`` of the same ticker, for ``hv_20`` at the session.
    implied_volatility : ``features.implied_volatility`` of the same ticker, for ``iv_rank`` at the target session, and
        for whether the index was published then (``vix_close``, ``vix_filled_sessions``).
    horizon : one of ``slices.HORIZONS``.
    judge_closes : as for ``build_implied_volatility``.

    Returns
    -------
    pd.DataFrame : ``labels.targets``, one row per session whose target session is in ``prices``.

        target_price : the target session's open (12h) or close, split-adjusted and not dividend-adjusted, USD.
        forward_return : target_price / close − 1.
        direction : UP above +θ, DOWN below −θ, else AMBIGUOUS; θ = 1 % · √(scaling sessions / 5).
        iv_regime : iv_rank at the target session's close (12h: at that session's close too): LOW below 30,
            NORMAL below 60, HIGH from there. Always of the volatility index, never of a chain.
        iv_source : ``index`` where that index is of the ticker's own options, ``proxy_index`` where it is of another's.
        spread_class : z = forward_return / (hv_20 / 100 · √(scaling sessions / 252)); PUT_CREDIT above 0.5,
            CALL_CREDIT below −0.5, else HOLD.

    When it is known
    ----------------
    At the target session's close; training on a label before that is a leak.

    NaN policy
    ----------
    A row is absent where the target session's bar is missing or not there yet, and for 12h where the target
    session's opens are no opens (``open_is_previous_close``). ``iv_regime`` is NULL without an iv_rank there, and where
    the index of that session was filled or its close cannot be true (``doubtful_closes.py``): what was filled in is no
    outcome. ``spread_class`` is NULL without a positive hv_20.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or prices that are not
        positive and finite.
    ValueError : where a price's session is no session of the exchange.
    """
    sessions = require_sessions(prices, ("ticker", "open", "close"), table="raw.prices_daily")
    require_prices(prices, ("open", "close"), table="raw.prices_daily")
    hv_rows = require_sessions(technical, ("hv_20",), table="features.technical")
    iv_rows = require_sessions(implied_volatility, _OF_INDEX, table="features.implied_volatility")

    targets = target_sessions(sessions, horizon)
    target_price = price_at_target(prices, horizon=horizon)
    forward_return = target_price / prices["close"].to_numpy(dtype="float64") - 1
    hv_20 = pd.Series(technical["hv_20"].to_numpy(dtype="float64"), index=hv_rows).reindex(sessions).to_numpy()
    iv_rank = _published_rank(implied_volatility.set_axis(iv_rows), judge_closes=judge_closes).reindex(targets)
    frame = pd.DataFrame(
        {
            "ticker": pd.Series(ticker_of(prices), index=range(len(sessions)), dtype="str"),
            "horizon": pd.Series(horizon.key, index=range(len(sessions)), dtype="str"),
            "session": sessions,
            "target_session": targets.as_unit(TIME_UNIT),
            "target_price": target_price,
            "forward_return": forward_return,
            "direction": direction_of(forward_return, horizon),
            "iv_regime": iv_regime_of(iv_rank.to_numpy()),
            "iv_source": _source_of(implied_volatility.set_axis(iv_rows), targets).where(iv_rank.notna().to_numpy()),
            "spread_class": spread_class_of(forward_return, hv_20, horizon=horizon),
        }
    )
    known: pd.DataFrame = frame.loc[~np.isnan(target_price), list(TABLES["labels.targets"].column_names)]
    return known.reset_index(drop=True)


def price_at_target(prices: pd.DataFrame, *, horizon: Horizon) -> FloatArray:
    """Return the price at the end of the horizon for each session, split-adjusted USD: what a forecast is of.

    Known at the target session's close. NaN where the target session's bar is missing or not there yet, and for 12h
    where its open is no open (``open_is_previous_close``).

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker.

    Raises
    ------
    SchemaError, ValueError : as for ``build_targets``.
    """
    sessions = require_sessions(prices, ("open", "close"), table="raw.prices_daily")
    ends = pd.Series(prices[horizon.target_field].to_numpy(dtype="float64"), index=sessions)
    if horizon.target_field == "open":
        ends = ends[~open_is_previous_close(prices).to_numpy()]
    found: FloatArray = ends.reindex(target_sessions(sessions, horizon)).to_numpy()
    return found


def _published_rank(implied_volatility: pd.DataFrame, *, judge_closes: bool) -> pd.Series:
    """Return the iv_rank of the sessions on which an index was published that no later close has disproved."""
    fresh = implied_volatility[(implied_volatility["vix_filled_sessions"] == 0) & (implied_volatility["vix_close"] > 0)]
    true = fresh[~lone_closes_of_index(fresh["vix_close"])] if judge_closes else fresh
    return true["iv_rank"].astype("float64")


def _source_of(implied_volatility: pd.DataFrame, targets: pd.DatetimeIndex) -> pd.Series:
    """Return whose options the index at each target session is of; missing where the frame does not say."""
    if "iv_source" not in implied_volatility.columns:
        return pd.Series(None, index=range(len(targets)), dtype="str")
    return implied_volatility["iv_source"].reindex(targets).reset_index(drop=True).astype("str")


def dead_band(horizon: Horizon) -> float:
    """Return θ: the move, as a fraction, within which a direction is AMBIGUOUS."""
    return DEAD_BAND_WEEKLY * sqrt(horizon.scaling_sessions / SESSIONS_PER_WEEK)


def direction_of(forward_return: np.ndarray, horizon: Horizon) -> pd.Series:
    """Return UP, DOWN or AMBIGUOUS for each return; missing where the return is NaN."""
    theta = dead_band(horizon)
    return _classes(forward_return, [(forward_return > theta, "UP"), (forward_return < -theta, "DOWN")], "AMBIGUOUS")


def iv_regime_of(iv_rank: np.ndarray) -> pd.Series:
    """Return LOW, NORMAL or HIGH for each iv_rank; missing where it is NaN."""
    return _classes(iv_rank, [(iv_rank < IV_RANK_NORMAL, "LOW"), (iv_rank < IV_RANK_HIGH, "NORMAL")], "HIGH")


def spread_class_of(forward_return: np.ndarray, hv_20: np.ndarray, *, horizon: Horizon) -> pd.Series:
    """Return which credit spread each move would have paid; missing where there is no return or no positive hv_20."""
    expected = np.where(hv_20 > 0, hv_20, np.nan) / 100 * sqrt(horizon.scaling_sessions / SESSIONS_PER_YEAR)
    z = forward_return / expected
    return _classes(z, [(z > SPREAD_Z, "PUT_CREDIT"), (z < -SPREAD_Z, "CALL_CREDIT")], "HOLD")


def open_is_previous_close(prices: pd.DataFrame) -> pd.Series:
    """Return whether a session's open cannot be taken for an open, because the vendor filled in the previous close.

    Some index histories carry the previous close as the open for years. The rule: over the 252 sessions ending at
    the session, at least 60 of them, more than half of the opens equal the previous close. The first sessions, with
    fewer than 60 behind them, take the verdict of the first session that has one; a history shorter than that
    gets no verdict (False).

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker.

    Returns
    -------
    pd.Series : bool, indexed by session. A property of the data, not a forecast: it may look at later sessions.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that do not ascend.
    """
    sessions = require_sessions(prices, ("open", "close"), table="raw.prices_daily")
    opens = pd.Series(prices["open"].to_numpy(dtype="float64"), index=sessions)
    previous = pd.Series(prices["close"].to_numpy(dtype="float64"), index=sessions).shift(1)
    same = ((opens / previous - 1).abs() < _SAME_PRICE).astype("float64").where(previous.notna())
    share = same.rolling(STALE_OPEN_WINDOW, min_periods=STALE_OPEN_MINIMUM).mean()
    return share.bfill() > STALE_OPEN_SHARE


def _classes(values: np.ndarray, conditions: list[tuple[np.ndarray, str]], otherwise: str) -> pd.Series:
    """Return the name of the first condition that holds, else ``otherwise``; missing where the value is NaN."""
    names = np.select([held for held, _ in conditions], [name for _, name in conditions], otherwise)
    return pd.Series(names, dtype="str").where(~np.isnan(values))
