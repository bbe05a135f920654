"""The report of the day says what its rows say, and nothing that stands in them becomes markup."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.reporting.daily_page import QUERIES, daily_page

SESSION = pd.Timestamp("2024-12-31")


def frames(**changes: object) -> dict[str, pd.DataFrame]:
    signal = {
        "ticker": "SPY", "horizon": "24h", "session": SESSION, "target_session": pd.Timestamp("2025-01-02"),
        "is_served": True, "probability_up": 0.57, "usual_probability_up": 0.55, "iv_regime": "LOW",
        "iv_confidence": 0.91, "strategy": "long_call", "strikes": "590", "expiration": pd.Timestamp("2025-01-24"),
        "position_size": 0.5, "edge": "no_edge", "max_loss_usd": 787.0, "forecast_probability_of_profit": 0.38,
        "expected_profit_usd": -38.0, "reasoning": "The forecast is no better than usual.",
    }  # fmt: skip
    came = {
        "ticker": "SPY", "horizon": "24h", "session": pd.Timestamp("2024-12-30"), "target_session": SESSION,
        "probability_up": 0.56, "forward_return": -0.0036, "interval_low": 578.0, "interval_high": 597.0,
        "y_true": 586.08, "regime_said": "LOW", "regime_probability": 0.9, "regime_came": "NORMAL",
    }  # fmt: skip
    states = [
        {"ticker": "SPY", "session": SESSION, "vix_close": 17.35, "iv_rank": 20.0, "state": "consolidation"},
        {"ticker": "SPY", "session": SESSION - pd.Timedelta(days=1), "vix_close": 17.4, "iv_rank": 20.4,
         "state": "momentum_uptrend"},
    ]  # fmt: skip
    recommended = [
        {"ticker": "SPY", "horizon": "24h", "session": SESSION, "strategy": "long_call", "position_size": 0.0,
         "iv_regime": "LOW", "expected_iv_direction": None},
        {"ticker": "SPY", "horizon": "24h", "session": SESSION - pd.Timedelta(days=1), "strategy": "iron_condor",
         "position_size": 0.0, "iv_regime": "LOW", "expected_iv_direction": None},
    ]  # fmt: skip
    rolling = {"ticker": "SPY", "horizon": "24h", "brier": 0.2412, "usual_brier": 0.2455, "outcomes": 60, "held": 0.88}
    return {
        "signals": pd.DataFrame([{**signal, **changes}]),
        "came": pd.DataFrame([came]),
        "rolling": pd.DataFrame([rolling]),
        "states": pd.DataFrame(states),
        "chains": pd.DataFrame(),
        "changes": pd.DataFrame(recommended),
    }


def page(**changes: object) -> str:
    return daily_page(frames(**changes), {}, notes=())


def test_the_frames_of_a_page_are_those_of_its_queries() -> None:
    assert set(frames()) == set(QUERIES)


@pytest.mark.parametrize(
    "shown",
    [
        "SPY: the close of Tuesday 31 December 2024",
        "57% (usual 55%)",
        "long call 590",
        "0.5 (no edge shown)",
        "578.00 to 597.00",
        "<td>yes</td>",
        "-0.36%",
        "+0.0043",
        "88%",
        "SPY 24h: structure iron condor → long call",
        "SPY: market state momentum uptrend → consolidation",
        "IV rank 20 → 20",
        "No option chain is stored",
    ],
)
def test_the_page_says_what_its_rows_say(shown: str) -> None:
    assert shown in page()


def test_an_outcome_outside_the_interval_is_said_to_be() -> None:
    given = frames()
    given["came"]["y_true"] = 600.0
    assert "<td>no</td>" in daily_page(given, {}, notes=())


def test_what_did_not_change_is_not_listed() -> None:
    assert "size 0" not in page()
    assert "expected direction of IV" not in page()


def test_nothing_from_the_data_becomes_markup_and_nothing_is_loaded() -> None:
    made = page(reasoning="<script>alert(1)</script>", strikes="<b>", iv_regime="<i>")
    assert "<script" not in made
    assert "&lt;script&gt;" in made
    assert "<b>" not in made.replace('<div class="card"><b>', "")
    assert "http" not in made.replace("http-equiv", "")


def test_notes_come_before_every_figure() -> None:
    made = daily_page(frames(), {}, notes=("Stale: 3 sessions",))
    assert made.index("Stale: 3 sessions") < made.index("<table")


def test_without_outcomes_the_page_says_so() -> None:
    given = {**frames(), "came": pd.DataFrame(), "rolling": pd.DataFrame()}
    assert "No forecast has a known outcome yet." in daily_page(given, {}, notes=())
