"""A session's record is the row of the fold that served it; what cannot be asked for is refused with what can."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.trading_dag.strategy.forecasts import SESSIONS, forecasts
from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.reporting.session_forecast import session_record
from trading_dag.sessions import last_closed_session
from trading_dag.slices import horizon_of


def record(day: str | None, through: int = len(SESSIONS)):
    wanted = None if day is None else pd.Timestamp(day)
    return session_record(
        **forecasts(horizon_of("24h"), through=through), day=wanted, ticker="SPY", horizon="24h", source="files"
    )


def test_a_session_is_told_as_the_tables_have_it() -> None:
    found = record("2024-03-05")
    assert (found["ticker"], found["date"], found["target_session"]) == ("SPY", "2024-03-05", "2024-03-06")
    assert found["prediction"] == {
        "direction": "UP", "probability": 0.6, "confidence": 0.6, "threshold_used": 0.5, "usual_probability": 0.55,
        "probability_of": "rise", "is_no_better_than_usual": False, "threshold_direction": "UP",
    }  # fmt: skip
    assert found["iv_context"]["iv_rank"] == 25.0
    assert found["iv_context"]["probabilities"] == {"LOW": 0.7, "NORMAL": 0.2, "HIGH": 0.1}
    assert found["iv_context"]["vix_close"] is None
    assert (found["strategy"]["suggestion"], found["strategy"]["reason"]) == ("long_call", "Up.")
    assert found["model"] == {
        "name": "direction_shrunk", "version": "aaaa0001", "fold": 6, "fitted_through": "2024-02-27",
    }  # fmt: skip
    assert found["source"] == "files"
    json.dumps(found, allow_nan=False)


def test_a_rise_called_at_a_third_is_told_as_no_direction() -> None:
    """A tuned threshold of .30 calls it UP."""
    tables = forecasts(horizon_of("24h"), probability=0.33)
    found = session_record(**tables, day=pd.Timestamp("2024-03-05"), ticker="SPY", horizon="24h", source="files")
    assert found["prediction"]["direction"] is None
    assert (found["prediction"]["threshold_direction"], found["prediction"]["probability"]) == ("UP", 0.33)


def test_a_size_without_an_edge_is_told_to_show_none() -> None:
    tables = forecasts(horizon_of("24h"))
    for edge, said in (("admissible", False), ("no_edge", True)):
        followed = tables | {"recommendation": tables["recommendation"].assign(edge=edge, position_size=0.5)}
        found = session_record(**followed, day=None, ticker="SPY", horizon="24h", source="files")
        assert found["strategy"]["shows_no_edge"] is said


def test_the_price_is_that_of_the_horizon_and_not_of_those_further_ahead() -> None:
    assert set(record("2024-03-05")["price"].values()) == {None}
    served = pd.DataFrame(
        {
            "session": pd.to_datetime(["2024-03-05"] * 3), "model": ["price_distribution"] * 2 + ["random_walk"],
            "sessions_ahead": [10, 5, 5], "close": 512.0, "y_pred": [515.0, 513.0, 512.0],
            "interval_low": [480.0, 500.0, 490.0], "interval_high": [540.0, 524.0, 530.0], "scale_source": "index",
        }
    )  # fmt: skip
    tables = forecasts(horizon_of("168h"))
    found = session_record(
        **tables, price=served, day=pd.Timestamp("2024-03-05"), ticker="SPY", horizon="168h", source=None
    )
    assert found["price"] == {
        "close": 512.0, "median": 513.0, "interval_low": 500.0, "interval_high": 524.0, "width_follows": "index",
    }  # fmt: skip
    assert set(record("2024-03-05")["price"].values()) == {None}


def test_without_a_date_it_is_the_last_session_with_a_forecast() -> None:
    assert record(None)["date"] == "2024-03-12"


@pytest.mark.parametrize(
    ("day", "error", "told"),
    [
        ("2024-01-15", ConfigurationError, "no session of the exchange; the nearest: 2024-01-12 and 2024-01-16"),
        ("2024-03-09", ConfigurationError, "the nearest: 2024-03-08 and 2024-03-11"),
        ("2024-02-29", InsufficientDataError, "The nearest: --date 2024-03-01"),
        ("2024-03-14", InsufficientDataError, "from 2024-03-01 to 2024-03-12. The nearest: --date 2024-03-12"),
    ],
)
def test_a_date_without_a_forecast_is_refused_with_the_nearest_that_would_do(day: str, error, told: str) -> None:
    with pytest.raises(error, match=told):
        record(day)


def test_the_future_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has not closed yet"):
        record(f"{last_closed_session() + pd.Timedelta(days=9):%Y-%m-%d}")


def test_without_any_forecast_it_says_what_makes_them() -> None:
    with pytest.raises(InsufficientDataError, match="trading-dag run"):
        record("2024-03-05", through=0)
