"""What a trade plan was exposed to: profit by cause, Greeks through time, and spot × volatility scenarios.

All of it is a model's view of the marks: every leg's volatility is the one that its own mark implies
(Black–Scholes–Merton, European). Where a mark implies none, nothing is explained and profit stays in the
residual. The ledger reads none of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.plans.exit_rules import EXPIRATION_EXIT
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.trades.path_greeks import leg_greeks, years_left
from trading_dag.day_count import DAYS_PER_YEAR


@dataclass(frozen=True)
class PositionGreeks:
    """Holds Greeks of the trades that were taken, one structure, a share; (trades, sessions since entry).

    Attributes
    ----------
    rows : (trades,) rows of the result.
    size : (trades,) contracts times multiplier.
    is_marked : the position is held over that session's close.
    volatility : (trades, sessions, legs) that the mark implies; NaN where it implies none.
    delta, gamma, vega, theta : units as in ``options.greeks``; NaN where a leg's volatility is.
    vega_by_leg : (trades, sessions, legs) signed by side and ratio.
    """

    rows: IntArray
    size: FloatArray
    is_marked: BoolArray
    volatility: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    vega_by_leg: FloatArray


@dataclass(frozen=True)
class ProfitAttribution:
    """Holds profit before fees by cause, (n,) USD by entry; NaN where skipped or open.

    Attributes
    ----------
    delta, gamma : first and second order in the underlying's move, with the Greeks of the session before.
    theta : calendar time passed.
    vega : change of each leg's implied volatility.
    expiration : the end of a trade that was held to it, from the last marks that imply volatilities (on most chains
        those of the session before) to the settlement; no Greek of before explains what a kink pays.
    residual : the rest: higher orders, spreads and slippage, dividends on shares, sessions whose marks imply no
        volatility.
    """

    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    expiration: FloatArray
    residual: FloatArray


@dataclass(frozen=True)
class AccountGreeks:
    """Holds Greeks of all positions held over each session's close, (sessions,); 0 without positions.

    Attributes
    ----------
    delta : USD per USD of the underlying.
    gamma : delta per USD of the underlying.
    vega : USD per 1.00 of volatility.
    theta : USD per year.
    unexplained : positions left out because a mark implies no volatility.
    """

    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    unexplained: IntArray


def position_greeks(result: PlanResult, *, rate: ArrayLike = 0.0, dividend_yield: float = 0.0) -> PositionGreeks:
    """Return the Greeks of every trade at every session of its path, the exit's included.

    Parameters
    ----------
    rate : continuously compounded: one, or (sessions,) as known at each session's close.
    dividend_yield : continuously compounded, for every session.
    """
    paths, structure = result.paths, result.plan.structure
    rows = np.flatnonzero(result.is_taken)
    columns = np.arange(paths.at.shape[1])
    exit_column = np.where(result.exits.exit >= 0, result.exits.column, len(columns))[rows]
    is_held = paths.is_held[rows]
    is_seen = is_held & (columns <= exit_column[:, np.newaxis])
    trade, column = np.nonzero(is_seen)
    found = leg_greeks(result.market, paths, rows=rows[trade], column=column, rate=rate, dividend_yield=dividend_yield)
    ratios = structure.signed_ratios
    shape = is_seen.shape

    def spread(values: FloatArray) -> FloatArray:
        whole = np.full((*shape, *values.shape[1:]), np.nan)
        whole[trade, column] = values
        return whole

    return PositionGreeks(
        rows=rows,
        size=np.asarray(result.contracts[rows] * float(result.plan.account.multiplier), dtype=np.float64),
        is_marked=is_held & (columns < exit_column[:, np.newaxis]),
        volatility=spread(found.volatility),
        delta=spread(found.delta @ ratios + structure.underlying_ratio),
        gamma=spread(found.gamma @ ratios),
        vega=spread(found.vega @ ratios),
        theta=spread(found.theta @ ratios),
        vega_by_leg=spread(found.vega * ratios),
    )


def attribute_profit(result: PlanResult, positions: PositionGreeks) -> ProfitAttribution:
    """Split the profit before fees of each closed trade, session by session, with the Greeks at its start."""
    paths = result.paths
    # A special dividend moves the underlying and the strikes alike.
    spot, days = (paths.spot + paths.contracts.special)[positions.rows], paths.days_left[positions.rows]
    move, years = np.diff(spot, axis=1), -np.diff(days, axis=1) / DAYS_PER_YEAR
    steps = positions.is_marked[:, :-1]
    change = np.diff(positions.volatility, axis=1)
    parts = {
        "delta": positions.delta[:, :-1] * move,
        "gamma": 0.5 * positions.gamma[:, :-1] * move**2,
        "theta": positions.theta[:, :-1] * years,
        "vega": np.where(np.isfinite(change), positions.vega_by_leg[:, :-1] * change, 0.0).sum(axis=2),
    }
    received = result.exits.value + result.exits.dividend_received
    total = (received - paths.positions.premium)[positions.rows] * positions.size
    last_marked, settled = _settlements(result, positions)
    is_settling = (np.arange(steps.shape[1]) >= last_marked[:, np.newaxis]) & np.isfinite(settled)[:, np.newaxis]
    is_explained = steps & ~is_settling & np.all([np.isfinite(part) for part in parts.values()], axis=0)
    sums = {name: np.where(is_explained, part, 0.0).sum(axis=1) * positions.size for name, part in parts.items()}
    sums["expiration"] = np.where(np.isfinite(settled), settled, 0.0) * positions.size
    residual = total - np.sum(list(sums.values()), axis=0)
    return ProfitAttribution(**{
        name: _by_entry(result, positions.rows, values) for name, values in {**sums, "residual": residual}.items()
    })  # fmt: skip


def _settlements(result: PlanResult, positions: PositionGreeks) -> tuple[IntArray, FloatArray]:
    """Column of the last marks before a settlement that imply volatilities, and what it paid beyond them, a share.

    NaN for trades that ended otherwise, and for those without such marks; later marks are old ones carried on.
    """
    paths, exits, trades = result.paths, result.exits, np.arange(len(positions.rows))
    is_known = positions.is_marked & np.isfinite(positions.volatility).all(axis=2)
    last = np.where(is_known, np.arange(is_known.shape[1]), -1).max(axis=1, initial=-1)
    column = np.maximum(last, 0)
    worth = (paths.mark + paths.dividends_received)[positions.rows[trades], column]
    settlement = (exits.value + exits.dividend_received)[positions.rows]
    is_settled = (result.exit_reason[positions.rows] == EXPIRATION_EXIT) & (last >= 0)
    return column, np.where(is_settled, settlement - worth, np.nan)


def greeks_through_time(result: PlanResult, positions: PositionGreeks) -> AccountGreeks:
    """Add up the Greeks of the positions held over each session's close."""
    sessions = len(result.market)
    is_known = positions.is_marked & np.isfinite(positions.delta + positions.gamma + positions.vega + positions.theta)
    at = result.paths.at[positions.rows]

    # A share of the entry has become so many, so that a move of one of them moves it by as much.
    shares = result.paths.contracts.shares[positions.rows]

    def summed(values: FloatArray) -> FloatArray:
        total = np.zeros(sessions)
        np.add.at(total, at[is_known], (positions.size[:, np.newaxis] * values)[is_known])
        return total

    unexplained = np.bincount(at[positions.is_marked & ~is_known], minlength=sessions).astype(np.int64)
    return AccountGreeks(
        summed(positions.delta * shares), summed(positions.gamma * shares**2), summed(positions.vega),
        summed(positions.theta), unexplained,
    )  # fmt: skip


