"""features.implied_volatility: level, rank, premium and term structure of the ticker's volatility index.

Only the index's published closes are read here. Volatility implied by single option quotes is in
``trading_dag.options.pricing.implied_volatility``; which index belongs to which ticker is in ``settings``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.features.doubtful_closes import impossible_falls_of_index, lone_closes_of_index
from trading_dag.features.formulas import documents_features
from trading_dag.features.technical.bars import rolling_percentile
from trading_dag.frames import require_sessions, ticker_of
from trading_dag.schemas import IMPLIED_VOLATILITY_FEATURES, IV_RANK_LAGS, TABLES
from trading_dag.schemas.vocabulary import INDEX_SOURCES
from trading_dag.sessions import TIME_UNIT, sessions_between

FILL_LIMIT_SESSIONS: Final = 10
OWN_INDEX, PROXY_INDEX = INDEX_SOURCES
RANK_WINDOW: Final = 252
_ZSCORE_WINDOW: Final = 60
_CLOSES: Final = ("close", "vix3m_close")
# The longest window with the longest lag on it, and what may be filled before it.
_LONGEST_REACH: Final = RANK_WINDOW + 20 + FILL_LIMIT_SESSIONS
# Quarters of iv_rank. The IV regime that is labelled and forecast has other bounds (``labels.iv_regime_of``).
_IV_RANK_QUARTERS: Final = {
    "iv_regime_low": (-np.inf, 25.0),
    "iv_regime_normal": (25.0, 50.0),
    "iv_regime_elevated": (50.0, 75.0),
    "iv_regime_high": (75.0, np.inf),
}


@documents_features((*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS))
def build_implied_volatility(
    volatility_index: pd.DataFrame,
    technical: pd.DataFrame,
    *,
    judge_closes: bool = True,
    own_index: str | None = None,
) -> pd.DataFrame:
    """Implied-volatility features of one ticker.

    Parameters
    ----------
    volatility_index : ``raw.volatility_index`` of the ticker; zero rows where there is no index. Rows on
        days that are no session are left out. It may begin before ``technical``: windows then reach back.
    technical : ``features.technical`` of the same ticker; its sessions are the rows, its ``hv_20`` is compared.

    judge_closes : whether closes that cannot be true count as missing. Not in a history that was drawn: it jumps where
        one block ends and another begins.
    own_index : the index of the ticker's own options, by which ``iv_source`` tells it from one that stands in; None
        where it has none. Without a column ``symbol`` nobody says which index it is, and ``iv_source`` is NULL.

    Returns
    -------
    pd.DataFrame : ``features.implied_volatility``, one row per row of ``technical``, volatilities in
        annualised percent points. ``vix_filled_sessions`` counts the sessions since the index was last
        published (0 on the day itself).

    When it is known
    ----------------
    The index's close is struck at 16:15 New York time, a quarter of an hour after the session's, and is taken as
    known at t's close: whatever acts on row t acts on the next session at the earliest.

    NaN policy
    ----------
    The index is filled forward over at most 10 sessions, never backward, and is NaN after that. A close that cannot be
    true (``doubtful_closes.py``) counts as missing: in its own row where its own session shows it, in later rows where
    the next one does. A row keeps what was known at its close: an error upward stays in the row of its session. The
    term structure
    compares closes of one session: it is NaN where the three-month index was last published on another one. A window
    needs all its sessions; a zero range or zero deviation is NaN.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that do not ascend.
    """
    rows = require_sessions(technical, ("ticker", "hv_20"), table="features.technical")
    index_sessions = require_sessions(volatility_index, ("close", "vix3m_close"), table="raw.volatility_index")
    calendar = _calendar(index_sessions, rows)
    published = volatility_index.set_axis(index_sessions)[list(_CLOSES)].astype("float64").reindex(calendar)
    hv_20 = pd.Series(technical["hv_20"].to_numpy(dtype="float64"), index=rows).reindex(calendar)
    later, at_once = _without_doubtful(published) if judge_closes else (published, published)
    features = _features_of(later, hv_20)
    for row in np.flatnonzero(_is_undecided(published, later, at_once)).tolist():
        span = slice(max(row - _LONGEST_REACH, 0), row + 1)
        features.iloc[row] = _features_of(_as_known(published, later, at_once, span=span), hv_20.iloc[span]).iloc[-1]
    frame = features.assign(iv_source=_sources(volatility_index, calendar, own_index)).reindex(rows)
    frame = frame.assign(iv_source=frame["iv_source"].where(frame["vix_close"].notna())).reset_index(drop=True)
    frame.insert(0, "session", rows)
    frame.insert(0, "ticker", pd.Series(ticker_of(technical), index=frame.index, dtype="str"))
    return frame[list(TABLES["features.implied_volatility"].column_names)]


def _sources(volatility_index: pd.DataFrame, calendar: pd.DatetimeIndex, own_index: str | None) -> pd.Series:
    """Return whose options the index that counts at each session is of; missing where nobody says which it is."""
    if "symbol" not in volatility_index.columns:
        return pd.Series(None, index=calendar, dtype="str")
    symbols = volatility_index.set_index(pd.DatetimeIndex(volatility_index["session"]).as_unit(TIME_UNIT))["symbol"]
    names = symbols.map(lambda symbol: OWN_INDEX if symbol == own_index else PROXY_INDEX, na_action="ignore")
    return names.reindex(calendar).ffill(limit=FILL_LIMIT_SESSIONS).astype("str")


def _without_doubtful(published: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the closes without those that cannot be true: as the next close shows, and as the close itself does."""
    later, at_once = published.copy(), published.copy()
    for name in _CLOSES:
        closes = published[name][np.isfinite(published[name]) & (published[name] > 0)]
        later.loc[closes.index[lone_closes_of_index(closes)], name] = np.nan
        at_once.loc[closes.index[impossible_falls_of_index(closes)], name] = np.nan
    return later, at_once


