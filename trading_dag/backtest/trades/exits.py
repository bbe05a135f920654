"""When each position is left and at what prices: the rules of a trade plan applied to gathered paths.

The first quote on which a rule holds wins; on one quote the order is that of
``exit_rules.EXIT_ORDER``, where the rules are defined. A rule is judged only on
sessions on which every leg can be closed, for all legs leave on one quote date or none does. Legs that outlive
the front expiration are sold at their quotes when it settles, or at the first session after it that quotes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.backtest.plans.exit_rules import (
    ASSIGNMENT_EXIT,
    DAYS_TO_EXPIRATION_EXIT,
    EXIT_ORDER,
    EXPIRATION_EXIT,
    HORIZON_EXIT,
    PROFIT_TARGET_EXIT,
    ROLL_EXIT,
    SIGNAL_FLIP_EXIT,
    STOP_EXIT,
    ExitRules,
)
from trading_dag.backtest.trades.paths import PositionPaths
from trading_dag.options.structures import payoff

_ROUNDING = 1e-9
_PLACE = {reason: place for place, reason in enumerate(EXIT_ORDER)}


@dataclass(frozen=True)
class Exits:
    """Says how each position ends.

    Attributes
    ----------
    column : (n,) sessions after the entry; for a position that is open at the end, the last of its path.
    exit : (n,) position of the session in the market; −1 where open.
    reason : (n,) place in ``EXIT_ORDER``; −1 where open or never opened.
    leg_prices : (n, legs) what closing paid or cost; intrinsic values at expiration; NaN where open. An assigned call
        that no shares cover costs buying the shares back ex dividend: spot less dividend less strike.
    value : (n,) signed value received, what is owed taken off, USD a share; NaN where open.
    middle : (n,) the same at the marks; NaN where unknown.
    spot : (n,) underlying price at the exit.
    dividend_owed : (n,) USD a share that assigned calls without shares owe. With the buying back it makes the
        intrinsic value at the assignment.
    dividend_received : (n,) USD a share paid on shares until the exit, or so far where open; apart from ``value``.
    contracts : (n,) how many contracts each one of the entry had become at the exit, or at the end where open.
    missed : (n,) sessions before the exit at which a rule demanded it and a leg had no quote to be closed at. Premium
        rules are judged at the marks there.
    """

    column: IntArray
    exit: IntArray
    reason: IntArray
    leg_prices: FloatArray
    value: FloatArray
    middle: FloatArray
    spot: FloatArray
    dividend_owed: FloatArray
    dividend_received: FloatArray
    contracts: FloatArray
    missed: IntArray

    @property
    def is_roll(self) -> BoolArray:
        """Return which positions were left in order to be opened anew."""
        return np.asarray(self.reason == EXIT_ORDER.index(ROLL_EXIT), dtype=np.bool_)


def leave_positions(paths: PositionPaths, rules: ExitRules) -> Exits:
    """Apply the rules to every path."""
    rows, columns = paths.at.shape
    first = np.full(rows, columns, dtype=np.int64)
    reason = np.full(rows, -1, dtype=np.int64)
    is_missed = np.zeros(paths.at.shape, dtype=np.bool_)
    for place, triggered in _conditions(paths, rules):
        _take_first(first, reason, triggered & paths.can_close, place=place)
        is_missed |= triggered & ~paths.can_close
    assigned = _assigned_legs(paths)
    if assigned is not None:
        _take_first(first, reason, np.any(assigned, axis=2), place=_PLACE[ASSIGNMENT_EXIT])
    _take_first(first, reason, paths.can_settle, place=_PLACE[EXPIRATION_EXIT])
    # At its settlement a position needs no quote.
    is_missed &= paths.may_be_left & (paths.at < paths.positions.settlement[:, np.newaxis])
    is_missed &= np.arange(columns) < first[:, np.newaxis]
    return _exits_at(paths, first, reason, assigned=assigned, missed=is_missed.sum(axis=1).astype(np.int64))


def _conditions(paths: PositionPaths, rules: ExitRules) -> list[tuple[int, BoolArray]]:
    """Place in ``EXIT_ORDER`` and matrix of each rule that is on."""
    positions, conditions = paths.positions, []
    premium = positions.premium[:, np.newaxis]
    # Where a leg cannot be closed nothing is, but the marks tell whether a rule would have demanded it.
    worth = np.where(paths.can_close, paths.closing_value, paths.mark)
    profit = worth + paths.dividends_received - premium
    if rules.stop_underlying_fraction is not None:
        conditions.append((_PLACE[STOP_EXIT], _has_moved_against(paths, rules)))
    if rules.stop_premium_multiple is not None:
        conditions.append((_PLACE[STOP_EXIT], profit <= -rules.stop_premium_multiple * np.abs(premium) + _ROUNDING))
    if rules.profit_target_fraction is not None:
        greatest = positions.maximum_profit
        best = np.where(np.isfinite(greatest), greatest, np.abs(positions.premium))[:, np.newaxis]
        conditions.append((_PLACE[PROFIT_TARGET_EXIT], profit >= rules.profit_target_fraction * best - _ROUNDING))
    horizon = positions.entries.horizon
    if rules.horizon_sessions is not None:
        sessions = positions.entry + rules.horizon_sessions * paths.marks_per_session
        horizon = np.where(horizon >= 0, horizon, sessions)
    if (horizon >= 0).any():
        # A horizon ends at a close. Where that has no quote, it is the next close that has one, not the open between.
        is_due = (paths.at >= horizon[:, np.newaxis]) & (horizon >= 0)[:, np.newaxis]
        conditions.append((_PLACE[HORIZON_EXIT], is_due & paths.is_close))
    if rules.days_to_expiration is not None:
        conditions.append((_PLACE[DAYS_TO_EXPIRATION_EXIT], paths.days_left <= rules.days_to_expiration))
    if rules.on_signal_flip:
        conditions.append((_PLACE[SIGNAL_FLIP_EXIT], paths.at >= positions.entries.flip[:, np.newaxis]))
    if rules.roll_days_to_expiration is not None:
        conditions.append((_PLACE[ROLL_EXIT], paths.days_left <= rules.roll_days_to_expiration))
    if rules.roll_short_delta is not None:
        conditions.append((_PLACE[ROLL_EXIT], paths.short_delta >= rules.roll_short_delta - _ROUNDING))
    return conditions


def _has_moved_against(paths: PositionPaths, rules: ExitRules) -> BoolArray:
    """The underlying has moved by the stop's fraction since the entry, the way that hurts; a special dividend, for
    which contracts are adjusted, is no move."""
    entry_spot = paths.positions.entry_spot[:, np.newaxis]
    move = (paths.spot + paths.contracts.special) / entry_spot - 1.0
    if rules.adverse_move is None:
        adverse = payoff.adverse_moves(paths.positions.plan.structure, paths.positions.strikes)[:, np.newaxis]
    else:
        adverse = np.asarray([[{"down": -1, "up": 1, "either": 0}[rules.adverse_move]]])
    against = np.where(adverse == 0, np.abs(move), adverse * move)
    return np.asarray(against >= (rules.stop_underlying_fraction or 0.0) - _ROUNDING, dtype=np.bool_)


def _take_first(first: IntArray, reason: IntArray, triggered: BoolArray, *, place: int) -> None:
    """Let a rule win where it holds earlier than every rule before it in the order."""
    column = triggered.argmax(axis=1)
    wins = triggered.any(axis=1) & (column < first)
    first[wins], reason[wins] = column[wins], place


def _assigned_legs(paths: PositionPaths) -> BoolArray | None:
    """Sold calls in the money whose extrinsic value is below the dividend, (n, sessions, legs); None for none at all.

    Extrinsic value is measured on what buying the call back costs, or on its model mark where it is not quoted.
    Only where every other leg can be closed at that quote. Whether shares cover the call changes who owes the
    dividend, not that the holder wants it.
    """
    structure, owed = paths.positions.plan.structure, paths.dividend_owed
    is_short_call = structure.is_call & (structure.signed_ratios < 0)
    if owed is None or not is_short_call.any() or not owed.any():
        return None
    dividend = (owed[paths.at] * paths.contracts.shares)[:, :, np.newaxis]
    is_quoted = np.isfinite(paths.leg_prices)
    intrinsic = paths.spot[:, :, np.newaxis] - paths.contracts.strikes
    extrinsic = np.where(is_quoted, paths.leg_prices, paths.leg_marks) - intrinsic
    is_due = (dividend > 0.0) & (intrinsic > 0.0) & (extrinsic < dividend) & is_short_call
    is_whole = paths.may_be_left & (is_quoted | is_due).all(axis=2)
    return np.asarray(is_due & is_whole[:, :, np.newaxis], dtype=np.bool_)


def _exits_at(
    paths: PositionPaths,
    first: IntArray,
    reason: IntArray,
    *,
    assigned: BoolArray | None,
    missed: IntArray,
) -> Exits:
    """Prices at the chosen sessions: natural ones, intrinsic values at expiration, shares bought back if assigned."""
    positions, structure = paths.positions, paths.positions.plan.structure
    rows = np.arange(len(first))
    column = np.where(reason >= 0, first, np.maximum(paths.is_held.sum(axis=1) - 1, 0))
    at, spot = paths.at[rows, column], paths.spot[rows, column]
    ratios, shares = structure.signed_ratios, structure.underlying_ratio
    has_settled = (reason == _PLACE[EXPIRATION_EXIT])[:, np.newaxis] & (positions.leg_settlement <= at[:, np.newaxis])
    leg_prices = np.where(has_settled, paths.settled_values, paths.leg_prices[rows, column])
    has_no_spread, owed = has_settled, np.zeros(len(first))
    if assigned is not None and paths.dividend_owed is not None:
        is_called = assigned[rows, column] & (reason == _PLACE[ASSIGNMENT_EXIT])[:, np.newaxis]
        called = np.where(is_called, np.abs(ratios), 0.0).sum(axis=1)
        without_shares = np.maximum(called - max(shares, 0), 0.0)
        owed = paths.dividend_owed[at] * paths.contracts.shares[rows, column] * without_shares
        off = np.divide(owed, called, out=np.zeros(len(first)), where=called > 0.0)
        bought_back = spot[:, np.newaxis] - paths.contracts.strikes[rows, column] - off[:, np.newaxis]
        leg_prices = np.where(is_called, bought_back, leg_prices)
        has_no_spread = has_settled | is_called
    is_open = reason < 0
    leg_prices[is_open] = np.nan
    middles = np.where(has_no_spread, leg_prices, paths.leg_marks[rows, column])
    return Exits(
        column=column,
        exit=np.where(is_open, -1, at),
        reason=reason,
        leg_prices=leg_prices,
        value=leg_prices @ ratios + shares * spot - owed,
        middle=np.where(is_open, np.nan, middles @ ratios + shares * spot - owed),
        spot=np.where(is_open, np.nan, spot),
        dividend_owed=owed,
        dividend_received=paths.dividends_received[rows, column],
        contracts=paths.contracts.contracts[rows, column],
        missed=missed,
    )
