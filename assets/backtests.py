"""What the recommended structures would have earned, under assumptions that are stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import CrossRule, Declaration, Read, Result, Slice, table_asset
from assets.signals import RATES
from trading_dag.quality import Rule
from trading_dag.schemas import (
    COMPARISON,
    EQUITY,
    METRICS,
    OPPORTUNITIES,
    OPTION_CHAIN,
    PRICES_DAILY,
    RECOMMENDATION,
    SUMMARY,
    TRADES,
    VOLATILITY_INDEX,
)
from trading_dag.schemas.opportunities import OFFERED_CONTRACTS

if TYPE_CHECKING:
    from resources.io_managers.chains import StoredChain
    from trading_dag.options.structures.structure import Structure

LONGEST_DAYS: Final = 70


def _unearned_admission(at: Slice, result: Result, inputs: Mapping[str, Any]) -> str | None:
    from trading_dag.strategy.modelled_prices import price_objection
    from trading_dag.validation.gates.edge import unearned_admission

    return unearned_admission(
        result.frames[SUMMARY.name],
        inputs["metrics"],
        at.settings.gate,
        objection=price_objection(at.ticker, inputs["volatility_index"], at.settings),
    )


def _inadmissibility(_: Slice, result: Result, __: Mapping[str, Any]) -> str | None:
    summary = result.frames[SUMMARY.name]
    refused = summary[~summary["is_admissible"].astype(bool)]
    if len(summary) == 1:
        return None if refused.empty else str(refused["admissibility_reason"].iloc[0])
    said = [f"{row['rule']}: {row['admissibility_reason']}" for row in refused.to_dict("records")]
    return "; ".join(said) or None


ACCURACY_GATE: Final = CrossRule(
    SUMMARY,
    Rule(
        name="accuracy_gate",
        description="A backtest is called admissible only where the models of its slice meet the thresholds of the "
        "settings, its profit keeps its sign with the surface lower and higher, and its prices are modelled from the "
        "ticker's own volatility index while options on it were listed.",
    ),
    _unearned_admission,
)
IS_ADMISSIBLE: Final = CrossRule(
    SUMMARY,
    Rule(
        name="backtest_is_admissible",
        description="The backtest can be trusted as far as its models and its modelled quotes can.",
        severity="warn",
        is_blocking=False,
    ),
    _inadmissibility,
)


@table_asset(
    TRADES,
    EQUITY,
    SUMMARY,
    reads={
        "recommendation": RECOMMENDATION,
        "opportunities": Read(OPPORTUNITIES, columns=OFFERED_CONTRACTS),
        "metrics": METRICS,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
    },
    code_version="14",
    uses=("surface", "backtest", "gate", "structures", "volatility_indices", "options_listed"),
    cross_rules=(ACCURACY_GATE, IS_ADMISSIBLE),
)
def recommended_structure(
    at: Slice,
    recommendation: pd.DataFrame,
    opportunities: pd.DataFrame,
    metrics: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
) -> Result:
    """The backtest enters each recommended structure at the open after the signal and leaves at the horizon, or earlier
    by the exits of the settings, priced on the modelled surface; one account for each rule. Buy and hold, random
    entries and always trading the same structure stand beside it."""
    from trading_dag.backtest.runs.signal_backtest import run_backtest
    from trading_dag.plots.backtest import figures_of_backtest
    from trading_dag.validation.gates.edge import admissibility

    result = run_backtest(
        recommendation,
        prices,
        volatility_index,
        rates=rates,
        horizon=at.horizon,
        settings=at.settings,
        opportunities=opportunities,
        gate=admissibility(metrics, at.settings.gate),
    )
    frames = {"trades": result.trades, "equity": result.equity, "summary": result.summary}
    return Result(
        frames,
        draw=lambda: figures_of_backtest(result, ticker=at.ticker, horizon=at.horizon, settings=at.settings),
    )


@table_asset(
    COMPARISON,
    reads={
        "chain": OPTION_CHAIN,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
    },
    code_version="6",
    automation="none",
    uses=("backtest", "surface", "structures", "volatility_indices", "options_listed"),
)
def comparison(
    at: Slice, chain: StoredChain, prices: pd.DataFrame, volatility_index: pd.DataFrame, rates: pd.DataFrame
) -> Result:
    """Every structure is entered weekly about 30 days before expiration, over the last five years of quotes. Stored
    chains are traded at bid and ask, or at last trades where there are no quotes; without a chain, prices come from the
    modelled surface, also two volatility points lower and higher."""
    from trading_dag.backtest.runs.structure_comparison import EVERYTHING, compare_modelled
    from trading_dag.options.structures.user_structures import structures_by_name

    menu = structures_by_name(at.settings.structures)
    if not chain.attrs.get("source_off"):
        return _compared_on_chain(at, chain, prices, rates, menu)
    result = compare_modelled(
        prices, volatility_index, rates=rates, ticker=at.ticker, menu=menu, horizon=at.horizon, settings=at.settings
    )
    result.table.attrs["source"] = prices.attrs.get("source")
    return Result(
        {COMPARISON.name: result.table},
        {"left out": result.left_out},
        source_off=result.left_out.get(EVERYTHING) if result.table.empty else None,
    )


def _compared_on_chain(
    at: Slice, chain: StoredChain, prices: pd.DataFrame, rates: pd.DataFrame, menu: Mapping[str, Structure]
) -> Result:
    """Compare on the last years of the stored chain; short calls are assigned over the dividends that are known."""
    from trading_dag.backtest.markets.chain_market import chain_market
    from trading_dag.backtest.markets.corporate_actions import actions_of_prices
    from trading_dag.backtest.plans.structure_plans import fills_of, settings_for_listed_contract
    from trading_dag.backtest.runs.plan_inputs import known_dividends
    from trading_dag.backtest.runs.structure_comparison import COMPARED_YEARS, compare_structures
    from trading_dag.day_count import DAYS_PER_YEAR
    from trading_dag.options.chains.rates import rates_at_sessions, rates_of_quotes

    book = settings_for_listed_contract(at.ticker, at.settings.backtest)
    fallback = at.settings.surface.risk_free_rate
    first = chain.sessions()[-1] - pd.Timedelta(days=COMPARED_YEARS * DAYS_PER_YEAR)
    quotes = chain.quotes(rate=rates_of_quotes(rates, fallback=fallback), first=first, maximum_days=LONGEST_DAYS)
    market = chain_market(quotes, ticker=at.ticker, fills=fills_of(book), splits=actions_of_prices(prices))
    payouts = known_dividends(prices, market.sessions)
    rate = rates_at_sessions(rates, pd.DatetimeIndex(market.sessions).as_unit("us"), fallback=fallback)
    result = compare_structures(
        market, menu=menu, horizon=at.horizon, settings=book, dividends=payouts.dividends, rate=rate
    )
    result.table.attrs["source"] = chain.attrs["source"]
    return Result({COMPARISON.name: result.table}, {"left out": result.left_out, "dividends": payouts.assumption})


DECLARATIONS: Final[tuple[Declaration, ...]] = (recommended_structure, comparison)
