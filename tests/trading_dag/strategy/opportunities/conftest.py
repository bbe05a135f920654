"""A made market: lognormal forecasts of price and volatility level whose outcomes are drawn from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from trading_dag.frames import table_frame
from trading_dag.schemas import PREDICTIONS_PRICE, PREDICTIONS_VOLATILITY_LEVEL, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.served_models import SERVED_PRICE, SERVED_VOLATILITY_LEVEL
from trading_dag.sessions import all_sessions, target_sessions
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of

SCORES = norm.ppf(QUANTILE_LEVELS)


@pytest.fixture
def free(settings: Settings) -> Settings:
    """Settings without costs, on a flat surface at the index itself, without carry, so that textbook formulas apply."""
    surface = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)
    book = BacktestSettings(
        fee_per_leg_contract_usd=0.0, half_spread_fraction=0.0, half_spread_minimum_usd=0.0, price_tick_usd=1e-9
    )
    return settings.model_copy(update={"surface": surface, "backtest": book})


@pytest.fixture
def world() -> Callable[..., dict[str, Any]]:
    """Inputs of ``build_opportunities``: n sessions, index 20, flat levels, and forecasts of given centre and width.

    ``deviation`` and ``centre`` are of the logarithm of the price at the target, over the close; so are
    ``level_deviation`` and ``correlation`` of the index.
    """

    def made(
        *,
        horizon: str = "168h",
        sessions: int = 300,
        centre: float = 0.0,
        deviation: float = 0.02,
        level_deviation: float = 1e-6,
        correlation: float = 0.0,
        index: float = 20.0,
        last: str = "2024-06-28",
        seed: int = 7,
    ) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        days = all_sessions()[: int(all_sessions().searchsorted(pd.Timestamp(last))) + 1][-sessions:]
        targets = target_sessions(days, horizon_of(horizon))
        closes = np.full(len(days), 100.0)
        first, second = rng.standard_normal((2, len(days)))
        level_score = correlation * first + np.sqrt(1.0 - correlation**2) * second
        is_known = np.asarray(targets <= days[-1])
        head = {"ticker": "SPY", "horizon": horizon, "session": days, "target_session": targets, "fold": 1,
                "fitted_through": days[0] - pd.Timedelta(days=30), "is_baseline": False,
                "is_out_of_sample": True}  # fmt: skip
        price = table_frame(PREDICTIONS_PRICE, {
            **head, "model": SERVED_PRICE, "sessions_ahead": horizon_of(horizon).target_offset, "close": closes,
            "y_true": np.where(is_known, closes * np.exp(centre + deviation * first), np.nan), "y_pred": closes,
            **{name: closes * np.exp(centre + deviation * score)
               for name, score in zip(QUANTILE_COLUMNS, SCORES, strict=True)},
        }, rows=len(days))  # fmt: skip
        level = table_frame(PREDICTIONS_VOLATILITY_LEVEL, {
            **head, "model": SERVED_VOLATILITY_LEVEL, "index_level": index,
            "y_true": np.where(is_known, index * np.exp(level_deviation * level_score), np.nan), "y_pred": index,
            "expected_level": index, "probability_rise": 0.5, "expected_iv_direction": "STABLE",
            **{name: index * np.exp(level_deviation * score)
               for name, score in zip(QUANTILE_COLUMNS, SCORES, strict=True)},
        }, rows=len(days))  # fmt: skip
        # The open is yesterday's close: nothing of the forecast happens before the entry.
        prices = pd.DataFrame({"ticker": "SPY", "session": days, "open": closes, "close": closes, "adj_close": closes,
                               "split_factor": np.nan})  # fmt: skip
        volatility = pd.DataFrame({"ticker": "SPY", "session": days, "open": index, "close": index, "symbol": "VIX"})
        rates = pd.DataFrame({"session": days, "treasury_3m": 0.0})
        return {"price": price, "level": level, "prices": prices, "volatility_index": volatility, "rates": rates}

    return made
