"""A portfolio margin against the exchange's published sample positions, and against calculations by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trading_dag.backtest.test_margin import IBM, SPX, opened
from trading_dag.backtest.trades.margin import margin_requirement
from trading_dag.backtest.trades.portfolio_margin import portfolio_margin, valuation_moves

# Cboe, "Margin Requirement Examples for Sample Options-based Positions": quotes of 23 February 2007, whose April
# options have eight weeks; the bill at 5.25 %, the index's dividends at 1.8 %.
EIGHT_WEEKS, BILL, INDEX_YIELD = "2024-04-29", 0.0525, 0.018


@pytest.mark.parametrize(
    ("ticker", "legs", "published_usd"),
    [
        ("IBM", [("C", "sell", 100.0, 1)], 115_429),
        ("SPX", [("C", "sell", 1460.0, 1)], 654_514),
        ("IBM", [("P", "sell", 100.0, 1)], 137_527),
        ("SPX", [("P", "sell", 1460.0, 1)], 948_203),
        ("SPX", [("C", "buy", 1460.0, 1), ("P", "sell", 1460.0, 1)], 1_162_261),
        ("IBM", [("P", "buy", 95.0, 1), ("C", "sell", 105.0, 1)], 91_118),
        ("SPX", [("P", "buy", 1450.0, 1), ("C", "sell", 1500.0, 1)], 625_592),
        ("IBM", [("C", "buy", 95.0, 1), ("C", "sell", 105.0, 1)], 40_881),
        ("SPX", [("C", "buy", 1450.0, 1), ("C", "sell", 1500.0, 1)], 210_984),
        # 37.50 USD for each of 200 contracts: nothing is lost that is more.
        ("SPX", [("P", "buy", 1450.0, 1), ("C", "buy", 1450.0, 1)], 7_500),
    ],
)  # fmt: skip
def test_a_portfolio_margin_is_near_what_the_exchange_publishes_for_its_sample_positions(ticker, legs, published_usd):
    spot, prices, dividends = {"IBM": (97.73, IBM, 0.0), "SPX": (1451.19, SPX, INDEX_YIELD)}[ticker]
    positions = opened(legs, spot=spot, prices=prices, ticker=ticker, expiration=EIGHT_WEEKS)
    found = portfolio_margin(positions, rate=BILL, dividend_yield=dividends)[0] * 10_000
    # Its volatilities and dividends are not published, ours are those of one mark a leg.
    assert found == pytest.approx(published_usd, rel=0.005)


@pytest.mark.parametrize(
    ("ticker", "down", "up"), [("SPY", 0.08, 0.06), ("SPX", 0.08, 0.06), ("IWM", 0.10, 0.10), ("NVDA", 0.15, 0.15)]
)
def test_positions_are_valued_at_five_equal_steps_each_way(ticker, down, up):
    steps = [-down * k / 5 for k in (5, 4, 3, 2, 1)] + [up * k / 5 for k in (1, 2, 3, 4, 5)]
    assert valuation_moves(ticker).tolist() == pytest.approx(steps)


def test_shares_lose_the_whole_move_less_what_the_call_gives_back():
    # A call far in the money moves as the share does: nothing is lost but the minimum of one contract.
    legs, prices = [("C", "sell", 50.0, 1)], {"C": {50.0: 50.05, 100.0: 3.0}}
    covered = opened(legs, spot=100.0, prices=prices, shares=1, expiration="2024-04-05")
    assert portfolio_margin(covered, rate=0.0)[0] == pytest.approx(0.375)
    # One far out of it gives nothing back: 15 % of 100, less its 0.10.
    prices = {"C": {150.0: 0.10, 100.0: 3.0}}
    covered = opened([("C", "sell", 150.0, 1)], spot=100.0, prices=prices, shares=1, expiration="2024-04-05")
    assert portfolio_margin(covered, rate=0.0)[0] == pytest.approx(15.0 - 0.10, abs=0.01)


def test_an_american_option_is_never_worth_less_than_its_exercise():
    # A bought put deep in the money at its intrinsic value: up 15 % it loses just that; a sold one gains it.
    legs, prices = [("P", "sell", 130.0, 1)], {"P": {130.0: 30.0, 100.0: 3.0}}
    put = opened(legs, spot=100.0, prices=prices, expiration="2024-04-29")
    assert portfolio_margin(put, rate=0.0)[0] == pytest.approx(15.0, abs=1e-6)


def test_what_cannot_be_opened_has_no_margin_of_either_kind():
    # It costs the 5 that it can pay at most.
    legs, prices = [("C", "buy", 100.0, 1), ("C", "sell", 105.0, 1)], {"C": {100.0: 6.0, 105.0: 1.0}}
    refused = opened(legs, spot=100.0, prices=prices)
    assert refused.skip_reason.tolist() == ["no_possible_profit"]
    assert np.isnan(portfolio_margin(refused, rate=0.0)[0])
    assert np.isnan(margin_requirement(refused)[0])


def test_without_a_volatility_there_is_no_figure():
    # Below what exercise pays now: no volatility gives such a price.
    legs, prices = [("C", "sell", 80.0, 1)], {"C": {80.0: 15.0, 100.0: 3.0}}
    assert np.isnan(portfolio_margin(opened(legs, spot=100.0, prices=prices), rate=0.0)[0])
