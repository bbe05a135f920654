"""Dividends and early assignment through the paper account, on chains whose every quote is written down: account,
ledger, positions and the broker's books have the amounts that are worked out beside them by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from resources.brokers.desk import Desk
from resources.brokers.journal import Journal, MemoryJournal
from resources.brokers.kill_switch import KillSwitch
from resources.brokers.paper_broker import PaperBroker
from tests.resources.brokers.paper_market import NO_LIMITS, SOURCE, market_of
from tests.trading_dag.backtest.plan_chains import Quote
from tests.trading_dag.backtest.test_plan_dividends import AROUND, DEEP, MONDAY, paid, plan
from tests.trading_dag.backtest.test_plan_dividends import market_of as chain_of
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.paper.account import Position
from trading_dag.paper.decisions import SIGNAL_COLUMNS, Signals
from trading_dag.paper.one_position import TickerView
from trading_dag.paper.tables import ledger_frame, ledger_objection, orders_frame, positions_frame

CASH = 100_000.0
FRIDAY = {"2024-03-01": (100.0, MONDAY)}  # of the signal, which is filled at the next close
RISEN = FRIDAY | {"2024-03-04": (100.0, MONDAY), "2024-03-05": (113.0, DEEP), "2024-03-06": (111.5, DEEP)}
QUIET = FRIDAY | {"2024-03-04": (100.0, MONDAY), "2024-03-05": (101.0, AROUND), "2024-03-06": (99.5, AROUND),
         "2024-03-07": (99.5, AROUND)}  # fmt: skip
Chain = Mapping[str, tuple[float, Mapping[tuple[str, float], Quote]]]


@dataclass
class Evenings:
    """An account that sees, each evening, the chains so far and the dividends that have gone ex."""

    home: Path
    structure: str
    chains: Chain
    dividends: Dividends
    target: str
    risk_fraction: float
    journal: Journal
    books: Journal

    def desk(self, last: str) -> Desk:
        known = {day: quotes for day, quotes in self.chains.items() if day <= last}
        plans = {self.structure: plan(self.structure, risk_fraction=self.risk_fraction)}
        view = TickerView(chain_of(known), plans, dividends=self.dividends)
        evening = pd.Timestamp(last, tz="UTC") + pd.Timedelta(hours=23)
        return Desk(
            journal=self.journal,
            broker=PaperBroker(self.books, views={"TEST": view}, cash_usd=CASH, clock=lambda: evening),
            switch=KillSwitch(self.home),
            settings=NO_LIMITS,
            views={"TEST": view},
            signals=Signals(self.signal(), source=SOURCE),
            cash_usd=CASH,
            clock=lambda: evening,
        )

    def signal(self) -> pd.DataFrame:
        row = market_of(7, sessions=2).signals.iloc[[0]]
        told = {"ticker": "TEST", "strategy": self.structure, "position_size": 1.0, "design_size": "FULL"}
        sessions = {"session": pd.Timestamp("2024-03-01"), "target_session": pd.Timestamp(self.target)}
        return row.assign(**told, **sessions)[list(SIGNAL_COLUMNS)]


def worked(
    home: Path, structure: str, chains: Chain, dividends: Dividends, *, target: str = "2024-03-15", risk: float = 0.02
) -> tuple[Desk, list[pd.DataFrame]]:
    """The desk of the last evening, and the table of positions as of each."""
    evenings = Evenings(home, structure, chains, dividends, target, risk, MemoryJournal(), MemoryJournal())
    tables = []
    for day in chains:
        desk = evenings.desk(day)
        desk.advance()
        assert all(item["is_matched"] for item in desk.reconcile())
        desk.trade()
        tables.append(positions_frame(desk.account))
    return desk, tables


def the_position(desk: Desk) -> Position:
    (position,) = desk.account.positions.values()
    return position


def movements(desk: Desk) -> list[tuple[str, str, float]]:
    """Session, kind and amount of each movement after the deposit; they add up, and the broker says the same."""
    ledger = ledger_frame(desk.account)
    assert ledger_objection(ledger, cash_cents=desk.account.cash_cents) is None
    assert desk.broker.account().cash_usd == desk.account.cash_usd == ledger["balance_usd"].iloc[-1]
    days = ledger["session"].dt.strftime("%m-%d")
    return list(zip(days, ledger["kind"], ledger["amount_usd"], strict=True))[1:]


def test_an_assigned_call_costs_its_intrinsic_value_and_is_booked_on_the_day_that_goes_ex(tmp_path):
    desk, tables = worked(tmp_path, "bear_call_spread", RISEN, paid("2024-03-06", 1.50))
    # Four spreads, as many as 2 % of 100,000 may lose. Extrinsic 8.10 − 8.00 < 1.50: the shares sold at 105 on Tuesday
    # evening cost 113 − 1.50 ex dividend, and 1.50 are owed, 8.00 together; the long call is sold at 3.40.
    fees = 4 * 2 * 0.65
    assert movements(desk) == [
        ("03-04", "premium", 4 * 70.0), ("03-04", "fees", -fees),
        ("03-06", "assignment", 4 * (-800.0 + 340.0)), ("03-06", "fees", -fees),
    ]  # fmt: skip
    position = the_position(desk)
    assert [one.price for one in position.end.legs] == pytest.approx([6.50, 3.40])
    last = tables[-1].iloc[-1]
    assert (last["status"], last["exit_reason"]) == ("closed", "assignment")
    assert last["pnl_usd"] == 4 * (70.0 - 800.0 + 340.0 - 2.60)
    assert desk.account.cash_cents == 9_842_960  # 100,000 + 280 − 5.20 − 1,840 − 5.20
    assert desk.broker.contracts() == []
    assert orders_frame(desk.account)["intent"].unique().tolist() == ["open"], "nobody sends an order for it"
    # What was recorded on Tuesday evening, when nobody could know, is still there as it was.
    pd.testing.assert_frame_equal(tables[-1].head(len(tables[-2])), tables[-2])


@pytest.mark.parametrize(("amount", "day"), [(0.05, "2024-03-06"), (1.50, "2024-03-05"), (1.50, "2024-03-07")])
def test_without_a_dividend_above_the_extrinsic_value_the_day_after_nothing_is_assigned(tmp_path, amount, day):
    desk, _ = worked(tmp_path, "bear_call_spread", RISEN, paid(day, amount))
    assert the_position(desk).is_open
    assert [kind for _, kind, _ in movements(desk)] == ["premium", "fees"]


def test_shares_that_are_called_away_bring_the_strike_and_neither_receive_nor_owe_the_dividend(tmp_path):
    desk, _ = worked(tmp_path, "covered_call", RISEN, paid("2024-03-06", 1.50), risk=0.1)
    # A hundred shares bought at 100.00, 1.20 received for the call, delivered at 105.00.
    assert movements(desk) == [
        ("03-04", "premium", -10_000.0 + 120.0), ("03-04", "fees", -0.65),
        ("03-06", "assignment", 10_500.0), ("03-06", "fees", -0.65),
    ]  # fmt: skip
    assert desk.account.cash_usd == 100_618.70
    assert (the_position(desk).end.dividends_usd, desk.broker.contracts()) == (0.0, [])


def test_a_dividend_on_shares_counts_in_the_marks_from_its_day_on_and_is_paid_into_the_ledger_with_the_exit(tmp_path):
    with_it, tables = worked(
        tmp_path, "covered_call", QUIET, paid("2024-03-06", 1.50), target="2024-03-07", risk=0.1
    )  # fmt: skip
    # 9,950.00 for the shares, 110.00 to buy the call back, 150.00 of dividend.
    assert movements(with_it) == [
        ("03-04", "premium", -9_880.0), ("03-04", "fees", -0.65),
        ("03-07", "exit", 9_950.0 - 110.0), ("03-07", "dividend", 150.0), ("03-07", "fees", -0.65),
    ]  # fmt: skip
    # At middles: 100 − 1.25, 101 − 1.05, 99.50 − 1.05 and 1.50.
    rows = tables[-1].set_index(tables[-1]["session"].dt.strftime("%m-%d"))
    assert rows["mark_usd"].to_dict() == {"03-04": 9_875.0, "03-05": 9_995.0, "03-06": 9_845.0 + 150.0, "03-07": 0.0}
    assert rows.loc["03-07", "pnl_usd"] == pytest.approx(9_840.0 + 150.0 - 9_880.0 - 1.30)
    without, _ = worked(tmp_path, "covered_call", QUIET, paid("2024-03-11", 1.50), target="2024-03-07", risk=0.1)
    assert with_it.account.cash_cents - without.account.cash_cents == 15_000
