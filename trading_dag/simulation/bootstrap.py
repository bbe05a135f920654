"""Augmentation: additional histories drawn from blocks of real bars, to learn from and never to be judged on.

Drawing, labelling and the guard on what was drawn belong here; what is learnt from it stands in
``models.learning.augmentation``, that no test part holds an augmented row is seen to in ``validation.walk_forward``.
The simulated market of the other modules is something else: here every session happened, only not in this order.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import AugmentedTestError, InsufficientDataError, SchemaError
from trading_dag.features.implied_volatility import FILL_LIMIT_SESSIONS
from trading_dag.frames import require_columns, require_sessions
from trading_dag.schemas import PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import sessions_between
from trading_dag.stationary_bootstrap import stationary_block_length, stationary_draws

AUGMENTED: Final = "augmented"
IS_AUGMENTED: Final = "is_augmented"
LEAST_SESSIONS: Final = 60
_WITHIN_SESSION: Final = ("open", "high", "low")
_FILLED: Final = ("close", "vix3m_close")


def bootstrap_bars(
    bars: pd.DataFrame,
    *,
    through: pd.Timestamp,
    paths: int,
    seed: int,
    mean_block: int | None = None,
    first: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return histories as long as the real one, made of its sessions in blocks of geometric length.

    A session is drawn whole: its return with and without the dividend, where open, high and low stand to the close,
    its volume. So what holds within a session and, up to the ends of blocks, from one to the next, holds here too.
    Whatever else is known of the session travels with it by ``drawn_session``: see ``index_of_history``.

    Parameters
    ----------
    bars : rows of ``raw.prices_daily`` of one ticker, in session order.
    through : the last session that may be drawn: that of the training part. **Whatever is drawn from later ones
        carries the test part into training.**
    paths : number of histories.
    seed : seed of the draws; the same arguments give the same histories.
    mean_block : expected length of a block in sessions; by default Politis and White's for squared returns, so that
        calm and turbulent times last as long as they do.
    first : the first session that may serve; its close is where the histories begin, and the session after it is the
        first that may be drawn. By default that of ``bars``.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.prices_daily``, with ``path`` (1 …), ``drawn_session`` (whose day it is),
        ``drawn_through`` (the argument) and ``is_augmented`` (True). Sessions are the real ones from the second on.
        Prices are in USD and begin at the real first close; ``adj_close`` begins there too and grows by the returns
        with dividends. ``dividend`` has the drawn session's share of the close before it; splits are in the returns.
        ``attrs["source"]`` is ``augmented``, which no slice of a source accepts; ``attrs["mean_block"]`` is the
        expected block length.

    When it is known
    ----------------
    Nowhere: the histories never happened. All that they hold was known at the close of ``through``.

    NaN policy
    ----------
    A NULL volume or dividend of a drawn session stays NULL.

    Raises
    ------
    SchemaError : for a missing column, several tickers, or sessions that are not in order.
    InsufficientDataError : for fewer than 60 sessions.

    References
    ----------
    Politis and Romano, The stationary bootstrap, JASA 89 (1994), 1303-1313. Politis and White, Econometric Reviews 23
    (2004), 53-70, with the correction of Patton, Politis and White 28 (2009), 372-375.
    """
    real = _training_bars(bars, first, through)
    days = real.iloc[1:].reset_index(drop=True)
    growth = {name: np.diff(np.log(real[name].to_numpy(dtype=np.float64))) for name in ("close", "adj_close")}
    dividends = days["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
    yields = dividends / real["close"].to_numpy(dtype=np.float64)[:-1]
    block = _usual_block(growth["adj_close"]) if mean_block is None else mean_block
    draws = stationary_draws(len(days), mean_block=block, draws=paths, generator=np.random.default_rng(seed))
    start = float(real["close"].iloc[0])
    drawn = [
        _history(days, growth, yields, rows, start=start).assign(path=number)
        for number, rows in enumerate(draws, start=1)
    ]
    frame = pd.concat(drawn, ignore_index=True).assign(drawn_through=through, is_augmented=True)
    frame.attrs = {"source": AUGMENTED, "mean_block": block}
    return frame


def index_of_history(path: pd.DataFrame, volatility_index: pd.DataFrame) -> pd.DataFrame:
    """Return the volatility index that travels with the bars of one history.

    Parameters
    ----------
    path : rows of one ``path`` of ``bootstrap_bars``.
    volatility_index : ``raw.volatility_index`` of the same ticker; zero rows where there is no index.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.volatility_index``, on the sessions of the history: the index as it was known
        at the close of the session that was drawn. Where none was published that day it is the last one, at most 10
        sessions old, so that nothing has to be carried over the end of a block. Zero rows where none was known.

    Raises
    ------
    SchemaError : for a missing column, or sessions that are not in order.
    """
    columns = list(VOLATILITY_INDEX.column_names)
    published = require_sessions(volatility_index, columns, table=VOLATILITY_INDEX.qualified_name)
    if published.empty:
        return volatility_index[columns]
    days = pd.DatetimeIndex(path["drawn_session"])
    known = volatility_index[columns].set_axis(published).reindex(sessions_between(published[0], days.max()))
    filled = known.assign(**{name: known[name].ffill(limit=FILL_LIMIT_SESSIONS) for name in _FILLED})
    travelled = filled.reindex(days).assign(
        ticker=volatility_index["ticker"].iloc[0],
        symbol=volatility_index["symbol"].iloc[0],
        session=path["session"].to_numpy(),
    )
    return travelled[travelled["close"].notna()].reset_index(drop=True)


def require_drawn_within(augmented: pd.DataFrame, *, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Refuse augmented rows that were drawn from sessions outside the part that a model may learn from.

    Parameters
    ----------
    augmented : as ``bootstrap_bars`` gives them, or anything with its ``drawn_session`` and ``drawn_through``.
    first, last : the sessions that may be drawn, both included. For a training part, ``last`` is the last session
        whose label ends inside it.

    Raises
    ------
    AugmentedTestError : where a session was drawn, or might have been, that lies outside.
    """
    late = augmented[["drawn_session", "drawn_through"]].max().max()
    early = augmented["drawn_session"].min()
    if late > last or early < first:
        raise AugmentedTestError(
            table="augmented rows",
            key=f"drawn through {late:%Y-%m-%d}" if late > last else f"drawn from {early:%Y-%m-%d}",
            rule=f"the training part allows {first:%Y-%m-%d} to {last:%Y-%m-%d}: draw from these sessions only",
        )


def _training_bars(bars: pd.DataFrame, first: pd.Timestamp | None, through: pd.Timestamp) -> pd.DataFrame:
    require_columns(bars, PRICES_DAILY.qualified_name, columns=PRICES_DAILY.column_names)
    serves = bars["session"] <= through
    if first is not None:
        serves &= bars["session"] >= first
    real = bars[serves].reset_index(drop=True)
    if len(real) < LEAST_SESSIONS:
        raise InsufficientDataError(
            f"{len(real)} sessions through {through:%Y-%m-%d}; a bootstrap needs {LEAST_SESSIONS}"
        )
    if real["ticker"].nunique() != 1 or not real["session"].is_monotonic_increasing:
        raise SchemaError(
            table=PRICES_DAILY.qualified_name, key="ticker, session", rule="bars of one ticker, in session order"
        )
    return real


def _history(
    days: pd.DataFrame, growth: dict[str, FloatArray], yields: FloatArray, at: IntArray, *, start: float
) -> pd.DataFrame:
    """Return one history: the drawn returns one after the other, each session's bar around its close."""
    prices = {name: start * np.exp(np.cumsum(steps[at])) for name, steps in growth.items()}
    close = prices["close"]
    drawn = days.take(at.tolist()).reset_index(drop=True)
    scaled = {name: close * (drawn[name] / drawn["close"]).to_numpy(dtype=np.float64) for name in _WITHIN_SESSION}
    return pd.DataFrame({
        "ticker": drawn["ticker"],
        "session": days["session"],
        **scaled,
        **prices,
        "volume": drawn["volume"],
        "split_factor": 1.0,
        "dividend": yields[at] * np.concatenate([[start], close[:-1]]),
        "drawn_session": drawn["session"],
    })  # fmt: skip


def _usual_block(returns: FloatArray) -> int:
    squared = returns**2
    if np.ptp(squared) == 0.0:  # prices that never move ask for no length
        return 2
    length = stationary_block_length(squared)
    return max(2, math.ceil(length)) if math.isfinite(length) else 2
