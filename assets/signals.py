"""Forecasts turned into defined-risk structures."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, table_asset
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    MACRO_TABLE,
    OPPORTUNITIES,
    OPTION_CHAIN_TABLE,
    PREDICTIONS_ALLOCATION,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_PRICE,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY,
    PREDICTIONS_VOLATILITY_LEVEL,
    PRICES_DAILY,
    RECOMMENDATION,
    VOLATILITY_INDEX,
)

RATES: Final = Read(MACRO_TABLE, columns=("session", "treasury_3m"), same_source_as="prices")


@table_asset(
    RECOMMENDATION,
    reads={
        "direction": PREDICTIONS_DIRECTION,
        "volatility": PREDICTIONS_VOLATILITY,
        "level": PREDICTIONS_VOLATILITY_LEVEL,
        "price": PREDICTIONS_PRICE,
        "spread": PREDICTIONS_SPREAD,
        "allocation": PREDICTIONS_ALLOCATION,
        "iv_rank": Read(OPTION_CHAIN_TABLE, columns=("session", "iv_source", "own_iv_rank", "chain_iv_rank")),
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
        "smiles": CHAIN_ANALYTICS,
        "opportunities": OPPORTUNITIES,
    },
    code_version="14",
    uses=("selector", "signals", "surface", "backtest", "structures", "deep", "volatility_indices", "options_listed"),
)
def recommendation(
    at: Slice,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    level: pd.DataFrame,
    price: pd.DataFrame,
    spread: pd.DataFrame,
    allocation: pd.DataFrame,
    iv_rank: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    smiles: pd.DataFrame,
    opportunities: pd.DataFrame,
) -> Result:
    """Each session gets one row a rule, priced on the smiles fitted to its option chain where it has one. Without a
    proven edge on outcomes known by then, the structure is shown and its size is zero, unless the gate is none."""
    from trading_dag.models.deep.torch_library import why_networks_are_off
    from trading_dag.strategy.beside import BesideTables
    from trading_dag.strategy.recommendation import build_recommendations
    from trading_dag.validation.gates.edge import edge_to_date

    matrix = build_recommendations(
        direction,
        volatility,
        prices,
        volatility_index,
        edge=edge_to_date(direction, volatility, horizon=at.horizon),
        rates=rates,
        horizon=at.horizon,
        settings=at.settings,
        smiles=smiles,
        beside=BesideTables(level, price, spread, allocation, iv_rank, why_networks_are_off(at.settings.deep)),
    )
    chosen = _by_expected_value(at, matrix, opportunities, prices, volatility_index, rates)
    table = pd.concat([matrix, chosen], ignore_index=True).sort_values(list(RECOMMENDATION.key), ignore_index=True)
    return Result({RECOMMENDATION.name: table}, _newest(table))


def _by_expected_value(
    at: Slice,
    matrix: pd.DataFrame,
    opportunities: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
) -> pd.DataFrame:
    """The rows of rule expected_value, with the profit of what it chose before."""
    from trading_dag.backtest.markets.market import build_market
    from trading_dag.backtest.results.opportunity_outcomes import realised_profits
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.strategy.expected_value import expected_value_rows, random_entry_returns
    from trading_dag.strategy.opportunities.choice import choose, entered_at_every_session
    from trading_dag.strategy.selector import NO_TRADE
    from trading_dag.strategy.sizing import settings_for_contract

    if matrix.empty:
        return matrix
    settings, menu = settings_for_contract(at.ticker, at.settings), structures_by_name(at.settings.structures)
    chosen = choose(opportunities, at.settings.selector)
    offered = entered_at_every_session(opportunities, structures=chosen["structure"].unique())
    market = build_market(prices, volatility_index, rates=rates, settings=settings)

    def realised(rows: pd.DataFrame) -> np.ndarray:
        """The profit of what is traded and over, NaN elsewhere."""
        profit = np.full(len(rows), np.nan)
        counts = (rows["structure"] != NO_TRADE).to_numpy(dtype=bool)
        if at.running is not None:
            counts = counts & (rows["target_session"] < at.running).to_numpy(dtype=bool)
        profit[counts] = realised_profits(rows[counts], market, menu=menu)
        return profit

    at_risk = (offered["max_loss_usd"] + offered["fees_usd"]).to_numpy(dtype=np.float64)
    random_entry = random_entry_returns(chosen, offered, realised(offered) / at_risk)
    return expected_value_rows(
        matrix, chosen, realised(chosen), random_entry, menu=menu, horizon=at.horizon, settings=at.settings
    )


def _newest(table: pd.DataFrame) -> dict[str, str]:
    """What the UI shows of the newest session: its sentence, and the size with whether an edge is shown."""
    from trading_dag.strategy.explanation import size_text
    from trading_dag.strategy.rules import served_rows

    if table.empty:
        return {}
    last = served_rows(table).iloc[-1]
    return {"newest": last["reasoning"], "size": size_text(last["position_size"], last["edge"])}


DECLARATIONS: Final[tuple[Declaration, ...]] = (recommendation,)
