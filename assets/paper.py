"""The paper account: what it agrees with its broker about, its orders, positions and cash.

Both computations write the account's journal and read it again; the tables are projections of it. The first brings the
account forward and compares it with the broker's; only where they agree does the second send the orders of the newest
signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import CrossRule, Declaration, Read, Result, Slice, table_asset
from assets.signals import RATES
from resources.brokers.choose import account_folder, build_desk, held_account, refuse_live_trading
from resources.brokers.kill_switch import KillSwitch
from resources.storage.append_only import altered_rows, mend
from trading_dag.paper.decisions import SIGNAL_COLUMNS, Signals, why_no_order
from trading_dag.paper.views import INDEX_COLUMNS, PRICE_COLUMNS, modelled_views
from trading_dag.quality import Rule
from trading_dag.schemas import (
    LEDGER,
    MACRO_TABLE,
    ORDERS,
    POSITIONS,
    PRICES_DAILY,
    RECOMMENDATION,
    RECONCILIATION,
    VOLATILITY_INDEX,
    Table,
)

if TYPE_CHECKING:
    from resources.brokers.desk import Desk
    from resources.brokers.journal import Journal
    from trading_dag.paper.account import Account

NOBODY: Final = "no broker is named (TRADING_DAG_PAPER__BROKER=none), so nothing is ordered"
# No setting makes what has happened stale, so none is named as used: the next session's run reads them.
READS: Final = {
    "signals": Read(RECOMMENDATION, columns=SIGNAL_COLUMNS, of_all_slices=True),
    "prices": Read(PRICES_DAILY, columns=PRICE_COLUMNS, of_all_slices=True),
    "indices": Read(VOLATILITY_INDEX, columns=INDEX_COLUMNS, of_all_slices=True),
    "rates": Read(MACRO_TABLE, columns=RATES.columns, same_source_as="prices"),
}


def _append_only(table: Table) -> CrossRule:
    """The rule that no recorded row of a table is lost or changed."""

    def objection(at: Slice, result: Result, _: Mapping[str, Any]) -> str | None:
        return altered_rows(at.store.read_or_empty(table, at.key), result.frames[table.name], table)

    rule = Rule(name="append_only", description="Every row that was recorded before is there, and reads as it did.")
    return CrossRule(table, rule, objection)


def _disagreement(_: Slice, result: Result, __: Mapping[str, Any]) -> str | None:
    rows = result.frames[RECONCILIATION.name]
    newest = rows[rows["reconciled_at"] == rows["reconciled_at"].max()]
    wrong = newest.loc[~newest["is_matched"].astype(bool), "detail"]
    return "; ".join(wrong) or None


def _imbalance(at: Slice, result: Result, _: Mapping[str, Any]) -> str | None:
    from trading_dag.paper.account import Account
    from trading_dag.paper.tables import ledger_objection

    with held_account(at.settings.home) as journal:
        cash = Account(journal.events).cash_cents
    return ledger_objection(result.frames[LEDGER.name], cash_cents=cash)


BROKER_AGREES: Final = CrossRule(
    RECONCILIATION,
    Rule(
        name="broker_agrees",
        description="The account and its broker say the same of cash, contracts and orders. Until they do nothing is "
        "ordered.",
    ),
    _disagreement,
)
BALANCED: Final = CrossRule(
    LEDGER,
    Rule(name="balanced", description="The movements of cash add up to each balance and to the account's cash."),
    _imbalance,
)


@table_asset(
    RECONCILIATION,
    reads=READS,
    code_version="1",
    automation="eager_by_slices",
    cross_rules=(BROKER_AGREES, _append_only(RECONCILIATION)),
)
def reconciliation(
    at: Slice, signals: pd.DataFrame, prices: pd.DataFrame, indices: pd.DataFrame, rates: pd.DataFrame
) -> Result:
    """Orders whose quotes have come are filled, exits that held are taken, positions are marked at each close, and the
    account is compared with its broker's books. Nothing new is decided here."""
    from trading_dag.paper.account import Account
    from trading_dag.paper.tables import reconciliation_frame

    mend(at.store, RECONCILIATION, at.key)
    with held_account(at.settings.home) as journal:
        if at.settings.paper.broker != "none":
            desk = _desk(at, journal, signals, prices, indices, rates)
            desk.advance()
            desk.reconcile()
        account = Account(journal.events)
    return Result(
        {RECONCILIATION.name: reconciliation_frame(account)},
        {"open positions": len(account.open_positions), "working orders": len(account.working)},
        source_off=None if account.is_open else _why_empty(at),
    )


@table_asset(
    ORDERS,
    POSITIONS,
    LEDGER,
    reads={**READS, "agreed": RECONCILIATION},
    code_version="1",
    automation="eager_by_slices",
    cross_rules=(_append_only(ORDERS), _append_only(POSITIONS), BALANCED, _append_only(LEDGER)),
)
def account(
    at: Slice,
    signals: pd.DataFrame,
    prices: pd.DataFrame,
    indices: pd.DataFrame,
    rates: pd.DataFrame,
    agreed: pd.DataFrame,
) -> Result:
    """The newest served signal of each slice becomes an order where it has a size above zero, once; the limits and the
    kill switch are asked before it is sent. It fills at the open after its session, at the backtest's prices."""
    from trading_dag.paper.account import Account
    from trading_dag.paper.tables import ledger_frame, orders_frame, positions_frame

    for table in (ORDERS, POSITIONS, LEDGER):
        mend(at.store, table, at.key)
    with held_account(at.settings.home) as journal:
        said = NOBODY
        if at.settings.paper.broker != "none":
            verdicts = _desk(at, journal, signals, prices, indices, rates).trade()
            said = why_no_order(verdicts) or f"{sum(one.order is not None for one in verdicts)} orders"
        state = Account(journal.events)
    frames = {
        ORDERS.name: orders_frame(state),
        POSITIONS.name: positions_frame(state),
        LEDGER.name: ledger_frame(state),
    }
    return Result(
        frames,
        {"today": said, **_numbers(at, state)},
        source_off=None if state.is_open else said,
        draw=(lambda: _figures(state)) if state.is_open else None,
    )


def _desk(
    at: Slice,
    journal: Journal,
    signals: pd.DataFrame,
    prices: pd.DataFrame,
    indices: pd.DataFrame,
    rates: pd.DataFrame,
) -> Desk:
    refuse_live_trading(at.settings)
    return build_desk(
        at.settings,
        journal,
        views=modelled_views(prices, indices, rates=rates, settings=at.settings),
        signals=Signals(signals, source=at.settings.source),
    )


def _why_empty(at: Slice) -> str:
    return NOBODY if at.settings.paper.broker == "none" else "no order was sent yet, so there is nothing to compare"


def _numbers(at: Slice, state: Account) -> dict[str, Any]:
    """What the UI plots over time."""
    from trading_dag.paper.limits import drawdown_of

    killed = KillSwitch(account_folder(at.settings.home)).reason
    if not state.is_open:
        return {"kill switch": killed} if killed else {}
    equity = state.equity_by_session()
    return {
        "equity (USD)": float(equity.iloc[-1]),
        "cash (USD)": state.cash_usd,
        "drawdown": drawdown_of(state),
        "open positions": len(state.open_positions),
        "working orders": len(state.working),
        **({"kill switch": killed} if killed else {}),
    }


def _figures(state: Account) -> dict[str, Any]:
    from trading_dag.plots.paper import equity_of_account

    return {"equity": equity_of_account(state.equity_by_session(), opened_with_usd=state.opened_with_usd)}


DECLARATIONS: Final[tuple[Declaration, ...]] = (reconciliation, account)
