"""What other tickers of the same source reveal about a bar: whose it is, and whether the market moved with it.

An index and its fund, a share and its market: only exact identity, and moves that one session takes back, are told
from them. How closely two instruments should move is no rule: it changes with the years.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.activity import log_of, only_where, turnover
from trading_dag.quality.rules import Examined, Finding
from trading_dag.quality.sequences import sound_bars

_OHLC: Final = ("open", "high", "low", "close")
_LEAST_RUN: Final = 2
_SAME_SHAPE: Final = 1e-6
# Above that share of equal bars two names stand for one instrument.
_ONE_INSTRUMENT: Final = 0.5

_LEAST_COMMON: Final = 252
_RELATED: Final = 0.6
_WINDOW: Final = 31
_MOVE_SCALES: Final = 9.0
_MOVE_SIZE: Final = 0.015
_MOVE_NET: Final = 0.3
_UNDONE: Final = 0.5


def no_foreign_bars(examined: Examined) -> Finding:
    """Find two or more bars in a row that equal those of another ticker on the same sessions."""
    bars = sound_bars(examined, positive=_OHLC)
    peers = examined.context.peers
    if not peers or len(bars.rows) < _LEAST_RUN:
        return examined.not_examined("no other ticker of this source is stored" if not peers else "too few bars")
    flags, names = foreign_bars(bars.rows, peers)
    return bars.finding(flags, f"the bars are those of {', '.join(names)}")


def foreign_bars(rows: pd.DataFrame, peers: Mapping[str, pd.DataFrame]) -> tuple[BoolArray, list[str]]:
    """Return flags of bars that are another ticker's, on any price level, and those tickers."""
    flags, names = np.zeros(len(rows), dtype=bool), []
    own, has_range = _shape(rows), (rows["high"] > rows["low"]).to_numpy(dtype=bool)
    for name, peer in peers.items():
        is_same = np.isclose(own, _shape(_on_sessions(peer, rows)), rtol=_SAME_SHAPE, atol=0.0).all(axis=1) & has_range
        if is_same.mean() > _ONE_INSTRUMENT:
            continue
        starts = np.flatnonzero(np.diff(is_same, prepend=False))
        lengths = np.diff(np.append(starts, len(is_same)))
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            if is_same[start] and length >= _LEAST_RUN:
                flags[start : start + length] = True
                names.append(name)
    return flags, list(dict.fromkeys(names))


def _shape(rows: pd.DataFrame) -> FloatArray:
    """Return open, high and low divided by the close, which do not change with the price level."""
    return rows[["open", "high", "low"]].div(rows["close"], axis=0).to_numpy(dtype="float64")


def market_went_with_it(examined: Examined) -> Finding:
    """Find closes that moved alone and reverted in the next session, while a related ticker did neither."""
    bars = sound_bars(examined, positive=_OHLC)
    if not examined.context.peers:
        return examined.not_examined("no other ticker of this source is stored")
    flags, nearest = moves_alone(bars.rows, examined.context.peers)
    if nearest is None:
        return examined.not_examined("no ticker at hand moves with this one, or they have too few sessions in common")
    return bars.finding(flags, f"the close moved alone and came back, {nearest} did neither")


def moves_alone(rows: pd.DataFrame, peers: Mapping[str, pd.DataFrame]) -> tuple[BoolArray, str | None]:
    """Return flags of lone moves against the most closely related ticker, and its name; None where none is related."""
    moves = pd.Series(log_of(rows["close"])).diff()
    nearest, strongest, of_nearest = None, _RELATED, None
    for name, peer in peers.items():
        theirs = np.log(_on_sessions(peer, rows)["close"]).diff()
        is_common = moves.notna() & theirs.notna()
        if is_common.sum() < _LEAST_COMMON:
            continue
        correlation = float(moves[is_common].clip(-0.05, 0.05).corr(theirs[is_common].clip(-0.05, 0.05)))
        if correlation > strongest:
            nearest, strongest, of_nearest = name, correlation, theirs
    if nearest is None or of_nearest is None:
        return np.zeros(len(rows), dtype=bool), None
    return _alone(rows, moves, of_nearest), nearest


def _alone(rows: pd.DataFrame, moves: pd.Series, theirs: pd.Series) -> BoolArray:
    held, wide = moves.clip(-0.05, 0.05), theirs.clip(-0.05, 0.05)
    slope = held.rolling(252, min_periods=63).cov(wide) / wide.rolling(252, min_periods=63).var()
    own = moves - slope.bfill() * theirs
    back = own.shift(-1)  # how it goes on: this looks for defects, no feature sees it
    size = np.minimum(own.abs(), back.abs())
    usual = own.abs().rolling(_WINDOW, center=True, min_periods=10).median()
    reverts = (own * back < 0) & ((own + back).abs() <= _MOVE_NET * size)
    undone: FloatArray = log_of(rows["close"] / rows["open"].shift(-1))
    is_undone = np.sign(own) * undone >= _UNDONE * own.abs()
    passed = np.asarray(size / (_MOVE_SCALES * usual).clip(lower=_MOVE_SIZE), dtype="float64")
    flags = (reverts & is_undone).to_numpy(dtype=bool) & (passed > 1.0)
    return only_where(flags, passed[flags] > turnover(rows, flags))


def _on_sessions(peer: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the peer's bars on the sessions of the rows, NaN where it has none."""
    own = peer.drop_duplicates("session").set_index("session")[list(_OHLC)].astype("float64")
    aligned: pd.DataFrame = own.where(own > 0).reindex(rows["session"]).reset_index(drop=True)
    return aligned
