"""Simulated macroeconomic series in the names, units and publication lags of FRED, and the calendar of releases."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO
from trading_dag.sessions import TIME_UNIT, all_sessions
from trading_dag.simulation.parameters import MARKET, underlying_of
from trading_dag.simulation.paths import SimulatedMarket, simulate_path
from trading_dag.simulation.rates import wandering
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import close_moments, meeting_sessions, moments
from trading_dag.simulation.volatility_index import MONTH_SESSIONS, index_levels

# Changes over twelve months are known from the first session on.
_MONTHS_BEFORE: Final = 18
_CALENDAR_DAYS_AHEAD: Final = 370
_SHOWN_IN_THE_EVENING: Final = ("DGS2", "DGS10", "DGS3MO", "T10Y2Y", "T10YIE", "DFII10")


def macro_rows(market: SimulatedMarket) -> pd.DataFrame:
    """Return every observation that a vendor shows on the evening of the last session.

    Values are published once and never revised, so they are first releases; days of publication follow the lags of
    ``publication_lags``. Yields of the last session are published after its close, as they are in earnest, and so are
    known on the session that follows: the table reaches one session beyond the prices.

    Returns
    -------
    pd.DataFrame : columns of ``raw.macro``, sorted by its key.
    """
    settings, sessions = market.settings, market.times.sessions
    months = _months(settings, sessions[-1], step=1)
    quarters = _months(settings, sessions[-1], step=3)
    series = {**_daily_series(market), **_monthly_series(settings, months, quarters)}
    parts = [
        pd.DataFrame({
            "series_id": name,
            "observation_date": days,
            "known_on": known_on(name, days),
            "value": values,
            "vintage": "first_release",
        })
        for name, (days, values) in series.items()
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    is_shown = (rows["known_on"] <= sessions[-1]) | (
        rows["series_id"].isin(_SHOWN_IN_THE_EVENING) & (rows["observation_date"] <= sessions[-1])
    )
    return rows[is_shown].sort_values(list(MACRO.key), ignore_index=True)


def calendar_rows(settings: SimulationSettings, *, last: pd.Timestamp) -> pd.DataFrame:
    """Return releases and meetings from the first session on, as far ahead as was published by the close of ``last``.

    A year's days are published on 1 December of the year before. CPI and consumer confidence come out on the very
    session on which ``macro_rows`` makes their values known.

    Returns
    -------
    pd.DataFrame : columns of ``raw.economic_calendar``.
    """
    first = pd.Timestamp(settings.first_session)
    end = min(last + pd.Timedelta(days=_CALENDAR_DAYS_AHEAD), all_sessions()[-1])
    months = _months(settings, end, step=1)
    days = {
        "CPI": known_on("CPIAUCSL", months),
        "UMCSENT": known_on("UMCSENT", months),
        "FOMC": meeting_sessions(first, end),
    }
    parts = [pd.DataFrame({"event": event, "event_date": dates}) for event, dates in days.items()]
    rows = pd.concat(parts, ignore_index=True).dropna()
    rows = rows[(rows["event_date"] >= first) & (rows["event_date"] <= end)].drop_duplicates()
    published = pd.to_datetime({"year": rows["event_date"].dt.year - 1, "month": 12, "day": 1})
    rows["known_at"] = moments(pd.DatetimeIndex(published), 9.0 * 60.0)
    rows = rows[rows["known_at"] <= close_moments(pd.DatetimeIndex([last]))[0]]
    return rows.assign(basis="published").sort_values(["event", "event_date"], ignore_index=True)


def _daily_series(market: SimulatedMarket) -> dict[str, tuple[pd.DatetimeIndex, FloatArray]]:
    rates, sessions = market.rates, market.times.sessions
    spy = underlying_of(market.settings.seed, MARKET, fair=market.settings.fair)
    index = np.round(index_levels(market, simulate_path(market, spy), sessions_ahead=MONTH_SESSIONS), 2)
    values: dict[str, FloatArray] = {
        "DFF": rates.overnight,
        "DGS3MO": rates.bill_3m,
        "DGS2": rates.note_2y,
        "DGS10": rates.note_10y,
        "T10Y2Y": np.round(rates.note_10y - rates.note_2y, 2),
        "T10YIE": rates.expected_inflation,
        "DFII10": np.round(rates.note_10y - rates.expected_inflation, 2),
        "VIXCLS": index,
    }
    return {name: (sessions, series) for name, series in values.items()}


def _monthly_series(
    settings: SimulationSettings, months: pd.DatetimeIndex, quarters: pd.DatetimeIndex
) -> dict[str, tuple[pd.DatetimeIndex, FloatArray]]:
    n, seed = len(months), settings.seed
    inflation: FloatArray = 0.0019 + 0.0018 * stream(seed, "macro", "CPIAUCSL").standard_normal(n)
    growth: FloatArray = 0.011 + 0.006 * stream(seed, "macro", "GDP").standard_normal(len(quarters))
    unemployment = 5.2 + 1.2 * wandering(seed, "UNRATE", n=n, memory=0.98)
    confidence = 85.0 + 9.0 * wandering(seed, "UMCSENT", n=n, memory=0.93)
    return {
        "CPIAUCSL": (months, np.round(235.0 * np.exp(np.cumsum(inflation)), 3)),
        "UNRATE": (months, _at_least(unemployment, 2.5)),
        "UMCSENT": (months, _at_least(np.minimum(confidence, 115.0), 45.0)),
        "GDP": (quarters, np.round(17_500.0 * np.exp(np.cumsum(growth)), 3)),
    }


def _at_least(values: FloatArray, lowest: float) -> FloatArray:
    """Return the values in tenths, not below the lowest."""
    return np.asarray(np.round(np.maximum(values, lowest), 1), dtype=np.float64)


def _months(settings: SimulationSettings, last: pd.Timestamp, *, step: int) -> pd.DatetimeIndex:
    """Return the first days of the months or quarters from well before the first session, as ``datetime64[us]``."""
    first = pd.Timestamp(settings.first_session).to_period("Q").start_time - pd.DateOffset(months=_MONTHS_BEFORE)
    return pd.date_range(first, last, freq=f"{step}MS").as_unit(TIME_UNIT)
