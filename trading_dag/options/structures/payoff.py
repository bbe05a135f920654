"""What a structure pays at its expiration: payoff, its bounds, breakevens and the probability of a profit.

The arithmetic works for any structure whose legs expire together: rows are positions, columns are legs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import OptionPricingError
from trading_dag.options.structures.structure import Structure, at_front_expiration

if TYPE_CHECKING:
    from trading_dag.options.surfaces.modelled import VolatilitySurface


def _slope_beyond(structure: Structure) -> float:
    """Return the slope of the payoff beyond the highest strike.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    if not structure.expires_together:
        raise OptionPricingError(
            f"structure {structure.name!r} has legs that expire at different dates: it has no payoff at "
            "expiration, value it by model"
        )
    return float(structure.signed_ratios[structure.is_call].sum() + structure.underlying_ratio)


def _value_at_expiration(structure: Structure, strikes: FloatArray, prices: FloatArray) -> FloatArray:
    """Return the value at expiration of the legs and the shares, USD a share; strikes (n, legs), prices (n, m)."""
    sign = np.where(structure.is_call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (prices[:, :, np.newaxis] - strikes[:, np.newaxis, :]), 0.0)
    value: FloatArray = intrinsic @ structure.signed_ratios
    # Without shares nothing is added: 0 times an infinite price would be NaN.
    return value + structure.underlying_ratio * prices if structure.underlying_ratio else value


def payoff(structure: Structure, strikes: ArrayLike, *, spot: ArrayLike) -> FloatArray:
    """Return the value at expiration, USD a share, before any premium; a covered call's shares count at their price.

    Parameters
    ----------
    strikes : (n, legs).
    spot : (n,) one price a row, or (n, m) or (m,) several; broadcasts against the rows.

    Returns
    -------
    (n,) for one price a row, (n, m) for several.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    _slope_beyond(structure)
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    s = np.asarray(spot, dtype=np.float64)
    is_one_a_row = s.ndim == 0 or s.shape == (len(k),)
    prices = np.broadcast_to(s, (len(k),))[:, np.newaxis] if is_one_a_row else np.atleast_2d(s)
    paid = _value_at_expiration(structure, k, prices)
    result: FloatArray = paid[:, 0] if is_one_a_row else paid
    return result


@dataclass(frozen=True)
class PayoffBounds:
    """Holds the least and greatest value at expiration, USD a share, each (n,); infinite where unlimited."""

    least: FloatArray
    greatest: FloatArray


def _knots(structure: Structure, strikes: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return where the payoff bends (0 and the strikes, ascending), its value there, and its slope beyond the last."""
    knots = np.concatenate([np.zeros((len(strikes), 1)), np.sort(strikes, axis=1)], axis=1)
    return knots, _value_at_expiration(structure, strikes, knots), _slope_beyond(structure)


def payoff_bounds(structure: Structure, strikes: ArrayLike) -> PayoffBounds:
    """Return the least and greatest value at expiration over every underlying price from 0.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates; so do all functions below.
    """
    _, values, slope = _knots(structure, np.atleast_2d(np.asarray(strikes, dtype=np.float64)))
    least, greatest = values.min(axis=1), values.max(axis=1)
    return PayoffBounds(
        least=np.where(np.isnan(least), np.nan, -np.inf) if slope < 0 else least,
        greatest=np.where(np.isnan(greatest), np.nan, np.inf) if slope > 0 else greatest,
    )


