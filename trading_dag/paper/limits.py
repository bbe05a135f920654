"""What no order may pass: the risk of one trade, of a day, of a ticker, and the loss since the highest equity.

Each limit is a share of the cash that the account was opened with. Orders that close lessen the risk and are not
limited; the kill switch, which stops them too, is ``resources.brokers``'.
"""

from __future__ import annotations

import pandas as pd

from trading_dag.paper.account import Account, OrderRecord
from trading_dag.paper.orders import Order
from trading_dag.setting_groups import PaperSettings

_ROUNDING_USD = 0.005


def limit_refusal(order: Order, account: Account, settings: PaperSettings, *, cash_usd: float) -> str:
    """Return which limit forbids an order, with its numbers; empty where none does.

    Parameters
    ----------
    cash_usd : what the account is opened with, of which the limits are shares.
    """
    if order.intent == "close":
        return ""
    cash = cash_usd
    others = [record for record in account.orders.values() if record.order.order_id != order.order_id]
    day = decided_on(order)
    of_day = sum(risk_usd(one) for one in others if one.order.intent == "open" and decided_on(one.order) == day)
    of_ticker = open_risk_usd(account, order.key.ticker, but=order.order_id)
    checks = (
        ("trade_limit", settings.trade_limit, 0.0, "this order"),
        ("day_limit", settings.day_limit, of_day, f"the orders of {day:%Y-%m-%d}"),
        ("ticker_limit", settings.ticker_limit, of_ticker, f"all that {order.key.ticker} has open"),
    )
    for name, share, before, whose in checks:
        risk = before + order.max_loss_usd
        if not risk <= share * cash + _ROUNDING_USD:
            return (
                f"{name}: {whose} may lose {risk:,.0f} USD with it, more than {share * cash:,.0f} "
                f"({share:g} of the account; TRADING_DAG_PAPER__{name.upper()})"
            )
    return drawdown_refusal(account, settings)


def drawdown_refusal(account: Account, settings: PaperSettings) -> str:
    """Return why nothing may be opened after what was lost; empty where it may."""
    drawdown = drawdown_of(account)
    if drawdown < settings.drawdown_limit:
        return ""
    return (
        f"drawdown_limit: the account is {drawdown:.1%} below its highest equity, at or beyond "
        f"{settings.drawdown_limit:.1%} (TRADING_DAG_PAPER__DRAWDOWN_LIMIT)"
    )


def drawdown_of(account: Account) -> float:
    """Return the loss since the highest equity at a close, as a fraction of that; 0 before the account is open."""
    equity = account.equity_by_session()
    if equity.empty:
        return 0.0
    highest = float(equity.max())
    return max(0.0, 1.0 - float(equity.iloc[-1]) / highest) if highest > 0.0 else 1.0


def open_risk_usd(account: Account, ticker: str, *, but: str = "") -> float:
    """Return what the positions and working orders of a ticker may lose, one order left out."""
    held = sum(one.held.fill.max_loss_usd for one in account.open_positions if one.held.key.ticker == ticker)
    waiting = sum(
        record.order.max_loss_usd
        for record in account.working
        if record.order.intent == "open" and record.order.key.ticker == ticker and record.order.order_id != but
    )
    return float(held + waiting)


def risk_usd(record: OrderRecord) -> float:
    """Return what an opening order may lose: of its fill once it is filled, 0 where it came to nothing."""
    if record.state == "filled":
        fill = record.happened[-1].fill
        return fill.max_loss_usd if fill is not None else 0.0
    return record.order.max_loss_usd if record.is_working else 0.0


def decided_on(order: Order) -> pd.Timestamp:
    """Return the session on which an order is decided: of a roll that of its quote, otherwise the signal's."""
    return order.key.session if order.due is None else order.due.session
