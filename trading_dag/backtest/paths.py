"""What opened positions are worth at every session until they expire: gathered once, shared by all exit rules.

Matrices have one row a position and one column a session since its entry (column 0 is the entry itself).
Shares of a covered call count at the underlying's price; dividends on them are not credited. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_dag.backtest.chain_market import ChainMarket, IntegerArray
from trading_dag.backtest.positions import OpenedPositions
from trading_dag.options.black_scholes import BoolArray, FloatArray


@dataclass(frozen=True)
class PositionPaths:
    """Values of positions, USD a share of one structure, (n, sessions since entry).

    Attributes
    ----------
    positions : what was opened.
    at : position of the session in the market; the last one repeated where the path has ended.
    is_held : the session lies within data and not after the settlement.
    days_left : calendar days to expiration.
    spot : underlying price.
    leg_prices : (n, sessions, legs) what closing each leg pays or costs, NaN where it is not quoted.
    closing_value : signed value of closing every leg at those prices, NaN where a leg is not quoted.
    mark : value at the marks of the legs, within the structure's arbitrage bounds; where a leg has none,
        the value of the session before. Fills are never bounded.
    middle : the same without bounds, NaN where a leg has no mark.
    short_delta : greatest absolute delta of the sold legs, NaN where unknown.
    is_last : some leg's price is made from a last trade.
    """

    positions: OpenedPositions
    at: IntegerArray
    is_held: BoolArray
    days_left: IntegerArray
    spot: FloatArray
    leg_prices: FloatArray
    closing_value: FloatArray
    mark: FloatArray
    middle: FloatArray
    short_delta: FloatArray
    is_last: BoolArray

    @property
    def can_close(self) -> BoolArray:
        """Later sessions of the holding on which every leg can be closed."""
        closes = self.is_held & np.isfinite(self.closing_value)
        closes[:, :1] = False
        return closes


def gather_paths(market: ChainMarket, positions: OpenedPositions) -> PositionPaths:
    """Look up every leg of every position at each session until it settles or the data ends."""
    structure = positions.program.structure
    last = len(market) - 1
    opened = positions.can_open
    end = np.where(opened, np.minimum(positions.settlement, last), positions.entry)
    columns = int((end - positions.entry).max(initial=0)) + 1
    wanted = positions.entry[:, np.newaxis] + np.arange(columns)
    is_held = (wanted <= end[:, np.newaxis]) & opened[:, np.newaxis]
    at = np.minimum(wanted, last)
    row = np.full((*at.shape, len(structure.legs)), -1, dtype=np.int64)
    holder, _ = np.nonzero(is_held)
    row[is_held] = market.rows_of(
        at[is_held][:, np.newaxis],
        positions.expiration_day[holder][:, np.newaxis],
        is_call=structure.is_call,
        strike=positions.strikes[holder],
    )
    is_sold = structure.signed_ratios < 0
    leg_prices = np.where(is_sold, market.buy_price(row), market.sell_price(row))
    spot = np.where(is_held, market.spot[at], np.nan)
    shares = structure.underlying_ratio * spot
    middle = market.mark(row) @ structure.signed_ratios + shares
    bounded = np.clip(middle, positions.least_payoff[:, np.newaxis], positions.greatest_payoff[:, np.newaxis])
    delta = np.where((row >= 0) & is_sold, np.abs(market.delta[np.maximum(row, 0)]), np.nan)
    return PositionPaths(
        positions=positions,
        at=at,
        is_held=is_held,
        days_left=positions.expiration_day[:, np.newaxis] - market.days[at],
        spot=spot,
        leg_prices=leg_prices,
        closing_value=leg_prices @ structure.signed_ratios + shares,
        mark=_carried_forward(bounded),
        middle=middle,
        short_delta=np.fmax.reduce(delta, axis=2),
        is_last=np.any(market.made_from_last(row), axis=2),
    )


def _carried_forward(values: FloatArray) -> FloatArray:
    """Each row with its NaNs replaced by the last value before them."""
    column = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    np.maximum.accumulate(column, axis=1, out=column)
    return np.asarray(np.take_along_axis(values, column, axis=1), dtype=np.float64)
