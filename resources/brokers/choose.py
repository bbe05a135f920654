"""Which broker the settings name, on which quotes; and that none of them trades real money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pandas as pd

from resources.brokers.broker import Broker
from resources.brokers.desk import Desk
from resources.brokers.journal import FileJournal, Journal
from resources.brokers.kill_switch import KillSwitch
from resources.brokers.paper_broker import PaperBroker
from trading_dag.errors import ConfigurationError, LiveTradingError, SliceBusyError
from trading_dag.paper.decisions import Signals
from trading_dag.paper.one_position import TickerView
from trading_dag.setting_groups import LIVE_CONFIRMATION
from trading_dag.settings import Settings

FOLDER: Final = "paper"
JOURNAL: Final = "journal.jsonl"
BOOKS: Final = "broker.jsonl"
LOCK: Final = ".lock"
PATIENCE_SECONDS: Final = 600.0


def present() -> pd.Timestamp:
    """Return the present, UTC."""
    return pd.Timestamp.now("UTC")


def account_folder(home: Path) -> Path:
    """Return the folder of the account: its journal, the built-in broker's books, the kill switch and the lock."""
    return home / FOLDER


@contextmanager
def held_account(home: Path) -> Iterator[FileJournal]:
    """Hold the account for one writer, and yield its journal as it is then.

    Raises
    ------
    SliceBusyError : where another process holds it for longer than any run may.
    JournalError : where the journal is not as it was written.
    """
    from filelock import FileLock, Timeout

    folder = account_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        raise SliceBusyError(f"another process has held the paper account in {folder} for too long") from None
    try:
        yield FileJournal(folder / JOURNAL)
    finally:
        lock.release()


def build_desk(
    settings: Settings,
    journal: Journal,
    *,
    views: Mapping[str, TickerView],
    signals: Signals,
    clock: Callable[[], pd.Timestamp] = present,
) -> Desk:
    """Return the desk of the account in the settings' home, with the broker that they name.

    Raises
    ------
    LiveTradingError, ConfigurationError : as for ``build_broker``.
    JournalError : where the account is of another source or broker.
    """
    return Desk(
        journal=journal,
        broker=build_broker(settings, views=views, clock=clock),
        switch=KillSwitch(account_folder(settings.home)),
        settings=settings.paper,
        views=views,
        signals=signals,
        cash_usd=settings.backtest.account_usd,
        clock=clock,
    )


def build_broker(settings: Settings, *, views: Mapping[str, TickerView], clock: Callable[[], pd.Timestamp]) -> Broker:
    """Return the broker that the settings name.

    Raises
    ------
    LiveTradingError : where real money is asked for; there is no broker for it.
    ConfigurationError : where there is no such broker here.
    """
    refuse_live_trading(settings)
    if settings.paper.broker == "paper":
        return PaperBroker(
            FileJournal(account_folder(settings.home) / BOOKS),
            views=views,
            cash_usd=settings.backtest.account_usd,
            clock=clock,
        )
    if settings.paper.broker == "alpaca":
        from resources.brokers.alpaca_broker import build_alpaca_broker

        return build_alpaca_broker(settings)
    raise ConfigurationError(
        f"TRADING_DAG_PAPER__BROKER={settings.paper.broker}: there is no broker, so nothing is traded; `paper` is the "
        "built-in one"
    )


def refuse_live_trading(settings: Settings) -> None:
    """Demand that nobody asks for real money.

    Raises
    ------
    LiveTradingError : where one of its two settings is set, or both.
    """
    is_asked, is_confirmed = settings.paper.live, settings.paper.live_confirmation == LIVE_CONFIRMATION
    if is_asked and is_confirmed:
        raise LiveTradingError("real money is asked for and confirmed, but no broker of this project trades it")
    if is_asked or settings.paper.live_confirmation:
        missing = "TRADING_DAG_PAPER__LIVE_CONFIRMATION" if is_asked else "TRADING_DAG_PAPER__LIVE"
        raise LiveTradingError(
            f"real money needs two settings, and {missing} does not say so; unset both to trade on paper"
        )
