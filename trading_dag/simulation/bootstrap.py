"""Augmentation: further histories drawn from blocks of real bars, to be learnt from and never to be judged on.

Drawing, labelling and the guard on what was drawn belong here; that no test part holds an augmented row is seen to
in ``validation.walk_forward``. The simulated market of the other modules is something else: here every session
happened, only not in this order.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.errors import AugmentedTestError, InsufficientDataError, SchemaError
from trading_dag.schemas import PRICES_DAILY
from trading_dag.simulation.streams import FloatArray, IntArray
from trading_dag.table_frames import require_columns

AUGMENTED: Final = "augmented"
IS_AUGMENTED: Final = "is_augmented"
LEAST_SESSIONS: Final = 60
_PRICES: Final = ("open", "high", "low")


def bootstrap_bars(
    bars: pd.DataFrame, *, through: pd.Timestamp, paths: int, seed: int, mean_block: int | None = None
) -> pd.DataFrame:
    """Histories as long as the real one, made of its sessions in blocks of geometric length.

    A session is drawn whole: its total return, where open, high and low stand to the close, its volume. So what holds
    within a session and, up to the ends of blocks, from one to the next, holds here too.

    Parameters
    ----------
    bars : rows of ``raw.prices_daily`` of one ticker, in session order.
    through : the last session that may be drawn: that of the training part. **Whatever is drawn from later ones
        carries the test part into training.**
    paths : how many histories.
    seed : of the draws; the same arguments give the same histories.
    mean_block : expected length of a block in sessions; by default Politis and White's for squared returns, so that
        calm and turbulent times last as long as they do.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.prices_daily``, with ``path`` (1 …), ``drawn_session`` (whose day it is),
        ``drawn_through`` (the argument) and ``is_augmented`` (True). Sessions are the real ones from the second on.
        Prices are total-return prices in USD that begin where the real first close is, so that ``adj_close`` equals
        ``close``, without dividends and splits. ``attrs["source"]`` is ``augmented``, which no slice of a source
        accepts.

    Raises
    ------
    SchemaError : for a missing column, several tickers, or sessions that are not in order.
    InsufficientDataError : for fewer than 60 sessions.

    References
    ----------
    Politis and Romano, The stationary bootstrap, JASA 89 (1994), 1303-1313. Politis and White, Econometric Reviews 23
    (2004), 53-70, with the correction of Patton, Politis and White 28 (2009), 372-375.
    """
    from arch.bootstrap import StationaryBootstrap

    real = _training_bars(bars, through)
    returns = np.diff(np.log(real["adj_close"].to_numpy(dtype=np.float64)))
    days = real.iloc[1:].reset_index(drop=True)
    block = _usual_block(returns) if mean_block is None else mean_block
    draws = StationaryBootstrap(block, np.arange(len(returns)), seed=np.random.default_rng(seed))
    start = float(real["close"].iloc[0])
    drawn = [
        _history(days, returns, np.asarray(resampled[0], dtype=np.int64), start=start).assign(path=number)
        for number, (resampled, _) in enumerate(draws.bootstrap(paths), start=1)
    ]
    frame = pd.concat(drawn, ignore_index=True).assign(drawn_through=through, is_augmented=True)
    frame.attrs = {"source": AUGMENTED}
    return frame


def require_drawn_before(augmented: pd.DataFrame, *, first_test_session: pd.Timestamp) -> None:
    """Refuse augmented rows that were drawn from sessions of a test part.

    Parameters
    ----------
    augmented : as ``bootstrap_bars`` gives them, or anything with its ``drawn_through``.
    first_test_session : the first session of the earliest test part that their model is judged on.

    Raises
    ------
    AugmentedTestError : where some were drawn through that session or a later one.
    """
    late = augmented.loc[augmented["drawn_through"] >= first_test_session, "drawn_through"]
    if len(late):
        raise AugmentedTestError(
            table="augmented rows",
            key=f"drawn through {late.max():%Y-%m-%d}",
            rule=f"the test part begins on {first_test_session:%Y-%m-%d}: draw from earlier sessions only",
        )


def _training_bars(bars: pd.DataFrame, through: pd.Timestamp) -> pd.DataFrame:
    require_columns(bars, PRICES_DAILY.qualified_name, columns=PRICES_DAILY.column_names)
    real = bars[bars["session"] <= through].reset_index(drop=True)
    if len(real) < LEAST_SESSIONS:
        raise InsufficientDataError(
            f"{len(real)} sessions through {through:%Y-%m-%d}; a bootstrap needs {LEAST_SESSIONS}"
        )
    if real["ticker"].nunique() != 1 or not real["session"].is_monotonic_increasing:
        raise SchemaError(
            table=PRICES_DAILY.qualified_name, key="ticker, session", rule="bars of one ticker, in session order"
        )
    return real


def _history(days: pd.DataFrame, returns: FloatArray, at: IntArray, *, start: float) -> pd.DataFrame:
    """One history: the drawn returns one after the other, each session's bar around its close."""
    close = start * np.exp(np.cumsum(returns[at]))
    drawn = days.take(at.tolist()).reset_index(drop=True)
    scaled = {name: close * (drawn[name] / drawn["close"]).to_numpy(dtype=np.float64) for name in _PRICES}
    return pd.DataFrame({
        "ticker": drawn["ticker"],
        "session": days["session"],
        **scaled,
        "close": close,
        "adj_close": close,
        "volume": drawn["volume"],
        "split_factor": 1.0,
        "dividend": 0.0,
        "drawn_session": drawn["session"],
    })  # fmt: skip


def _usual_block(returns: FloatArray) -> int:
    from arch.bootstrap import optimal_block_length

    length = float(optimal_block_length(returns**2)["stationary"].iloc[0])
    return max(2, math.ceil(length)) if math.isfinite(length) else 2
