"""Limits on the delta and the vega of an account, asked before each trade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.exposures import greeks_through_time, position_greeks
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_runs import PlannedEntries, run_account, run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.structure import structure_of

VOLATILITY = 0.3
# One contract a trade: at most 2,000 USD at risk, and a put of three weeks costs some 1,000 for a hundred shares.
ONE = {"account_usd": 1e6, "risk_fraction": 0.0012, "fee_per_leg_contract_usd": 0.0}


def market_of(spots: Any) -> Any:
    chain = fair_chain(np.asarray(spots, dtype=float), volatility=VOLATILITY, half_spread=0.0)
    return small_market(chain[(chain["bid"] > 0.01)].reset_index(drop=True))


def plan(name: str, exits: ExitRules | None = None, **limits: Any) -> TradePlan:
    structure = structure_of(name)
    return TradePlan(
        name, structure, (TargetDelta(0.4, 0.2),) * len(structure.legs), ExpirationChoice(21, 15, 27),
        exits or ExitRules(horizon_sessions=4), AccountRules(**{**ONE, **limits}),
    )  # fmt: skip


def run(asked: TradePlan, spots: Any = (400.0,) * 10) -> PlanResult:
    market = market_of(spots)
    return run_plan(market, asked, entries=entries_every_session(market))


def own_delta(result: PlanResult, row: int, *, spot: float, days: int) -> float:
    """Delta of a bought put, from the textbook."""
    strike = result.paths.positions.strikes[row, 0]
    deviation = VOLATILITY * np.sqrt(days / 365)
    return float(100 * result.contracts[row] * (norm.cdf(np.log(spot / strike) / deviation + deviation / 2) - 1))


def test_no_trade_is_taken_that_brings_delta_beyond_its_limit() -> None:
    free = run(plan("long_put"))
    assert free.is_taken[:4].all()
    first = own_delta(free, 0, spot=400.0, days=int(free.paths.days_left[0, 0]))
    limited = run(plan("long_put", maximum_delta=2.5 * abs(first)))
    # Two at a time fit, and a third only when the first has left, after four sessions.
    assert limited.is_taken[:4].tolist() == [True, True, False, False]
    assert limited.skip_reason[2] == limited.skip_reason[3] == "delta_limit"
    assert limited.is_taken[4]
    held = greeks_through_time(limited, position_greeks(limited))
    assert np.abs(held.delta).max() <= 2.5 * abs(first) * 1.1
    assert np.abs(greeks_through_time(free, position_greeks(free)).delta).max() > 2.5 * abs(first) * 1.2


def test_no_trade_is_taken_that_brings_vega_beyond_its_limit() -> None:
    free = run(plan("long_put"))
    one = greeks_through_time(free, position_greeks(free)).vega[0] / 100.0
    limited = run(plan("long_put", maximum_vega_usd=1.5 * one))
    assert limited.is_taken[:4].tolist() == [True, False, False, False]
    assert set(limited.skip_reason[1:4]) == {"vega_limit"}


def test_a_trade_that_brings_delta_closer_to_zero_is_taken_however_far_it_is() -> None:
    market = market_of((400.0, 400.0, 340.0, 340.0, 340.0))
    puts = plan("long_put", ExitRules())
    calls = replace(plan("long_call", ExitRules()), name="calls")
    together = [PlannedEntries(puts, entries_at(market, [0, 1, 3])), PlannedEntries(calls, entries_at(market, [3]))]
    account = AccountRules(**ONE, maximum_delta=110.0)
    result = run_account(market, together, account=account)
    # Two puts at -40 or so each; after the fall each is near -100, so that no further put is taken, but the call is.
    assert result.results[0].is_taken.tolist() == [True, True, False]
    assert result.results[0].skip_reason[2] == "delta_limit"
    assert result.results[1].is_taken.tolist() == [True]


def test_a_roll_is_asked_for_as_an_entry_is_and_only_what_was_taken_rolls() -> None:
    rolling = ExitRules(roll_days_to_expiration=18)
    free = run(plan("long_put", rolling), (400.0,) * 25)
    assert (free.rolled_from >= 0).any()
    first = own_delta(free, 0, spot=400.0, days=int(free.paths.days_left[0, 0]))
    limited = run(plan("long_put", rolling, maximum_delta=1.5 * abs(first)), (400.0,) * 25)
    taken = np.flatnonzero(limited.is_taken)
    for row in taken[limited.rolled_from[taken] >= 0]:
        assert limited.is_taken[limited.rolled_from[row]]
    rolled = limited.rolled_from >= 0
    assert rolled.any()
    assert limited.is_taken[limited.rolled_from[rolled]].all()
    assert limited.history.open_positions.max() == 1


def test_where_a_mark_implies_no_volatility_a_limit_refuses_and_no_limit_does_not() -> None:
    chain = fair_chain(np.array([400.0] * 6), volatility=VOLATILITY, half_spread=0.0)
    day = chain["quote_date"].min()
    chain.loc[(chain["quote_date"] == day) & (chain["option_right"] == "C"), ["bid", "ask"]] = 401.0
    market = small_market(chain[chain["bid"] > 0.01].reset_index(drop=True))
    whole = {"account_usd": 1e9, "risk_fraction": 0.001}
    entries = entries_at(market, [0])
    dear = plan("long_call", **whole)  # dearer than the share itself, which no volatility explains
    assert run_plan(market, dear, entries=entries).is_taken.all()
    limited = replace(dear, account=replace(dear.account, maximum_delta=1e9))
    assert run_plan(market, limited, entries=entries).skip_reason.tolist() == ["unknown_greeks"]


@pytest.mark.parametrize("wrong", [{"maximum_delta": 0.0}, {"maximum_vega_usd": -1.0}, {"maximum_delta": np.nan}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        AccountRules(**wrong)
