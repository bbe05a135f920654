"""Paths do what their parameters say: variance, correlation, tails, leverage, drift. And nothing looks ahead."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.simulation.earnings import announcements
from trading_dag.simulation.paths import Path

WORLDS = 30
TICKERS = ("SPY", "SIMAA", "SIMAB")
# By hand from the parameters. Market: variance level 0.028, 2.5 jumps a year of mean −0.015 and deviation 0.02.
MARKET_VARIANCE = 0.028 + 2.5 * (0.015**2 + 0.02**2)


def own_variance(path: Path) -> float:
    """Variance a year of a share's own part: level, 1.5 jumps a year of 3 %, four announcements."""
    assert path.underlying.variance is not None
    return path.underlying.variance.level + 1.5 * 0.03**2 + 4.0 * path.underlying.earnings_deviation**2


@pytest.fixture(scope="module")
def worlds() -> list[dict[str, Path]]:
    """The same names in many worlds of three years without premia."""
    made = (market_of(seed, fair=True) for seed in range(WORLDS))
    return [{ticker: path_of(market, ticker) for ticker in TICKERS} for market in made]


def returns_of(path: Path) -> np.ndarray:
    return np.diff(np.log(path.closes), prepend=path.start[:1])


def within_standard_errors(sample: list[float], expected: float, errors: float = 4.0) -> bool:
    values = np.array(sample)
    return bool(abs(values.mean() - expected) <= errors * values.std(ddof=1) / np.sqrt(len(values)))


def test_the_markets_annual_variance_is_its_level_and_its_jumps(worlds) -> None:
    realized = [float(252.0 * np.mean(returns_of(world["SPY"]) ** 2)) for world in worlds]
    assert within_standard_errors(realized, MARKET_VARIANCE)
    # Wrong by a fifth would be seen.
    assert 4.0 * np.std(realized, ddof=1) / np.sqrt(WORLDS) < 0.2 * MARKET_VARIANCE


def test_a_shares_variance_is_beta_squared_times_the_markets_and_its_own(worlds) -> None:
    excess = []
    for world in worlds:
        path = world["SIMAA"]
        expected = path.underlying.beta**2 * MARKET_VARIANCE + own_variance(path)
        excess.append(float(252.0 * np.mean(returns_of(path) ** 2)) / expected)
    assert within_standard_errors(excess, 1.0)
    assert 4.0 * np.std(excess, ddof=1) / np.sqrt(WORLDS) < 0.15


def test_two_shares_covary_by_their_betas_alone(worlds) -> None:
    ratios = []
    for world in worlds:
        one, other = world["SIMAA"], world["SIMAB"]
        expected = one.underlying.beta * other.underlying.beta * MARKET_VARIANCE
        ratios.append(float(252.0 * np.mean(returns_of(one) * returns_of(other))) / expected)
    assert within_standard_errors(ratios, 1.0)
    assert 4.0 * np.std(ratios, ddof=1) / np.sqrt(WORLDS) < 0.3


def test_daily_returns_have_fat_tails_in_almost_every_world(worlds) -> None:
    for ticker in TICKERS:
        kurtosis = [pd.Series(returns_of(world[ticker])).kurt() + 3.0 for world in worlds]
        assert np.mean(np.array(kurtosis) > 3.0) > 0.9
        assert np.median(kurtosis) > 3.5


def test_variance_rises_when_the_price_falls() -> None:
    """What variance does beyond its mean reversion has correlation −0.75 with what the price does."""
    shocks, days = [], []
    for seed in range(10):
        factor = market_of(seed, fair=True).factor
        before, after = factor.variance[:-1], factor.variance[1:]
        unexpected = after - (0.028 + (before - 0.028) * np.exp(-5.0 / 252.0))
        shocks.append(unexpected / np.sqrt(before))
        days.append(factor.diffusion.sum(axis=1) / np.sqrt(before))
        assert np.corrcoef(np.diff(factor.variance), factor.diffusion.sum(axis=1))[0, 1] < -0.4
    found = np.corrcoef(np.concatenate(shocks), np.concatenate(days))[0, 1]
    # Ten worlds of 755 sessions: four standard errors are 0.02.
    assert found == pytest.approx(-0.75, abs=0.02)


