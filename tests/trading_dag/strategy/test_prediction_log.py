"""What was said stays said, with the time at which it was recorded."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading_dag.strategy.forecasts import SESSIONS, forecasts, no_log
from trading_dag.errors import SchemaError
from trading_dag.quality import conform
from trading_dag.schemas import PREDICTIONS_LOG
from trading_dag.slices import horizon_of
from trading_dag.strategy.prediction_log import timing_of, with_newest

DAY, OVERNIGHT, WEEK = horizon_of("24h"), horizon_of("12h"), horizon_of("168h")
FRIDAY, MONDAY = pd.Timestamp("2024-03-08"), pd.Timestamp("2024-03-11")
# In New York winter time ends on Sunday, 2024-03-10: Friday closes at 21:00 UTC, Monday opens at 13:30.
FRIDAY_CLOSE, MONDAY_OPEN, MONDAY_CLOSE = (
    pd.Timestamp(time, tz="UTC") for time in ("2024-03-08 21:00", "2024-03-11 13:30", "2024-03-11 20:00")
)
SECOND = pd.Timedelta(seconds=1)


def appended(log: pd.DataFrame, *, at: pd.Timestamp, horizon=DAY, source: str = "live", **given) -> pd.DataFrame:
    return with_newest(log, **forecasts(horizon, **given), source=source, horizon=horizon, recorded_at=at)


def test_a_row_says_what_the_models_said_of_the_newest_session() -> None:
    row = appended(no_log(), at=FRIDAY_CLOSE + SECOND, through=6).iloc[0]
    assert (row["session"], row["target_session"]) == (FRIDAY, MONDAY)
    assert row["recorded_at"] == FRIDAY_CLOSE + SECOND
    assert (row["probability_up"], row["threshold"], row["usual_probability_up"]) == (0.6, 0.5, 0.55)
    assert (row["probability_low"], row["probability_normal"], row["probability_high"]) == (0.7, 0.2, 0.1)
    assert (row["usual_probability_low"], row["current_regime"], row["iv_regime"]) == (0.5, "NORMAL", "LOW")
    assert (row["iv_rank"], row["iv_hv_spread"]) == (25.0, -1.5)
    assert (row["structure"], row["edge"], row["contracts"], row["reasoning"]) == ("long_call", "admissible", 3, "Up.")
    assert (row["model_version"], row["volatility_model_version"]) == ("aaaa0001", "aaaa0001")
    conform(appended(no_log(), at=FRIDAY_CLOSE, through=6), PREDICTIONS_LOG, slice_key="ticker=SPY/horizon=24h")


def test_earlier_sessions_are_not_recorded_afterwards() -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=6)
    assert log["session"].tolist() == [FRIDAY]


def test_the_same_models_say_nothing_twice_even_where_they_would_now_say_something_else() -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=6)
    again = appended(log, at=FRIDAY_CLOSE + SECOND, through=6, probability=0.9)
    pd.testing.assert_frame_equal(again, log)


def test_a_model_that_was_fitted_later_adds_a_row_of_its_own() -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=6, version="bbbb0002")
    both = appended(log, at=FRIDAY_CLOSE + SECOND, through=6, version="aaaa0001", probability=0.9)
    assert both["model_version"].tolist() == ["aaaa0001", "bbbb0002"]
    pd.testing.assert_frame_equal(both.iloc[[1]].reset_index(drop=True), log)


def test_another_source_adds_a_row_of_its_own() -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=6)
    both = appended(log, at=FRIDAY_CLOSE + SECOND, through=6, source="files")
    assert both["source"].tolist() == ["files", "live"]


def test_a_session_without_a_regime_forecast_is_recorded_with_none() -> None:
    given_ = forecasts(DAY, through=6)
    given_["volatility"] = given_["volatility"].iloc[:0]
    log = with_newest(no_log(), **given_, source="live", horizon=DAY, recorded_at=FRIDAY_CLOSE)
    assert log["volatility_model_version"].item() == "none"
    assert log[["volatility_model", "probability_low", "current_regime"]].isna().all(axis=None)
    conform(log, PREDICTIONS_LOG, slice_key="ticker=SPY/horizon=24h")


def test_without_a_signal_nothing_is_recorded() -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=0)
    assert log.empty


def test_a_frame_that_is_no_log_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"predictions\.log"):
        appended(no_log().drop(columns="recorded_at"), at=FRIDAY_CLOSE)


@pytest.mark.parametrize(
    ("horizon", "at", "timing"),
    [
        (DAY, FRIDAY_CLOSE - SECOND, "clock_unsure"),
        (DAY, FRIDAY_CLOSE, "before_next_open"),
        (DAY, MONDAY_OPEN - SECOND, "before_next_open"),
        (DAY, MONDAY_OPEN, "before_target"),
        (DAY, MONDAY_CLOSE - SECOND, "before_target"),
        (DAY, MONDAY_CLOSE, "after_target"),
        (OVERNIGHT, MONDAY_OPEN - SECOND, "before_next_open"),
        (OVERNIGHT, MONDAY_OPEN, "after_target"),
        (WEEK, MONDAY_CLOSE, "before_target"),
        (WEEK, pd.Timestamp("2024-03-15 20:00", tz="UTC"), "after_target"),
    ],
)
def test_a_row_says_when_it_was_recorded_seen_from_its_outcome(horizon, at: pd.Timestamp, timing: str) -> None:
    log = appended(no_log(), at=at, horizon=horizon, through=6)
    assert log["timing"].item() == timing
    assert log["is_live"].item() == (timing in ("before_next_open", "before_target"))


def test_a_clock_that_has_gone_back_makes_no_live_row() -> None:
    assert timing_of(
        FRIDAY, MONDAY, horizon=DAY, recorded_at=FRIDAY_CLOSE, last_recorded_at=FRIDAY_CLOSE + SECOND
    ) == "clock_unsure"  # fmt: skip
    log = appended(no_log(), at=MONDAY_OPEN, through=5)
    assert not appended(log, at=FRIDAY_CLOSE, through=6)["is_live"].any()


@pytest.mark.parametrize("source", ["sample", "simulated", "simulated-0123abcd", "files+simulated"])
def test_what_is_no_market_is_never_live(source: str) -> None:
    log = appended(no_log(), at=FRIDAY_CLOSE, through=6, source=source)
    assert (log["timing"].item(), log["is_live"].item()) == ("before_next_open", False)


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, len(SESSIONS)),
            st.sampled_from(["aaaa0001", "bbbb0002", "cccc0003"]),
            st.sampled_from(["live", "files", "simulated"]),
            st.floats(0.5, 1.0),
            st.integers(-5, 400),
        ),
        max_size=12,
    )
)
def test_whatever_is_refreshed_or_retrained_in_whatever_order_earlier_rows_stay(steps) -> None:
    log, seen = no_log(), set()
    for through, version, source, probability, hours in steps:
        at = FRIDAY_CLOSE + pd.Timedelta(hours=hours)
        before = log
        log = appended(before, at=at, through=through, version=version, source=source, probability=probability)
        key = list(PREDICTIONS_LOG.key)
        kept = log.merge(before[key], on=key, how="inner") if len(before) else before
        pd.testing.assert_frame_equal(kept.astype(before.dtypes.to_dict()), before)
        if through:
            seen.add((SESSIONS[through - 1], version, source))
        assert len(log) == len(seen)
    if len(log):
        conform(log, PREDICTIONS_LOG, slice_key="ticker=SPY/horizon=24h")
