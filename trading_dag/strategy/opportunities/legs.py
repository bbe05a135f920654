"""The contracts of all candidates: each distinct one is priced once, at the entry and at every node of the exit.

A contract is a strike a session, an expiration and a right. Half spreads and slippage are those of
``options.structures.quotes``; at the exit, where the price is an expectation, rounding to the tick costs half a tick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.options.structures.quotes import Quotes, modelled_quotes
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.setting_groups import BacktestSettings

_LEAST_TERM: Final = 1e-9


@dataclass
class ContractBook:
    """Collects distinct contracts of n sessions.

    Attributes
    ----------
    strikes, entry_years, exit_years : (n,) of each contract, in the order in which they were first asked for.
    is_call : of each contract.
    """

    strikes: list[FloatArray] = field(default_factory=list)
    entry_years: list[FloatArray] = field(default_factory=list)
    exit_years: list[FloatArray] = field(default_factory=list)
    is_call: list[bool] = field(default_factory=list)
    _place: dict[tuple[bytes, bytes, bool], int] = field(default_factory=dict)

    def place_of(self, strike: FloatArray, entry_years: FloatArray, *, exit_years: FloatArray, is_call: bool) -> int:
        """Return the place of a contract, which is added where it is new."""
        key = (strike.tobytes(), entry_years.tobytes(), is_call)
        if key not in self._place:
            self._place[key] = len(self.strikes)
            self.strikes.append(strike)
            self.entry_years.append(entry_years)
            self.exit_years.append(exit_years)
            self.is_call.append(is_call)
        return self._place[key]

    def __len__(self) -> int:
        return len(self.strikes)

    def entry_quotes(self, surface: VolatilitySurface, spot: FloatArray, settings: BacktestSettings) -> Quotes:
        """Return the quotes at which each contract is expected to be entered, (n, contracts)."""
        return modelled_quotes(
            surface.columns(), spot[:, np.newaxis], strike=np.column_stack(self.strikes),
            years=np.column_stack(self.entry_years), is_call=np.asarray(self.is_call), settings=settings,
        )  # fmt: skip


@dataclass(frozen=True)
class ExitPrices:
    """Holds what contracts are worth at the exit, USD a share, (n, contracts, 2, nodes).

    Attributes
    ----------
    middle : without costs.
    sold, bought : what a sale brings and a purchase costs. At the expiration both are the intrinsic value.
    """

    middle: FloatArray
    sold: FloatArray
    bought: FloatArray


def exit_middles(
    surface: VolatilitySurface,
    book: ContractBook,
    *,
    rows: IntArray,
    prices: FloatArray,
    level_ratios: FloatArray,
) -> FloatArray:
    """Return the middle of each contract at the exit of some sessions, (rows, contracts, 2, nodes), USD a share.

    Parameters
    ----------
    surface : of those sessions, at their close.
    prices : (rows, nodes) of the underlying.
    level_ratios : (rows, 2, nodes) volatility level at the exit as a multiple of today's. The smile keeps its shape in
        standardised moneyness and goes up and down with the level, as a modelled surface does with its index.
    """
    from scipy.special import ndtr

    flat = surface.columns().columns()
    strike = np.column_stack([values[rows] for values in book.strikes])[:, :, np.newaxis]
    years = np.maximum(np.column_stack([values[rows] for values in book.exit_years])[:, :, np.newaxis], _LEAST_TERM)
    is_call = np.asarray(book.is_call)[np.newaxis, :, np.newaxis]
    nodes = prices.shape[1]
    spot = np.tile(prices, 2)[:, np.newaxis, :]
    ratio = level_ratios.reshape(len(prices), 1, 2 * nodes)
    root = np.sqrt(years)
    growth = flat.forward(1.0, years)
    at_the_money = flat.atm_volatility(years) * root
    smile = flat.smile(years)
    discount = flat.dividend_factor(years) / growth
    log_moneyness = np.log(spot) - np.log(strike / growth)
    deviation = ratio * smile(-log_moneyness / (ratio * at_the_money)) * root
    upper = log_moneyness / deviation + 0.5 * deviation
    sign = np.where(is_call, 1.0, -1.0)
    spot_growth = spot * growth
    worth = spot_growth * ndtr(sign * upper)
    worth -= strike * ndtr(sign * (upper - deviation))
    worth *= sign * discount
    np.maximum(worth, 0.0, out=worth)
    shaped: FloatArray = worth.reshape(len(prices), len(book), 2, nodes)
    return shaped


def exit_prices(middle: FloatArray, *, settles: BoolArray, settings: BacktestSettings) -> ExitPrices:
    """Return what closing brings and costs around the middle.

    Parameters
    ----------
    settles : (rows, contracts) which expire at the exit, and settle without spread.
    """
    half = np.maximum(settings.half_spread_fraction * middle, settings.half_spread_minimum_usd)
    rounding, slippage = 0.5 * settings.price_tick_usd, settings.slippage_fraction
    at_expiration = settles[:, :, np.newaxis, np.newaxis]
    sold = np.maximum((middle - half) * (1.0 - slippage) - rounding, 0.0)
    bought = (middle + half) * (1.0 + slippage) + rounding
    if settles.any():
        sold, bought = np.where(at_expiration, middle, sold), np.where(at_expiration, middle, bought)
    return ExitPrices(middle, sold, bought)
