"""Statistics against hand calculations and the published example of the deflated Sharpe ratio."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis, skew

from trading_dag.backtest.results.performance import (
    deflated_sharpe,
    drawdowns,
    equity_statistics,
    excess_returns,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    sessions_per_year,
    sharpe_ratio,
    sortino_ratio,
)
from trading_dag.sessions import sessions_between

YEAR = pd.DatetimeIndex(["2023-01-03", "2023-01-04", "2023-01-05", "2024-01-03"])


def test_bailey_and_lopez_de_prados_example_is_reproduced():
    # "The Deflated Sharpe Ratio" (2014), numerical example: annual Sharpe ratio 2.5 over five years of daily
    # data, 100 trials whose annual Sharpe ratios have variance 1/2, skewness −3, kurtosis 10.
    hurdle = expected_maximum_sharpe(trials=100, variance=0.5 / 250)
    assert hurdle == pytest.approx(0.1132, abs=5e-5)
    ratio = probabilistic_sharpe(2.5 / math.sqrt(250), hurdle, observations=1250, skewness=-3.0, kurtosis=10.0)
    assert ratio == pytest.approx(0.9004, abs=5e-4)


def test_one_trial_has_nothing_to_be_deflated_by_and_more_trials_deflate_more():
    excess = np.random.default_rng(1).normal(0.001, 0.01, 500)
    ratios = [deflated_sharpe(excess, trials=trials) for trials in (1, 2, 36, 1_000)]
    assert expected_maximum_sharpe(trials=1, variance=1.0) == 0.0
    assert ratios == sorted(ratios, reverse=True)
    assert 0.0 < ratios[-1] < ratios[0] < 1.0


def test_the_deflated_ratio_uses_the_skewness_and_kurtosis_of_the_returns():
    excess = 0.02 + 0.05 * np.random.default_rng(4).standard_t(3, 300)
    wanted = probabilistic_sharpe(
        sharpe_ratio(excess), expected_maximum_sharpe(trials=36, variance=1 / 299), observations=300,
        skewness=float(skew(excess)), kurtosis=float(kurtosis(excess, fisher=False)),
    )  # fmt: skip
    assert 0.1 < wanted < 0.999
    assert deflated_sharpe(excess, trials=36) == pytest.approx(wanted, rel=1e-12)


def test_the_expected_maximum_is_close_to_a_simulation_of_skill_less_trials():
    drawn = np.random.default_rng(2).standard_normal((20_000, 36)).max(axis=1)
    # The published formula is an approximation for many trials; at 36 it is known to lie slightly above.
    assert expected_maximum_sharpe(trials=36, variance=1.0) == pytest.approx(drawn.mean(), rel=0.02)


def test_statistics_are_those_of_a_hand_calculation():
    # Returns +10 %, −10 %, +21.2121… %; 365 days from first to last, and three of the exchange's 251 steps between
    # (250 sessions of 2023 and two of 2024), so that there are three returns a year.
    stats = equity_statistics([100.0, 110.0, 99.0, 120.0], YEAR, rate=np.zeros(4))
    returns = [0.1, -0.1, 120 / 99 - 1]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in returns) / 2)
    assert stats.sharpe == pytest.approx(mean / deviation * math.sqrt(252 * 3 / 251))
    assert stats.sortino == pytest.approx(mean / math.sqrt(0.01 / 3) * math.sqrt(252 * 3 / 251))
    assert stats.sessions_per_year == pytest.approx(252 * 3 / 251)
    assert stats.max_drawdown == pytest.approx(0.1)
    assert stats.cagr == pytest.approx(1.2 ** (365.25 / 365) - 1)
    assert stats.calmar == pytest.approx(stats.cagr / 0.1)


def test_the_risk_free_rate_accrues_over_calendar_days_at_the_rate_of_the_session_before():
    excess = excess_returns([100.0, 100.0, 100.0], YEAR[1:], rate=[0.05, 0.10, 0.99])
    assert excess.tolist() == pytest.approx([1 - math.exp(0.05 / 365), 1 - math.exp(0.10 * 363 / 365)])


def test_drawdown_is_measured_from_the_highest_value_so_far():
    assert drawdowns([100.0, 80.0, 120.0, 90.0, 130.0]).tolist() == pytest.approx([0.0, 0.2, 0.0, 0.25, 0.0])
    assert drawdowns([]).tolist() == []


def test_a_flat_short_or_ruined_curve_has_no_ratios():
    flat = equity_statistics([100.0] * 4, YEAR, rate=np.zeros(4))
    assert math.isnan(flat.sharpe)
    assert math.isnan(flat.calmar)
    assert flat.cagr == 0.0
    assert math.isnan(equity_statistics([100.0], YEAR[:1], rate=np.zeros(1)).cagr)
    ruined = equity_statistics([100.0, 50.0, -1.0, -1.0], YEAR, rate=np.zeros(4))
    assert ruined.cagr == -1.0
    assert math.isnan(ruined.sharpe)
    assert math.isnan(sharpe_ratio(np.array([0.1])))
    assert math.isnan(sortino_ratio(np.array([0.1, 0.2])))
    assert math.isnan(deflated_sharpe(np.zeros(50), trials=36))


def test_a_curve_that_begins_after_its_first_cash_flow_is_judged_from_the_cash_before_it():
    # 100 before, 90 after the first fills, 99 at the end: −10 % and +10 %, and 1 % lost in all.
    two = pd.DatetimeIndex(["2024-03-04", "2024-03-05"])
    stats = equity_statistics([90.0, 99.0], two, rate=[0.05, 0.05], start=100.0)
    assert stats.max_drawdown == pytest.approx(0.10)
    assert stats.cagr == pytest.approx(0.99**365.25 - 1)
    # No rate accrues before the first session; a night's does after it.
    night = math.exp(0.05 / 365) - 1
    excess = excess_returns([90.0, 99.0], two, rate=[0.05, 0.05], start=100.0)
    assert excess.tolist() == pytest.approx([-0.10, 0.10 - night])
    assert stats.sharpe == pytest.approx(sharpe_ratio(excess) * math.sqrt(252))
    assert sharpe_ratio(excess) != sharpe_ratio(excess_returns([90.0, 99.0], two, rate=[0.05, 0.05]))


def test_a_curve_with_holes_has_as_many_returns_a_year_as_it_has_sessions():
    weeks = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-12-30", "2024-12-31"])
    whole = sessions_between("2024-01-02", "2024-12-31")
    # 2024 had 252 sessions, of which 251 steps; three of them are there.
    assert len(whole) == 252
    assert sessions_per_year(whole) == 252.0
    assert sessions_per_year(weeks) == pytest.approx(252 * 3 / 251)
    assert math.isnan(sessions_per_year(weeks[:1]))
    # Outside the exchange calendar nothing says what is missing.
    assert sessions_per_year(pd.DatetimeIndex(["1970-01-05", "1975-01-06"])) == 252.0
    assert sessions_per_year(pd.DatetimeIndex(["1984-12-31", "1985-01-02", "1985-12-31"])) == 252.0