def _is_undecided(published: pd.DataFrame, later: pd.DataFrame, at_once: pd.DataFrame) -> pd.Series:
    """Sessions, up to the next close, on which a close was not known to be wrong, or right, as it is known later."""
    differs = later.fillna(0.0) != at_once.fillna(0.0)
    return differs.astype("float64").where(published.notna()).ffill().eq(1.0).any(axis=1)


def _as_known(published: pd.DataFrame, later: pd.DataFrame, at_once: pd.DataFrame, *, span: slice) -> pd.DataFrame:
    """Return the closes of a span of sessions as they were known at its end: the last one by itself alone."""
    known = later.iloc[span].copy()
    for name in _CLOSES:
        places = np.flatnonzero(published[name].iloc[span].notna())
        if len(places):
            last = known.index == known.index[places[-1]]
            known[name] = known[name].where(~last, at_once[name].iloc[span])
    return known


def _features_of(published: pd.DataFrame, hv_20: pd.Series) -> pd.DataFrame:
    """Return every feature by session, of closes by session (NaN where none counts) and the realised volatility."""
    x, three_month = (published[name].ffill(limit=FILL_LIMIT_SESSIONS) for name in _CLOSES)
    age, three_month_age = (_sessions_since_published(published[name]) for name in _CLOSES)
    three_month = three_month.where(three_month_age == age)

    window = x.rolling(RANK_WINDOW)
    low, high = window.min(), window.max()
    iv_rank = (x - low) / (high - low).where(high > low) * 100
    spread = x - hv_20
    vix_sma_10, vix_sma_20 = x.rolling(10).mean(), x.rolling(20).mean()
    deviation = x.rolling(_ZSCORE_WINDOW).std()
    slope = three_month - x
    return pd.DataFrame(
        {
            "iv_rank": iv_rank,
            "iv_percentile": rolling_percentile(x.to_numpy(), RANK_WINDOW),
            "iv_hv_spread": spread,
            "iv_premium": _flag(spread > 0, spread),
            "vix_close": x,
            "vix_sma_10": vix_sma_10,
            "vix_sma_20": vix_sma_20,
            "vix_change_1d": x.diff(1),
            "vix_change_5d": x.diff(5),
            "vix_change_1d_pct": (x / x.shift(1) - 1) * 100,
            "vix_change_5d_pct": (x / x.shift(5) - 1) * 100,
            "vix_zscore": (x - x.rolling(_ZSCORE_WINDOW).mean()) / deviation.where(deviation > 0),
            "vix_trend": vix_sma_10 - vix_sma_20,
            "vix_term_slope": slope,
            "vix_term_ratio": three_month / x,
            "vix_contango": _flag(slope > 0, slope),
            **{
                name: _flag((iv_rank >= lower) & (iv_rank < upper), iv_rank)
                for name, (lower, upper) in _IV_RANK_QUARTERS.items()
            },
            "iv_rank_lag_5": iv_rank.shift(5),
            "iv_rank_lag_10": iv_rank.shift(10),
            "iv_rank_lag_20": iv_rank.shift(20),
            "iv_rank_change_5d": iv_rank.diff(5),
            "iv_rank_change_10d": iv_rank.diff(10),
            "vix_filled_sessions": age.where(x.notna()),
        },
        index=published.index,
    )


def _calendar(index_sessions: pd.DatetimeIndex, rows: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Exchange sessions from the first one with an index or a row to the last row."""
    if rows.empty:
        return rows
    first = rows[0] if index_sessions.empty else min(index_sessions[0], rows[0])
    return sessions_between(first, rows[-1])


def _sessions_since_published(published: pd.Series) -> pd.Series:
    """Rows since the last value, 0 on one; NaN before the first."""
    position = pd.Series(np.arange(len(published), dtype="float64"), index=published.index)
    return position - position.where(published.notna()).ffill()


def _flag(condition: pd.Series, known: pd.Series) -> pd.Series:
    """1.0 where the condition holds, 0.0 where not, NaN where its input is."""
    return condition.astype("float64").where(known.notna())
