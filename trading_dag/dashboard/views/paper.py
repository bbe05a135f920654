"""The page of the paper account: what it holds, was told and paid. Nothing is ordered, stopped or released here."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from resources.brokers.kill_switch import KillSwitch
from trading_dag.dashboard.page import PageContext, show_chart, show_nothing, show_numbers, show_table
from trading_dag.dashboard.views import paper_frames as frames
from trading_dag.dashboard.words import day, percent, plain, usd
from trading_dag.strategy.sizing import settings_for_contract

_FOLDER: Final = "paper"


def render(context: PageContext) -> None:
    """Show whether orders may pass, the account, its positions, orders, ledger and what its broker says."""
    _show_switch(context)
    orders, positions, ledger, agreed = (
        frames.account_table(context.reader, name) for name in ("orders", "positions", "ledger", "reconciliation")
    )
    if orders.empty and positions.empty:
        broker = context.settings.paper.broker
        why = (
            "No broker is named (TRADING_DAG_PAPER__BROKER=none), so nothing is ordered."
            if broker == "none"
            else f"The account of the broker {broker} has no order yet. Orders follow from signals with a size above "
            "zero whose entry is still ahead: without an edge that was shown, or on old data, there is none."
        )
        show_nothing("No orders yet", why, command="trading-dag paper status")
    else:
        _show_account(context, positions, ledger)
        show_table(orders, title="Orders", says="A row for each thing that happened to an order; the last: its state.",
                   as_of=f"{_newest(orders, 'recorded_at')} UTC", height=320)  # fmt: skip
        show_table(ledger, title="Ledger", says="Every movement of cash with the balance after it, USD.",
                   as_of=_newest(ledger, "session"), height=320)  # fmt: skip
        show_table(agreed, title="Reconciliation", says="What the account and its broker say, side by side.",
                   as_of=_newest(agreed, "session"), height=240)  # fmt: skip
    _show_allocation(context)


def _newest(frame: pd.DataFrame, column: str) -> pd.Timestamp | None:
    return None if frame.empty else frame[column].max()


def _show_switch(context: PageContext) -> None:
    switch, limits = KillSwitch(context.settings.home / _FOLDER), context.settings.paper
    if switch.is_on:
        st.error(f"**Kill switch on: nothing is ordered.** {plain(switch.reason)}. "
                 "trading-dag paper resume ends it.",
                 icon=":material/front_hand:")  # fmt: skip
    else:
        st.success("**Kill switch off: orders may pass.** trading-dag paper kill stops all of them.",
                   icon=":material/check_circle:")  # fmt: skip
    show_numbers(
        (
            ("broker", limits.broker, "Paper only; real money needs two settings that no broker has."),
            ("limit of a trade", percent(limits.trade_limit), "Greatest defined risk of one order, of the account."),
            ("limit of a day", percent(limits.day_limit), "Of all orders of one session."),
            ("limit of a ticker", percent(limits.ticker_limit), "Of all that one ticker has open."),
            ("stop at a drawdown of", percent(limits.drawdown_limit), "From there on nothing is opened."),
        )
    )


def _show_account(context: PageContext, positions: pd.DataFrame, ledger: pd.DataFrame) -> None:
    profit = frames.profit_data(positions, ledger)
    as_of = None if profit.empty else profit["session"].max()
    if len(profit):
        first, last = profit.iloc[0], profit.iloc[-1]
        show_numbers(
            (
                ("equity", usd(last["equity_usd"], digits=2), f"Cash and marks at {day(last['session'])}."),
                ("profit", usd(last["equity_usd"] - float(ledger.sort_values("entry")["balance_usd"].iloc[0]),
                               signed=True, digits=2), f"Since {day(first['session'])}."),
                ("cash", usd(last["cash_usd"], digits=2), "After all movements of the ledger."),
            )
        )  # fmt: skip
    show_chart(frames.profit_figure(profit) if len(profit) else None, profit, title="Profit", as_of=as_of,
               says="Cash, and cash with the marks of all open positions, at each session's close, USD.")  # fmt: skip
    latest = frames.latest_positions(positions)
    held = latest[latest["status"] == "open"] if len(latest) else latest
    own = settings_for_contract(context.ticker, context.settings)
    if len(held):
        held = frames.with_greeks(held, multiplier=float(own.backtest.multiplier), rate=own.surface.risk_free_rate,
                                  dividend_yield=own.surface.dividend_yield)  # fmt: skip
    show_table(
        held.drop(columns="legs", errors="ignore"), title="Open positions", as_of=as_of, nothing="Nothing is held.",
        says="Each with its exits ahead and its Greeks at the mark, by each leg's volatility at entry: delta in "
        "shares, vega USD a volatility point, theta USD a day.",
    )  # fmt: skip
    closed = latest[latest["status"] == "closed"] if len(latest) else latest
    show_table(closed.drop(columns="legs", errors="ignore"), title="Closed positions", as_of=as_of,
               nothing="None was closed yet.", says="What each came to after fees, USD.")  # fmt: skip


def _show_allocation(context: PageContext) -> None:
    signal = context.reader.query(
        "SELECT session, horizon, model, position FROM predictions.allocation WHERE ticker = ? AND NOT is_baseline "
        "QUALIFY row_number() OVER (PARTITION BY horizon, model ORDER BY session DESC) = 1 ORDER BY horizon, model",
        [context.ticker],
    )
    show_table(signal, title="Allocation signal", says=f"How much of {context.ticker} each model would hold, 0 "
               "nothing, 1 the whole account, 2 twice.", as_of=None if signal.empty else signal["session"].max(),
               nothing="No allocation was forecast.", columns={"session": st.column_config.DateColumn()})  # fmt: skip
