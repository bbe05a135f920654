"""What opportunities brought: the same contracts entered at the next open and left at the target's close.

Both at modelled natural quotes, with fees, as a signal's trade is filled. Whether that was what they promised is
``opportunity_calibration``'s question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.market import Market
from trading_dag.options.structures.quotes import modelled_quotes
from trading_dag.options.structures.strike_selection import QuoteTime, years_to_expiration
from trading_dag.options.structures.structure import Structure

_OPEN: Final[QuoteTime] = "open"
_CLOSE: Final[QuoteTime] = "close"


def realised_profits(opportunities: pd.DataFrame, market: Market, *, menu: Mapping[str, Structure]) -> FloatArray:
    """Return the profit of one structure of each row, USD, after spread and fees both ways, (n,).

    Parameters
    ----------
    opportunities : rows of ``signals.opportunities`` that are held to the target.
    market : of their ticker, with the settings of its contract.
    menu : structures by name.

    NaN where the entry or the exit has no quote, or the exit is not there yet. Nothing is chosen again at the entry:
    strikes and expirations are those of the row.
    """
    profit = np.full(len(opportunities), np.nan)
    if opportunities.empty:
        return profit
    at = market.sessions.get_indexer(pd.DatetimeIndex(opportunities["session"])).astype(np.int64)
    leaves = market.sessions.get_indexer(pd.DatetimeIndex(opportunities["target_session"])).astype(np.int64)
    is_traded = (at >= 0) & (at < len(market) - 1) & (leaves >= 0)
    names = opportunities["structure"].to_numpy(dtype=object)
    for name in np.unique(names[is_traded].astype(str)).tolist():
        rows = np.flatnonzero(is_traded & (names == name))
        profit[rows] = _profits(menu[name], opportunities.iloc[rows], market, entry=at[rows] + 1, leaves=leaves[rows])
    return profit


def _profits(
    structure: Structure, rows: pd.DataFrame, market: Market, *, entry: IntArray, leaves: IntArray
) -> FloatArray:
    """Return the profits of rows of one structure."""
    book, ratios = market.settings.backtest, structure.signed_ratios
    strikes = np.array([text.split("/") for text in rows["strikes"]], dtype=np.float64)
    front, back = (pd.DatetimeIndex(rows[name]) for name in ("expiration", "back_expiration"))
    dates = [front if leg.expiry_rule == "weekly" else back for leg in structure.legs]
    spots = (market.open[entry], market.close[leaves])
    entered, left = (
        modelled_quotes(
            surface.columns(), spot[:, np.newaxis], strike=strikes,
            years=np.column_stack([
                years_to_expiration(market.sessions[position], date, quoted_at=moment) for date in dates
            ]),
            is_call=structure.is_call, settings=book,
        )
        for surface, spot, position, moment in (
            (market.entry_surface(entry), spots[0], entry, _OPEN),
            (market.close_surface(leaves), spots[1], leaves, _CLOSE),
        )
    )  # fmt: skip
    paid, received = entered.natural(ratios) @ ratios, left.natural(-ratios) @ ratios
    moved = structure.underlying_ratio * (spots[1] - spots[0])
    fees = 2.0 * book.fee_per_leg_contract_usd * structure.contracts_per_structure
    profit: FloatArray = (received - paid + moved) * book.multiplier - fees
    return profit
