"""Terms of listed contracts and their clock, against the exchanges' calendars worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.chains.contracts import (
    is_adjusted_root,
    is_monthly,
    is_morning_settled,
    last_trading_days,
    terms_of,
    years_to_settlement,
)


def dates(*days: str) -> pd.Series:
    return pd.Series(pd.DatetimeIndex(days).as_unit("us"))


@pytest.mark.parametrize(
    ("expiration", "monthly"),
    [
        ("2024-12-20", True),  # the third Friday
        ("2024-11-15", True),
        ("2024-11-22", False),
        ("2024-06-21", True),
        ("2024-06-14", False),
        ("2024-12-27", False),
        ("2024-12-19", False),  # a Thursday before a third Friday that is a session
        ("2025-04-17", True),  # Good Friday is the third Friday
        ("2026-06-18", True),  # Juneteenth is the third Friday
        ("2015-01-17", True),  # monthly options were dated on the Saturday
        ("2014-12-31", False),
        ("2029-12-21", True),  # beyond the exchange calendar
        ("2029-12-20", False),
    ],
)
def test_the_monthly_expiration_is_the_third_friday_or_the_session_before_its_holiday(expiration, monthly):
    assert is_monthly(pd.DatetimeIndex([expiration])).tolist() == [monthly]


def test_a_contract_dated_on_a_saturday_or_a_holiday_last_trades_on_the_session_before():
    days = last_trading_days(pd.DatetimeIndex(["2015-01-17", "2014-04-18", "2024-12-20", "2060-01-17"]))
    assert [f"{day:%Y-%m-%d}" for day in days] == ["2015-01-16", "2014-04-17", "2024-12-20", "2060-01-16"]


def test_time_runs_in_calendar_days_to_four_in_the_afternoon_or_half_past_nine_in_the_morning():
    quotes = dates("2024-11-15", "2024-11-15", "2015-01-05", "2024-12-20", "2024-12-20", "2024-12-23")
    ends = dates("2024-12-20", "2024-12-20", "2015-01-17", "2024-12-20", "2024-12-20", "2024-12-20")
    years = years_to_settlement(quotes, ends, is_morning=[False, True, False, False, True, False])
    expected = np.array([35.0, 35.0 - 6.5 / 24.0, 11.0, 0.0, -6.5 / 24.0, -3.0]) / 365.0
    np.testing.assert_allclose(years, expected, rtol=1e-14, atol=1e-17)


def test_a_half_day_is_quoted_and_settled_at_one_in_the_afternoon():
    """The Friday after Thanksgiving and Christmas Eve of 2024; what lies beyond the calendar closes at four."""
    quotes = dates("2024-11-29", "2024-11-27", "2024-11-29", "2024-11-29", "2024-12-24", "2024-11-29", "2024-12-20")
    ends = dates("2024-12-20", "2024-11-29", "2024-11-29", "2024-12-20", "2024-12-24", "2060-01-16", "2024-12-24")
    years = years_to_settlement(quotes, ends, is_morning=[False, False, False, True, False, False, False])
    far = (pd.Timestamp("2060-01-16") - pd.Timestamp("2024-11-29")).days
    hours = np.array([21 * 24 + 3, 2 * 24 - 3, 0, 21 * 24 - 3.5, 0, far * 24 + 3, 4 * 24 - 3])
    np.testing.assert_allclose(years, hours / 24.0 / 365.0, rtol=1e-14, atol=1e-17)


def test_a_missing_date_has_no_time_and_no_settlement():
    missing = pd.Series(pd.DatetimeIndex(["2024-12-20", None]).as_unit("us"))
    years = years_to_settlement(dates("2024-12-20", "2024-12-20"), missing, is_morning=False)
    assert np.isnan(years).tolist() == [False, True]
    assert is_morning_settled(pd.Series(["SPX", "SPX"]), missing).tolist() == [True, False]


def test_only_the_monthly_contracts_of_the_big_indices_and_every_vix_contract_settle_in_the_morning():
    tickers = pd.Series(["SPX", "SPX", "SPXW", "XSP", "SPY", "NDX", "RUT", "VIX"])
    ends = dates(*["2024-12-20", "2024-12-13", *["2024-12-20"] * 5, "2024-12-18"])
    assert is_morning_settled(tickers, ends).tolist() == [True, False, False, False, False, True, True, True]


def test_funds_deliver_shares_at_any_time_and_indices_pay_cash_at_the_end():
    assert (terms_of("SPY").delivery, terms_of("SPY").exercise) == ("physical", "American")
    assert (terms_of("SPX").delivery, terms_of("SPX").exercise) == ("cash", "European")
    assert terms_of("SPY").multiplier == terms_of("SPX").multiplier == 100


def test_a_root_with_a_digit_at_its_end_is_an_adjusted_contract():
    roots = pd.Series(["SPY", "SPY1", "BRK.B", "TSLA2", None, ""])
    assert is_adjusted_root(roots).tolist() == [False, True, False, True, False, False]
