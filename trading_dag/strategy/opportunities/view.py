"""One opportunity against the price at its exit: what it brings there, and how likely forecast and market hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.errors import InsufficientDataError
from trading_dag.options.structures.payoff import payoff
from trading_dag.options.structures.strike_selection import years_to_expiration
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    MACRO_TABLE,
    PREDICTIONS_PRICE,
    PREDICTIONS_VOLATILITY_LEVEL,
    PRICES_DAILY,
    VOLATILITY_INDEX,
)
from trading_dag.schemas.table import Table
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.opportunities.build import SessionOutlook, outlook_of_session
from trading_dag.strategy.opportunities.legs import ContractBook, exit_middles, exit_prices

INPUTS: Final[Mapping[str, Table]] = {
    "price": PREDICTIONS_PRICE,
    "level": PREDICTIONS_VOLATILITY_LEVEL,
    "prices": PRICES_DAILY,
    "volatility_index": VOLATILITY_INDEX,
    "rates": MACRO_TABLE,
    "smiles": CHAIN_ANALYTICS,
}
"""The tables that a view is computed from, by the name of the input."""

_PRICES: Final = 121
_BINS: Final = 48
_LEAST_CHANCE: Final = 0.002


@dataclass(frozen=True)
class OpportunityView:
    """Holds what is drawn of one opportunity.

    Attributes
    ----------
    prices : of the underlying at the exit, USD.
    profit_at_exit : after costs, at today's volatility level, USD of one structure.
    profit_at_expiration : after costs of the entry; empty where legs expire at different dates.
    edges : of the bins of the two distributions, USD.
    forecast, market : probability of each bin.
    """

    prices: FloatArray
    profit_at_exit: FloatArray
    profit_at_expiration: FloatArray
    edges: FloatArray
    forecast: FloatArray
    market: FloatArray


def view_inputs(read: Callable[[Table], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return what a view is computed from.

    Parameters
    ----------
    read : gives the stored rows of a table, of the ticker and the horizon as far as the table has them.
    """
    inputs = {name: read(table) for name, table in INPUTS.items()}
    return {**inputs, "rates": inputs["rates"][["session", "treasury_3m"]]}


def view(
    row: Mapping[str, Any],
    inputs: Mapping[str, pd.DataFrame],
    *,
    horizon: Horizon,
    settings: Settings,
    menu: Mapping[str, Structure],
) -> OpportunityView:
    """Return the view of one row of ``signals.opportunities``.

    Parameters
    ----------
    inputs : of ``view_inputs``.

    Raises
    ------
    InsufficientDataError : where the inputs no longer have what the row was computed from.
    """
    found = outlook_of_session(inputs, pd.Timestamp(row["session"]), horizon=horizon, settings=settings)
    if found is None:
        raise InsufficientDataError(
            f"signals.opportunities [{row['session']:%Y-%m-%d}]: its forecasts or quotes are gone; run again"
        )
    structure = menu[row["structure"]]
    book = found.settings.backtest
    outlook = found.outlook
    scores = np.array([[-3.0, 3.0]])
    low, high = np.exp(outlook.distribution.log_price_at(scores))[0]
    prices = np.linspace(low, high, _PRICES)
    strikes = np.array([[float(strike) for strike in str(row["strikes"]).split("/")]])
    at_exit = _profit_at_exit(structure, strikes, prices, row, found, book)
    expires = np.array([])
    cost = float(row["entry_cost_usd"]) + float(row["fees_usd"])
    if structure.expires_together:
        expires = payoff(structure, strikes, spot=prices[np.newaxis])[0] * book.multiplier - cost
    edges = np.linspace(low, high, _BINS + 1)
    forecast = np.diff(outlook.distribution.probability_below(edges[np.newaxis])[0])
    above = outlook.surface.columns().probability_above(
        outlook.spot[:, np.newaxis], edges[np.newaxis], outlook.carry_years[:, np.newaxis]
    )
    # Far out the surface is held flat, and its digital prices need not fall there.
    return OpportunityView(prices, at_exit, expires, edges, forecast, -np.diff(np.minimum.accumulate(above[0])))


def _profit_at_exit(
    structure: Structure,
    strikes: FloatArray,
    prices: FloatArray,
    row: Mapping[str, Any],
    found: SessionOutlook,
    settings: BacktestSettings,
) -> FloatArray:
    contracts = ContractBook()
    for leg, is_call in enumerate(structure.is_call.tolist()):
        is_back = structure.legs[leg].expiry_rule != "weekly"
        date = pd.DatetimeIndex([row["back_expiration" if is_back else "expiration"]])
        exit_years = years_to_expiration(pd.DatetimeIndex([row["exit_session"]]), date, quoted_at="close")
        # The leg's number keeps equal contracts of one structure apart.
        contracts.place_of(strikes[:, leg], np.array([float(leg)]), exit_years=exit_years, is_call=is_call)
    middle = exit_middles(
        found.outlook.surface, contracts, rows=np.array([0]), prices=prices[np.newaxis],
        level_ratios=np.ones((1, 2, len(prices))),
    )  # fmt: skip
    settles = np.array([[bool(years[0] <= 0.0) for years in contracts.exit_years]])
    exits, ratios = exit_prices(middle, settles=settles, settings=settings), structure.signed_ratios
    closing = np.where((ratios > 0)[:, np.newaxis], exits.sold[0, :, 0], exits.bought[0, :, 0])
    worth = ratios @ closing + structure.underlying_ratio * prices
    profit: FloatArray = worth * settings.multiplier - float(row["entry_cost_usd"]) - float(row["fees_usd"])
    return profit