def maximum_loss(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Return the greatest loss at expiration, USD a share, positive; infinite where short calls are naked.

    ``premium`` is what was paid (negative: received), the price of shares included.
    """
    loss: FloatArray = np.asarray(premium, dtype=np.float64) - payoff_bounds(structure, strikes).least
    return loss


def maximum_profit(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Return the greatest profit at expiration, USD a share; infinite where unlimited."""
    profit: FloatArray = payoff_bounds(structure, strikes).greatest - np.asarray(premium, dtype=np.float64)
    return profit


def breakevens(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Return the underlying prices at expiration where the profit changes its sign, ascending.

    Returns
    -------
    (n, legs + 1), one column a segment of the payoff, NaN where the segment has none. A segment that
    breaks even all along has none.
    """
    knots, values, slope = _knots(structure, np.atleast_2d(np.asarray(strikes, dtype=np.float64)))
    profit = values - np.broadcast_to(np.asarray(premium, dtype=np.float64), (len(knots),))[:, np.newaxis]
    is_loss = profit < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        within = knots[:, :-1] - profit[:, :-1] * np.diff(knots, axis=1) / np.diff(profit, axis=1)
        beyond = knots[:, -1] - profit[:, -1] / slope if slope else np.full(len(knots), np.nan)
    crosses_beyond = (is_loss[:, -1] & (slope > 0)) | (~is_loss[:, -1] & (slope < 0))
    return np.column_stack(
        [np.where(is_loss[:, :-1] != is_loss[:, 1:], within, np.nan), np.where(crosses_beyond, beyond, np.nan)]
    )


def probability_of_profit(
    structure: Structure,
    strikes: ArrayLike,
    *,
    premium: ArrayLike,
    spot: ArrayLike,
    years: ArrayLike,
    surface: VolatilitySurface,
) -> FloatArray:
    """Return the risk-neutral probability of a profit at expiration, (n,).

    Each breakeven is passed with the probability that the surface's own option prices imply, slope of the
    skew included. It is a statement about the surface, not a forecast. NaN where strikes or
    premium are NaN.
    """
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    cost = np.broadcast_to(np.asarray(premium, dtype=np.float64), (len(k),))
    points = breakevens(structure, k, premium=cost)
    exists = np.isfinite(points)
    above = surface.columns().probability_above(
        np.broadcast_to(np.asarray(spot, dtype=np.float64), (len(k),))[:, np.newaxis],
        np.where(exists, points, 1.0),
        np.broadcast_to(np.asarray(years, dtype=np.float64), (len(k),))[:, np.newaxis],
    )
    return probability_from_crossings(structure, k, premium=cost, above=np.where(exists, above, np.nan))


def probability_from_crossings(
    structure: Structure, strikes: FloatArray, *, premium: FloatArray, above: FloatArray
) -> FloatArray:
    """Return the probability of a profit at expiration from those of ending above each breakeven, (n,).

    Parameters
    ----------
    strikes, premium : (n, legs) and (n,).
    above : (n, legs + 1) in the columns of ``breakevens``; NaN where there is none.
    """
    exists = np.isfinite(above)
    starts_in_profit = payoff(structure, strikes, spot=0.0) >= premium
    # Crossing the first breakeven upward enters profit if the lowest prices lose, and leaves it if they win.
    alternating = np.where(np.cumsum(exists, axis=1) % 2 == 1, 1.0, -1.0)
    crossed = np.where(exists, alternating * above, 0.0).sum(axis=1)
    probability = np.where(starts_in_profit, 1.0 - crossed, crossed)
    is_known = np.isfinite(strikes).all(axis=1) & np.isfinite(premium)
    return np.where(is_known, np.clip(probability, 0.0, 1.0), np.nan)


def adverse_moves(structure: Structure, strikes: FloatArray) -> IntArray:
    """Return which move of the underlying hurts each position, (n,): −1 down, 1 up, 0 either way.

    The payoffs far below and far above are held against the one amid the strikes: both tails worse, or both better, is
    two-sided, and so are tails that pay the same; otherwise the lower tail tells. A leg that expires later counts at
    what exercise pays at the front expiration, so calendars lose either way.

    Parameters
    ----------
    strikes : (n, legs); what is missing counts as 1.
    """
    known = np.nan_to_num(strikes, nan=1.0)
    ends = np.column_stack([known.min(axis=1) * 0.01, known.mean(axis=1), known.max(axis=1) * 100.0])
    below, amid, above = payoff(at_front_expiration(structure), known, spot=ends).T
    is_two_sided = (np.sign(below - amid) * np.sign(above - amid) > 0) | (below == above)
    moves: IntArray = np.where(is_two_sided, 0, np.where(below < above, -1, 1)).astype(np.int64)
    return moves
