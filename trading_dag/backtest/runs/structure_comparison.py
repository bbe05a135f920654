"""Every structure under every set of exits, side by side: on a stored chain, or on the modelled surface without one.

Entries follow the calendar and no forecast, so the accuracy gate has nothing to say here; what is found on modelled
quotes is repeated with the surface lower and higher. So many tries find a good-looking one by luck: each row carries
the deflated Sharpe ratio that counts them all, and the best row is no recommendation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.markets.market import Market, build_market
from trading_dag.backtest.markets.modelled_chain import MODELLED
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_of
from trading_dag.backtest.plans.trade_plan import TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.results.plan_summary import comparison
from trading_dag.backtest.runs.modelled_runs import ModelledGround, modelled_runs
from trading_dag.backtest.runs.plan_runs import run_plans
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.errors import ConfigurationError, InsufficientDataError
from trading_dag.frames import table_frame
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas import COMPARISON
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.modelled_prices import price_objection
from trading_dag.strategy.sizing import settings_for_contract
from trading_dag.validation.inference.overfitting import probability_of_overfitting

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

DAYS_TO_EXPIRATION: Final = 30
# Long enough for some 260 entries, within the years that the surface was fitted to, and read in seconds from a chain.
COMPARED_YEARS: Final = 5.0
HORIZON: Final = "horizon"
EXITS: Final[dict[str, ExitRules]] = {
    "expiration": ExitRules(),
    "half profit, 7 days": ExitRules(profit_target_fraction=0.5, days_to_expiration=7),
    "half profit, double loss, 7 days": ExitRules(
        profit_target_fraction=0.5, stop_premium_multiple=2.0, days_to_expiration=7
    ),
    "half profit, 2 % against, 7 days": ExitRules(
        profit_target_fraction=0.5, stop_underlying_fraction=0.02, days_to_expiration=7
    ),
}
EVERYTHING: Final = "everything"
NO_TRADES: Final = "no trade was closed"
NO_HORIZON_EXIT: Final = "exit 'horizon' of 12h: it ends at an open, and quotes are at closes"


@dataclass(frozen=True)
class StructureComparison:
    """Holds the result of the comparison.

    Attributes
    ----------
    table : ``backtests.comparison``, one row a structure and set of exits, best total first.
    left_out : structures and exits that cannot be run, and why.
    """

    table: pd.DataFrame
    left_out: dict[str, str]


@dataclass(frozen=True)
class _Tries:
    """The plans of a menu, the structure and the exits that each stands for, and what is left out."""

    plans: tuple[TradePlan, ...]
    keys: dict[str, tuple[str, str]]
    left_out: dict[str, str]


@dataclass(frozen=True)
class _Stress:
    """Totals by plan with every modelled volatility lower, and higher, by ``shift`` (fraction)."""

    shift: float
    lower: Mapping[str, float]
    higher: Mapping[str, float]

    def sign_change(self, label: str, total: float) -> str | None:
        """That the total's sign depends on the surface, in words; None where it does not."""
        lower, higher = self.lower[label], self.higher[label]
        if np.sign(lower) == np.sign(total) == np.sign(higher):
            return None
        return (
            f"the total changes its sign within {self.shift * 100:g} volatility points "
            f"({lower:,.0f} USD below, {higher:,.0f} USD above)"
        )


def exits_of(horizon: Horizon) -> dict[str, ExitRules]:
    """Sets of exits by name: the horizon's sessions after the entry (where it ends at a close), and ``EXITS``."""
    if horizon.target_field != "close":
        return dict(EXITS)
    return {HORIZON: ExitRules(horizon_sessions=horizon.target_offset), **EXITS}


def compare_structures(
    market: ChainMarket,
    *,
    menu: Mapping[str, Structure],
    horizon: Horizon,
    settings: BacktestSettings,
    dividends: Dividends | None = None,
    rate: ArrayLike = 0.0,
) -> StructureComparison:
    """Run the menu on stored quotes, with weekly entries about 30 days before expiration.

    Parameters
    ----------
    menu : structures by name.
    settings : account, deltas, fees.
    dividends, rate : as ``run_plan`` takes them.
    """
    tries = _tries(menu, horizon=horizon, settings=settings)
    results = run_plans(market, tries.plans, entries=entries_weekly(market), dividends=dividends, rate=rate)
    source = {
        result.plan.name: "last" if "last" in set(result.quote_source.tolist()) else "chain" for result in results
    }
    table = _table(results, tries, ticker=market.ticker, horizon=horizon, quote_source=source, stress=None)
    return StructureComparison(table, tries.left_out)


