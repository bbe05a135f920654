"""What the figures of a trade plan show: its numbers, their units, and words where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.trading_dag.backtest.plan_chains import fair_chain, put_price, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TargetDelta, TradePlan, Width
from trading_dag.backtest.results.plan_study import CAUSES, PlanStudy, study_plan
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.options.structures.structure import structure_of
from trading_dag.plots import profit_against_random_entry
from trading_dag.plots.trade_plans import (
    excursions,
    greeks_through_time,
    payoff_of_typical_trade,
    plan_equity,
    profit_by_cause,
)


def words(figure: Figure) -> str:
    """Everything that is written on the figure."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text")))


def studied(name: str, strikes: tuple[TargetDelta | Width, ...]) -> PlanStudy:
    spots = 100.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 0.6, 40))
    plan = TradePlan(
        name, structure_of(name), strikes, ExpirationChoice(14, 7, 21), ExitRules(0.5, days_to_expiration=3)
    )
    market = small_market(fair_chain(spots, lives=60 if name == "calendar" else 21))
    return study_plan(run_plan(market, plan, entries=entries_weekly(market)), luck=None)


@pytest.fixture(scope="module")
def study() -> PlanStudy:
    return studied("bull_put_spread", (TargetDelta(0.3, 0.2), TargetDelta(0.1, 0.1)))


def test_equity_is_drawn_in_thousands_with_its_drawdown(study: PlanStudy) -> None:
    equity = study.result.equity()
    figure = plan_equity(equity, "TEST bull put spread")
    upper, middle = figure.axes[:2]
    assert np.asarray(upper.get_lines()[0].get_ydata()) == pytest.approx(equity["equity_usd"].to_numpy() / 1_000)
    below = np.asarray(middle.get_lines()[0].get_ydata())
    highest = np.maximum.accumulate(equity["equity_usd"])
    assert below == pytest.approx(((equity["equity_usd"] - highest) / highest * 100).to_numpy())
    assert "insufficient data" in words(plan_equity(equity.iloc[:1], "TEST"))


def test_each_greek_has_its_own_panel_with_its_unit(study: PlanStudy) -> None:
    table = study.greeks_table
    figure = greeks_through_time(table, "TEST")
    for axes, name in zip(figure.axes, ("delta", "gamma", "vega_usd", "theta_usd"), strict=True):
        assert np.asarray(axes.get_lines()[0].get_ydata()) == pytest.approx(table[name].to_numpy())
    text = words(figure)
    assert "USD per point" in text
    assert "USD per day" in text
    nothing = table.assign(delta=0.0, gamma=0.0, vega_usd=0.0, theta_usd=0.0)
    assert "insufficient data" in words(greeks_through_time(nothing, "TEST"))


def test_causes_are_steps_from_nothing_to_the_profit(study: PlanStudy) -> None:
    figure = profit_by_cause(study.exits_table, "TEST")
    bars = figure.axes[0].patches
    total = study.exits_table.iloc[-1]
    assert [bar.get_height() for bar in bars[:6]] == pytest.approx([total[f"{cause}_usd"] / 1_000 for cause in CAUSES])
    ends = [bar.get_y() + bar.get_height() for bar in bars]
    assert [bar.get_y() for bar in bars[1:7]] == pytest.approx(ends[:6])
    # Fees are the last step, and end where the bar of the profit does.
    assert bars[6].get_height() == pytest.approx(-total["fees_usd"] / 1_000)
    assert (bars[7].get_y(), ends[6], ends[7]) == pytest.approx((0.0, total["pnl_usd"] / 1_000, ends[6]))
    bottom, top = figure.axes[0].get_ylim()
    assert bottom < min(0.0, *ends)
    assert top > max(0.0, *ends)
    assert "insufficient data" in words(profit_by_cause(study.exits_table.iloc[:0], "TEST"))


def test_every_closed_trade_is_a_dot_at_its_worst_and_at_its_best(study: PlanStudy) -> None:
    trades = study.result.trades()
    closed = trades[trades["status"] == "closed"]
    figure = excursions(trades, "TEST")
    for axes, column in zip(figure.axes, ("mae_usd", "mfe_usd"), strict=True):
        dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
        drawn = sorted(
            (float(x), float(y)) for line in dots for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        )
        expected = sorted(zip(closed[column], closed["pnl_usd"], strict=True))
        assert np.array(drawn) == pytest.approx(np.array(expected))
    assert "insufficient data" in words(excursions(trades.iloc[:0], "TEST"))


def test_the_payoff_is_that_of_the_trade_at_its_own_prices(study: PlanStudy) -> None:
    row = study.typical_row
    assert row is not None
    trade = study.result.trades().iloc[row]
    credit = (trade["entry_prices"][0] - trade["entry_prices"][1]) * 100
    width = (trade["strikes"][0] - trade["strikes"][1]) * 100
    figure = payoff_of_typical_trade(study, "TEST")
    curve = next(line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 100)
    assert np.max(curve.get_ydata()) == pytest.approx(credit)
    assert np.min(curve.get_ydata()) == pytest.approx(credit - width)
    assert f"at worst {credit - width:+,.0f} USD, at best {credit:+,.0f} USD" in words(figure)
    assert str(trade["entry_session"].date()) in words(figure)
    assert "insufficient data" in words(payoff_of_typical_trade(replace(study, typical_row=None), "TEST"))


def test_a_calendar_is_valued_when_its_front_expires() -> None:
    study = studied("calendar", (TargetDelta(0.5, 0.3), Width(0, 0.0)))
    row = study.typical_row
    assert row is not None
    trade = study.result.trades().iloc[row]
    figure = payoff_of_typical_trade(study, "TEST")
    curve = next(line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 100)
    spot = np.asarray(curve.get_xdata())
    front, back = (pd.Timestamp(day) for day in trade["leg_expirations"])
    strike = trade["strikes"][0]
    # The chain has one volatility and no carry: the back leg is a textbook call by parity, the front pays intrinsic.
    put = put_price(spot, np.float64(strike), years=np.float64((back - front).days / 365), volatility=0.2)
    cost = trade["entry_prices"][1] - trade["entry_prices"][0]
    expected = (put + spot - strike - np.maximum(spot - strike, 0.0) - cost) * 100
    assert np.asarray(curve.get_ydata()) == pytest.approx(expected, abs=1.0)
    assert "value when the front expires" in words(figure)


def test_random_runs_that_are_all_the_same_are_not_drawn_as_a_distribution() -> None:
    # Sums in another order differ in their last digits.
    totals = np.full(100, 1_234.5) + np.arange(100) * 1e-12
    figure = profit_against_random_entry(totals, own_usd=1_234.5, p_value=1.0, summary_title="TEST")
    assert "every random run deals the very same trades" in words(figure)


def test_an_account_that_never_traded_has_earned_nothing() -> None:
    equity = pd.DataFrame({"session": pd.date_range("2024-01-02", periods=3), "equity_usd": 1e5, "open_positions": 0})
    assert "+0.00%" in words(plan_equity(equity, "TEST"))
