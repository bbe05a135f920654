"""Rules for the volatility index and the features made from it: holes, odd closes, and being late or early by a
session.

Measured on VIX 1990–2024, VXN 2009–2024 and VIX 2014–2018 of the sample. The index leads a life of its own, so most
of these warn; only a series that is shifted against prices, or against FRED's copy (``index_timing.py``), is refused,
because it leaks or lags the truth.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.features.doubtful_closes import impossible_falls_of_index, lone_closes_of_index
from trading_dag.quality.index_timing import copied_from_neighbour, is_vix, late_since_a_repeated_close
from trading_dag.quality.price_rules import tail_is_fresh
from trading_dag.quality.rules import NOT_EXAMINED, Check, Examined, Finding, Rule
from trading_dag.quality.sequences import frozen_tail, missing_sessions, sound_bars
from trading_dag.sessions import all_sessions

# Features fill a hole of ten sessions. VXN lacks 9 of 3,851 sessions (0.23 %), six of them in a row.
_LONGEST_HOLE: Final = 10
_MISSING_SHARE: Final = 0.005
_FROZEN_SESSIONS: Final = 5

# Same-session correlation against the stronger of the neighbours', over windows of that many sessions. The least
# margin in any window of the real pairs is −0.113 (42 sessions, SPY in June 1995) and +0.15 (126), and −0.32 among 500
# simulated shares with jumps of their own. A copy that is late throughout is below −0.4 in 93 to 95 % of its windows of
# 42 (VIX with SPY and IWM, VXN with QQQ), and one that turns late is seen after 30 to 36 sessions.
_SHIFT_WINDOWS: Final = ((42, -0.4), (126, 0.0))
_CHANGE_LIMIT: Final = 0.15
# Median over the windows of the strongest of the three correlations: −0.70 (EFA) to −0.86 (S&P 500) for shares,
# −0.10 for TLT and −0.14 for GLD, whose prices say nothing about the timing of VIX.
_RELATED: Final = -0.5
_OF_FRED: Final = ("session", "vix_fred", "vix_fred_age_sessions")


def volatility_index_checks() -> tuple[Check, ...]:
    """Return the checks of ``raw.volatility_index`` beyond its schema."""
    needs = ("session", "close")
    return (
        Check(
            Rule(
                "no_missing_sessions",
                "No hole is longer than ten sessions, and at most 0.5 % of sessions are missing.",
                severity="warn",
                is_blocking=False,
            ),
            _no_missing_sessions,
            needs,
        ),
        Check(
            Rule(
                "no_reverting_spikes",
                "No close, of the index or of the three-month one, stands alone or falls further than one ever did.",
                severity="warn",
                is_blocking=False,
            ),
            _no_reverting_spikes,
            needs=(*needs, "vix3m_close"),
        ),
        Check(Rule("no_frozen_tail", "The last five closes are not all the same."), _no_frozen_tail, needs),
        Check(
            Rule(
                "tail_is_fresh",
                "The last close is that of the session the source should have.",
                severity="warn",
                is_blocking=False,
            ),
            tail_is_fresh,
            needs,
        ),
    )


def implied_volatility_checks() -> tuple[Check, ...]:
    """Return the checks of ``features.implied_volatility`` beyond its schema."""
    return (
        Check(
            Rule(
                "not_shifted_against_prices",
                "The index moves against the price within the session, not a session earlier or later.",
            ),
            _not_shifted_against_prices,
            needs=("session", "vix_close", "vix_filled_sessions"),
        ),
    )


def feature_table_checks() -> tuple[Check, ...]:
    """Return the checks of ``features.feature_table`` beyond its schema."""
    return (
        Check(
            Rule(
                "index_agrees_with_fred",
                "The index is that of the session on which FRED has it, and no copy that is late or early.",
            ),
            _index_agrees_with_fred,
            needs=("session", "vix_close"),
        ),
    )


def _no_missing_sessions(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=())
    missing, after_hole = missing_sessions(bars)
    if len(missing) == 0:
        return examined.nothing()
    calendar = len(missing) + len(bars.rows)
    sessions = pd.DatetimeIndex(bars.rows["session"])
    longest = int(np.unique(sessions.searchsorted(missing), return_counts=True)[1].max())
    detail = f"{len(missing)} of {calendar} sessions missing, longest hole {longest}"
    if longest <= _LONGEST_HOLE and len(missing) <= _MISSING_SHARE * calendar:
        return examined.nothing(f"within tolerance: {detail}")
    days = tuple(f"session={day:%Y-%m-%d}" for day in missing)
    return Finding(bars.finding(after_hole, "").mask, count=len(missing), detail=detail, examples=days)


def _no_reverting_spikes(examined: Examined) -> Finding:
    """Find closes that features treat as missing; the last one only if it cannot be true whatever follows."""
    bars = sound_bars(examined, positive=("close",))
    if len(bars.rows) < 3:
        return examined.not_examined(f"{len(bars.rows)} closes, at least 3 are needed")
    flags = np.zeros(len(bars.rows), dtype=bool)
    for name in ("close", "vix3m_close"):
        closes = bars.rows[name][(bars.rows[name] > 0) & np.isfinite(bars.rows[name])]
        if len(closes):
            doubtful = lone_closes_of_index(closes)
            doubtful[-1] |= impossible_falls_of_index(closes)[-1]
            flags[closes.index[doubtful]] = True
    return bars.finding(flags, "counted as missing: filled from the session before, and no label is made of it")


def _no_frozen_tail(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=("close",))
    if len(bars.rows) < _FROZEN_SESSIONS:
        return examined.not_examined(f"{len(bars.rows)} closes, at least {_FROZEN_SESSIONS} are needed")
    return bars.finding(frozen_tail(bars.rows["close"], _FROZEN_SESSIONS), "the feed repeats its last close")


def _not_shifted_against_prices(examined: Examined) -> Finding:
    technical = examined.context.technical
    if technical is None or not {"session", "log_return_1d"} <= set(technical.columns):
        return examined.not_examined("no returns of the underlying at hand")
    bars = sound_bars(examined, positive=("vix_close",))
    rows = bars.rows
    returns = technical.drop_duplicates("session").set_index("session")["log_return_1d"]
    changes = np.log(rows["vix_close"]).diff().clip(-_CHANGE_LIMIT, _CHANGE_LIMIT)
    is_fresh = rows["vix_filled_sessions"].fillna(0.0) == 0
    pairs = pd.DataFrame({"change": changes.where(is_fresh), "return": rows["session"].map(returns)})
    flags, detail = shifted_windows(pairs["change"], pairs["return"])
    if detail.startswith(NOT_EXAMINED):
        return examined.not_examined(detail.removeprefix(f"{NOT_EXAMINED}: "))
    return bars.finding(flags, detail)


def _index_agrees_with_fred(examined: Examined) -> Finding:
    """Find sessions in which the index equals, or moves as, what FRED reports for the session before or after.

    FRED's values are put on the sessions that they are about, so that one that came late is no objection.
    """
    bars = sound_bars(examined, positive=("vix_close",))
    fred = _vixcls(examined.context.macro)
    if fred.empty or not len(bars.rows):
        return examined.not_examined("no VIXCLS at hand")
    positions = all_sessions().get_indexer(pd.DatetimeIndex(bars.rows["session"]))
    span = range(positions[0], positions[-1] + 2)  # a session on, for an early index
    index = pd.Series(bars.rows["vix_close"].to_numpy(dtype="float64"), index=positions).reindex(span)
    vixcls = fred.reindex(span)
    if is_vix(index, vixcls):
        late, early = copied_from_neighbour(index, vixcls)
    else:
        moves_late = late_since_a_repeated_close(index, vixcls)
        if moves_late is None:
            return examined.not_examined("the index is no relative of VIX, or too short")
        late, early = moves_late, moves_late & False
    flags = (late | early).to_numpy(dtype=bool)[positions - positions[0]]
    which = "late" if late.any() else "early"
    return bars.finding(flags, f"the index looks a session {which} against FRED's VIXCLS")


def _vixcls(macro: pd.DataFrame | None) -> pd.Series:
    """Return VIXCLS by the position of the session that it describes, from rows that say how old each value is."""
    if macro is None or not set(_OF_FRED) <= set(macro.columns):
        return pd.Series(dtype="float64")
    rows = macro[list(_OF_FRED)].dropna()
    positions = all_sessions().get_indexer(pd.DatetimeIndex(rows["session"]))
    about = positions - rows["vix_fred_age_sessions"].to_numpy(dtype="int64")
    values = pd.Series(rows["vix_fred"].to_numpy(dtype="float64"), index=about)[positions >= 0]
    return values[~values.index.duplicated()]


def shifted_windows(changes: pd.Series, returns: pd.Series) -> tuple[BoolArray, str]:
    """Return sessions at the end of a window in which index and price move together one session apart, not on the day.

    Parameters
    ----------
    changes, returns : log changes of index and price in session order, on one index; NaN where unknown.

    Returns
    -------
    One flag per session, and a phrase about the worst window (empty where there is none). No flag where index and
    price are hardly related at any of the three lags, as with bonds or gold; the phrase then says so.
    """
    flags = np.zeros(len(changes), dtype=bool)
    worst, phrase = 0.0, ""
    for window, least_margin in _SHIFT_WINDOWS:
        least = window * 3 // 4
        same, late, early = (changes.rolling(window, min_periods=least).corr(returns.shift(lag)) for lag in (0, 1, -1))
        strongest = pd.concat([same, late, early], axis=1).min(axis=1)
        if strongest.isna().all():
            return flags & False, f"{NOT_EXAMINED}: fewer than {least} sessions have both index and price"
        if not strongest.median() <= _RELATED:
            return flags & False, f"{NOT_EXAMINED}: index and price are hardly related"
        margin = np.minimum(late, early) - same
        failed = (margin < least_margin).to_numpy(dtype=bool)
        flags |= failed
        if failed.any() and margin.min() - least_margin < worst:
            worst = float(margin.min() - least_margin)
            at = margin.idxmin()
            which = "late" if late[at] < early[at] else "early"
            phrase = (
                f"the index looks a session {which}: correlation with returns {same[at]:.2f} on the day, "
                f"{min(late[at], early[at]):.2f} a session apart ({window} sessions)"
            )
    return flags, phrase
