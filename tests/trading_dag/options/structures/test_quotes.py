"""Modelled quotes: spread, slippage and tick, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.options.structures.quotes import modelled_quotes
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings

FLAT = SurfaceSettings(atm_ratio=1, term_slope=0, skew=0, curvature=0, risk_free_rate=0.0, dividend_yield=0.0)


@pytest.mark.parametrize(
    ("slippage", "bid", "ask"),
    [
        # A three-month at-the-money call at 20 %: 3.98776 (Black-Scholes, 100·(2·Φ(0.05) − 1)). Half spread 2 %.
        (0.0, 3.90, 4.07),  # 3.90800 down, 4.06751 up to the cent
        (0.01, 3.86, 4.11),  # 3.86892 down, 4.10819 up
    ],
)
def test_slippage_is_taken_off_the_bid_and_put_onto_the_ask(slippage: float, bid: float, ask: float) -> None:
    book = BacktestSettings(half_spread_fraction=0.02, slippage_fraction=slippage)
    quotes = modelled_quotes(
        ModelledSurface(20.0, 0.0, 0.0, FLAT), 100.0, strike=np.array([100.0]), years=0.25, is_call=True, settings=book
    )
    assert quotes.middle == pytest.approx([3.98776], abs=5e-6)
    assert quotes.bid == pytest.approx([bid])
    assert quotes.ask == pytest.approx([ask])
