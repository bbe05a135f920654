"""Which splits a chain has, what they make of a strike, and which are a skip that names them; a crash is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import EXACT, chain_frame
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market
from trading_dag.backtest.markets.corporate_actions import (
    NO_ACTIONS,
    CorporateAction,
    CorporateActions,
    splits_of_prices,
)
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_inputs import known_dividends
from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of

DAYS = [f"2024-06-{day:02}" for day in (3, 4, 5, 6, 7, 10, 11, 12, 13, 14)]
FRIDAY, LATER = "2024-06-14", "2024-07-19"


def quotes(spot: float, *, expirations: tuple[str, ...] = (FRIDAY, LATER), listed: float | None = None) -> dict:
    """A put and a call at the money, and one 5 % out; strikes around ``listed`` where that is not the spot."""
    strike = listed or spot
    rows = {}
    for expiration in expirations:
        rows |= {
            ("P", strike, expiration): (0.02 * strike, 0.021 * strike, -0.5),
            ("C", strike, expiration): (0.02 * strike, 0.021 * strike, 0.5),
            ("P", 0.95 * strike, expiration): (0.005 * strike, 0.006 * strike, -0.2),
        }
    return rows


def chain_of(spots: list[float], *, listed: list[float] | None = None) -> pd.DataFrame:
    strikes = listed or spots
    return chain_frame({
        day: (spot, quotes(spot, listed=strike)) for day, spot, strike in zip(DAYS, spots, strikes, strict=False)
    })  # fmt: skip


def market(frame: pd.DataFrame, splits: CorporateActions = NO_ACTIONS) -> ChainMarket:
    return chain_market(frame, ticker="TEST", fills=EXACT, splits=splits)


def prices(factors: dict[str, float], dividends: dict[str, float] | None = None) -> pd.DataFrame:
    days = pd.DatetimeIndex(DAYS).as_unit("us")
    return pd.DataFrame({
        "ticker": "TEST", "session": days, "split_factor": [factors.get(day, 1.0) for day in DAYS],
        "dividend": [(dividends or {}).get(day, 0.0) for day in DAYS],
    })  # fmt: skip


def run(found: ChainMarket, entry: int, *, name: str = "long_put", exits: ExitRules | None = None) -> PlanResult:
    plan = TradePlan(
        name, structure_of(name), (TargetDelta(0.5),) * len(structure_of(name).legs), ExpirationChoice(8, 1, 12),
        exits or ExitRules(), AccountRules(account_usd=1e6, risk_fraction=1.0),
    )  # fmt: skip
    return run_plan(found, plan, entries=entries_at(found, [entry]))


TEN_FOR_ONE = [1_200.0] * 5 + [120.0] * 5


@pytest.mark.parametrize(
    ("spots", "named"),
    [
        # 20 for 1 and a fall of 1 % on the day
        ([2_000.0] * 5 + [99.0] * 5, "looks like 20 for 1 on 2024-06-10"),
        ([10.0] * 5 + [80.5] * 5, "looks like 1 for 8 on 2024-06-10"),
        ([90.0] * 5 + [60.0] * 5, "looks like 1.5 for 1 on 2024-06-10"),
    ],
)  # fmt: skip
def test_a_split_whose_terms_only_a_jump_tells_is_a_skip_that_names_it(spots, named):
    assert run(market(chain_of(spots)), 0).skip_reasons() == {f"split_while_held: {named}": 1}


def test_a_crash_that_leaves_its_contracts_listed_is_no_split():
    crashed = market(chain_of([100.0] * 5 + [40.0] * 5, listed=[100.0] * 10))
    result = run(crashed, 0)
    assert result.skip_reasons() == {}
    # A put at 100 bought at 2.10, settled at 60: that is what it earned, a contract, less two fees.
    assert result.trades()["pnl_usd"].iloc[0] / result.contracts[0] == pytest.approx(5_790.0 - 1.30)


def test_whoever_enters_after_the_split_or_leaves_by_expiration_before_it_is_no_part_of_it():
    found = market(chain_of(TEN_FOR_ONE), splits_of_prices(prices({"2024-06-10": 10.0})))
    assert run(found, 5).skip_reasons() == {}
    # Recorded for the session after the expiration.
    later = CorporateActions((CorporateAction(int(np.datetime64("2024-06-17", "D").astype(int)), "later", 2.0),))
    assert run(market(chain_of([100.0] * 10), later), 0).skip_reasons() == {}


def test_a_split_within_a_hole_of_the_chain_is_named_once_by_what_the_prices_record():
    frame = chain_of(TEN_FOR_ONE)
    holed = frame[~frame["quote_date"].isin(pd.to_datetime(["2024-06-07", "2024-06-10", "2024-06-11"]))]
    found = market(holed, splits_of_prices(prices({"2024-06-10": 10.0})))
    assert found.actions.names == ("10 for 1 on 2024-06-10",)
    assert market(holed).actions.names == ("looks like 10 for 1 on 2024-06-12",)


def test_random_entries_are_held_over_a_split_and_drawn_on_every_session():
    found = market(chain_of(TEN_FOR_ONE), splits_of_prices(prices({"2024-06-10": 10.0})))
    luck = random_entry_runs(found, run(found, 6), runs=100, seed=1)
    assert luck.sessions == 9


def test_a_split_of_unknown_terms_is_no_session_to_be_held_over_by_random_entries_either():
    found = market(chain_of([2_000.0] * 5 + [99.0] * 5))
    luck = random_entry_runs(found, run(found, 6), runs=100, seed=1)
    # Of ten sessions only those from the split to the last that is not the expiration itself can be drawn.
    assert luck.sessions == 4


def test_a_recorded_split_is_of_the_chain_only_where_its_underlying_jumps():
    recorded = splits_of_prices(prices({"2024-06-10": 10.0}))
    assert [action.is_known for action in market(chain_of(TEN_FOR_ONE), recorded).actions.actions] == [True]
    # In new shares all along: nothing happens to its contracts.
    assert market(chain_of([120.0] * 10), recorded).actions.actions == ()
    # The contracts change, the price does not: nobody knows what this is.
    unlike = market(chain_of([120.0] * 10, listed=[1_200.0] * 5 + [120.0] * 5), recorded)
    assert run(unlike, 0, exits=ExitRules()).skip_reasons() == {"split_while_held: 10 for 1 on 2024-06-10": 1}


def test_a_recorded_split_that_no_price_can_tell_from_a_days_trading_is_a_skip():
    recorded = splits_of_prices(prices({"2024-06-10": 1.05}))
    found = market(chain_of([105.0] * 5 + [100.0] * 5), recorded)
    assert run(found, 0).skip_reasons() == {"split_while_held: 1.05 for 1 on 2024-06-10": 1}


@pytest.mark.parametrize(
    ("ratio", "cash", "strikes"),
    [
        (10.0, 0.0, [120.50, 47.53]),  # ten contracts of a tenth, to the cent
        (3.0, 0.0, [401.67, 158.44]),
        (1.5, 0.0, [803.33, 316.89]),  # 150 shares at two thirds
        (0.125, 0.0, [9_640.0, 3_802.64]),  # the same strike for an eighth of the shares
        (1.0, 15.0, [1_190.0, 460.33]),  # a special dividend
    ],
)  # fmt: skip
def test_strikes_become_what_the_clearing_house_makes_of_them(ratio, cash, strikes):
    action = CorporateAction(0, "any", ratio, cash)
    assert action.adjusted(np.array([1_205.0, 475.33])).tolist() == pytest.approx(strikes, abs=1e-9)
    assert action.multiplies_contracts == (ratio in (10.0, 3.0))


def test_dividends_of_a_listed_chain_are_those_of_its_day_and_of_a_modelled_one_those_of_its_prices():
    frame = prices({"2024-06-10": 10.0}, {"2024-06-05": 0.004, "2024-06-12": 0.05})
    sessions = np.array(DAYS, dtype="datetime64[D]")
    assert known_dividends(frame, sessions).dividends.amounts.tolist() == pytest.approx([0.04, 0.05])
    as_stored = known_dividends(frame, sessions, are_split_adjusted=True)
    assert as_stored.dividends.amounts.tolist() == pytest.approx([0.004, 0.05])


@pytest.mark.parametrize("factor", [1.0, np.nan, 0.0, -2.0, np.inf])
def test_a_factor_that_is_no_split_names_none(factor):
    assert splits_of_prices(prices({"2024-06-10": factor})).names == ()


@pytest.mark.parametrize(
    ("factor", "named"), [(10.0, "10 for 1"), (1.5, "1.5 for 1"), (0.125, "1 for 8"), (1.281, "1.281 for 1")]
)
def test_a_recorded_split_is_named_as_it_is_recorded(factor, named):
    assert splits_of_prices(prices({"2024-06-10": factor})).names == (f"{named} on 2024-06-10",)


def test_a_session_without_a_price_hides_no_split():
    frame = chain_of(TEN_FOR_ONE)
    frame.loc[frame["quote_date"] == "2024-06-10", "underlying_price"] = np.nan
    assert market(frame).actions.names == ("looks like 10 for 1 on 2024-06-11",)
