"""What is a cause: stale data by the calendar, signals by their time, failed runs by what they did not make, drift."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.drift import drifted_slice
from trading_dag.alerts.failed_runs import FailedStep, failed_run
from trading_dag.alerts.signals import signals_of
from trading_dag.alerts.stale_data import stale_data
from trading_dag.freshness import session_due
from trading_dag.setting_groups import DriftSettings

NEW_YORK = ZoneInfo("America/New_York")
SETTINGS = AlertSettings()  # signals by 20:00


def at(text: str) -> datetime:
    """A clock in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


# 26 November 2026 is Thanksgiving, the 27th a half day; 30 November is a Monday; 2 November the first after the change
# to winter time.
@pytest.mark.parametrize(
    ("clock", "session"),
    [
        ("2026-11-25T19:59", "2026-11-24"),
        ("2026-11-25T20:00", "2026-11-25"),
        ("2026-11-26T21:00", "2026-11-25"),
        ("2026-11-27T14:30", "2026-11-25"),  # closed since 13:00, not yet late
        ("2026-11-27T20:00", "2026-11-27"),
        ("2026-11-29T12:00", "2026-11-27"),
        ("2026-11-30T09:00", "2026-11-27"),
        ("2026-11-02T19:59", "2026-10-30"),
        ("2026-11-02T20:00", "2026-11-02"),
    ],
)
def test_a_session_is_due_from_its_time_in_new_york_on(clock: str, session: str) -> None:
    assert session_due(at(clock), by=dt.time(20)) == pd.Timestamp(session)


def test_prices_are_stale_by_sessions_and_not_by_days() -> None:
    friday = pd.Timestamp("2026-11-27")

    assert stale_data({"SPY": friday}, now=at("2026-11-30T19:00"), settings=SETTINGS) == []
    late = stale_data({"SPY": friday}, now=at("2026-11-30T20:00"), settings=SETTINGS)
    assert [cause.title for cause in late] == ["Prices of SPY are 1 session old"]
    assert stale_data({"SPY": friday}, now=at("2026-11-30T20:00"), settings=AlertSettings(stale_sessions=2)) == []


def test_a_ticker_without_prices_is_told_of() -> None:
    assert [cause.title for cause in stale_data({"SPY": None}, now=at("2026-11-30T09:00"), settings=SETTINGS)] == [
        "SPY has no prices"
    ]


def row(session: str, **values: Any) -> dict[str, Any]:
    return {
        "session": pd.Timestamp(session), "strategy": "bull_put_spread", "strikes": "560/570", "direction": "UP",
        "expiration": pd.Timestamp("2026-12-18"), "direction_confidence": 0.58, "position_size": 0.5,
        "edge": "no_edge", "contracts": 3, "max_loss_usd": 400.0, **values,
    }  # fmt: skip


NO_TRADE = {"strategy": "no_trade", "strikes": None, "expiration": pd.NaT, "position_size": 0.0, "direction": "DOWN"}


def test_one_message_tells_the_signals_once_all_slices_have_them() -> None:
    latest = {("SPY", "24h"): row("2026-11-30", **NO_TRADE), ("QQQ", "24h"): row("2026-11-30")}

    [cause] = signals_of(latest, source="live", now=at("2026-11-30T18:00"), settings=SETTINGS)

    assert (cause.kind, cause.key) == ("signal", "2026-11-30")
    assert cause.title == "Signals of 2026-11-30: 1 of 2 with a position"
    assert cause.path == "/assets/signals/recommendation"
    assert cause.lines == (
        "Data to the close of 2026-11-30, 2 hours old at 18:00 New York; source live.",
        "",
        "QQQ 24h: P(rise) 58% (UP), bull put spread 560/570 to 2026-12-18, size 0.5 (no edge shown), 3 to trade, "
        "1,200 USD at risk",
        "SPY 24h: P(rise) 42% (DOWN), no trade, size 0",
    )


def test_nothing_is_told_before_all_are_there_or_the_time_has_come() -> None:
    latest = {("SPY", "24h"): row("2026-11-30"), ("QQQ", "24h"): row("2026-11-27")}

    assert signals_of(latest, source="live", now=at("2026-11-30T19:59"), settings=SETTINGS) == []


def test_one_message_tells_that_signals_are_missing_at_their_time_and_why() -> None:
    latest = {("SPY", "24h"): row("2026-11-30"), ("QQQ", "24h"): row("2026-11-27")}

    [cause] = signals_of(
        latest, source="live", troubles=["Prices of QQQ are 1 session old"], now=at("2026-11-30T20:00"),
        settings=SETTINGS,
    )  # fmt: skip

    assert (cause.kind, cause.key) == ("cannot_signal", "2026-11-30")
    assert cause.title == "No complete signals of 2026-11-30: 1 of 2 are missing"
    assert "QQQ 24h; their newest is of 2026-11-27" in cause.lines[0]
    assert cause.lines[1] == "Known trouble: Prices of QQQ are 1 session old"
    assert cause.lines[-1].startswith("SPY 24h: P(rise) 58%")


def test_simulated_signals_are_said_to_be_no_market_data() -> None:
    [cause] = signals_of(
        {("SPY", "24h"): row("2026-11-30")}, source="simulated-1a2b", now=at("2026-11-30T18:00"), settings=SETTINGS
    )

    assert "SIMULATED, NOT MARKET DATA" in cause.lines[0]


def test_a_position_with_a_proven_edge_is_not_said_to_have_none() -> None:
    [cause] = signals_of(
        {("SPY", "24h"): row("2026-11-30", edge="skilled")}, source="live", now=at("2026-11-30T18:00"),
        settings=SETTINGS,
    )  # fmt: skip

    assert "no edge shown" not in cause.lines[2]


FAILED = FailedStep(
    run_id="1234", job="refresh_raw", step="raw__prices_daily", asset="raw.prices_daily", partition="SPY",
    error="SourceUnavailableError", problem="yahoo: 503",
)  # fmt: skip


def test_the_same_step_and_slice_is_one_cause_in_whichever_run_it_fails() -> None:
    other = FailedStep(**{**FAILED.__dict__, "run_id": "5678", "job": "automation"})

    assert failed_run(FAILED).name == failed_run(other).name == "run_failed|raw.prices_daily|SPY"
    assert failed_run(FAILED).title == "raw.prices_daily of SPY could not be made"


def test_data_that_a_blocking_check_refused_are_told_as_that() -> None:
    refused = FailedStep(
        **{**FAILED.__dict__, "error": "BadSliceError", "partition": "24h|SPY", "checks": ("raw.x bounds: close < 0",)}
    )

    cause = failed_run(refused)

    assert (cause.kind, cause.title) == ("check_failed", "A check refused raw.prices_daily of SPY 24h")
    assert cause.lines[0] == "Check raw.x bounds: close < 0"


def test_drift_is_told_once_enough_reports_in_a_row_are_breached_whatever_the_rest() -> None:
    days = pd.to_datetime(["2026-11-26", "2026-11-27", "2026-11-30"])
    reports = pd.DataFrame({"as_of_session": days, "share_breached": [0.1, 0.3, 0.4]})
    trained = pd.Timestamp("2026-11-25")

    cause = drifted_slice("SPY", "24h", reports, last_trained=trained, settings=DriftSettings())
    assert cause is not None
    assert "30% to 40% of the features beyond their limits" in cause.lines[0]
    assert drifted_slice("SPY", "24h", reports[:2], last_trained=trained, settings=DriftSettings()) is None
