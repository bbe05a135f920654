"""What tests of Alpaca share: a broker on the loopback account, and orders of a few structures."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from pydantic import SecretStr

from resources.brokers.alpaca.connection import AlpacaAccess, AlpacaConnection
from resources.brokers.alpaca_broker import AlpacaBroker
from tests.resources.loopback.alpaca import KEY, SECRET, LoopbackAlpaca
from trading_dag.paper.orders import Order, OrderLeg, PlanKey
from trading_dag.setting_groups import HttpSettings

NOW = pd.Timestamp("2026-03-03 15:00", tz="UTC")
SESSION = pd.Timestamp("2026-03-02").as_unit("us")
EXPIRATION = pd.Timestamp("2026-03-20").as_unit("us")
LONG_PUT = "SPY260320P00440000"
SHORT_PUT = "SPY260320P00450000"
SHORT_CALL = "SPY260320C00470000"
LONG_CALL = "SPY260320C00480000"
FAST = HttpSettings(timeout_seconds=0.5, attempts=3, backoff_seconds=0.0, backoff_maximum_seconds=0.0)
# Bought at the ask, sold at the bid: 1.20 + 1.35 − 2.90 − 2.60 = −2.95 a share.
QUOTES = {
    LONG_PUT: ("1.10", "1.20"),
    SHORT_PUT: ("2.90", "3.05"),
    SHORT_CALL: ("2.60", "2.75"),
    LONG_CALL: ("1.25", "1.35"),
}


def broker_of(account: LoopbackAlpaca, *, key: str = KEY, secret: str = SECRET) -> AlpacaBroker:
    """A new broker on the account, as a process that has just started has one."""
    access = AlpacaAccess(SecretStr(key), SecretStr(secret), account.url, account.url, FAST)
    return AlpacaBroker(AlpacaConnection(access, sleep=lambda seconds: None), clock=lambda: NOW)


def with_quotes(account: LoopbackAlpaca, *, size: int = 1_000_000) -> LoopbackAlpaca:
    """The account with the quotes of the condor's legs."""
    for symbol, (bid, ask) in QUOTES.items():
        account.quote(symbol, bid, ask, size)
    return account


def condor(*, contracts: int = 2, ticker: str = "SPY", session: pd.Timestamp = SESSION) -> Order:
    """An opening order of an iron condor: 450/440 puts and 470/480 calls."""
    key = PlanKey(ticker, session, "24h", "matrix")
    legs = (
        OrderLeg("sell", "put", 450.0, EXPIRATION),
        OrderLeg("buy", "put", 440.0, EXPIRATION),
        OrderLeg("sell", "call", 470.0, EXPIRATION),
        OrderLeg("buy", "call", 480.0, EXPIRATION),
    )
    return Order(
        order_id=key.order_id("open"), key=key, intent="open", structure="iron_condor", legs=legs,
        contracts=contracts, size=1.0, max_loss_usd=700.0 * contracts, names_contracts=True,
        target_session=session + pd.Timedelta(days=1),
    )  # fmt: skip


def long_call(*, contracts: int = 3, strike: float = 470.0) -> Order:
    """An opening order of one bought call."""
    key = PlanKey("SPY", SESSION, "48h", "expected_value")
    return replace(
        condor(contracts=contracts), order_id=key.order_id("open"), key=key, structure="long_call",
        legs=(OrderLeg("buy", "call", strike, EXPIRATION),),
    )  # fmt: skip


def closing(order: Order, *, attempt: int = 1) -> Order:
    """The order that closes what another opened."""
    identity = order.key.order_id("close", attempt=attempt)
    return replace(order, order_id=identity, intent="close", reason="horizon")
