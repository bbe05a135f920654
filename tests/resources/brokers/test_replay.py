"""The proof of one engine: an account that only ever knows the past comes to the trades of the backtest."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from tests.resources.brokers.paper_market import Operator, market_of, paper_settings
from trading_dag.backtest.runs.signal_backtest import run_backtest
from trading_dag.paper.account import Account
from trading_dag.slices import horizon_of

SESSIONS = 32
RULES: dict[str, dict[str, Any]] = {
    "horizon alone": {},
    "stop, target and flip": {
        "exits": {"stop_underlying": 0.015, "profit_target": 0.3, "days_to_expiration": 18},
        "exit_on_signal_flip": True,
    },
    "rolls": {"exits": {"roll_delta": 0.45}},
    "little capital": {"account_usd": 6_000.0, "risk_fraction": 0.4},
    "few positions": {"maximum_open_positions": 2},
}
DEFAULT = ("stop, target and flip", "little capital")


@pytest.mark.parametrize(
    "rules",
    [pytest.param(rules, id=name, marks=() if name in DEFAULT else pytest.mark.long) for name, rules in RULES.items()],
)
def test_a_replayed_account_comes_to_the_backtest_of_the_same_plan_trade_for_trade(tmp_path, rules):
    settings, market = paper_settings(tmp_path, **rules), market_of(7, sessions=SESSIONS)
    operator = Operator(market, settings)
    for session in market.sessions:
        operator.work(session)
    account = Account(operator.journal.events)
    backtest = run_backtest(
        market.signals, market.prices, market.volatility_index, rates=market.rates, horizon=horizon_of("168h"),
        settings=settings,
    )  # fmt: skip
    expected = backtest.trades.set_index(["signal_session", "roll"])
    assert (expected["status"] == "closed").sum() > 6
    # The last session's signal has no quote yet: here it waits, there the data ends.
    waiting = {record.order.key.session for record in account.working}
    assert waiting == {market.sessions[-1]}
    taken = expected[expected["status"] != "skipped"]
    assert {(one.held.key.session, one.held.key.roll) for one in account.positions.values()} == set(taken.index)
    for position in account.positions.values():
        trade, fill, end = (
            taken.loc[(position.held.key.session, position.held.key.roll)],
            position.held.fill,
            position.end,
        )
        assert fill.quote.session == trade["entry_session"]
        assert fill.quote.moment == trade["entry_quote"]
        assert fill.contracts == trade["contracts"]
        assert fill.spot == trade["entry_spot"]
        assert -fill.cash_usd == pytest.approx(trade["entry_cost_usd"], abs=0.005)
        assert fill.max_loss_usd == pytest.approx(trade["max_loss_usd"])
        legs = json.loads(trade["legs"])
        assert [one.leg.strike for one in fill.legs] == [leg["strike"] for leg in legs]
        assert [one.price for one in fill.legs] == pytest.approx([leg["entry_price"] for leg in legs])
        if end is None:
            assert trade["status"] == "open"
            continue
        assert (position.end_reason, end.quote.session, end.quote.moment) == (
            trade["exit_reason"], trade["exit_session"], trade["exit_quote"],
        )  # fmt: skip
        assert position.profit_usd == pytest.approx(trade["pnl_usd"], abs=0.02)
        assert [one.price for one in end.legs] == pytest.approx([leg["exit_price"] for leg in legs])
    rejected = {
        (record.order.key.session, record.order.key.roll): record.happened[-1].reason
        for record in account.orders.values()
        if record.state == "rejected"
    }
    skipped = expected[(expected["status"] == "skipped") & (expected["exit_reason"] != "entry_after_data")]
    assert rejected == skipped["exit_reason"].to_dict()
    equity = account.equity_by_session()
    curve = backtest.equity.set_index("session")["equity_usd"].reindex(equity.index).ffill()
    pd.testing.assert_series_equal(equity, curve, check_names=False, check_freq=False, atol=0.5, rtol=0)
