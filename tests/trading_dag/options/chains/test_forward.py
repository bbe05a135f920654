"""Put-call parity gives back the forward and the dividend yield that a simulated chain was made with."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import OptionPricingError, SchemaError
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import FORWARD_COLUMNS, implied_forwards, spot_gaps
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.pricing.black_scholes import price


def simulated(spot: float, *, days: int, rate: float, dividend_yield: float, half_spread: float = 0.0) -> pd.DataFrame:
    """A European chain on one date, with a smile; parity holds whatever the smile."""
    strikes = np.repeat(np.round(spot * np.linspace(0.9, 1.1, 41), 2), 2)
    is_call = np.tile([True, False], 41)
    volatility = 0.2 - 0.3 * np.log(strikes / spot) + 0.5 * np.log(strikes / spot) ** 2
    middle = price(
        spot=spot, strike=strikes, years=days / 365, rate=rate, dividend_yield=dividend_yield,
        volatility=volatility, is_call=is_call,
    )  # fmt: skip
    quote_date = pd.Timestamp("2024-11-15").as_unit("us")
    return pd.DataFrame(
        {
            "quote_date": quote_date,
            "ticker": "SPY",
            "underlying_price": spot,
            "expiration": quote_date + pd.Timedelta(days=days),
            "strike": strikes,
            "option_right": np.where(is_call, "C", "P"),
            "bid": middle - half_spread,
            "ask": middle + half_spread,
            "last": np.nan,
        }
    )


def hand_made(*rows: tuple[float, str, float]) -> pd.DataFrame:
    """Last trades (strike, right, price) of one expiration 91.25 days off at spot 30, by hand."""
    frame = pd.DataFrame(rows, columns=["strike", "option_right", "last"])
    return frame.assign(
        quote_date=pd.Timestamp("2024-11-15"),
        ticker="SPY",
        underlying_price=30.0,
        expiration=pd.Timestamp("2025-02-14"),
        bid=np.nan,
        ask=np.nan,
    )


@settings(deadline=None, max_examples=50)
@given(
    spot=st.floats(20.0, 6000.0),
    # A Friday to a Friday, so that the expiration is its own last trading day.
    weeks=st.sampled_from([1, 3, 5, 9, 26]),
    rate=st.floats(-0.01, 0.12),
    dividend_yield=st.floats(0.0, 0.06),
)
def test_parity_recovers_the_forward_and_the_dividend_yield_of_any_european_chain(spot, weeks, rate, dividend_yield):
    days = 7 * weeks
    found = implied_forwards(simulated(spot, days=days, rate=rate, dividend_yield=dividend_yield), rate=rate).iloc[0]
    years = days / 365
    assert found["years"] == pytest.approx(years, rel=1e-14)
    assert found["forward"] == pytest.approx(spot * math.exp((rate - dividend_yield) * years), rel=1e-11)
    assert found["dividend_yield"] == pytest.approx(dividend_yield, abs=1e-9)
    assert found["forward_deviation"] <= 1e-9 * spot


def test_the_forward_is_the_median_over_strikes_worked_by_hand():
    chain = hand_made(
        (30.0, "C", 3.0), (30.0, "P", 2.25), (30.5, "C", 2.7), (30.5, "P", 2.4), (29.5, "C", 9.0), (29.5, "P", 2.0)
    )
    found = implied_forwards(chain, rate=0.10).iloc[0]
    growth = math.exp(0.10 * 91 / 365)
    by_strike = [30.0 + 0.75 * growth, 30.5 + 0.3 * growth, 29.5 + 7.0 * growth]
    assert found["pairs"] == 3
    assert found["forward"] == pytest.approx(sorted(by_strike)[1], rel=1e-14)
    assert found["dividend_yield"] == pytest.approx(0.10 - math.log(by_strike[1] / 30.0) * 365 / 91, rel=1e-9)


def test_one_stale_trade_does_not_move_the_forward_of_a_chain():
    chain = simulated(585.75, days=35, rate=0.045, dividend_yield=0.012)
    stale = chain.copy()
    row = stale.index[(stale["strike"].sub(585.75).abs() < 1.0) & (stale["option_right"] == "P")][0]
    stale.loc[row, ["bid", "ask"]] += 20.0
    clean, dirty = (implied_forwards(frame, rate=0.045)["forward"].iloc[0] for frame in (chain, stale))
    assert dirty == pytest.approx(clean, abs=1e-6)


def test_only_strikes_within_two_percent_of_spot_count():
    chain = simulated(100.0, days=35, rate=0.0, dividend_yield=0.0)
    found = implied_forwards(chain, rate=0.0)
    assert found["pairs"].iloc[0] == int((chain.loc[chain["option_right"] == "C", "strike"].sub(100).abs() <= 2).sum())
    far = chain[(chain["strike"] - 100.0).abs() > 2.0]
    absent = implied_forwards(far, rate=0.0).iloc[0]
    assert absent["pairs"] == 0
    assert np.isnan(absent[["forward", "dividend_yield"]].to_numpy(dtype=float)).all()


def test_a_strike_at_exactly_two_percent_counts_though_its_decimals_are_no_binary_fractions():
    chain = hand_made((20.91, "C", 0.5), (20.91, "P", 0.25)).assign(underlying_price=20.5)
    assert 20.91 - 20.5 > 0.02 * 20.5
    assert implied_forwards(chain, rate=0.0)["pairs"].tolist() == [1]


def test_fewer_pairs_than_asked_for_give_no_forward():
    chain = hand_made((30.0, "C", 3.0), (30.0, "P", 2.25), (30.5, "C", 2.7))
    assert implied_forwards(chain, rate=0.0)["forward"].notna().all()
    assert implied_forwards(chain, rate=0.0, minimum_pairs=2)["forward"].isna().all()


def test_the_rate_may_be_a_curve_of_quote_date_and_time():
    near, far = (simulated(100.0, days=days, rate=0.01 * days / 35, dividend_yield=0.0) for days in (35, 70))
    chain = pd.concat([near, far], ignore_index=True)
    found = implied_forwards(chain, rate=lambda dates, years: 0.01 * years * 365 / 35)
    assert found["rate"].tolist() == pytest.approx([0.01, 0.02])
    assert found["dividend_yield"].tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_at_settlement_there_is_a_forward_without_a_yield_and_after_it_neither():
    chain = hand_made((30.0, "C", 0.5), (30.0, "P", 0.25))
    today = implied_forwards(chain.assign(expiration=pd.Timestamp("2024-11-15")), rate=0.05).iloc[0]
    assert (today["years"], today["forward"]) == (0.0, 30.25)
    assert np.isnan(today["dividend_yield"])
    past = implied_forwards(chain.assign(expiration=pd.Timestamp("2024-11-14")), rate=0.05).iloc[0]
    assert np.isnan(past["forward"])


def test_impossible_arguments_are_typed_errors_and_an_empty_chain_has_no_forwards():
    chain = hand_made((30.0, "C", 3.0), (30.0, "P", 2.25))
    with pytest.raises(OptionPricingError, match="not finite"):
        implied_forwards(chain, rate=float("nan"))
    with pytest.raises(OptionPricingError, match="moneyness_fraction"):
        implied_forwards(chain, rate=0.0, moneyness_fraction=0.0)
    with pytest.raises(SchemaError, match="strike"):
        implied_forwards(chain.drop(columns="strike"), rate=0.0)
    empty = implied_forwards(chain.iloc[:0], rate=0.0)
    assert len(empty) == 0
    assert list(empty.columns) == list(FORWARD_COLUMNS)


@pytest.mark.files_data
def test_parity_implies_the_underlying_price_of_a_real_chain(real_data):
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    chain = normalise_chain(raw).kept
    spy = clean_chain(chain[(chain["ticker"] == "SPY") & (chain["quote_date"] == "2015-01-05")]).kept
    found = implied_forwards(spy, rate=0.0025)
    # No dividend falls before the ex-date of 2015-03-20.
    before = found[found["expiration"] < "2015-03-20"]
    implied = before["forward"] * np.exp(-before["rate"] * before["years"])
    assert len(before) == 7
    assert (implied / 201.72 - 1.0).abs().max() < 0.001
    # SPY paid 1.9 percent in 2014; the rate of one bill is too low a carry beyond a year.
    assert found["dividend_yield"][found["years"].between(0.4, 1.2)].between(0.01, 0.025).all()


def test_a_gap_of_spot_is_that_of_the_nearest_expiration_where_all_lie_on_one_side():
    forwards = pd.DataFrame({
        "ticker": "SPY", "quote_date": pd.to_datetime(["2024-11-15"] * 3 + ["2024-11-18"] * 3 + ["2024-11-19"] * 2),
        "expiration": pd.Timestamp("2024-12-31"), "spot": 100.0, "rate": 0.0,
        "years": [5 / 365, 10 / 365, 40 / 365, 5 / 365, 10 / 365, 12 / 365, 3 / 365, 30 / 365],
        # All below; on both sides; only one that is near.
        "forward": [99.6, 99.5, 105.0, 99.6, 100.2, np.nan, 99.0, 99.0],
    })  # fmt: skip
    found = spot_gaps(forwards)
    assert found["expirations"].tolist() == [2, 2]
    assert found["gap"].tolist() == pytest.approx([-0.004, 0.0])
    assert found["shortest_yield"].tolist() == pytest.approx([math.log(100 / 99.6) * 365 / 5] * 2)
