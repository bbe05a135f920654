"""Structures valued under the forecasts' distribution, beside the market's."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.appended import known_inputs, rows_before_new_sessions
from assets.declare.declaration import Declaration, Result, Slice, table_asset
from assets.signals import RATES
from resources.storage.parquet_store import KNOWN_INPUTS_ATTRIBUTE
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    OPPORTUNITIES,
    OPPORTUNITY_CALIBRATION,
    PREDICTIONS_PRICE,
    PREDICTIONS_VOLATILITY_LEVEL,
    PRICES_DAILY,
    QUANTILE_COLUMNS,
    VOLATILITY_INDEX,
)
from trading_dag.served_models import SERVED_PRICE

# All that is read of the forecasts (``build_opportunities``); what the price stack says beside them is not.
_READ_OF_LEVEL: Final = ("ticker", "session", "target_session", "model", "y_true", "index_level", *QUANTILE_COLUMNS)
_READ_OF_PRICE: Final = (
    "ticker", "session", "target_session", "model", "sessions_ahead", "close", "y_true", *QUANTILE_COLUMNS,
)  # fmt: skip


@table_asset(
    OPPORTUNITIES,
    reads={
        "price": PREDICTIONS_PRICE,
        "level": PREDICTIONS_VOLATILITY_LEVEL,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
        "smiles": CHAIN_ANALYTICS,
    },
    code_version="1",
    uses=("surface", "backtest", "structures", "volatility_indices", "options_listed"),
)
def opportunities(
    at: Slice,
    price: pd.DataFrame,
    level: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    smiles: pd.DataFrame,
) -> Result:
    """Every structure is valued under the served forecasts of price and volatility level, net of spread and fees. Of
    each earlier session the best candidate of each structure is stored, of the newest the whole grid. Where only
    sessions have come, only those are valued."""
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.strategy.opportunities.build import build_opportunities

    inputs = {
        "price": price, "level": level, "prices": prices, "volatility_index": volatility_index, "rates": rates,
        "smiles": smiles,
    }  # fmt: skip
    counted = inputs | {
        "price": price.loc[(price["model"] == SERVED_PRICE).to_numpy(dtype=bool), list(_READ_OF_PRICE)],
        "level": level[list(_READ_OF_LEVEL)],
    }
    found = build_opportunities(
        counted["price"],
        counted["level"],
        prices,
        volatility_index,
        rates=rates,
        smiles=smiles,
        horizon=at.horizon,
        settings=at.settings,
        menu=structures_by_name(at.settings.structures),
        before=rows_before_new_sessions(opportunities, at, inputs, counted=counted),
    )
    if len(found.table):
        found.table.attrs[KNOWN_INPUTS_ATTRIBUTE] = known_inputs(counted, found.table["session"].max())
    told = ", ".join(f"{reason}: {count:,}" for reason, count in found.left_out.items())
    told_of = {"sessions without a row": told or "none", "objection to modelled prices": found.objection or "none"}
    return Result({OPPORTUNITIES.name: found.table}, told_of)


@table_asset(
    OPPORTUNITY_CALIBRATION,
    reads={
        "opportunities": OPPORTUNITIES,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
    },
    code_version="2",
    uses=("surface", "backtest", "structures", "selector", "bootstrap"),
)
def opportunity_calibration(
    at: Slice,
    opportunities: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
) -> Result:
    """What opportunities promised stands against what the same contracts brought, entered at the next open and left at
    the target's close on the modelled surface; intervals come from a stationary bootstrap over sessions."""
    from trading_dag.backtest.results.opportunity_calibration import calibrate
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.plots.opportunities import opportunity_calibration as figure

    table = calibrate(
        opportunities,
        prices,
        volatility_index,
        rates=rates,
        horizon=at.horizon,
        settings=at.settings,
        menu=structures_by_name(at.settings.structures),
    )
    return Result(
        {OPPORTUNITY_CALIBRATION.name: table}, draw=lambda: {"opportunities: promised and come": figure(table)}
    )


DECLARATIONS: Final[tuple[Declaration, ...]] = (opportunities, opportunity_calibration)
