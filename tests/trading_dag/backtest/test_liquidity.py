"""How much of the spread a fill pays, by volume and open interest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market, spread_share_paid
from trading_dag.backtest.plans.trade_plan import FillAssumptions
from trading_dag.errors import ConfigurationError, SchemaError

HALF = FillAssumptions(spread_share=0.5, liquid_volume=100.0, liquid_open_interest=1_000.0)
DAY = {"2024-01-02": (100.0, {("P", strike): (2.0, 3.0, -0.3) for strike in (90.0, 91.0, 92.0, 93.0)})}


def market(fills: FillAssumptions = HALF, **columns: Any) -> ChainMarket:
    frame = chain_frame(DAY, expiration="2024-01-19").assign(**columns)
    return chain_market(frame, ticker="TEST", fills=fills)


def test_a_liquid_leg_pays_the_share_a_dead_one_all_and_what_lies_between_linearly() -> None:
    volume = [100.0, 50.0, 0.0, np.nan]
    found = market(volume=volume, open_interest=1_000.0)
    rows = np.arange(4)
    # The middle is 2.50, the half spread 0.50: of it one half, three quarters, all and all are paid.
    assert found.buy_price(rows) == pytest.approx([2.75, 2.88, 3.0, 3.0])
    assert found.sell_price(rows) == pytest.approx([2.25, 2.12, 2.0, 2.0])


def test_the_lesser_of_volume_and_open_interest_decides() -> None:
    share = spread_share_paid(np.array([1e6, 25.0, 80.0]), np.array([200.0, 1e6, np.nan]), fills=HALF)
    assert share == pytest.approx([1.0 - 0.5 * 0.2, 1.0 - 0.5 * 0.25, 1.0])


def test_one_column_alone_is_enough_and_none_is_refused() -> None:
    assert market(open_interest=1_000.0).buy_price(np.arange(1)) == pytest.approx([2.75])
    with pytest.raises(SchemaError, match=r"volume, open_interest.*spread_share"):
        market()


def test_what_has_no_bid_is_not_sold_at_the_middle() -> None:
    found = market(volume=1e6, bid=0.0)
    assert found.sell_price(np.arange(4)).tolist() == [0.0] * 4
    assert found.buy_price(np.arange(4)) == pytest.approx([2.25] * 4)


def test_a_last_trade_pays_its_assumed_half_spread_by_the_same_share() -> None:
    fills = FillAssumptions(half_spread_fraction=0.04, spread_share=0.5, liquid_volume=100.0)
    found = market(fills, bid=np.nan, ask=np.nan, last=2.5, volume=[100.0, 100.0, 1.0, 1.0])
    # Half a spread is 0.10; at a hundredth of what is liquid 99.5 % of it is paid, and prices are rounded outwards.
    assert found.buy_price(np.arange(4)) == pytest.approx([2.55, 2.55, 2.60, 2.60])
    assert found.sell_price(np.arange(4)) == pytest.approx([2.45, 2.45, 2.40, 2.40])


def test_a_share_of_one_changes_nothing() -> None:
    plain, shared = market(FillAssumptions()), market(FillAssumptions(spread_share=1.0, liquid_volume=5.0), volume=3.0)
    pd.testing.assert_series_equal(pd.Series(plain.buy_price(np.arange(4))), pd.Series(shared.buy_price(np.arange(4))))


@pytest.mark.parametrize("wrong", [{"spread_share": -0.1}, {"spread_share": 1.1}, {"liquid_volume": 0.0}])
def test_shares_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        FillAssumptions(**wrong)
