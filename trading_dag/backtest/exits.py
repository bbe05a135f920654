"""When each position is left and at what prices: the rules of a program applied to gathered paths.

The first quote on which a rule holds wins; on one quote the order is stop, profit target, horizon, days to
expiration, signal flip, roll, assignment, expiration (``programs.EXIT_ORDER``). A rule is judged only on
sessions on which every leg can be closed, for all legs leave on one quote date or none does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.backtest.paths import PositionPaths
from trading_dag.backtest.positions import OpenedPositions
from trading_dag.backtest.programs import EXIT_ORDER, ROLL_EXIT, ExitRules
from trading_dag.options.black_scholes import BoolArray, FloatArray
from trading_dag.options.structures import payoff

_ROUNDING = 1e-9
_EXPIRATION = len(EXIT_ORDER) - 1
_ASSIGNMENT = _EXPIRATION - 1


@dataclass(frozen=True)
class Dividends:
    """Cash dividends of the underlying.

    Attributes
    ----------
    ex_dates : (n,) dates, ascending.
    amounts : (n,) USD a share. Taken as known the session before the ex-date, as declared dividends are.
    """

    ex_dates: NDArray[np.datetime64]
    amounts: FloatArray

    def owed_after(self, days: ArrayLike) -> FloatArray:
        """Dividend whose ex-date is after each session and not after the next one, (sessions,) USD a share."""
        day = np.asarray(days, dtype=np.int64)
        owed = np.zeros(len(day))
        after = np.searchsorted(day, np.asarray(self.ex_dates, dtype="datetime64[D]").astype(np.int64), side="left") - 1
        inside = (after >= 0) & (after < len(day) - 1)
        np.add.at(owed, after[inside], np.asarray(self.amounts, dtype=np.float64)[inside])
        return owed


@dataclass(frozen=True)
class Exits:
    """How each position ends.

    Attributes
    ----------
    column : (n,) sessions after the entry; for a position that is open at the end, the last of its path.
    exit : (n,) position of the session in the market; −1 where open.
    reason : (n,) place in ``EXIT_ORDER``; −1 where open or never opened.
    leg_prices : (n, legs) what closing paid or cost; intrinsic values at expiration; NaN where open.
    value : (n,) signed value received, USD a share; NaN where open.
    middle : (n,) the same at the marks; NaN where unknown.
    spot : (n,) underlying price at the exit.
    dividend_owed : (n,) USD a share paid by an assigned short call, within ``value``.
    """

    column: NDArray[np.int64]
    exit: NDArray[np.int64]
    reason: NDArray[np.int64]
    leg_prices: FloatArray
    value: FloatArray
    middle: FloatArray
    spot: FloatArray
    dividend_owed: FloatArray

    @property
    def is_roll(self) -> BoolArray:
        """Positions that were left in order to be opened anew."""
        return np.asarray(self.reason == EXIT_ORDER.index(ROLL_EXIT), dtype=np.bool_)


def leave_positions(paths: PositionPaths, rules: ExitRules, *, dividend_owed: FloatArray | None = None) -> Exits:
    """Apply the rules.

    Parameters
    ----------
    dividend_owed : (sessions of the market,) from ``Dividends.owed_after``; None for no early assignment.
    """
    positions = paths.positions
    rows, columns = paths.at.shape
    can_close = paths.can_close
    first = np.full(rows, columns, dtype=np.int64)
    reason = np.full(rows, -1, dtype=np.int64)
    for place, triggered in _conditions(paths, rules):
        _take_first(first, reason, triggered & can_close, place=place)
    assigned = _assigned_legs(paths, dividend_owed)
    if assigned is not None:
        _take_first(first, reason, np.any(assigned, axis=2), place=_ASSIGNMENT)
    expires_at = np.where(positions.can_open, positions.settlement - positions.entry, columns)
    is_within_data = paths.is_held[np.arange(rows), np.minimum(expires_at, columns - 1)] & (expires_at < columns)
    settles = is_within_data & (expires_at < first)
    first[settles], reason[settles] = expires_at[settles], _EXPIRATION
    return _exits_at(paths, first, reason, assigned=assigned, dividend_owed=dividend_owed)


def adverse_moves(positions: OpenedPositions) -> NDArray[np.int64]:
    """Which move of the underlying hurts each position: −1 down, 1 up, 0 either way (two-sided structures).

    The payoffs far below and far above are held against the one amid the strikes: both tails worse, or
    both better, is two-sided; otherwise the lower tail tells.
    """
    structure, strikes = positions.program.structure, np.nan_to_num(positions.strikes, nan=1.0)
    low, high = strikes.min(axis=1) * 0.01, strikes.max(axis=1) * 100.0
    below, amid, above = payoff(structure, strikes, spot=np.column_stack([low, strikes.mean(axis=1), high])).T
    is_two_sided = np.sign(below - amid) * np.sign(above - amid) > 0
    return np.where(is_two_sided, 0, np.where(below < above, -1, 1)).astype(np.int64)


def _conditions(paths: PositionPaths, rules: ExitRules) -> list[tuple[int, BoolArray]]:
    """Place in ``EXIT_ORDER`` and matrix of each rule that is on."""
    positions, conditions = paths.positions, []
    premium = positions.premium[:, np.newaxis]
    profit = paths.closing_value - premium
    if rules.stop_underlying_fraction is not None:
        conditions.append((0, _has_moved_against(paths, rules)))
    if rules.stop_premium_multiple is not None:
        conditions.append((0, profit <= -rules.stop_premium_multiple * np.abs(premium) + _ROUNDING))
    if rules.profit_target_fraction is not None:
        greatest = positions.maximum_profit
        best = np.where(np.isfinite(greatest), greatest, np.abs(positions.premium))[:, np.newaxis]
        conditions.append((1, profit >= rules.profit_target_fraction * best - _ROUNDING))
    horizon = positions.entries.horizon
    if rules.horizon_sessions is not None:
        horizon = np.where(horizon >= 0, horizon, positions.entry + rules.horizon_sessions)
    if (horizon >= 0).any():
        conditions.append((2, (paths.at >= horizon[:, np.newaxis]) & (horizon >= 0)[:, np.newaxis]))
    if rules.days_to_expiration is not None:
        conditions.append((3, paths.days_left <= rules.days_to_expiration))
    if rules.on_signal_flip:
        conditions.append((4, paths.at >= positions.entries.flip[:, np.newaxis]))
    if rules.roll_days_to_expiration is not None:
        conditions.append((5, paths.days_left <= rules.roll_days_to_expiration))
    if rules.roll_short_delta is not None:
        conditions.append((5, paths.short_delta >= rules.roll_short_delta - _ROUNDING))
    return conditions


def _has_moved_against(paths: PositionPaths, rules: ExitRules) -> BoolArray:
    """The underlying has moved by the stop's fraction since the entry, the way that hurts."""
    entry_spot = paths.positions.entry_spot[:, np.newaxis]
    move = paths.spot / entry_spot - 1.0
    if rules.adverse_move is None:
        adverse = adverse_moves(paths.positions)[:, np.newaxis]
    else:
        adverse = np.asarray([[{"down": -1, "up": 1, "either": 0}[rules.adverse_move]]])
    against = np.where(adverse == 0, np.abs(move), adverse * move)
    return np.asarray(against >= (rules.stop_underlying_fraction or 0.0) - _ROUNDING, dtype=np.bool_)


