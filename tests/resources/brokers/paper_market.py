"""A small market, its signals and a desk on them, session by session, as an operator's machine would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from resources.brokers.desk import Desk
from resources.brokers.journal import Journal, MemoryJournal
from resources.brokers.kill_switch import KillSwitch
from resources.brokers.paper_broker import PaperBroker
from trading_dag.paper.decisions import SIGNAL_COLUMNS, Signals, Verdict
from trading_dag.paper.one_position import TickerView
from trading_dag.paper.views import modelled_view
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings, PaperSettings
from trading_dag.settings import Settings

SOURCE = "simulated"
NO_LIMITS = PaperSettings(trade_limit=100, day_limit=100, ticker_limit=100, drawdown_limit=1)
STRUCTURES = ("long_call", "bull_call_spread", "bear_put_spread", "bull_put_spread", "bear_call_spread", "iron_condor")


def paper_settings(home: Path, *, paper: PaperSettings = NO_LIMITS, **book: object) -> Settings:
    """Settings with half spreads of 2 % whose account trades without limits, unless others are given."""
    backtest = BacktestSettings(half_spread_fraction=0.02, **book)  # type: ignore[arg-type]
    return Settings(_env_file=None, home=home, source=SOURCE).model_copy(update={"backtest": backtest, "paper": paper})


@dataclass(frozen=True)
class PaperMarket:
    """Prices, index, rates and signals of SPY; one row a session."""

    prices: pd.DataFrame
    volatility_index: pd.DataFrame
    rates: pd.DataFrame
    signals: pd.DataFrame

    @property
    def sessions(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.prices["session"])

    def through(self, session: pd.Timestamp) -> PaperMarket:
        return PaperMarket(
            *(frame[frame["session"] <= session].reset_index(drop=True) for frame in vars(self).values())
        )

    def view(self, settings: Settings) -> TickerView:
        return modelled_view("SPY", self.prices, self.volatility_index, rates=self.rates, settings=settings)


def market_of(
    seed: int, *, sessions: int, offset: int = 5, horizon: str = "168h", strategies: tuple[str, ...] = STRUCTURES
) -> PaperMarket:
    """A seeded walk with an index that wanders, and a signal at every session."""
    draw = np.random.default_rng(seed)
    start = int(all_sessions().searchsorted(pd.Timestamp("2019-01-02")))
    days = all_sessions()[start : start + sessions]
    closes = 300.0 * np.exp(np.cumsum(draw.normal(0.0, 0.012, sessions)))
    opens = closes * np.exp(draw.normal(0.0, 0.004, sessions))
    index = 18.0 * np.exp(np.cumsum(draw.normal(0.0, 0.05, sessions)) * 0.3)
    prices = pd.DataFrame({
        "ticker": "SPY", "session": days, "open": opens, "high": np.maximum(opens, closes),
        "low": np.minimum(opens, closes), "close": closes, "adj_close": closes, "volume": 1.0, "dividend": 0.0,
        "split_factor": 1.0,
    })  # fmt: skip
    levels = {"open": index * np.exp(draw.normal(0, 0.02, sessions)), "close": index}
    volatility_index = pd.DataFrame({"ticker": "SPY", "session": days, **levels})
    signals = pd.DataFrame({
        "ticker": "SPY", "horizon": horizon, "session": days, "rule": "matrix", "is_served": True,
        "target_session": all_sessions()[start + offset : start + offset + sessions],
        "strategy": draw.choice(strategies, sessions), "design_size": draw.choice(["FULL", "HALF"], sessions),
        "edge": "no_edge", "direction": draw.choice(["UP", "DOWN"], sessions), "legs": None, "contracts": 1,
        "max_loss_usd": 500.0, "model_version": "aaaa", "volatility_model_version": "bbbb", "overall_confidence": 0.6,
    })  # fmt: skip
    signals["position_size"] = signals["design_size"].map({"FULL": 1.0, "HALF": 0.5})
    rates = pd.DataFrame({"session": days, "treasury_3m": 2.0})
    return PaperMarket(prices, volatility_index, rates, signals)


@dataclass
class Operator:
    """Keeps an account's journals and folder over the sessions, and makes a desk anew at each, as a process would."""

    market: PaperMarket
    settings: Settings
    journal: Journal = field(default_factory=MemoryJournal)
    books: Journal = field(default_factory=MemoryJournal)

    @property
    def switch(self) -> KillSwitch:
        return KillSwitch(self.settings.home / "paper")

    def desk(self, session: pd.Timestamp) -> Desk:
        known = self.market.through(session)
        views = {"SPY": known.view(self.settings)}
        cash = self.settings.backtest.account_usd

        def clock() -> pd.Timestamp:
            return pd.Timestamp(session).tz_localize("UTC") + pd.Timedelta(hours=23)

        return Desk(
            journal=self.journal,
            broker=PaperBroker(self.books, views=views, cash_usd=cash, clock=clock),
            switch=self.switch,
            settings=self.settings.paper,
            views=views,
            signals=Signals(known.signals[list(SIGNAL_COLUMNS)], source=SOURCE),
            cash_usd=cash,
            clock=clock,
        )

    def work(self, session: pd.Timestamp) -> tuple[Desk, list[Verdict]]:
        """One evening: advance, compare, trade."""
        desk = self.desk(session)
        desk.advance()
        assert all(item["is_matched"] for item in desk.reconcile())
        return desk, desk.trade()