def scenario_profit(
    result: PlanResult,
    positions: PositionGreeks,
    *,
    session: int,
    spot_moves: ArrayLike,
    volatility_moves: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend_yield: float = 0.0,
) -> FloatArray:
    """Return the instantaneous profit of the positions held over a session's close, (spot moves, volatility moves),
    USD.

    Parameters
    ----------
    session : position in the market.
    spot_moves : fractions of the underlying's price.
    volatility_moves : fractions (0.05 is five points) added to every leg's volatility, which stays at least 0.
    rate : as ``position_greeks`` takes it.

    Positions with a leg whose mark implies no volatility are left out; ``AccountGreeks.unexplained`` counts them.
    """
    from trading_dag.options.pricing.black_scholes import price

    structure, paths = result.plan.structure, result.paths
    is_here = (
        positions.is_marked & (paths.at[positions.rows] == session) & np.isfinite(positions.volatility).all(axis=2)
    )
    trade, column = np.nonzero(is_here)
    rows = positions.rows[trade]
    # Axes: positions, spot moves, volatility moves, legs.
    spot = paths.spot[rows, column].reshape(-1, 1, 1, 1)
    moved = spot * (1.0 + np.asarray(spot_moves, dtype=np.float64)[:, np.newaxis, np.newaxis])
    volatility = positions.volatility[trade, column][:, np.newaxis, np.newaxis, :]
    shocked = np.maximum(volatility + np.asarray(volatility_moves, dtype=np.float64)[:, np.newaxis], 0.0)
    arguments: dict[str, Any] = {
        "strike": paths.contracts.strikes[rows, column][:, np.newaxis, np.newaxis, :],
        "years": years_left(result.market, paths, rows=rows, column=column)[:, np.newaxis, np.newaxis, :],
        "rate": float(result.market.by_session(rate)[session]),
        "dividend_yield": dividend_yield,
        "is_call": structure.is_call,
    }
    before: FloatArray = price(spot=spot, volatility=volatility, **arguments)
    after: FloatArray = price(spot=moved, volatility=shocked, **arguments)
    shares = structure.underlying_ratio * (moved - spot)[..., 0]
    profit: FloatArray = np.einsum(
        "n,nsv->sv", positions.size[trade], (after - before) @ structure.signed_ratios + shares
    )
    return profit


def _by_entry(result: PlanResult, rows: IntArray, values: FloatArray) -> FloatArray:
    whole = np.full(len(result.contracts), np.nan)
    whole[rows] = np.where(result.is_closed[rows], values, np.nan)
    return whole
