"""Cash, marks and equity of the trades that were made, session by session.

cash = starting cash + signed fills − fees; equity = cash + marks. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.trades.fills import RoundTrips, mark_positions
from trading_dag.options.structures.strike_selection import years_to_expiration


@dataclass(frozen=True)
class Book:
    """Holds trades of one structure: round trips, and how many structures each trades (0: none).

    Attributes
    ----------
    rows : position of each trip among the signals.
    """

    trips: RoundTrips
    rows: IntArray
    contracts: IntArray


@dataclass(frozen=True)
class Ledger:
    """Holds one entry for every session of the market, USD.

    Attributes
    ----------
    cash : after all fills and fees of the session.
    marks : value of the positions held over the close.
    open_positions : how many those are.
    is_exposed : a position was held at some time of the session.
    """

    cash: FloatArray
    marks: FloatArray
    open_positions: IntArray
    is_exposed: BoolArray

    @property
    def equity(self) -> FloatArray:
        """Return cash and marks."""
        total: FloatArray = self.cash + self.marks
        return total


def keep_ledger(books: Sequence[Book], market: Market) -> Ledger:
    """Add up the fills, fees and marks of every trade."""
    settings = market.settings.backtest
    rows = len(market)
    flow, marks = np.zeros(rows), np.zeros(rows)
    open_positions = np.zeros(rows, dtype=np.int64)
    exposed = np.zeros(rows + 1, dtype=np.int64)
    for book in books:
        traded = np.flatnonzero(book.contracts > 0)
        if not len(traded):
            continue
        trips, contracts = book.trips, book.contracts[traded].astype(np.float64)
        entry, leave = trips.entry[traded], trips.exit[traded]
        is_closed = leave >= 0
        fees = trips.fees_one_way_usd(settings)
        np.add.at(flow, entry, -contracts * (trips.positions.premium[traded] * settings.multiplier + fees))
        np.add.at(
            flow,
            leave[is_closed],
            contracts[is_closed] * (trips.exit_premium[traded][is_closed] * settings.multiplier - fees),
        )
        end = np.where(is_closed, leave, rows)
        np.add.at(exposed, entry, 1)
        np.add.at(exposed, np.minimum(end + 1, rows), -1)
        nights = end - entry
        trade = np.repeat(np.arange(len(traded)), nights)
        at = entry[trade] + np.arange(len(trade)) - np.repeat(np.cumsum(nights) - nights, nights)
        expirations = trips.positions.expirations[traded[trade]]
        years = np.maximum(years_to_expiration(market.sessions[at], expirations, quoted_at="close"), 0.0)
        value = mark_positions(
            trips.structure, market, at=at, strikes=trips.positions.strikes[traded[trade]], years=years
        )
        np.add.at(marks, at, contracts[trade] * value * settings.multiplier)
        np.add.at(open_positions, at, 1)
    return Ledger(
        cash=settings.account_usd + np.cumsum(flow),
        marks=marks,
        open_positions=open_positions,
        is_exposed=np.cumsum(exposed)[:rows] > 0,
    )
