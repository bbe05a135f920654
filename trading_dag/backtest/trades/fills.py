"""Entry and exit of one structure at modelled quotes: what is paid, what comes back, what it costs.

Every row is one round trip of one structure. All legs fill on one quote. Which signals trade, how the
account limits them and what the results mean is the engine's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.market import Market
from trading_dag.backtest.plans.exit_rules import EXPIRATION_EXIT, HORIZON_EXIT
from trading_dag.options.structures.payoff import payoff_bounds
from trading_dag.options.structures.quotes import Positions, construct_positions, modelled_quotes
from trading_dag.options.structures.strike_selection import years_to_expiration
from trading_dag.options.structures.structure import Structure
from trading_dag.options.surfaces.modelled import ModelledSurface
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.sizing import contracts_for_risk

ENTRY_AFTER_DATA: Final = "entry_after_data"
NO_ENTRY_QUOTE: Final = "no_entry_quote"
NO_VOLATILITY_INDEX: Final = "no_volatility_index"
NO_POSSIBLE_PROFIT: Final = "no_possible_profit"
NO_EXIT_QUOTE: Final = "no_exit_quote"
EXCEEDS_RISK_BUDGET: Final = "exceeds_risk_budget"


@dataclass(frozen=True)
class RoundTrips:
    """Round trips of one structure, one a row, for a single structure each (not yet sized).

    Attributes
    ----------
    entry, exit : positions in the market's sessions; ``exit`` is −1 for a trip that is open at the end of data.
    positions : strikes, expirations, natural entry prices and risk.
    entry_spot, exit_spot : USD; the exit's is NaN where open.
    exit_leg_prices : (n, legs) natural prices, or intrinsic values at expiration; NaN where open.
    exit_premium : USD a share received for closing, NaN where open.
    skip_reason : why the trip cannot be made, empty where it can.
    exit_reason : ``horizon`` or ``expiration``, empty where open.
    """

    structure: Structure
    entry: IntArray
    exit: IntArray
    positions: Positions
    entry_spot: FloatArray
    exit_spot: FloatArray
    exit_leg_prices: FloatArray
    exit_premium: FloatArray
    skip_reason: TextArray
    exit_reason: TextArray

    @property
    def is_tradable(self) -> BoolArray:
        """Return which trips have no reason to be skipped."""
        tradable: BoolArray = self.skip_reason == ""
        return tradable

    def maximum_loss_usd(self, settings: BacktestSettings) -> FloatArray:
        """Return the defined risk of one structure, fees not counted."""
        return self.positions.maximum_loss * settings.multiplier

    def fees_one_way_usd(self, settings: BacktestSettings) -> float:
        """Return the fees of one structure, in or out: every leg and every contract pays."""
        return settings.fee_per_leg_contract_usd * self.structure.contracts_per_structure

    def profit_usd(self, settings: BacktestSettings) -> FloatArray:
        """Return the profit of one structure after fees both ways; NaN where open or skipped."""
        gross = (self.exit_premium - self.positions.premium) * settings.multiplier
        return np.where(self.is_tradable, gross - 2.0 * self.fees_one_way_usd(settings), np.nan)

    def contracts(self, size: float | FloatArray, settings: BacktestSettings) -> IntArray:
        """Return how many structures the risk budget of that size allows; 0 where the trip cannot be made."""
        allowed = contracts_for_risk(
            account_usd=settings.account_usd,
            risk_fraction=settings.risk_fraction,
            size=size,
            maximum_loss_usd=self.maximum_loss_usd(settings),
            round_trip_fees_usd=2.0 * self.fees_one_way_usd(settings),
        )
        return np.where(self.is_tradable, allowed, 0)


def make_round_trips(structure: Structure, market: Market, *, signal: IntArray, holding_sessions: int) -> RoundTrips:
    """Enter at the open after each signal's session and leave at the horizon's end.

    Parameters
    ----------
    signal : positions of the signals' sessions in the market, each at least 0; may point at the last session.
    holding_sessions : sessions from the signal's session to the one at whose close the horizon ends.

    Strikes and expiration are chosen from the entry's own quotes. The exit is at the first close with an
    index level at or after the target; where the expiration comes first, the legs settle at their
    intrinsic value at its close, without spread. Nothing of the signal's own session is read but the
    volatility index's close (where the entry session has no index open) and the interest rate.
    """
    book = market.settings.backtest
    last = len(market) - 1
    has_entry = signal < last
    entry = np.minimum(signal + 1, last)
    # A market of one session has no session before its only entry; has_entry is False there.
    surface = market.entry_surface(np.maximum(entry, min(1, last)))
    spot = np.where(has_entry, market.open[entry], np.nan)
    positions = construct_positions(
        structure, surface, sessions=market.sessions[entry], spot=spot, quoted_at="open", settings=book
    )
    target_exit = _first_quote_from(market.first_quoted_close(), signal + holding_sessions)
    expiration = market.sessions.searchsorted(positions.expirations).astype(np.int64)
    exit_position = np.minimum(target_exit, expiration)
    is_open = exit_position > last
    exit_position = np.where(is_open, -1, exit_position)
    settles = ~is_open & (expiration < target_exit)

    exit_leg_prices = _exit_prices(positions, market, exit_position=np.maximum(exit_position, 0), settles=settles)
    exit_leg_prices[is_open] = np.nan
    exit_premium = exit_leg_prices @ structure.signed_ratios
    skip_reason = np.select(
        [
            ~has_entry,
            np.isnan(spot),
            np.isnan(np.asarray(surface.index_points, dtype=np.float64)),
            ~positions.is_quoted,
            positions.maximum_profit <= 0,
            ~is_open & np.isnan(exit_premium),
        ],
        [
            ENTRY_AFTER_DATA,
            NO_ENTRY_QUOTE,
            NO_VOLATILITY_INDEX,
            NO_ENTRY_QUOTE,
            NO_POSSIBLE_PROFIT,
            NO_EXIT_QUOTE,
        ],
        "",
    ).astype(object)
    return RoundTrips(
        structure=structure,
        entry=entry,
        exit=exit_position,
        positions=positions,
        entry_spot=spot,
        exit_spot=np.where(is_open, np.nan, market.close[exit_position]),
        exit_leg_prices=exit_leg_prices,
        exit_premium=exit_premium,
        skip_reason=skip_reason,
        exit_reason=np.select([is_open, settles], ["", EXPIRATION_EXIT], HORIZON_EXIT).astype(object),
    )


def mark_positions(
    structure: Structure,
    market: Market,
    *,
    at: IntArray,
    strikes: FloatArray,
    years: FloatArray,
) -> FloatArray:
    """Return the middle value of positions at the closes ``at``, USD a share, within the structure's arbitrage bounds.

    Marks are bounded because a mark outside the bounds is known to be wrong; fills never are, because
    that is what the trade would have paid.
    """
    surface: ModelledSurface = market.marking_surface(at)
    spot = market.last_known_close()[at]
    legs = surface.columns().price(spot[:, np.newaxis], strikes, years=years[:, np.newaxis], is_call=structure.is_call)
    bounds = payoff_bounds(structure, strikes)
    discount = np.exp(-np.asarray(surface.rate, dtype=np.float64) * years)
    return np.clip(legs @ structure.signed_ratios, bounds.least * discount, bounds.greatest * discount)


def _first_quote_from(first_quoted: IntArray, target: IntArray) -> IntArray:
    """The first quoted position at or after each target; the market's length where the data ends first."""
    rows = len(first_quoted)
    return np.where(target < rows, first_quoted[np.minimum(target, rows - 1)], rows)


def _exit_prices(positions: Positions, market: Market, *, exit_position: IntArray, settles: BoolArray) -> FloatArray:
    """Natural closing prices of the legs (bought ones are sold at the bid), intrinsic values where they settle."""
    structure = positions.structure
    spot = market.close[exit_position][:, np.newaxis]
    years = np.maximum(
        years_to_expiration(market.sessions[exit_position], positions.expirations, quoted_at="close"), 0.0
    )
    quotes = modelled_quotes(
        market.close_surface(exit_position).columns(), spot, strike=positions.strikes, years=years[:, np.newaxis],
        is_call=structure.is_call, settings=market.settings.backtest,
    )  # fmt: skip
    intrinsic = np.maximum(np.where(structure.is_call, 1.0, -1.0) * (spot - positions.strikes), 0.0)
    return np.where(settles[:, np.newaxis], intrinsic, quotes.natural(-structure.signed_ratios))
