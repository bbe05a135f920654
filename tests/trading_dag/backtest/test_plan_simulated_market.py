"""Trade plans on the simulated source's chains: on its fair market they earn nothing but their costs, with premia they
pay for insurance.

Every trade is of a world of its own, so trades are independent. Their chains are laid one after the other in one
chain, weekday on weekday: the same engine, one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.trading_dag.backtest.plan_chains import KEY, put_delta
from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import fills_of, plan_of
from trading_dag.backtest.plans.trade_plan import FillAssumptions, TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_runs import run_plans
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of
from trading_dag.setting_groups import BacktestSettings
from trading_dag.simulation.chain import session_chain
from trading_dag.simulation.paths import Path, SimulatedMarket

TICKER = "SPY"
WORLDS, PREMIUM_WORLDS = 80, 40
# Sessions of a world on which a trade may be entered. With premia prices drift: before long the paths have parted.
ANY, EARLY = (40, 190), (5, 25)
DAYS, HELD_SESSIONS = 30, 10
APART = pd.Timedelta(days=63)
# Before the exchange calendar begins: a week that is moved must not meet a holiday.
FIRST_MONDAY = pd.Timestamp("1970-01-05")
# So large that every trade is taken: capital is another test's business.
SETTINGS = BacktestSettings(account_usd=1e9, risk_fraction=1e-4)
LEFT_EARLY = ("long_straddle", "iron_condor", "bull_put_spread", "bull_call_spread")
HELD = ("long_straddle", "iron_condor")
PLANS = [
    plan_of(structure_of(name), exits=exits, days_to_expiration=DAYS, settings=SETTINGS)
    for names, exits in ((LEFT_EARLY, ExitRules(horizon_sessions=1)), (HELD, ExitRules()))
    for name in names
]
NAMES = [f"{plan.name}, {'sold' if plan.exits.horizon_sessions else 'held'}" for plan in PLANS]
EXACT = FillAssumptions(price_tick_usd=1e-6)
CONFIDENCE = 0.99


def quotes(market: SimulatedMarket, path: Path, position: int) -> pd.DataFrame:
    """A session's chain with a delta by each contract's own volatility, which chooses strikes and nothing else."""
    chain = session_chain(market, path, position)
    years = (chain["expiration"] - chain["quote_date"]).dt.days.to_numpy() / 365.0
    put = put_delta(
        chain["underlying_price"].to_numpy(), chain["strike"].to_numpy(), years=years,
        volatility=chain["implied_volatility"].to_numpy(),
    )  # fmt: skip
    return chain.assign(delta=np.where(chain["option_right"] == "C", put + 1.0, put))


def trade_chain(seed: int, *, fair: bool, sells: bool, when: tuple[int, int]) -> pd.DataFrame:
    """Quotes of one world at a session drawn at random before the world is made, some sessions on, and at expiration.

    Of the listed expirations the one that a plan takes is kept. Its last session has its close and, as quotes, only
    a contract that nobody trades.
    """
    entered = int(np.random.default_rng([seed, 5]).integers(*when))
    market = market_of(seed, years=1, fair=fair)
    path = path_of(market, TICKER)
    chains = [quotes(market, path, entered)]
    session, listed = chains[0]["quote_date"].iloc[0], pd.DatetimeIndex(chains[0]["expiration"].unique())
    expiration = listed[np.argmin(np.abs((listed - session).days - DAYS))]
    if sells:
        chains.append(quotes(market, path, entered + HELD_SESSIONS))
    close = round(float(path.closes[market.times.sessions.get_loc(expiration)]), 2)
    at_the_end = chains[0].tail(1).assign(
        quote_date=expiration, underlying_price=close, expiration=expiration + pd.Timedelta(days=7)
    )  # fmt: skip
    return pd.concat([*(chain[chain["expiration"] == expiration] for chain in chains), at_the_end])


@lru_cache(maxsize=2)
def joined_chain(worlds: int, *, fair: bool, sells: bool, when: tuple[int, int]) -> pd.DataFrame:
    """The trades' chains one after the other, each on the weekdays of its own."""
    moved = []
    for place in range(worlds):
        chain = trade_chain(place, fair=fair, sells=sells, when=when)
        first = chain["quote_date"].min()
        shift = FIRST_MONDAY + place * APART - (first - pd.Timedelta(days=first.day_of_week))
        moved.append(chain.assign(quote_date=chain["quote_date"] + shift, expiration=chain["expiration"] + shift))
    return pd.concat(moved).sort_values(KEY, ignore_index=True)


@dataclass(frozen=True)
class Outcomes:
    """Of each plan a trade in each world, USD a structure, in the order of the worlds."""

    profit: list[np.ndarray]
    costs: list[np.ndarray]
    fees: list[np.ndarray]
    results: list[PlanResult]


