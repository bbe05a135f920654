"""What the paper account was told, holds, paid and agrees with its broker about.

All four belong to the account, not to a ticker: its cash, its limits and the order in which orders are admitted span
them. So each is one slice, and rows of different tickers stand side by side.
"""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import HORIZON, TICKER, Column, Table, number, text
from trading_dag.schemas.vocabulary import SIGNAL_RULES

# What can happen to an order, in the order in which it does. ``refused`` and ``lapsed`` orders never reached a broker.
ORDER_EVENTS: Final = ("refused", "intended", "lapsed", "sent", "filled", "rejected", "cancelled")
ORDER_INTENTS: Final = ("open", "close")
# Orders whose last event is one of these are at rest; the others are working.
FINAL_EVENTS: Final = ("refused", "lapsed", "filled", "rejected", "cancelled")
POSITION_STATUS: Final = ("open", "closed")
CASH_KINDS: Final = ("deposit", "premium", "fees", "exit", "settlement", "assignment", "dividend")
_QUOTE_TIMES: Final = ("open", "close")

_POSITION: Final = (
    text("position_id", "the plan's trade: ticker, signal session, horizon, rule and roll in one word; the ids of its "
         "orders begin with it", nullable=False),
    TICKER, HORIZON,
    Column("signal_session", "date", "session whose close produced the signal", nullable=False),
    text("rule", "how the structure was chosen", nullable=False, allowed=SIGNAL_RULES),
    Column("roll", "int64", "0: the signal's own entry; 1 and more: opened anew so many times by a roll", minimum=0,
           nullable=False),
    text("structure", "structure name", nullable=False),
)  # fmt: skip

ORDERS: Final = Table(
    "paper", "orders", "none", ("order_id", "event"),
    (
        text("order_id", "the id that the broker is given, the same for the same ticker, session and plan",
             nullable=False),
        text("event", "what happened to the order; the last one is its state: refused (by a limit or the kill switch) "
             "and lapsed never reached the broker", nullable=False, allowed=ORDER_EVENTS),
        Column("recorded_at", "timestamp", "when that was recorded", nullable=False),
        *_POSITION,
        text("intent", "open or close", nullable=False, allowed=ORDER_INTENTS),
        number("size", "share of the risk budget: 1 FULL, 0.5 HALF", minimum=0.0, maximum=1.0, nullable=False),
        Column("contracts", "int64", "structures; of filled how many were", minimum=0, nullable=False),
        text("legs", "JSON list of legs: side, right, strike, expiration, ratio; of filled with the price of each"),
        number("max_loss_usd", "defined risk of all contracts", minimum=0.0),
        text("reason", "of refused, lapsed, rejected: why; of a closing order: which exit"),
        Column("quote_session", "date", "of filled: session of the quote; of a closing order: on which its exit held"),
        text("quote", "open or close of that session", allowed=_QUOTE_TIMES),
        number("cash_usd", "of filled: signed cash received for all contracts, without fees"),
        number("fees_usd", "of filled", minimum=0.0),
        text("broker", "who was asked: paper (built in), alpaca", nullable=False),
        text("broker_order_id", "the broker's own id"),
        text("edge", "of the signal: whether an edge was shown by its session"),
        text("model_version", "model of the direction forecast that the signal follows"),
        text("volatility_model_version", "model of the regime forecast that the signal follows"),
        text("source", "where the data come from", nullable=False),
        Column("is_live", "bool", "whether the order was decided before the quote at which it fills, by the clock",
               nullable=False),
    ),
    "Every order of the paper account, one row for each thing that happened to it.",
    session_column="signal_session", may_be_empty=True, is_append_only=True,
)  # fmt: skip

POSITIONS: Final = Table(
    "paper", "positions", "none", ("position_id", "session"),
    (
        *_POSITION[:1],
        Column("session", "date", "exchange session; marked at its close", nullable=False),
        *_POSITION[1:],
        text("status", "open over the close, or closed during the session", nullable=False, allowed=POSITION_STATUS),
        Column("contracts", "int64", "structures held", minimum=0, nullable=False),
        text("legs", "JSON list of legs with their fills at the entry"),
        Column("expiration", "date", "expiration of the front legs"),
        Column("days_left", "int64", "calendar days to it"),
        Column("entry_session", "date", "session of the entry's quote", nullable=False),
        text("entry_quote", "open or close of that session", allowed=_QUOTE_TIMES),
        text("quote_source", "chain, last or modelled: what fills and marks are made from",
             allowed=("chain", "last", "modelled", "broker")),
        number("entry_spot", "underlying at entry, USD", minimum=0.0),
        number("spot", "underlying at the mark, USD", minimum=0.0),
        number("entry_cost_usd", "signed cash paid at entry for all contracts, without fees", nullable=False),
        number("mark_usd", "signed value of all contracts at the mark; 0 once closed"),
        number("pnl_usd", "mark (or exit value) and dividends, less entry cost and the fees paid so far"),
        number("fees_usd", "paid so far", minimum=0.0, nullable=False),
        number("max_loss_usd", "defined risk of all contracts", minimum=0.0),
        number("margin_usd", "what the account holds for them", minimum=0.0),
        text("exit_reason", "of closed: which exit came first; of open: the exit that is due and could not be sent"),
        text("exit_quote", "open or close of the session", allowed=_QUOTE_TIMES),
        Column("target_session", "date", "session at whose close the position is left at the latest"),
        text("edge", "of the signal: whether an edge was shown by its session"),
    ),
    "Each position of the paper account at each session's close from its entry on, the last row when it was left.",
    may_be_empty=True, is_append_only=True,
)  # fmt: skip

LEDGER: Final = Table(
    "paper", "ledger", "none", ("entry",),
    (
        Column("entry", "int64", "number of the movement, from 1 without a gap", minimum=1, nullable=False),
        Column("session", "date", "session on which the cash moved; of the deposit the first signal's", nullable=False),
        Column("recorded_at", "timestamp", "when it was recorded", nullable=False),
        text("kind", "deposit (opening cash), premium (of an entry), exit, settlement (expiration), assignment, "
             "dividend, fees", nullable=False, allowed=CASH_KINDS),
        text("ticker", "underlying; NULL for the deposit"),
        text("position_id", "whose cash it is; NULL for the deposit"),
        text("order_id", "the order that moved it; NULL where none did"),
        number("amount_usd", "signed, whole cents: positive into the account", nullable=False),
        number("balance_usd", "cash of the account after it, whole cents", nullable=False),
    ),
    "Every movement of the paper account's cash, with the balance after it; it adds up to the cent.",
    may_be_empty=True, is_append_only=True,
)  # fmt: skip

RECONCILIATION: Final = Table(
    "paper", "reconciliation", "none", ("reconciled_at", "item"),
    (
        Column("reconciled_at", "timestamp", "when the two were compared", nullable=False),
        Column("session", "date", "newest session known then", nullable=False),
        text("broker", "with whom", nullable=False),
        text("item", "cash, a contract held, or an order", nullable=False),
        number("ours", "what the account's own record says: USD, contracts, or 1 for an order that is working"),
        number("brokers", "what the broker says; NULL where it knows nothing of it"),
        Column("is_matched", "bool", "whether the two agree", nullable=False),
        text("detail", "what differs, in words"),
    ),
    "What the paper account and its broker say of cash, contracts and orders, side by side.",
    may_be_empty=True, is_append_only=True,
)  # fmt: skip