def compare_modelled(
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    rates: pd.DataFrame,
    ticker: str,
    menu: Mapping[str, Structure],
    horizon: Horizon,
    settings: Settings,
) -> StructureComparison:
    """Run the menu on modelled quotes at the closes of the last five years, with the same entries.

    Every plan with trades runs again with all volatilities ``settings.backtest.stress_volatility`` lower and higher;
    where its total changes its sign, the row is inadmissible and says so.

    Parameters
    ----------
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker. Dividends are those stored in
        the prices: received on shares at the ex-date, and why sold calls are assigned the session before.
    rates : session, treasury_3m in percent or NaN, as known at the session's close.

    Returns
    -------
    No rows where no session has both a close and an index level.

    Raises
    ------
    SchemaError : for missing columns, repeated or unsorted sessions, or prices that are not positive.
    """
    own = settings_for_contract(ticker, settings)
    market = build_market(prices, volatility_index, rates=rates, settings=own)
    tries = _tries(menu, horizon=horizon, settings=own.backtest)
    shown = [menu[name] for name in dict.fromkeys(structure for structure, _ in tries.keys.values())]

    def on_modelled_quotes(quoted: Market, plans: Sequence[TradePlan]) -> list[PlanResult]:
        return modelled_runs(
            ModelledGround(quoted, prices, tuple(shown), days_to_expiration=DAYS_TO_EXPIRATION, years=COMPARED_YEARS)
        ).results(plans)

    try:
        results = on_modelled_quotes(market, tries.plans)
    except InsufficientDataError as reason:
        return StructureComparison(table_frame(COMPARISON, {}, rows=0), {**tries.left_out, EVERYTHING: str(reason)})
    traded = tuple(result.plan for result in results if result.is_closed.any())
    shift = own.backtest.stress_volatility
    lower, higher = (
        {
            result.plan.name: result.total_profit_usd
            for result in on_modelled_quotes(market.at_shifted_volatility(sign * shift), traded)
        }
        for sign in (-1.0, 1.0)
    )
    table = _table(
        results, tries, ticker=ticker, horizon=horizon,
        quote_source=dict.fromkeys(tries.keys, MODELLED), stress=_Stress(shift, lower, higher),
        objection=price_objection(ticker, volatility_index, own),
    )  # fmt: skip
    return StructureComparison(table, tries.left_out)


def _tries(menu: Mapping[str, Structure], *, horizon: Horizon, settings: BacktestSettings) -> _Tries:
    plans: list[TradePlan] = []
    keys: dict[str, tuple[str, str]] = {}
    left_out = {} if horizon.target_field == "close" else {HORIZON: NO_HORIZON_EXIT}
    for structure in menu.values():
        for name, rules in exits_of(horizon).items():
            try:
                plan = plan_of(structure, exits=rules, days_to_expiration=DAYS_TO_EXPIRATION, settings=settings)
            except ConfigurationError as reason:
                left_out[structure.name] = str(reason)
                break
            label = f"{structure.name}, {name}"
            keys[label] = (structure.name, name)
            plans.append(replace(plan, name=label))
    return _Tries(tuple(plans), keys, left_out)


def _table(
    results: Sequence[PlanResult],
    tries: _Tries,
    *,
    ticker: str,
    horizon: Horizon,
    quote_source: Mapping[str, str],
    stress: _Stress | None,
    objection: str | None = None,
) -> pd.DataFrame:
    """``backtests.comparison`` of these results. ``objection`` is why no price of the table is to be believed."""
    if not results:
        return table_frame(COMPARISON, {}, rows=0)
    table = comparison(results)
    labels = [str(label) for label in table["plan"]]
    skipped = {result.plan.name: result.skip_reasons() for result in results}
    lower, higher = ({}, {}) if stress is None else (stress.lower, stress.higher)
    reasons = [
        _without_trades(skipped[label])
        if not trades
        else objection or (None if stress is None else stress.sign_change(label, total))
        for label, trades, total in zip(labels, table["trades"], table["total_pnl_usd"], strict=True)
    ]
    day = results[0].market.sessions.astype("datetime64[us]")
    return table_frame(
        COMPARISON,
        {
            **{name: table[name] for name in table.columns if name in COMPARISON.column_names},
            "ticker": ticker,
            "horizon": horizon.key,
            "structure": _texts([tries.keys[label][0] for label in labels]),
            "exits": _texts([tries.keys[label][1] for label in labels]),
            "quote_source": _texts([quote_source[label] for label in labels]),
            "first_session": day[0],
            "last_session": day[-1],
            "sessions": len(day),
            "programs_tried": len(results),
            "probability_of_overfitting": _overfitting(results),
            "pnl_lower_volatility_usd": [lower.get(label, np.nan) for label in labels],
            "pnl_higher_volatility_usd": [higher.get(label, np.nan) for label in labels],
            "inadmissible_reason": _texts(reasons),
        },
        rows=len(table),
    )


def _overfitting(results: Sequence[PlanResult]) -> float:
    """Return how probable it is that the plan with the best mean daily profit is below the middle elsewhere; plans
    without trades are not chosen among.
    """
    equity = [result.history.equity for result in results if result.is_closed.any()]
    daily = np.diff(np.column_stack(equity), axis=0) if equity else np.empty((0, 0))
    return probability_of_overfitting(daily).probability


def _without_trades(skipped: Mapping[str, int]) -> str:
    most = max(skipped, key=lambda name: skipped[name], default="")
    return f"{NO_TRADES}: {most}" if most else NO_TRADES


def _texts(words: Sequence[str | None]) -> NDArray[Any]:
    return np.array(words, dtype=object)