def outcomes_of(chain: pd.DataFrame, plans: list[TradePlan], *, at_the_middle: bool) -> Outcomes:
    """Enter every plan in every world."""
    if at_the_middle:
        middle = 0.5 * (chain["bid"] + chain["ask"])
        chain = chain.assign(bid=middle, ask=middle)
    market = chain_market(chain, ticker=TICKER, fills=EXACT if at_the_middle else fills_of(SETTINGS))
    world = (chain["quote_date"] - FIRST_MONDAY) // APART
    entered = market.sessions.searchsorted(chain.groupby(world)["quote_date"].min().to_numpy().astype("datetime64[D]"))
    results = run_plans(market, plans, entries=entries_at(market, entered))
    profit, costs, fees = [], [], []
    for result in results:
        trades = result.trades()
        assert (trades["status"] == "closed").all(), result.skip_reason
        each = trades["contracts"]
        profit.append((trades["pnl_usd"] / each).to_numpy())
        fees.append((trades["fees_usd"] / each).to_numpy())
        costs.append(((trades["fees_usd"] + trades["spread_cost_usd"]) / each).to_numpy())
    return Outcomes(profit, costs, fees, results)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean."""
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return float(low), float(high)


@pytest.fixture(scope="module")
def at_quotes() -> Outcomes:
    return outcomes_of(joined_chain(WORLDS, fair=True, sells=True, when=ANY), PLANS, at_the_middle=False)


@pytest.fixture(scope="module")
def at_the_middle() -> Outcomes:
    return outcomes_of(joined_chain(WORLDS, fair=True, sells=True, when=ANY), PLANS, at_the_middle=True)


@pytest.mark.parametrize("which", range(len(PLANS)), ids=NAMES)
def test_on_a_fair_market_nothing_is_earned_before_costs(at_the_middle: Outcomes, which: int) -> None:
    earned = at_the_middle.profit[which] + at_the_middle.fees[which]
    assert len(earned) == WORLDS
    low, high = interval(earned)
    assert low < 0.0 < high
    # The premium of a straddle that is left early, a seventh too dear or too cheap, would be seen.
    if NAMES[which] == "long_straddle, sold":
        risk = at_the_middle.results[which].trades()
        assert high - low < 2.0 / 7.0 * (risk["max_loss_usd"] / risk["contracts"]).mean()


@pytest.mark.parametrize("which", range(len(PLANS)), ids=NAMES)
def test_at_the_quotes_each_trade_earns_so_much_less_as_its_spreads_and_fees_are(
    at_quotes: Outcomes, at_the_middle: Outcomes, which: int
) -> None:
    dearer, exact = at_quotes.results[which].trades(), at_the_middle.results[which].trades()
    assert dearer["strikes"].tolist() == exact["strikes"].tolist()
    lost = at_the_middle.profit[which] + at_the_middle.fees[which] - at_quotes.profit[which]
    np.testing.assert_allclose(lost, at_quotes.costs[which], atol=1e-6)
    assert (at_quotes.costs[which] > at_quotes.fees[which]).all()
    legs, ways = len(PLANS[which].structure.legs), 2.0
    np.testing.assert_allclose(
        at_quotes.fees[which][dearer["exit_reason"] == "horizon"], ways * legs * SETTINGS.fee_per_leg_contract_usd
    )
    # So the mean after costs is minus the costs, as far as chance goes.
    low, high = interval(at_quotes.profit[which])
    assert low < -at_quotes.costs[which].mean() < high


def test_where_the_market_pays_for_insurance_who_sells_it_earns_and_who_buys_it_loses() -> None:
    """The same shocks in both worlds, so the difference of what is held to its end is what options were too dear by."""
    plans = [
        plan_of(structure_of(name), exits=ExitRules(), days_to_expiration=DAYS, settings=SETTINGS)
        for name in ("long_strangle", "bull_put_spread")
    ]
    fair, dear = (
        outcomes_of(
            joined_chain(PREMIUM_WORLDS, fair=is_fair, sells=False, when=EARLY), plans, at_the_middle=True
        )
        for is_fair in (True, False)
    )  # fmt: skip
    bought, sold = (interval(dear.profit[which] - fair.profit[which]) for which in range(2))
    assert bought[1] < 0.0 < sold[0]
    # A premium, and not another market: less than half of what is paid, less than what is received.
    paid, received = (
        (result.trades()["entry_cost_usd"] / result.trades()["contracts"]).abs().mean() for result in fair.results
    )
    assert bought[0] > -0.5 * paid
    assert sold[1] < received
