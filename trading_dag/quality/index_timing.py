"""Whether a volatility index belongs to its session, judged by FRED's VIXCLS of each session.

Arithmetic on two series by session only: which tables they come from, and what is refused, is in
``volatility_rules.py``.

What the limits rest on
-----------------------
VIX of 1990–2024 equals VIXCLS of the session to a cent in 99.94 % of 8,816 sessions, and that of a neighbouring one in
2 %; a VIX that turned late is seen on the evening of the fifth session for 99 % of 775 turns. VXN of 2009–2024 moves as
VIXCLS does (correlation of changes 0.91, slope 0.82), and closes where it closed the session before on 29 of 3,851
sessions, most of them filled holes. A feed that turns a session late does so at the turn. After those 29 the evidence
for a late feed reaches 1.3, in the six-session hole of February 2017. Of 209 turns of VXN 84 % are seen within five
sessions, 95 % within eight, 99 % within ten. RVX could not be measured.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

_CENT: Final = 0.0151
_IS_VIX_SHARE: Final = 0.5
_WINDOW: Final = 5
_LEAST_WRONG: Final = 3
_MOST_RIGHT: Final = 1

# Indices of funds move nearly as far as VIX does; those of shares go their own ways, and half as far with it.
_RELATED: Final = 0.7
_LEAST_SLOPE: Final = 0.65
_PAIRS: Final = 60
_SLOPE: Final = 0.85
# Standard deviation of what VIXCLS leaves unexplained of another index's daily log change, and the most that counts.
_UNEXPLAINED: Final = 0.03
_EXPLAINABLE: Final = 0.10
_LARGEST: Final = 0.15
_UNCHANGED: Final = 0.005
_AFTER_TURN: Final = range(4, 11)
_LATE_EVIDENCE: Final = 3.0


def is_vix(index: pd.Series, vixcls: pd.Series) -> bool:
    """Return whether the index equals VIXCLS of the session, or of one beside it, in more than half of the sessions.

    Parameters
    ----------
    index, vixcls : closes by session, on one index of consecutive sessions; NaN where unknown.
    """
    known = index.notna() & vixcls.notna()
    hits = _equals(index, vixcls) | _equals(index, vixcls.shift(1)) | _equals(index, vixcls.shift(-1))
    return bool(known.any() and hits[known].mean() > _IS_VIX_SHARE)


def copied_from_neighbour(index: pd.Series, vixcls: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return sessions at the end of five in which VIX equals VIXCLS of the session before (late) or after (early), not
    its own.

    At least three of the five say so and at most one says the opposite; sessions on which neighbouring closes are the
    same, or on which VIXCLS of the session is not known yet, say nothing.

    Parameters
    ----------
    index, vixcls : as in ``is_vix``.

    Returns
    -------
    Two series of flags on the same index: late, early.
    """
    same, before, after = (_equals(index, vixcls.shift(lag)) for lag in (0, 1, -1))
    is_right = (same & ~before & ~after).rolling(_WINDOW, min_periods=1).sum() <= _MOST_RIGHT
    late, early = (
        is_right & ((other & ~same & vixcls.notna()).rolling(_WINDOW, min_periods=1).sum() >= _LEAST_WRONG)
        for other in (before, after)
    )
    return late, early


def late_since_a_repeated_close(index: pd.Series, vixcls: pd.Series) -> pd.Series | None:
    """Return sessions after a repeated close in which another index moves as VIXCLS did the session before, not on the
    day.

    Evidence is the sum of squared changes that VIXCLS of the day leaves unexplained, less what VIXCLS of the session
    before does, in units of the usual; it has to exceed 3 over the next 4 to 10 sessions, the first of them left out.

    Parameters
    ----------
    index, vixcls : as in ``is_vix``; the index filled over holes, since a hole may hide the turn.

    Returns
    -------
    Flags on the same index, from the repeated close to the session that tells; None where the index is no relative of
    VIX, or too short to tell.
    """
    moves, of_day = np.log(index).diff(), np.log(vixcls).diff()
    if not _is_relative(moves, of_day):
        return None
    left, left_late = ((moves - _SLOPE * of_day.shift(lag)).abs().clip(upper=_EXPLAINABLE) for lag in (0, 1))
    evidence = ((left**2 - left_late**2) / _UNEXPLAINED**2).fillna(0.0).cumsum()
    is_turn = index.diff().abs() <= _UNCHANGED
    flags = pd.Series(False, index=index.index)
    for sessions in _AFTER_TURN:
        # A close that was filled in for one session moves late by two on the next: neither of the two says anything.
        turns = is_turn & (evidence.shift(-sessions) - evidence.shift(-1) > _LATE_EVIDENCE)
        for turn in np.flatnonzero(turns).tolist():
            flags.iloc[turn : turn + sessions + 1] = True
    return flags


def _equals(left: pd.Series, right: pd.Series) -> pd.Series:
    return (left - right).abs() <= _CENT


def _is_relative(moves: pd.Series, of_day: pd.Series) -> bool:
    """Return whether an index moves with VIXCLS, and nearly as far, on the day or a session late.

    The median over windows counts, each at the better of the two lags, so that a feed that turned late is no stranger.
    """
    held, wide = moves.clip(-_LARGEST, _LARGEST), of_day.clip(-_LARGEST, _LARGEST)
    correlations, slopes = [], []
    for lag in (0, 1):
        correlation = held.rolling(_PAIRS, min_periods=_PAIRS * 3 // 4).corr(wide.shift(lag))
        correlations.append(correlation)
        slopes.append(
            correlation * held.rolling(_PAIRS, min_periods=_PAIRS * 3 // 4).std() / wide.rolling(_PAIRS).std()
        )
    typical, slope = (pd.concat(parts, axis=1).max(axis=1).median() for parts in (correlations, slopes))
    return bool(typical >= _RELATED and slope >= _LEAST_SLOPE)