def _take_first(first: NDArray[np.int64], reason: NDArray[np.int64], triggered: BoolArray, *, place: int) -> None:
    """Let a rule win where it holds earlier than every rule before it in the order."""
    column = triggered.argmax(axis=1)
    wins = triggered.any(axis=1) & (column < first)
    first[wins], reason[wins] = column[wins], place


def _assigned_legs(paths: PositionPaths, dividend_owed: FloatArray | None) -> BoolArray | None:
    """Sold calls in the money whose extrinsic value is below the dividend, (n, sessions, legs).

    Only where every other leg can be closed at that quote. What the holder of the call would get for it,
    its ask, is what extrinsic value is measured on. Calls covered by shares owe no dividend and are left alone.
    """
    structure = paths.positions.program.structure
    is_short_call = structure.is_call & (structure.signed_ratios < 0)
    is_covered_by_shares = structure.underlying_ratio > 0
    if dividend_owed is None or is_covered_by_shares or not is_short_call.any() or not dividend_owed.any():
        return None
    owed = dividend_owed[paths.at][:, :, np.newaxis]
    intrinsic = paths.spot[:, :, np.newaxis] - paths.positions.strikes[:, np.newaxis, :]
    is_due = (owed > 0.0) & (intrinsic > 0.0) & (paths.leg_prices - intrinsic < owed)
    return np.asarray(is_due & is_short_call & paths.can_close[:, :, np.newaxis], dtype=np.bool_)


def _exits_at(
    paths: PositionPaths,
    first: NDArray[np.int64],
    reason: NDArray[np.int64],
    *,
    assigned: BoolArray | None,
    dividend_owed: FloatArray | None,
) -> Exits:
    """Prices at the chosen sessions: natural ones, intrinsic values at expiration or where a call is assigned."""
    positions, structure = paths.positions, paths.positions.program.structure
    rows = np.arange(len(first))
    column = np.where(reason >= 0, first, np.maximum(paths.is_held.sum(axis=1) - 1, 0))
    spot = paths.spot[rows, column]
    leg_prices, middle = paths.leg_prices[rows, column].copy(), paths.middle[rows, column]
    sign = np.where(structure.is_call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (spot[:, np.newaxis] - positions.strikes), 0.0)
    is_settled = reason == _EXPIRATION
    leg_prices[is_settled] = intrinsic[is_settled]
    owed = np.zeros(len(first))
    if assigned is not None and dividend_owed is not None:
        is_called = assigned[rows, column] & (reason == _ASSIGNMENT)[:, np.newaxis]
        dividend = dividend_owed[paths.at[rows, column]]
        leg_prices = np.where(is_called, intrinsic + dividend[:, np.newaxis], leg_prices)
        owed = dividend * np.where(is_called, np.abs(structure.signed_ratios), 0.0).sum(axis=1)
    leg_prices[reason < 0] = np.nan
    value = leg_prices @ structure.signed_ratios + structure.underlying_ratio * spot
    # A settled leg has no spread, and an assigned one is not traded: neither costs anything beyond its price.
    without_spread = is_settled | (reason == _ASSIGNMENT)
    return Exits(
        column=column,
        exit=np.where(reason >= 0, paths.at[rows, column], -1),
        reason=reason,
        leg_prices=leg_prices,
        value=value,
        middle=np.where(without_spread, value, np.where(reason >= 0, middle, np.nan)),
        spot=np.where(reason >= 0, spot, np.nan),
        dividend_owed=owed,
    )
