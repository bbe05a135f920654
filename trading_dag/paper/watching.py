"""Open positions on the prices of a session under way: what they are worth so far, and which exits hold.

They are followed by the engine's own course, on a market whose last session has not closed. Nothing here is an order, a
mark of a session or a line of the ledger: at the close the desk follows the same course and acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from trading_dag.paper.account import Position
from trading_dag.paper.one_position import TickerView, course_of
from trading_dag.paper.orders import Quote


@dataclass(frozen=True)
class WatchedPosition:
    """Says how an open position stands at a price so far.

    Attributes
    ----------
    value_usd : of all contracts, at the surface's mid; of one that an exit would end here, what that brings.
    profit_usd : since the entry, fees paid so far taken off, the exit's not.
    exit_reason : the exit that holds on these prices: a stop, a target, the horizon; empty where none does. It is
        acted upon if it still holds at the close.
    """

    position_id: str
    structure: str
    contracts: int
    spot: float
    value_usd: float
    profit_usd: float
    exit_reason: str


def watch(view: TickerView, positions: Iterable[Position], *, session: pd.Timestamp) -> list[WatchedPosition]:
    """Return how open positions of a ticker stand at the running session's price so far.

    Parameters
    ----------
    view : of the ticker, with the running session as its last.
    positions : the account's open ones of that ticker.
    """
    return [watched for position in positions if (watched := _watched(view, position, session=session)) is not None]


def _watched(view: TickerView, position: Position, *, session: pd.Timestamp) -> WatchedPosition | None:
    """Return one position; None for one that was filled after the last quote that is known."""
    held = position.held
    if view.newest is None or held.fill.quote > view.newest:
        return None
    course = course_of(view, replace(held, past=_last_worked_on(position)))
    now = [mark for mark in course.marks if mark.session == session]
    ended = course.fill if course.fill is not None and course.fill.quote.session == session else None
    value = ended.cash_usd if ended is not None else now[-1].value_usd if now else float("nan")
    spot = ended.spot if ended is not None else now[-1].spot if now else float("nan")
    return WatchedPosition(
        held.key.position_id,
        held.structure,
        held.fill.contracts,
        spot,
        value,
        held.fill.cash_usd - position.fees_usd + value,
        course.reason if ended is not None else "",
    )


def _last_worked_on(position: Position) -> Quote | None:
    """Return the close of the last session that the account has marked: exits before it are past."""
    last = max(position.marks, default=None)
    return None if last is None else Quote(last, is_close=True)
