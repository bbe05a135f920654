"""Volatilities, deltas and smiles of chains whose truth is known, and of a real one beside its vendor's values."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from trading_dag.errors import OptionPricingError, SchemaError
from trading_dag.options.chains.cleaning import clean_chain
from trading_dag.options.chains.forward import implied_forwards
from trading_dag.options.chains.rows import normalise_chain
from trading_dag.options.chains.volatilities import (
    SMILE_COLUMNS,
    contract_analytics,
    smile_summary,
    with_fitted_volatilities,
)

SPOT, RATE, YIELD = 100.0, 0.04, 0.01


def value(*, strike: np.ndarray, years: float, volatility: np.ndarray, is_call: np.ndarray) -> np.ndarray:
    """Black-Scholes-Merton by its textbook formula, independent of the package."""
    deviation = volatility * math.sqrt(years)
    d1 = (np.log(SPOT / strike) + (RATE - YIELD) * years) / deviation + 0.5 * deviation
    sign = np.where(is_call, 1.0, -1.0)
    discounted_spot, discounted_strike = SPOT * math.exp(-YIELD * years), strike * math.exp(-RATE * years)
    return sign * (discounted_spot * norm.cdf(sign * d1) - discounted_strike * norm.cdf(sign * (d1 - deviation)))


def smile_at(strike: np.ndarray, years: float) -> np.ndarray:
    """A smile that is linear in log-moneyness, so that interpolation at the forward is exact."""
    return 0.2 - 0.25 * np.log(strike / (SPOT * math.exp((RATE - YIELD) * years)))


def simulated(*, days: int = 35, half_spread: float = 0.0, low: float = 80.0, high: float = 120.0) -> pd.DataFrame:
    """A chain on one date with strikes one dollar apart."""
    strike = np.repeat(np.arange(low, high + 0.5), 2)
    is_call = np.tile([True, False], len(strike) // 2)
    years = days / 365
    middle = value(strike=strike, years=years, volatility=smile_at(strike, years), is_call=is_call)
    quote_date = pd.Timestamp("2024-11-15").as_unit("us")
    return pd.DataFrame(
        {
            "quote_date": quote_date,
            "ticker": "SPY",
            "underlying_price": SPOT,
            "expiration": quote_date + pd.Timedelta(days=days),
            "strike": strike,
            "option_right": np.where(is_call, "C", "P"),
            "bid": middle - half_spread,
            "ask": middle + half_spread,
            "last": np.nan,
        }
    )


def analysed(chain: pd.DataFrame, **options: float) -> pd.DataFrame:
    return contract_analytics(chain, implied_forwards(chain, rate=RATE), **options)


def test_the_volatility_of_each_out_of_the_money_contract_is_the_one_it_was_priced_with() -> None:
    rows = analysed(simulated())
    forward = SPOT * math.exp((RATE - YIELD) * 35 / 365)
    is_out = (rows["strike"] >= forward) == (rows["option_right"] == "C")
    assert (rows["volatility_reason"] == "").equals(is_out)
    truth = smile_at(rows["strike"].to_numpy(), 35 / 365)
    np.testing.assert_allclose(rows.loc[is_out, "fitted_volatility"], truth[is_out], rtol=1e-7)
    # In the money the smile is that of the other right at the strike.
    np.testing.assert_allclose(rows["smile_volatility"], truth, rtol=1e-7)
    assert (rows.loc[~is_out, "volatility_reason"] == "in_the_money").all()
    assert rows.loc[~is_out, "fitted_volatility"].isna().all()


def test_deltas_and_vegas_are_those_of_the_textbook_at_the_smile() -> None:
    rows = analysed(simulated())
    years, strike = 35 / 365, rows["strike"].to_numpy()
    deviation = smile_at(strike, years) * math.sqrt(years)
    d1 = (np.log(SPOT / strike) + (RATE - YIELD) * years) / deviation + 0.5 * deviation
    carry = math.exp(-YIELD * years)
    delta = carry * np.where(rows["option_right"] == "C", norm.cdf(d1), norm.cdf(d1) - 1.0)
    np.testing.assert_allclose(rows["delta"], delta, atol=1e-7)
    np.testing.assert_allclose(rows["vega"], SPOT * carry * norm.pdf(d1) * math.sqrt(years), rtol=1e-6, atol=1e-9)


def test_a_volatility_that_the_spread_leaves_open_by_more_than_five_points_is_missing_with_its_reason() -> None:
    rows = analysed(simulated(half_spread=0.05))
    years, strike = 35 / 365, rows["strike"].to_numpy()
    deviation = smile_at(strike, years) * math.sqrt(years)
    d1 = (np.log(SPOT / strike) + (RATE - YIELD) * years) / deviation + 0.5 * deviation
    error = 0.05 / (SPOT * math.exp(-YIELD * years) * norm.pdf(d1) * math.sqrt(years))
    out = rows["volatility_reason"].isin(["", "imprecise"]).to_numpy()
    assert ((rows["volatility_reason"] == "imprecise").to_numpy()[out] == (error > 0.05)[out]).all()
    assert (rows["volatility_reason"] == "imprecise").sum() >= 5
    assert rows.loc[rows["volatility_reason"] == "imprecise", "fitted_volatility"].isna().all()


def test_a_last_trade_is_taken_to_be_off_by_a_tick() -> None:
    chain = simulated().assign(last=lambda frame: frame["bid"], bid=np.nan, ask=np.nan)
    coarse, fine = analysed(chain, tick=0.05), analysed(chain, tick=0.0001)
    quoted = analysed(simulated(half_spread=0.05))
    assert (coarse["volatility_reason"] == quoted["volatility_reason"]).all()
    assert (fine["volatility_reason"] == "imprecise").sum() < (coarse["volatility_reason"] == "imprecise").sum()


@pytest.mark.parametrize(
    ("strike", "option_right", "price", "reason"),
    [
        (110.0, "C", 0.0, "at_lower_bound"),
        (110.0, "C", 100.5, "outside_bounds"),
        (90.0, "P", -0.5, "outside_bounds"),
        (110.0, "C", np.nan, "no_price"),
        (90.0, "C", 11.0, "in_the_money"),
    ],
)
def test_a_price_without_a_volatility_says_why(strike: float, option_right: str, price: float, reason: str) -> None:
    chain = simulated()
    row = (chain["strike"] == strike) & (chain["option_right"] == option_right)
    chain.loc[row, ["bid", "ask"]] = price
    found = analysed(chain)
    assert found.loc[row, "volatility_reason"].tolist() == [reason]
    assert found.loc[row, "fitted_volatility"].isna().all()


def test_without_a_forward_or_without_time_there_is_no_volatility() -> None:
    far = simulated(low=110.0)
    assert (analysed(far)["volatility_reason"] == "no_forward").all()
    today = simulated().assign(expiration=pd.Timestamp("2024-11-15").as_unit("us"))
    assert (analysed(today)["volatility_reason"] == "no_time_left").all()
    assert analysed(today)["delta"].isna().all()


def test_rows_come_back_in_their_order_and_number() -> None:
    chain = pd.concat([simulated(days=35), simulated(days=63)]).sample(frac=1.0, random_state=7)
    rows = analysed(chain)
    columns = ["expiration", "strike", "option_right"]
    pd.testing.assert_frame_equal(rows[columns], chain[columns].reset_index(drop=True))


def test_the_smile_is_read_off_at_the_forward_and_at_a_delta_of_a_quarter() -> None:
    chain = pd.concat([simulated(days=35), simulated(days=63)], ignore_index=True)
    smiles = smile_summary(analysed(chain))
    assert list(smiles.columns) == list(SMILE_COLUMNS)
    np.testing.assert_allclose(smiles["atm_volatility"], 0.2, atol=1e-7)
    for row, days in zip(smiles.itertuples(), (35, 63), strict=True):
        # The exact strike of each wing, by bisection on the textbook delta.
        years = days / 365
        wings = {}
        for is_call in (True, False):
            low, high = (100.0, 120.0) if is_call else (80.0, 100.0)
            for _ in range(60):
                strike = 0.5 * (low + high)
                deviation = float(smile_at(np.array(strike), years)) * math.sqrt(years)
                d1 = (math.log(SPOT / strike) + (RATE - YIELD) * years) / deviation + 0.5 * deviation
                delta = math.exp(-YIELD * years) * (norm.cdf(d1) - (0.0 if is_call else 1.0))
                beyond = delta < 0.25 if is_call else delta < -0.25
                low, high = (low, strike) if beyond else (strike, high)
            wings[is_call] = float(smile_at(np.array(strike), years))
        assert row.call_25_delta_volatility == pytest.approx(wings[True], abs=2e-4)
        assert row.put_25_delta_volatility == pytest.approx(wings[False], abs=2e-4)
        assert row.skew_25_delta == pytest.approx(row.put_25_delta_volatility - row.call_25_delta_volatility)


@settings(deadline=None, max_examples=40)
@given(
    smiles=st.lists(st.lists(st.tuples(st.integers(-9, 9), st.floats(0.05, 0.9)), max_size=6), min_size=1, max_size=4)
)
def test_many_smiles_at_once_are_those_of_numpys_interpolation_one_by_one(smiles) -> None:
    rows = [
        (pd.Timestamp("2024-12-20") + pd.Timedelta(days=7 * number), 100.0 * math.exp(place / 10), volatility)
        for number, smile in enumerate(smiles)
        for place, volatility in dict(smile).items()
    ]
    frame = pd.DataFrame(rows, columns=["expiration", "strike", "fitted_volatility"]).assign(
        ticker="SPY", quote_date=pd.Timestamp("2024-11-15"), option_right="C", forward=100.0, years=0.1,
        dividend_yield=0.0, delta=np.nan,
    )  # fmt: skip
    found = smile_summary(frame).set_index("expiration")["atm_volatility"]
    assert len(found) == sum(bool(smile) for smile in smiles)
    for expiration, smile in frame.groupby("expiration"):
        ordered = smile.sort_values("strike")
        place, volatility = np.log(ordered["strike"] / 100.0), ordered["fitted_volatility"]
        expected = np.interp(0.0, place, volatility, left=np.nan, right=np.nan) if len(ordered) > 1 else np.nan
        assert found[expiration] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_a_smile_that_does_not_reach_a_wing_says_nothing_of_it() -> None:
    narrow = smile_summary(analysed(simulated(low=99.0, high=102.0))).iloc[0]
    assert np.isfinite(narrow["atm_volatility"])
    assert np.isnan(narrow["put_25_delta_volatility"])
    assert np.isnan(narrow["skew_25_delta"])


def test_a_tick_that_is_not_positive_is_a_typed_error() -> None:
    with pytest.raises(OptionPricingError, match="tick"):
        analysed(simulated(), tick=0.0)


def test_a_missing_column_of_chain_or_forwards_is_named() -> None:
    chain = simulated()
    forwards = implied_forwards(chain, rate=RATE)
    with pytest.raises(SchemaError, match=r"raw\.option_chain.*ask"):
        contract_analytics(chain.drop(columns="ask"), forwards)
    with pytest.raises(SchemaError, match=r"implied forwards.*dividend_yield"):
        contract_analytics(chain, forwards.drop(columns="dividend_yield"))


@pytest.mark.files_data
def test_volatilities_of_a_real_chain_agree_with_the_vendors(real_data) -> None:
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    raw = raw[(raw["ticker"] == "SPY") & (raw["quote_date"] == pd.Timestamp("2015-01-05").date())]
    clean = clean_chain(normalise_chain(raw).kept).kept
    forwards = implied_forwards(clean, rate=0.0025)
    smiles = smile_summary(contract_analytics(clean, forwards)).set_index("expiration")
    smiles = smiles[smiles["years"].between(0.015, 0.35)]
    assert len(smiles) == 9
    raw = raw[raw["bid"] > 0]
    expirations = pd.to_datetime(raw["expiration"])
    for expiration, smile in smiles.iterrows():
        vendor = raw[expirations == expiration]
        nearest = (vendor["strike"] - smile["forward"]).abs()
        atm = vendor.loc[nearest == nearest.min(), "implied_volatility"].mean()
        put, call = (
            vendor.loc[(vendor["delta"].where(vendor["right"] == right) - delta).abs().idxmin(), "implied_volatility"]
            for right, delta in (("P", -0.25), ("C", 0.25))
        )
        assert smile["atm_volatility"] == pytest.approx(atm, abs=0.0025)
        # The vendor's spot lies 0.15 USD below the one that parity implies, which tilts its calls against its puts.
        assert smile["skew_25_delta"] == pytest.approx(put - call, abs=0.015)


def test_only_missing_volatilities_are_fitted_and_only_from_quotes_to_be_believed() -> None:
    chain = normalise_chain(simulated(half_spread=0.001)).kept
    chain["implied_volatility"] = chain["implied_volatility"].where(chain["strike"] != 100.0, 0.99)
    chain.loc[chain["strike"] == 95.0, "ask"] = chain["bid"] - 0.5  # crossed, so no volatility
    filled = with_fitted_volatilities(chain, rate=RATE)
    own, crossed = filled[filled["strike"] == 100.0], filled[filled["strike"] == 95.0]
    assert (own["implied_volatility"] == 0.99).all()
    assert crossed["implied_volatility"].isna().all()
    near = filled[filled["strike"].between(96, 106) & (filled["strike"] != 100.0)]
    truth = smile_at(near["strike"].to_numpy(), 35 / 365)
    assert near["implied_volatility"].to_numpy() == pytest.approx(truth, abs=1e-3)
    assert filled.drop(columns="implied_volatility").equals(chain.drop(columns="implied_volatility"))


def test_a_chain_whose_volatilities_are_all_there_is_returned_as_it_is() -> None:
    chain = normalise_chain(simulated()).kept.assign(implied_volatility=0.2)
    assert with_fitted_volatilities(chain, rate=RATE) is chain
