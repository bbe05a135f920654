"""The session that is under way as features see it: its bar so far, and what stands at the last close.

A bar so far is no session's row: it is never stored as one and never learnt from. Which features are computed with it,
and which keep the values of the last close, follows from their formulas, so that nothing is listed twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.errors import SchemaError, StaleSourceError
from trading_dag.features.formulas import FORMULAS
from trading_dag.schemas import FEATURE_GROUPS, FEATURE_TABLE, PRICES_HOURLY, TECHNICAL_FEATURES
from trading_dag.sessions import session_before, session_close, session_open

# What is known of these at a close is not known before it, or comes once a day.
STANDING_GROUPS: Final = ("implied_volatility", "macro", "sentiment", "option_chain", "intraday")
_HOUR: Final = pd.Timedelta(hours=1)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class KnownFeatures:
    """Counts how the features of a running session are known.

    Attributes
    ----------
    so_far : computed from closes so far, exact as of the last bar.
    of_range : of those, what reads the session's high or low, which a session under way has not reached yet.
    at_last_close : the values of the last close.
    missing : neither; the models treat them as they treat any gap.
    """

    so_far: int
    of_range: int
    at_last_close: int
    missing: int


def bar_so_far(hours: pd.DataFrame, prices: pd.DataFrame, *, session: pd.Timestamp) -> pd.DataFrame:
    """Return the session's bar from its hours so far, as a row of ``raw.prices_daily``.

    ``adj_close`` goes on from the last close's base. A dividend or a split of this very session is not known here:
    ``dividend`` is 0 and ``split_factor`` 1; prices that a split has moved break the rules of the table, which whoever
    uses the row asks.

    Parameters
    ----------
    hours : rows of ``raw.prices_hourly`` of the session, whole hours from its open on.
    prices : ``raw.prices_daily`` of the ticker, through the session before.

    Raises
    ------
    SchemaError : for hours that do not follow each other from the open on, or are another ticker's.
    StaleSourceError : where the stored bars do not end with the session before.
    """
    ticker = str(prices["ticker"].iloc[-1])
    last, before = prices["session"].iloc[-1], session_before(session)
    if last != before:
        raise StaleSourceError(
            source=str(prices.attrs.get("source")),
            request=f"the session of {session:%Y-%m-%d} of {ticker} under way",
            problem=f"the stored bars end with {last:%Y-%m-%d}, and the session before is {before:%Y-%m-%d}",
            remedy="Run trading-dag refresh first.",
        )
    _require_hours(hours, session, ticker)
    closed = float(prices["close"].iloc[-1])
    close = float(hours["close"].iloc[-1])
    row = {
        "ticker": ticker,
        "session": session,
        "open": hours["open"].iloc[0],
        "high": hours["high"].max(),
        "low": hours["low"].min(),
        "close": close,
        "adj_close": close * float(prices["adj_close"].iloc[-1]) / closed,
        "volume": hours["volume"].sum(min_count=len(hours)),
        "split_factor": 1.0,
        "dividend": 0.0,
    }
    return pd.DataFrame([row]).astype(prices.dtypes[list(row)].to_dict())[list(prices.columns)]


def last_bar_ended(hours: pd.DataFrame, session: pd.Timestamp) -> pd.Timestamp:
    """Return when the last of the hours ended, UTC: the moment that everything made of them is as of."""
    ended: pd.Timestamp = min(hours["ts"].iloc[-1] + _HOUR, session_close(session))
    return ended


def standing(frame: pd.DataFrame, session: pd.Timestamp, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a table with the running session at the values of its last row, or with some of its columns at them.

    Parameters
    ----------
    frame : a table by session, ascending.
    session : the running one. With ``columns`` it is the last row already, and only they are set back.
    """
    if frame.empty:
        return frame
    if columns is None:
        row = frame.iloc[[-1]].assign(session=session).astype(frame.dtypes.to_dict())
        stood = pd.concat([frame, row], ignore_index=True)
    else:
        stood = frame.copy()
        names = list(columns)
        stood.loc[stood.index[-1], names] = stood[names].iloc[-2].to_numpy() if len(stood) > 1 else np.nan
    stood.attrs = dict(frame.attrs)
    return stood


def filled_from_last_close(features: pd.DataFrame) -> pd.DataFrame:
    """Return ``features.feature_table`` whose last row, the running session's, has the values of the row before where
    it has none."""
    names = [name for group in FEATURE_GROUPS.values() for name in group]
    row, before = features[names].iloc[-1], features[names].iloc[-2]
    gaps = [name for name in names if pd.isna(row[name]) and pd.notna(before[name])]
    return standing(features, features["session"].iloc[-1], gaps) if gaps else features


def count_known(features: pd.DataFrame, computed: pd.DataFrame) -> KnownFeatures:
    """Return how the features of the running session, the last row, are known.

    Parameters
    ----------
    features : ``features.feature_table`` that the models read.
    computed : the same before gaps were filled from the last close.
    """
    require = set(FEATURE_TABLE.column_names) - {"ticker", "session"}
    row = features.iloc[-1]
    stands = {name for name in require if name in features_of_volume() or _group_stands(name)}
    filled = {name for name in require - stands if pd.isna(computed[name].iloc[-1]) and pd.notna(row[name])}
    missing = {name for name in require if pd.isna(row[name])}
    so_far = require - stands - filled - missing
    return KnownFeatures(
        so_far=len(so_far),
        of_range=len(so_far & features_of_range()),
        at_last_close=len((stands | filled) - missing),
        missing=len(missing),
    )


@lru_cache(maxsize=1)
def features_of_volume() -> frozenset[str]:
    """Return the technical features that read the session's volume, which is not complete before its close."""
    return _reading({"V"})


@lru_cache(maxsize=1)
def features_of_range() -> frozenset[str]:
    """Return the technical features that read the session's high or low and not its volume."""
    return _reading({"H", "L", "high14", "low14", "range", "directional", "DI", "K"}) - features_of_volume()


def _reading(symbols: set[str]) -> frozenset[str]:
    """Return the technical features whose formula has one of the symbols, or names a feature that has."""
    found: set[str] = set()
    while True:
        more = {name for name in TECHNICAL_FEATURES if name not in found and _words(name) & (symbols | found)}
        if not more:
            return frozenset(found)
        found |= more


def _words(name: str) -> set[str]:
    """Return the symbols and names of other features in a formula."""
    formula = FORMULAS[name].partition(";")[0]
    return {*re.findall(r"\b[A-Z]{1,2}\b", formula), *_NAME.findall(formula)} - {name}


def _group_stands(name: str) -> bool:
    return any(name in FEATURE_GROUPS[group] for group in STANDING_GROUPS)


def _require_hours(hours: pd.DataFrame, session: pd.Timestamp, ticker: str) -> None:
    table = PRICES_HOURLY.qualified_name
    if hours.empty or set(hours["ticker"]) != {ticker}:
        raise SchemaError(table=table, key=f"ticker={ticker}", rule="the hours of a session are the ticker's")
    starts = pd.DatetimeIndex(hours["ts"])
    expected = session_open(session) + _HOUR * np.arange(len(starts))
    broken = np.flatnonzero(np.asarray(starts != expected))
    if len(broken):
        place = int(broken[0])
        raise SchemaError(
            table=table,
            key=f"ticker={ticker}, ts={starts[place]}",
            rule=f"the hours of {session:%Y-%m-%d} follow each other from its open on: {expected[place]} is expected",
        )
