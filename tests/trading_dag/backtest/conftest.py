"""Small markets whose every number is chosen by the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from trading_dag.backtest.runs.signal_backtest import BacktestResult, run_backtest
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of

FLAT_SURFACE = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)


@dataclass(frozen=True)
class Frames:
    """The three market tables of one underlying, and the signals."""

    prices: pd.DataFrame
    volatility_index: pd.DataFrame
    rates: pd.DataFrame
    signals: pd.DataFrame

    def run(self, horizon: str, settings: Settings, **arguments: object) -> BacktestResult:
        return run_backtest(
            self.signals, self.prices, self.volatility_index, rates=self.rates, horizon=horizon_of(horizon),
            settings=settings, **arguments,
        )  # fmt: skip

    def changed(self, **frames: pd.DataFrame) -> Frames:
        return replace(self, **frames)


@pytest.fixture
def flat(settings: Settings) -> Settings:
    """Half spreads of 2 % and default rules on a flat surface at the index level: textbook formulas apply."""
    book = BacktestSettings(half_spread_fraction=0.02)
    return settings.model_copy(update={"surface": FLAT_SURFACE, "backtest": book})


@pytest.fixture
def make_frames() -> Callable[..., Frames]:
    """Build frames from lists: one entry a session from ``first`` on, NaN index levels allowed."""

    def build(
        first: str, *, opens: list[float], closes: list[float], index_opens: list[float], index_closes: list[float],
        signals: dict[int, tuple[str, str]],
    ) -> Frames:  # fmt: skip
        start = int(all_sessions().searchsorted(pd.Timestamp(first)))
        sessions = all_sessions()[start : start + len(opens)]
        high, low = np.maximum(opens, closes), np.minimum(opens, closes)
        prices = pd.DataFrame({
            "ticker": "SPY", "session": sessions, "open": opens, "high": high, "low": low, "close": closes,
            "adj_close": closes, "volume": 1.0,
        })  # fmt: skip
        index = pd.DataFrame({"ticker": "SPY", "session": sessions, "open": index_opens, "close": index_closes})
        where = sorted(signals)
        recommended = pd.DataFrame({
            "ticker": "SPY", "session": sessions[where],
            "strategy": [signals[row][0] for row in where], "design_size": [signals[row][1] for row in where],
            "overall_confidence": 0.6,
        })  # fmt: skip
        rates = pd.DataFrame({"session": sessions, "treasury_3m": 0.0})
        return Frames(prices, index, rates, recommended)

    return build


@pytest.fixture
def random_frames() -> Callable[..., Frames]:
    """A seeded random walk with an index that wanders, and a signal on most sessions."""

    def build(seed: int, *, sessions: int, first: str = "2019-01-02") -> Frames:
        generator = np.random.default_rng(seed)
        start = int(all_sessions().searchsorted(pd.Timestamp(first)))
        days = all_sessions()[start : start + sessions]
        closes = 300.0 * np.exp(np.cumsum(generator.normal(0.0, 0.012, sessions)))
        opens = closes * np.exp(generator.normal(0.0, 0.004, sessions))
        index = 18.0 * np.exp(np.cumsum(generator.normal(0.0, 0.05, sessions)) * 0.3)
        prices = pd.DataFrame({
            "ticker": "SPY", "session": days, "open": opens, "high": np.maximum(opens, closes),
            "low": np.minimum(opens, closes), "close": closes, "adj_close": closes, "volume": 1.0, "dividend": 0.0,
            "split_factor": 1.0,
        })  # fmt: skip
        volatility_index = pd.DataFrame({
            "ticker": "SPY", "session": days, "close": index,
            "open": index * np.exp(generator.normal(0, 0.02, sessions)),
        })  # fmt: skip
        names = [
            "long_call", "long_put", "bull_call_spread", "bear_put_spread", "bull_put_spread", "bear_call_spread",
            "iron_condor", "no_trade",
        ]  # fmt: skip
        strategy = generator.choice(names, sessions)
        design_size = np.where(strategy == "no_trade", "NONE", generator.choice(["FULL", "HALF"], sessions))
        signals = pd.DataFrame({
            "ticker": "SPY", "session": days, "strategy": strategy, "design_size": design_size,
            "overall_confidence": 0.6,
        })  # fmt: skip
        rates = pd.DataFrame({"session": days, "treasury_3m": 2.0})
        return Frames(prices, volatility_index, rates, signals)

    return build
