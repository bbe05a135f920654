"""features.macro: macroeconomic series as they were known at each session's close.

The only place that turns observations into a daily table. When an observation became known is decided
where it is loaded (``known_on``; by rule in ``trading_dag.releases.publication_lags``); fetching is elsewhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.errors import SchemaError
from trading_dag.features.formulas import documents_features
from trading_dag.schemas import MACRO_FEATURES, TABLES
from trading_dag.sessions import TIME_UNIT, all_sessions, sessions_between

DAILY_LIMIT_SESSIONS: Final = 10
MONTHLY_LIMIT_SESSIONS: Final = 70
QUARTERLY_LIMIT_SESSIONS: Final = 160
STALE_AFTER_SESSIONS: Final[dict[str, int]] = {
    **dict.fromkeys(("DFF", "DGS2", "DGS10", "DGS3MO", "VIXCLS", "T10Y2Y", "T10YIE", "DFII10"), DAILY_LIMIT_SESSIONS),
    **dict.fromkeys(("UNRATE", "CPIAUCSL", "UMCSENT"), MONTHLY_LIMIT_SESSIONS),
    "GDP": QUARTERLY_LIMIT_SESSIONS,
}
VIX_HIGH: Final = 25.0
PIVOT_MOVE: Final = 0.15
PIVOT_PAUSE: Final = 0.10
# The effective rate strays from the target by tenths of a point: for days at settlements, quarter ends and the turn of
# the year, for weeks in August 2007 and November 2008. A median of 20 sessions leaves days out. After the weeks the
# rate comes back to a level that it had before; a turn of policy takes it to one that it did not have.
_SETTLED_SESSIONS: Final = 20
_PIVOT_SESSIONS: Final = 20
_LEVEL_SESSIONS: Final = 20
_PAUSE_SESSIONS: Final = 60
_LEVELS: Final = {
    "fed_funds_effective": "DFF",
    "treasury_2y": "DGS2",
    "treasury_10y": "DGS10",
    "treasury_3m": "DGS3MO",
    "vix_fred": "VIXCLS",
    "yield_spread_10y_2y": "T10Y2Y",
    "breakeven_inflation_10y": "T10YIE",
    "real_rate_10y": "DFII10",
    "unemployment_rate": "UNRATE",
    "cpi_index": "CPIAUCSL",
    "consumer_confidence": "UMCSENT",
}
# Months between an observation and the one that it is compared with.
_YEAR, _QUARTER, _MONTH = 12, 3, 1
_CHANGES: Final = {
    "curve_slope_change_20d": ("yield_spread_10y_2y", 20),
    **{f"treasury_10y_change_{n}d": ("treasury_10y", n) for n in (5, 20, 60)},
    **{f"treasury_2y_change_{n}d": ("treasury_2y", n) for n in (5, 20, 60)},
    **{f"fed_funds_change_{n}d": ("fed_funds_effective", n) for n in (20, 60)},
    **{f"real_rate_change_{n}d": ("real_rate_10y", n) for n in (20, 60)},
    **{f"breakeven_change_{n}d": ("breakeven_inflation_10y", n) for n in (20, 60)},
    **{f"vix_fred_change_{n}d": ("vix_fred", n) for n in (5, 20)},
}
_REQUIRED: Final = ("series_id", "observation_date", "known_on", "value")


@documents_features(MACRO_FEATURES)
def build_macro(macro: pd.DataFrame, *, as_of: pd.Timestamp | None = None) -> pd.DataFrame:
    """Macroeconomic features on exchange sessions.

    Parameters
    ----------
    macro : ``raw.macro``, any order, one row per series and observation date. Series that are not there give
        NaN columns; zero rows give zero rows.
    as_of : the last session that has closed; None where every ``known_on`` has passed. A vendor shows values
        before they count as known here: a yield on the evening of its session, a monthly figure on the day of its
        release, which is some days before the documented lag has run out.

    Returns
    -------
    pd.DataFrame : ``features.macro``, one row per session from the first ``known_on`` to ``as_of``, or until the
        longest-lived value has gone stale where the series ended before. Without ``as_of`` it ends at the last
        ``known_on``.

    When it is known
    ----------------
    An observation is visible from its ``known_on`` on, never from its reference date; at t the visible
    observation with the latest reference date counts. Growth and changes over months compare it with the
    observation so many months before, which was known earlier.

    NaN policy
    ----------
    A value is carried at most 10 sessions beyond its ``known_on`` for daily, 70 for monthly and 160 for
    quarterly series; after that it is stale and NaN. A flag is NaN where its input is. ``vix_fred_age_sessions``
    says how old ``vix_fred`` is, counted from the session that it is about.

    Raises
    ------
    SchemaError : for missing columns, repeated observations, or observations that do not say when they were known.
    """
    observations = _checked(macro)
    if observations.empty:
        sessions = all_sessions()[:0]
    else:
        sessions = sessions_between(observations["known_on"].min(), _last_session(observations["known_on"], as_of))
    series = {str(name): rows for name, rows in observations.groupby("series_id", sort=True)}
    nothing = observations.iloc[:0]

    def known(series_id: str, value: str = "value") -> pd.Series:
        rows = series.get(series_id, nothing)
        if value == "position":
            rows = rows.assign(position=_position_of(pd.DatetimeIndex(rows["observation_date"])))
        return _as_known(rows, value, sessions, limit=STALE_AFTER_SESSIONS[series_id])

    def known_before(series_id: str, months: int) -> pd.Series:
        rows = series.get(series_id, nothing)
        rows = rows.assign(before=_months_before(rows, months))
        return _as_known(rows, "before", sessions, limit=STALE_AFTER_SESSIONS[series_id])

    columns = {name: known(series_id) for name, series_id in _LEVELS.items()}
    columns["yield_spread_10y_3m"] = columns["treasury_10y"] - columns["treasury_3m"]
    for name, (level, n) in _CHANGES.items():
        columns[name] = columns[level].diff(n)
    columns["cpi_yoy"] = (_ratio(columns["cpi_index"], known_before("CPIAUCSL", _YEAR)) - 1) * 100
    columns["real_fed_funds"] = columns["fed_funds_effective"] - columns["cpi_yoy"]
    columns["unemployment_change_12m"] = columns["unemployment_rate"] - known_before("UNRATE", _YEAR)
    gdp, confidence = known("GDP"), columns["consumer_confidence"]
    columns["gdp_growth_yoy"] = (_ratio(gdp, known_before("GDP", _YEAR)) - 1) * 100
    columns["gdp_growth_qoq"] = (_ratio(gdp, known_before("GDP", _QUARTER)) ** 4 - 1) * 100
    columns["consumer_confidence_change_1m"] = confidence - known_before("UMCSENT", _MONTH)
    columns["consumer_confidence_change_12m"] = confidence - known_before("UMCSENT", _YEAR)
    columns |= _flags(columns)
    columns["vix_fred_age_sessions"] = _position_of(sessions) - known("VIXCLS", "position")
    frame = pd.DataFrame(columns, index=sessions).astype("float64").reset_index(drop=True)
    frame.insert(0, "session", sessions)
    return frame[list(TABLES["features.macro"].column_names)]


def _last_session(known_on: pd.Series, as_of: pd.Timestamp | None) -> pd.Timestamp:
    """Return the last session that has a row: a series that ends does not take the others' last values with it."""
    calendar, last = all_sessions(), pd.Timestamp(known_on.max())
    if as_of is None:
        return last
    stale = int(calendar.searchsorted(last)) + max(STALE_AFTER_SESSIONS.values()) + 1
    return min(as_of, pd.Timestamp(calendar[min(stale, len(calendar) - 1)]))


