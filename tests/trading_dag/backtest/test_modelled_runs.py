"""What a process keeps of one horizon's comparison gives the others what they would have found, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.runs import modelled_runs as runs
from trading_dag.backtest.runs.structure_comparison import compare_modelled
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.slices import horizon_of

MENU = {name: STRUCTURES[name] for name in ("bull_put_spread", "covered_call", "long_straddle")}


@pytest.fixture
def compare(settings, random_frames):
    """A comparison on a seeded market of 150 sessions, as it is or with other prices or settings."""
    frames = random_frames(11, sessions=150)
    runs.modelled_runs.cache_clear()

    def compared(horizon: str, *, prices=frames.prices, settings=settings) -> pd.DataFrame:
        return compare_modelled(
            prices, frames.volatility_index, rates=frames.rates, ticker="SPY", menu=MENU,
            horizon=horizon_of(horizon), settings=settings,
        ).table  # fmt: skip

    compared.frames = frames
    return compared


def test_a_horizon_after_others_finds_what_it_finds_alone(compare) -> None:
    alone = compare("48h")
    runs.modelled_runs.cache_clear()
    compare("24h")
    compare("12h")
    after = compare("48h")
    assert runs.modelled_runs.cache_info().misses == 3
    assert runs.modelled_runs.cache_info().hits == 6
    pd.testing.assert_frame_equal(after, alone, check_exact=True)


def test_another_close_is_another_ground(compare) -> None:
    before = compare("48h")
    prices = compare.frames.prices.copy()
    prices.loc[prices.index[60], "close"] += 3.0
    after = compare("48h", prices=prices)
    assert not after["total_pnl_usd"].equals(before["total_pnl_usd"])
    runs.modelled_runs.cache_clear()
    pd.testing.assert_frame_equal(after, compare("48h", prices=prices), check_exact=True)


def test_grounds_are_equal_by_their_numbers_alone(compare, settings) -> None:
    frames = compare.frames
    paid = frames.prices.assign(dividend=0.0)
    more = paid.copy()
    more.loc[more.index[60], "dividend"] = 3.0

    def ground(prices: pd.DataFrame) -> runs.ModelledGround:
        market = build_market(prices, frames.volatility_index, rates=frames.rates, settings=settings)
        return runs.ModelledGround(market, prices, tuple(MENU.values()), days_to_expiration=30, years=5.0)

    assert ground(paid) == ground(paid.copy())
    assert ground(more) != ground(paid)


def test_other_settings_are_another_ground(compare, settings) -> None:
    before = compare("48h")
    dearer = settings.model_copy(
        update={"backtest": settings.backtest.model_copy(update={"fee_per_leg_contract_usd": 5.0})}
    )
    after = compare("48h", settings=dearer)
    assert (after["fees_usd"] > before["fees_usd"]).any()
    assert runs.modelled_runs.cache_info().hits == 0
