"""Dealer exposure against plain loops, and its flip on real sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from trading_dag.errors import OptionPricingError
from trading_dag.options.chains.dealer_exposure import (
    FLIP_RANGE,
    FLIP_STEPS,
    OpenContracts,
    dealer_exposure,
    gamma_by_strike,
    gamma_flip,
)

SPOT = 100.0


def contracts(
    rows: list[tuple[str, float, float, float, float]], *, rate: float = 0.0, dividend: float = 0.0
) -> OpenContracts:
    """From (right, strike, years, volatility, open interest)."""
    rights, strikes, years, volatilities, interest = zip(*rows, strict=True)
    size = len(rows)
    return OpenContracts(
        np.array(strikes), np.array(years), np.full(size, rate), np.full(size, dividend),
        np.array(volatilities), np.array(interest), np.array([right == "C" for right in rights]),
    )  # fmt: skip


def plain_gamma_exposure(held: OpenContracts, spot: float) -> float:
    """The sum of the definition, contract by contract."""
    total = 0.0
    for strike, years, rate, dividend, volatility, interest, is_call in zip(
        held.strike, held.years, held.rate, held.dividend_yield, held.implied_volatility, held.open_interest,
        held.is_call, strict=True,
    ):  # fmt: skip
        deviation = volatility * years**0.5
        d1 = (np.log(spot / strike) + (rate - dividend + volatility**2 / 2) * years) / deviation
        gamma = np.exp(-dividend * years) * norm.pdf(d1) / (spot * deviation)
        total += (1 if is_call else -1) * gamma * interest * 100 * spot**2 * 0.01
    return float(total)


def session_of(chain: pd.DataFrame) -> OpenContracts:
    """Contracts of one real session that have a vendor volatility."""
    years = (pd.to_datetime(chain["expiration"]) - pd.to_datetime(chain["quote_date"])).dt.days.to_numpy() / 365.0
    return OpenContracts(
        chain["strike"].to_numpy(float), years, np.full(len(chain), 0.04), np.full(len(chain), 0.012),
        chain["implied_volatility"].to_numpy(float), chain["open_interest"].to_numpy(float),
        (chain["right"] == "C").to_numpy(),
    )  # fmt: skip


def test_one_call_has_the_exposure_of_a_hand_calculation() -> None:
    # At the money, one year, 20 %, no rates: d1 = 0.1, φ(0.1) = 0.3969525, N(0.1) = 0.5398278.
    exposure = dealer_exposure(contracts([("C", 100.0, 1.0, 0.2, 10.0)]), spot=SPOT)
    gamma = 0.3969525474770118 / (100.0 * 0.2)
    assert exposure.net_delta == pytest.approx(0.539827837277029 * 1_000)
    assert exposure.net_gamma == pytest.approx(gamma * 1_000 * 100.0**2 * 0.01)
    assert exposure.net_vega == pytest.approx(100.0 * 0.3969525474770118 * 1_000 / 100)
    assert exposure.net_theta == pytest.approx(-100.0 * 0.3969525474770118 * 0.2 / 2 * 1_000 / 365)
    assert exposure.call_wall_strike == 100.0
    assert np.isnan(exposure.put_wall_strike)


def test_puts_are_held_short() -> None:
    put = contracts([("P", 100.0, 1.0, 0.2, 10.0)])
    call = replace(put, is_call=np.array([True]))
    assert dealer_exposure(put, spot=SPOT).net_gamma == pytest.approx(-dealer_exposure(call, spot=SPOT).net_gamma)
    assert dealer_exposure(put, spot=SPOT).net_delta > 0  # short puts are long the underlying
    assert dealer_exposure(put, spot=SPOT).net_vega < 0


def test_vanna_and_charm_are_the_differences_that_they_stand_for() -> None:
    rows = [("C", 105.0, 0.1, 0.22, 30.0), ("P", 95.0, 0.1, 0.27, 50.0), ("P", 90.0, 0.3, 0.3, 20.0)]
    held, step = contracts(rows, rate=0.04, dividend=0.01), 1e-5

    def delta(volatility: float = 0.0, years: float = 0.0) -> float:
        moved = replace(held, implied_volatility=held.implied_volatility + volatility, years=held.years + years)
        return dealer_exposure(moved, spot=SPOT).net_delta

    exposure = dealer_exposure(held, spot=SPOT)
    assert exposure.net_vanna == pytest.approx((delta(step) - delta(-step)) / (2 * step) * 0.01, rel=1e-6)
    assert exposure.net_charm == pytest.approx((delta(years=-step) - delta(years=step)) / (2 * step) / 365, rel=1e-6)


def test_gamma_by_strike_sums_expirations_and_keeps_sides_apart() -> None:
    held = contracts([("C", 100.0, 0.1, 0.2, 10.0), ("C", 100.0, 0.2, 0.2, 10.0), ("P", 95.0, 0.1, 0.2, 5.0)])
    by_strike = gamma_by_strike(held, spot=SPOT)
    assert by_strike.strike.tolist() == [95.0, 100.0]
    assert by_strike.net.sum() == pytest.approx(plain_gamma_exposure(held, SPOT))
    assert by_strike.calls[0] == 0.0
    assert by_strike.puts[1] == 0.0


def test_calls_above_and_puts_below_of_one_size_flip_between_them() -> None:
    # With no drift and log-symmetric strikes the two gammas weigh the same at sqrt(K1·K2)·exp(−σ²T/2).
    held = contracts([("C", 110.0, 0.25, 0.2, 100.0), ("P", 90.0, 0.25, 0.2, 100.0)])
    flip = gamma_flip(held, spot=SPOT)
    assert flip == pytest.approx((110.0 * 90.0) ** 0.5 * np.exp(-0.5 * 0.04 * 0.25), rel=1e-9)
    exposure = dealer_exposure(held, spot=SPOT)
    assert exposure.distance_to_gamma_flip == pytest.approx((SPOT - flip) / SPOT)


def test_with_rates_and_dividends_gamma_and_its_flip_are_those_of_the_definition() -> None:
    rows = [("C", 105.0, 0.1, 0.22, 30.0), ("C", 110.0, 2.0, 0.2, 90.0), ("P", 95.0, 1.0, 0.27, 80.0)]
    held = contracts(rows, rate=0.05, dividend=0.09)
    exposure = dealer_exposure(held, spot=SPOT)
    assert exposure.net_gamma == pytest.approx(plain_gamma_exposure(held, SPOT), rel=1e-12)
    flip = brentq(lambda spot: plain_gamma_exposure(held, spot), 70.0, 130.0, xtol=1e-12)
    assert exposure.gamma_flip == pytest.approx(flip, rel=1e-9)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_flip_within_the_first_step_from_spot_is_found(side: float) -> None:
    held = contracts([("C", 110.0, 0.25, 0.2, 100.0), ("P", 90.0, 0.25, 0.2, 100.0)])
    flip = (110.0 * 90.0) ** 0.5 * np.exp(-0.5 * 0.04 * 0.25)
    spot = flip / (1.0 + side * FLIP_RANGE * 0.5 / FLIP_STEPS)
    assert gamma_flip(held, spot=spot) == pytest.approx(flip, rel=1e-9)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_flip_is_looked_for_up_to_the_last_step_of_the_range_and_no_further(side: float) -> None:
    held = contracts([("C", 110.0, 0.25, 0.2, 100.0), ("P", 90.0, 0.25, 0.2, 100.0)])
    flip = (110.0 * 90.0) ** 0.5 * np.exp(-0.5 * 0.04 * 0.25)
    within, beyond = (flip / (1.0 + side * FLIP_RANGE * (1.0 + 0.5 * step / FLIP_STEPS)) for step in (-1, 1))
    assert gamma_flip(held, spot=within) == pytest.approx(flip, rel=1e-9)
    assert np.isnan(gamma_flip(held, spot=beyond))


def test_calls_alone_have_no_flip() -> None:
    exposure = dealer_exposure(contracts([("C", 100.0, 0.1, 0.2, 10.0)]), spot=SPOT)
    assert np.isnan(exposure.gamma_flip)
    assert np.isnan(exposure.distance_to_gamma_flip)


def test_expired_and_unknown_contracts_count_for_nothing() -> None:
    usable = [("C", 100.0, 0.1, 0.2, 10.0), ("P", 98.0, 0.1, 0.2, 10.0)]
    nan = float("nan")
    others = [
        ("C", 100.0, 0.0, 0.2, 9.0),
        ("P", 99.0, 0.1, nan, 9.0),
        ("P", 99.0, 0.1, 0.2, nan),
        ("C", 99.0, 0.1, 0.2, 0.0),
    ]
    assert dealer_exposure(contracts(usable + others), spot=SPOT) == dealer_exposure(contracts(usable), spot=SPOT)
    nothing = dealer_exposure(contracts(others), spot=SPOT)
    assert nothing.contracts == 0
    assert np.isnan(nothing.net_gamma)


def test_bad_input_is_a_typed_error() -> None:
    held = contracts([("C", 100.0, 0.1, 0.2, 10.0)])
    for spot in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionPricingError, match="spot"):
            dealer_exposure(held, spot=spot)
    with pytest.raises(OptionPricingError, match="length"):
        replace(held, strike=np.array([1.0, 2.0]))


def test_real_sessions_agree_with_plain_loops_and_have_one_flip_each(real_data: Path) -> None:
    chain = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "==", "SPY")])
    flips = 0
    for _, rows in chain.groupby("quote_date"):
        spot = float(rows["underlying_price"].iloc[0])
        held = session_of(rows).usable()
        flip = gamma_flip(held, spot=spot)
        flips += bool(np.isfinite(flip))
        levels = spot * np.linspace(0.85, 1.15, 31)
        signs = np.sign([plain_total(held, level) for level in levels])
        assert np.count_nonzero(np.diff(signs)) == 1
        assert abs(plain_total(held, flip)) < 1e-6 * abs(plain_total(held, spot * 0.95))
    assert flips == chain["quote_date"].nunique() == 32
    assert gamma_by_strike(held, spot=spot).net.sum() == pytest.approx(plain_gamma_exposure(held, spot), rel=1e-9)


def plain_total(held: OpenContracts, spot: float) -> float:
    """The definition in arrays of scipy's normal density, at another spot."""
    deviation = held.implied_volatility * held.years**0.5
    drift = held.rate - held.dividend_yield + held.implied_volatility**2 / 2
    d1 = (np.log(spot / held.strike) + drift * held.years) / deviation
    gamma = np.exp(-held.dividend_yield * held.years) * norm.pdf(d1) / (spot * deviation)
    return float(np.sum(np.where(held.is_call, 1, -1) * gamma * held.open_interest) * 100 * spot**2 * 0.01)