def _position_of(days: pd.DatetimeIndex) -> FloatArray:
    """Return the place in the calendar of the last session on or before each day."""
    return (all_sessions().searchsorted(days, side="right") - 1).astype(np.float64)


def _checked(macro: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a value, dates as midnight timestamps, ordered by series and reference date."""
    missing = [name for name in _REQUIRED if name not in macro.columns]
    if missing:
        raise SchemaError(table="raw.macro", key="columns", rule=f"missing: {', '.join(missing)}")
    rows = macro[list(_REQUIRED)].dropna(subset=["value"])
    dates = {name: pd.to_datetime(rows[name]).dt.as_unit(TIME_UNIT) for name in _REQUIRED[1:3]}
    rows = rows.assign(value=rows["value"].astype("float64"), **dates)
    undated = rows["known_on"].isna() | rows["observation_date"].isna()
    repeated = rows.duplicated(["series_id", "observation_date"])
    for broken, rule in (
        (undated, "every value names its reference date and the session on which it was known"),
        (repeated, "one value per series and reference date"),
    ):
        if broken.any():
            row = rows[broken].iloc[0]
            key = f"series_id={row['series_id']}, observation_date={row['observation_date']}"
            raise SchemaError(table="raw.macro", key=key, rule=rule)
    return rows.sort_values(["series_id", "observation_date"], ignore_index=True)


def _months_before(rows: pd.DataFrame, months: int) -> pd.Series:
    """Return the value so many months before each observation; NaN where there is none or it came later."""
    before = rows["observation_date"] - pd.DateOffset(months=months)
    earlier = rows.set_index("observation_date").reindex(pd.DatetimeIndex(before))
    visible = earlier["known_on"].to_numpy() <= rows["known_on"].to_numpy()
    return pd.Series(np.where(visible, earlier["value"].to_numpy(), np.nan), index=rows.index)


def _ratio(later: pd.Series, earlier: pd.Series) -> pd.Series:
    """Return the quotient of two levels; NaN where the earlier one is not above zero."""
    return later / earlier.where(earlier > 0)


def _as_known(rows: pd.DataFrame, value: str, sessions: pd.DatetimeIndex, *, limit: int) -> pd.Series:
    """One series on sessions: at each, the visible observation with the latest reference date.

    ``rows`` is ordered by reference date. An observation that becomes known after a later one never counts.
    """
    if rows.empty or sessions.empty:
        return pd.Series(np.nan, index=sessions, dtype="float64")
    shown_at = sessions.searchsorted(pd.DatetimeIndex(rows["known_on"]))
    ordered = rows.assign(shown_at=shown_at).sort_values("shown_at", kind="stable")
    newest = ordered["observation_date"] == ordered["observation_date"].cummax()
    shown = ordered[newest].drop_duplicates("shown_at", keep="last")
    positions = np.arange(len(sessions))
    latest = np.searchsorted(shown["shown_at"].to_numpy(), positions, side="right") - 1
    age = positions - shown["shown_at"].to_numpy()[latest.clip(0)]
    fresh = (latest >= 0) & (age <= limit)
    return pd.Series(np.where(fresh, shown[value].to_numpy()[latest.clip(0)], np.nan), index=sessions)


def _flags(columns: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Inverted curve, high VIX, and the first move of the federal funds rate after a pause."""
    conditions = {
        "curve_inverted_10y_2y": (columns["yield_spread_10y_2y"] < 0, columns["yield_spread_10y_2y"]),
        "curve_inverted_10y_3m": (columns["yield_spread_10y_3m"] < 0, columns["yield_spread_10y_3m"]),
        "vix_fred_high": (columns["vix_fred"] > VIX_HIGH, columns["vix_fred"]),
        "fed_pivot_cut": _is_first_rise(-columns["fed_funds_effective"]),
        "fed_pivot_hike": _is_first_rise(columns["fed_funds_effective"]),
    }
    return {name: holds.astype("float64").where(known.notna()) for name, (holds, known) in conditions.items()}


def _is_first_rise(rate: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return whether a rate has settled above all that it was a while ago, and had not been rising; and where that
    is known.

    The level is a median, compared with those that ended 20 to 40 sessions earlier, and over the 60 sessions before.
    """
    level = rate.rolling(_SETTLED_SESSIONS).median()
    earlier = level.shift(_PIVOT_SESSIONS)
    rise = level - earlier.rolling(_LEVEL_SESSIONS + 1).max()
    before = earlier.diff(_PAUSE_SESSIONS)
    return _at_least(rise, PIVOT_MOVE) & ~_beyond(before, PIVOT_PAUSE), rise + before


def _at_least(values: pd.Series, bound: float) -> pd.Series:
    """``values >= bound`` for rates quoted in hundredths, whatever their last bit."""
    return values.round(6) >= bound


def _beyond(values: pd.Series, bound: float) -> pd.Series:
    """``values > bound`` for rates quoted in hundredths, whatever their last bit."""
    return values.round(6) > bound
