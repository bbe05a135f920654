"""The competition's score against a sum written out by hand, and what it must do at its corners."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trading_dag.validation.scores.allocation_score import sharpe_ratio, strategy_returns, volatility_adjusted_sharpe
from trading_dag.validation.scores.metrics import point_weights

MARKET = np.array([0.010, -0.004, 0.006, -0.012, 0.009, 0.003])
CASH = np.full(6, 0.0001)


def by_hand(position: list[float]) -> float:
    """The formula of the evaluation page, one session after the other."""
    own, excess, market_excess = [], 1.0, 1.0
    for share, market, cash in zip(position, MARKET, CASH, strict=True):
        own.append(cash * (1 - share) + share * market)
        excess *= 1 + own[-1] - cash
        market_excess *= 1 + market - cash
    n = len(own)
    mean, market_mean = excess ** (1 / n) - 1, market_excess ** (1 / n) - 1
    deviation, market_deviation = (
        math.sqrt(sum((value - sum(values) / n) ** 2 for value in values) / (n - 1)) for values in (own, MARKET)
    )
    sharpe = mean / deviation * math.sqrt(252)
    volatility_penalty = 1 + max(0.0, deviation / market_deviation - 1.2)
    return_penalty = 1 + max(0.0, (market_mean - mean) * 100 * 252) ** 2 / 100
    return sharpe / (volatility_penalty * return_penalty)


@pytest.mark.parametrize(
    "position",
    [[1.0] * 6, [2.0] * 6, [0.5, 0.0, 1.2, 0.0, 2.0, 1.0], [0.1] * 6],
    ids=["the market", "twice the market", "some of both", "hardly anything"],
)
def test_the_score_is_that_of_the_formula(position: list[float]) -> None:
    score = volatility_adjusted_sharpe(point_weights(6), np.array(position), MARKET, CASH)
    assert score[0] == pytest.approx(by_hand(position), rel=1e-12)


def test_holding_the_market_has_its_own_sharpe_ratio() -> None:
    ones = np.ones(6)
    sharpe = sharpe_ratio(point_weights(6), strategy_returns(ones, MARKET, CASH), CASH, periods_per_year=252.0)
    assert volatility_adjusted_sharpe(point_weights(6), ones, MARKET, CASH) == pytest.approx(sharpe, rel=1e-12)


def test_a_draw_is_scored_like_the_sessions_that_it_holds() -> None:
    position = np.array([0.5, 1.5, 1.0, 0.2, 2.0, 0.7])
    weights = np.array([[2, 0, 1, 3, 0, 0], [0, 1, 1, 1, 1, 2]], dtype=np.int16)
    drawn = volatility_adjusted_sharpe(weights, position, MARKET, CASH)
    for counts, score in zip(weights, drawn, strict=True):
        rows = np.repeat(np.arange(6), counts)
        alone = volatility_adjusted_sharpe(point_weights(6), position[rows], MARKET[rows], CASH[rows])
        assert score == pytest.approx(alone[0], rel=1e-9)


def test_a_position_that_earns_only_cash_has_no_score_of_skill() -> None:
    score = volatility_adjusted_sharpe(point_weights(6), np.zeros(6), MARKET, CASH)
    assert np.isnan(score[0])  # nothing varies, so there is no ratio
