"""Straddles, strangles and butterflies where the volatility forecast favours them: the selector's last rows.

The designs' matrix comes first: a row here enters only where the matrix selects nothing. What is said of a structure is
at the session's close and at fixed price of the underlying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, TextArray
from trading_dag.options.pricing.greeks import greeks
from trading_dag.options.structures.quotes import Positions, construct_positions
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.setting_groups import BacktestSettings, SelectorSettings
from trading_dag.strategy.selector import NO_TRADE, Selection

# Sold straddles and strangles are not among them: without a limit of loss there is nothing to size by.
STRUCTURES_OF: Final[dict[str, tuple[str, ...]]] = {
    "EXPANDING": ("long_straddle", "long_strangle"),
    "CONTRACTING": ("iron_butterfly", "call_butterfly", "put_butterfly"),
}
VOLATILITY_STRUCTURES: Final = tuple(name for names in STRUCTURES_OF.values() for name in names)
DESIGN_SIZE: Final = "HALF"


@dataclass(frozen=True)
class LevelForecast:
    """Holds the served forecast of the volatility index at the target, (n,); NaN or None where there is none.

    Attributes
    ----------
    direction : EXPANDING, STABLE or CONTRACTING.
    change : forecast mean over the level at the session, less 1.
    probability : of the direction that is called: of a rise for EXPANDING, of a fall for CONTRACTING.
    """

    direction: TextArray
    change: FloatArray
    probability: FloatArray

    @classmethod
    def of(cls, level: pd.DataFrame) -> LevelForecast:
        """Return the forecast from rows of predictions.volatility_level, one a session."""
        rise = level["probability_rise"].to_numpy(dtype=np.float64)
        direction: TextArray = level["expected_iv_direction"].to_numpy(dtype=object).copy()
        direction[pd.isna(direction)] = None
        expected, now = (level[name].to_numpy(dtype=np.float64) for name in ("expected_level", "index_level"))
        return cls(direction, expected / now - 1.0, np.where(direction == "CONTRACTING", 1.0 - rise, rise))


@dataclass(frozen=True)
class ImpliedChange:
    """Holds what one structure's price implies at each session, (n,), USD a share.

    Attributes
    ----------
    sensitivity : gain if every leg's volatility rises by its own whole: the sum of ratio · vega · volatility.
    cost : of getting in and out: twice what natural prices are worse than the middle, and the fees both ways.
    risk : the most that can be lost.
    """

    sensitivity: FloatArray
    cost: FloatArray
    risk: FloatArray


def add_volatility_rows(
    selection: Selection,
    level: LevelForecast,
    *,
    sessions: pd.DatetimeIndex,
    spot: FloatArray,
    rate: FloatArray,
    surface: VolatilitySurface,
    is_priced: BoolArray,
    settings: SelectorSettings,
    book: BacktestSettings,
    dividend_yield: float,
) -> Selection:
    """Return the selection with a structure of ``STRUCTURES_OF`` where the matrix has none and volatility favours one.

    A structure is favoured where the level's direction is called with at least ``volatility_probability_minimum``, and
    the expected change of the level is worth its price: with x the forecast mean of the index at the target over
    today's level less 1, r, ν and σ the ratio, vega and volatility of each leg, and C the cost of getting in and out,

        x · Σ r ν σ  ≥  ``volatility_cost_multiple`` · C

    so that x lies beyond C / Σ r ν σ, the change of volatility that the structure's own price implies, by that
    multiple. Every volatility is taken to move in proportion to the index, and what the underlying's moves earn to be
    what time costs. Of several the one with the greatest x · Σ r ν σ − C over its greatest loss is taken. Its design
    size is HALF.

    Parameters
    ----------
    surface, is_priced : that prices the sessions where ``is_priced``; the others are left as they are.
    spot, rate : (n,) at the close.
    """
    is_open = (selection.strategy == NO_TRADE) & is_priced & np.isfinite(level.change)
    is_sure = level.probability >= settings.volatility_probability_minimum
    strategy, size, reason = selection.strategy.copy(), selection.design_size.copy(), selection.reason.copy()
    for direction, names in STRUCTURES_OF.items():
        at = np.flatnonzero(is_open & is_sure & (level.direction == direction))
        if not len(at):
            continue
        change = level.change[at]
        best = np.full(len(at), -np.inf)
        for name in names:
            implied = _implied_change(name, sessions[at], spot[at], rate[at], surface.rows(at), book, dividend_yield)
            gain = change * implied.sensitivity
            is_favoured = (gain >= settings.volatility_cost_multiple * implied.cost) & (implied.risk > 0)
            worth = np.where(is_favoured, (gain - implied.cost) / implied.risk, -np.inf)
            for row in np.flatnonzero(worth > best):
                strategy[at[row]], size[at[row]] = name, DESIGN_SIZE
                needed = implied.cost[row] / implied.sensitivity[row]
                reason[at[row]] = (
                    f"implied volatility is forecast to change by {change[row]:+.1%}, beyond the {needed:+.1%} that "
                    "the price of the structure implies"
                )
            best = np.maximum(best, worth)
    return Selection(strategy, size, selection.overall_confidence, reason)


def _implied_change(
    name: str,
    sessions: pd.DatetimeIndex,
    spot: FloatArray,
    rate: FloatArray,
    surface: VolatilitySurface,
    book: BacktestSettings,
    dividend_yield: float,
) -> ImpliedChange:
    structure = STRUCTURES[name]
    positions: Positions = construct_positions(
        structure, surface, sessions=sessions, spot=spot, quoted_at="close", settings=book
    )
    ratios = structure.signed_ratios
    column = {"spot": spot[:, np.newaxis], "years": positions.years[:, np.newaxis]}
    middle = surface.columns().price(
        column["spot"], positions.strikes, years=column["years"], is_call=structure.is_call
    )
    vega = greeks(
        **column, strike=positions.strikes, rate=rate[:, np.newaxis], dividend_yield=dividend_yield,
        volatility=positions.leg_volatilities, is_call=structure.is_call,
    ).vega  # fmt: skip
    spread = positions.premium - middle @ ratios
    fees = book.fee_per_leg_contract_usd * structure.contracts_per_structure / book.multiplier
    return ImpliedChange(
        sensitivity=(vega * positions.leg_volatilities) @ ratios,
        cost=2.0 * (spread + fees),
        risk=np.where(positions.is_quoted, positions.maximum_loss, np.nan),
    )
