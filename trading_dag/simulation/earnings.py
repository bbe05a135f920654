"""Simulated earnings announcements: when, how much, and the price move that goes with the surprise."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.sessions import TIME_UNIT, shift_sessions
from trading_dag.simulation.parameters import Underlying, underlying_of
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import close_moments, moments, sessions_from

# Options of a year are priced with every announcement within it.
QUARTERS_AHEAD: Final = 5
_KNOWN_DAYS_BEFORE: Final = 28
_SURPRISE_SHARE: Final = 0.7
_RELATIVE_SURPRISE: Final = 0.06
_EARNINGS_YIELD: Final = 0.05
_SHARES: Final = 2e8


def announcements(settings: SimulationSettings, underlying: Underlying, *, last: pd.Timestamp) -> pd.DataFrame:
    """Return every announcement of one company from the first session to more than a year after ``last``.

    Returns
    -------
    pd.DataFrame, one row a quarter, ascending: ``report_date``, ``timing`` (BMO or AMC), ``effective`` (the session
    that opens with the news: the report date's own before the open, otherwise the next), ``jump`` (log change of the
    price overnight, mean-one in price), ``eps_estimate``, ``eps_actual``, ``revenue_estimate``, ``revenue_actual``.
    Values are known at the announcement and not before; a later ``last`` only appends rows.
    """
    first = pd.Timestamp(settings.first_session)
    quarters = (last.year - first.year + 1) * 4 + QUARTERS_AHEAD
    draws = stream(settings.seed, underlying.ticker, "earnings")
    offset, usual, growth = draws.random(3).tolist()
    day_of_month, switches = draws.random((quarters, 2)).T
    normals = stream(settings.seed, underlying.ticker, "surprises").standard_normal((quarters, 3))
    months = pd.date_range(pd.Timestamp(first.year, 1 + int(2.0 * offset), 1), periods=quarters, freq="3MS")
    days = months + pd.to_timedelta(np.floor(9.0 + 18.0 * day_of_month), unit="D")
    report = sessions_from(pd.DatetimeIndex(days).as_unit(TIME_UNIT))
    count = len(report)
    is_before = (switches[:count] < 0.1) ^ (usual < 0.5)
    following = shift_sessions(report, 1)
    surprise, residual, revenue = normals[:count].T
    deviation = underlying.earnings_deviation
    score = _SURPRISE_SHARE * surprise + np.sqrt(1.0 - _SURPRISE_SHARE**2) * residual
    base = underlying.first_price * _EARNINGS_YIELD / 4.0
    estimate = np.maximum(np.round(base * (1.0 + 0.02 * growth) ** np.arange(count), 2), 0.05)
    sales = np.round(estimate * _SHARES * 8.0, -6)
    frame = pd.DataFrame({
        "report_date": report,
        "timing": np.where(is_before, "BMO", "AMC"),
        "effective": pd.DatetimeIndex(np.where(is_before, report, following)).as_unit(TIME_UNIT),
        "jump": deviation * score - 0.5 * deviation**2,
        "eps_estimate": estimate,
        "eps_actual": np.round(estimate * (1.0 + _RELATIVE_SURPRISE * surprise), 2),
        "revenue_estimate": sales,
        "revenue_actual": np.round(sales * (1.0 + 0.02 * (0.5 * surprise + 0.8 * revenue)), -6),
    })  # fmt: skip
    return frame[frame["effective"] > first].reset_index(drop=True)


def earnings_rows(settings: SimulationSettings, underlying: Underlying, *, last: pd.Timestamp) -> pd.DataFrame:
    """Return rows of ``raw.earnings`` as known at the close of ``last``: scheduled ones have no results yet.

    A company has its own announcements, a fund those of its holdings.
    """
    parts = [
        announcements(settings, underlying_of(settings.seed, company, fair=settings.fair), last=last).assign(
            company=company
        )
        for company in underlying.holdings
    ]
    rows = pd.concat(parts, ignore_index=True)
    scheduled = pd.DatetimeIndex(rows["report_date"] - pd.Timedelta(days=_KNOWN_DAYS_BEFORE))
    rows["known_at"] = moments(scheduled, 9.0 * 60.0)
    rows = rows[rows["known_at"] <= close_moments(pd.DatetimeIndex([last]))[0]]
    is_announced = rows["effective"] <= last
    for name in ("eps_actual", "revenue_actual"):
        rows[name] = rows[name].where(is_announced)
    return rows.assign(ticker=underlying.ticker)