def test_on_a_fair_market_the_discounted_price_with_dividends_is_a_martingale() -> None:
    """Over worlds of a quarter each: E[S·Π1/(1−δ)·exp(−∫r)] is the first price, of funds as of shares."""
    last = pd.Timestamp("2015-03-31")
    ratios: dict[str, list[float]] = {ticker: [] for ticker in TICKERS}
    for seed in range(200):
        market = market_of(seed, years=1, fair=True, last=last)
        rate = np.concatenate([market.rates.continuous[:1], market.rates.continuous[:-1]])
        days = np.diff(market.times.sessions, prepend=np.datetime64("2015-01-01")) / np.timedelta64(1, "D")
        carried = float(np.sum(rate * days) / 365.0)
        for ticker, found in ratios.items():
            path = path_of(market, ticker)
            grown = path.closes[-1] / np.prod(1.0 - path.dividends) / np.exp(path.start[0])
            found.append(float(grown * np.exp(-carried)))
    for found in ratios.values():
        assert within_standard_errors(found, 1.0)
    # A drift of twelve percent a year would be seen in the market.
    assert 4.0 * np.std(ratios["SPY"], ddof=1) / np.sqrt(200) < 0.03


def test_the_premium_of_five_percent_times_beta_is_all_that_sets_the_markets_apart() -> None:
    fair, usual = market_of(7, fair=True), market_of(7)
    grown = np.log(path_of(usual, "SPY").closes / path_of(fair, "SPY").closes)
    np.testing.assert_allclose(np.diff(grown), 0.05 / 252.0, rtol=1e-6)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    ticker=st.sampled_from(["SPY", "QQQ", "SIMAA", "AAPL", "BRK.B"]),
    cut=st.integers(1, 250),
)
def test_later_sessions_change_no_earlier_number(seed: int, ticker: str, cut: int) -> None:
    whole = market_of(seed, years=1)
    short = market_of(seed, years=1, last=whole.times.sessions[cut - 1])
    long_path, short_path = path_of(whole, ticker), path_of(short, ticker)
    assert len(short.times) == cut
    np.testing.assert_array_equal(short_path.levels, long_path.levels[:cut])
    np.testing.assert_array_equal(short_path.own.variance, long_path.own.variance[: cut + 1])
    np.testing.assert_array_equal(short.factor.variance, whole.factor.variance[: cut + 1])
    np.testing.assert_array_equal(short.rates.bill_3m, whole.rates.bill_3m[:cut])


def test_longer_years_are_the_same_world() -> None:
    np.testing.assert_array_equal(
        path_of(market_of(3, years=4), "SIMAB").levels[:250], path_of(market_of(3, years=1), "SIMAB").levels[:250]
    )


def test_another_process_makes_the_same_numbers(market, share) -> None:
    program = (
        "from tests.trading_dag.simulation.conftest import market_of, path_of;"
        "print(repr(path_of(market_of(42), 'SIMAA').levels.sum()), market_of(42).factor.variance[-1].hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.strip() == f"{share.levels.sum()!r} {market.factor.variance[-1].hex()}"


def test_seed_and_name_each_make_another_path(market, share) -> None:
    assert not np.allclose(share.closes, path_of(market_of(43), "SIMAA").closes)
    mine, other = returns_of(share), returns_of(path_of(market, "SIMAB"))
    assert abs(np.corrcoef(mine, other)[0, 1]) < 0.9


def test_the_price_moves_by_the_announcement_when_it_takes_effect(market, share) -> None:
    events = announcements(market.settings, share.underlying, last=market.times.sessions[-1])
    events = events[events["effective"] <= market.times.sessions[-1]]
    at = market.times.sessions.get_indexer(pd.DatetimeIndex(events["effective"]))
    overnight = (share.levels[:, 0] - share.start)[at]
    assert len(at) >= 11
    # What is left of the night is diffusion of some tenths of a percent.
    assert np.corrcoef(overnight, events["jump"])[0, 1] > 0.9
