"""Which broker the settings name, on which quotes; and that none of them trades real money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from resources.brokers.broker import Broker
from resources.brokers.journal import FileJournal
from resources.brokers.paper_broker import PaperBroker
from trading_dag.errors import ConfigurationError, LiveTradingError
from trading_dag.paper.one_position import TickerView
from trading_dag.setting_groups import LIVE_CONFIRMATION
from trading_dag.settings import Settings

FOLDER: Final = "paper"
JOURNAL: Final = "journal.jsonl"
BOOKS: Final = "broker.jsonl"


def account_folder(home: Path) -> Path:
    """Return the folder of the account: its journal, the built-in broker's books, the kill switch and the lock."""
    return home / FOLDER


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
    raise ConfigurationError(
        f"TRADING_DAG_PAPER__BROKER={settings.paper.broker}: this broker is not there; `paper` is built in"
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
