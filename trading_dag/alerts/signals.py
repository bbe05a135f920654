"""One message when the signals of a session are there for every slice, one when they cannot be by the time that was
said, in the words of a trader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.cause import Cause
from trading_dag.freshness import due_at
from trading_dag.sessions import NEW_YORK, last_closed_session, session_close
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, is_simulated
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, NO_EDGE_SHOWN, called_direction
from trading_dag.strategy.selector import NO_TRADE

SIGNALS_PATH = "/assets/signals/recommendation"
Slice = tuple[str, str]


def signals_of(
    latest: Mapping[Slice, Mapping[str, Any] | None],
    *,
    source: str | None,
    troubles: Iterable[str] = (),
    now: datetime,
    settings: AlertSettings,
) -> list[Cause]:
    """Return what is to be told of the last closed session: its signals, that they cannot be, or nothing yet.

    Parameters
    ----------
    latest : the newest served row of ``signals.recommendation`` by ticker and horizon; None where there is none.
    source : where the data come from.
    troubles : titles of what lasts, which may be why signals are missing.
    """
    if not latest:
        return []
    session = last_closed_session(pd.Timestamp(now))
    there = {key: row for key, row in latest.items() if row is not None and row["session"] >= session}
    missing = [key for key in latest if key not in there]
    if not missing:
        return [_ready(session, there, source, now)]
    if pd.Timestamp(now) < due_at(session, by=settings.signal_by):
        return []
    return [_cannot(session, there, missing, tuple(troubles), latest, source, now, settings)]


def _ready(session: pd.Timestamp, there: Mapping[Slice, Mapping[str, Any]], source: str | None, now: datetime) -> Cause:
    sized = [row for row in there.values() if row["position_size"] > 0]
    positions = f"{len(sized)} of {len(there)} with a position" if sized else f"none of {len(there)} with a position"
    lines = (age_sentence(session, source, now), "", *(_lines_of(there)))
    return Cause("signal", f"{session:%Y-%m-%d}", f"Signals of {session:%Y-%m-%d}: {positions}", lines, SIGNALS_PATH)


def _cannot(
    session: pd.Timestamp,
    there: Mapping[Slice, Mapping[str, Any]],
    missing: list[Slice],
    troubles: tuple[str, ...],
    latest: Mapping[Slice, Mapping[str, Any] | None],
    source: str | None,
    now: datetime,
    settings: AlertSettings,
) -> Cause:
    names = ", ".join(f"{ticker} {horizon}" for ticker, horizon in missing)
    newest = max((row["session"] for key in missing if (row := latest[key]) is not None), default=None)
    last = "they have none at all" if newest is None else f"their newest is of {newest:%Y-%m-%d}"
    lines = [
        f"At {settings.signal_by:%H:%M} New York {len(missing)} of {len(latest)} signals were not there: {names}; "
        f"{last}. Do not trade on an older one as if it were today's.",
        *(f"Known trouble: {trouble}" for trouble in troubles),
        *(["Nothing else is known to be wrong: is automation on, and has the source today's prices?"]
          if not troubles else []),
    ]  # fmt: skip
    if there:
        lines += ["", "Those that are there:", age_sentence(session, source, now), *_lines_of(there)]
    title = f"No complete signals of {session:%Y-%m-%d}: {len(missing)} of {len(latest)} are missing"
    return Cause("cannot_signal", f"{session:%Y-%m-%d}", title, tuple(lines), SIGNALS_PATH)


def age_sentence(session: pd.Timestamp, source: str | None, now: datetime) -> str:
    """Return how old the data of a session are, and that they are no market data where they are not."""
    hours = (pd.Timestamp(now) - session_close(session)).total_seconds() / 3600
    age = f"{hours:.0f} hours" if hours >= 1.5 else f"{hours * 60:.0f} minutes"
    made_up = f" THIS IS {NO_MARKET_DATA.upper()}." if is_simulated(source) else ""
    at = f"{pd.Timestamp(now).tz_convert(NEW_YORK):%H:%M}"
    return (
        f"Data to the close of {session:%Y-%m-%d}, {age} old at {at} New York; source {source or 'unknown'}.{made_up}"
    )


def _lines_of(rows: Mapping[Slice, Mapping[str, Any]]) -> list[str]:
    with_position = [signal_line(key, row) for key, row in rows.items() if row["position_size"] > 0]
    without = [signal_line(key, row) for key, row in rows.items() if not row["position_size"] > 0]
    return [*with_position, *without]


def signal_line(key: Slice, row: Mapping[str, Any]) -> str:
    """Return one signal as a line: slice, P(rise), structure, size and whether an edge is shown.

    Parameters
    ----------
    row : of ``signals.recommendation``.
    """
    ticker, horizon = key
    told = [f"{ticker} {horizon}: {_rise(row)}", _structure(row), f"size {row['position_size']:g}{_edge(row)}"]
    if row["position_size"] > 0 and not pd.isna(row["contracts"]):
        contracts, loss = int(row["contracts"]), row["max_loss_usd"]
        risk = "" if pd.isna(loss) else f", {contracts * loss:,.0f} USD at risk"
        told.append(f"{contracts} to trade{risk}")
    return ", ".join(told)


def probability_of_rise(row: Mapping[str, Any]) -> float | None:
    """Return P(rise) of a row of ``signals.recommendation``; None where there is no forecast."""
    direction, confidence = row["direction"], row["direction_confidence"]
    if not isinstance(direction, str) or pd.isna(confidence):
        return None
    return float(confidence) if direction == "UP" else 1.0 - float(confidence)


def _rise(row: Mapping[str, Any]) -> str:
    rise = probability_of_rise(row)
    if rise is None:
        return "no forecast"
    called = called_direction(row["direction"], rise)
    return f"P(rise) {rise:.0%}" + (f" ({called})" if called else "")


def _structure(row: Mapping[str, Any]) -> str:
    name = str(row["strategy"])
    if name == NO_TRADE:
        return "no trade"
    strikes = "" if pd.isna(row["strikes"]) else f" {row['strikes']}"
    day = row["expiration"]
    return f"{name.replace('_', ' ')}{strikes}" + ("" if pd.isna(day) else f" to {day:%Y-%m-%d}")


def _edge(row: Mapping[str, Any]) -> str:
    return "" if row["edge"] in EDGES_WITH_SIZE or row["strategy"] == NO_TRADE else f" ({NO_EDGE_SHOWN})"
