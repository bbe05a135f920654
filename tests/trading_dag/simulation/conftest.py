"""Small simulated worlds, made once for all tests that read them."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import pandas as pd
import pytest

from trading_dag.simulation.parameters import underlying_of
from trading_dag.simulation.paths import Path, SimulatedMarket, simulate_market, simulate_path
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.simulation.timeline import timeline

FAR = pd.Timestamp("2026-11-20")


def settings_of(seed: int, *, years: int = 3, fair: bool = False) -> SimulationSettings:
    return SimulationSettings(seed=seed, years=years, fair=fair, first_session=dt.date(2015, 1, 2))


def market_of(seed: int, *, years: int = 3, fair: bool = False, last: pd.Timestamp = FAR) -> SimulatedMarket:
    settings = settings_of(seed, years=years, fair=fair)
    return simulate_market(settings, _timeline(settings, last))


def path_of(market: SimulatedMarket, ticker: str) -> Path:
    return simulate_path(market, underlying_of(market.settings.seed, ticker, fair=market.settings.fair))


@lru_cache(maxsize=64)
def _timeline(settings: SimulationSettings, last: pd.Timestamp):
    # The same sessions for every seed: only the numbers on them differ.
    return timeline(settings.model_copy(update={"seed": 0, "fair": False}), last=last)


@pytest.fixture(scope="package")
def market() -> SimulatedMarket:
    return market_of(42)


@pytest.fixture(scope="package")
def share(market: SimulatedMarket) -> Path:
    return path_of(market, "SIMAA")


@pytest.fixture(scope="package")
def fund(market: SimulatedMarket) -> Path:
    return path_of(market, "SPY")
