"""When a trade plan enters: every session, weekly, or at the quote after a signal.

An entry is a session of the market, known before that session's quotes are. Contracts, prices and sizes
come later (``positions``, ``account``). A signal that cannot become an entry keeps its row and its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, DateArray, FloatArray, IntArray, TextArray
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.outcomes import (
    ENTRY_AFTER_DATA,
    FLIPPED_BEFORE_ENTRY,
    HORIZON_BEFORE_ENTRY,
    NO_QUOTE_NEXT_SESSION,
)
from trading_dag.errors import SchemaError
from trading_dag.sessions import all_sessions

_MONDAY_OFFSET: Final = 3


@dataclass(frozen=True)
class NamedContracts:
    """Holds the contracts that signals name, on a modelled market: they are opened as they are, whatever has moved.

    Attributes
    ----------
    expiration_day : (n,) of all legs, days since 1970-01-01; 0 where the plan chooses.
    strikes : (n, legs) USD; NaN where the plan chooses.
    """

    expiration_day: IntArray
    strikes: FloatArray

    def rows(self, rows: IntArray) -> NamedContracts:
        """Return those of some entries."""
        return NamedContracts(self.expiration_day[rows], self.strikes[rows])

    def except_where(self, chosen_anew: BoolArray) -> NamedContracts:
        """Return the same, with these entries left to the plan."""
        return NamedContracts(
            np.where(chosen_anew, 0, self.expiration_day), np.where(chosen_anew[:, np.newaxis], np.nan, self.strikes)
        )


@dataclass(frozen=True)
class Entries:
    """Holds candidate entries of one plan, one per row, in the order of their sessions.

    Attributes
    ----------
    signal : (n,) session whose close produced the signal; NaT for a rule, which reads no price at all.
    entry : (n,) position of the entry's session in the market, after the signal's; −1 where skipped.
    horizon : (n,) position of the first session at or after the signal's target, ``len(market)`` beyond the
        data; −1 where the signal sets none.
    flip : (n,) position of the first session after that of an opposite signal; ``len(market)`` for none.
    size : (n,) share of the risk budget, 1 in full.
    skip_reason : (n,) empty where the entry can be tried.
    named : contracts that the signals name; None where the plan chooses all of them.
    """

    signal: DateArray
    entry: IntArray
    horizon: IntArray
    flip: IntArray
    size: FloatArray
    skip_reason: TextArray
    named: NamedContracts | None = None

    def __len__(self) -> int:
        return len(self.entry)


def entries_every_session(market: ChainMarket | ModelledMarket) -> Entries:
    """Return an entry at every session of the market."""
    return entries_at(market, np.arange(len(market)))


def entries_weekly(market: ChainMarket | ModelledMarket) -> Entries:
    """Return an entry at the market's first session of each week, which begins on Monday."""
    week = (market.days + _MONDAY_OFFSET) // 7
    return entries_at(market, np.flatnonzero(np.diff(week, prepend=-1)))


def entries_at(market: ChainMarket | ModelledMarket, positions: ArrayLike) -> Entries:
    """Return entries at these positions of the market's sessions, ascending."""
    entry = np.asarray(positions, dtype=np.int64)
    rows = len(entry)
    return Entries(
        signal=np.full(rows, np.datetime64("NaT"), dtype="datetime64[D]"),
        entry=entry,
        horizon=np.full(rows, -1, dtype=np.int64),
        flip=np.full(rows, len(market), dtype=np.int64),
        size=np.ones(rows),
        skip_reason=np.full(rows, "", dtype=object),
    )


@dataclass(frozen=True)
class EntryTerms:
    """Holds how entries differ, apart from their date: one row per kind.

    Attributes
    ----------
    size : (kinds,) share of the risk budget.
    target_sessions : (kinds,) sessions from the entry to the signal's target; −1 where there is none.
    flip_sessions : (kinds,) sessions from the entry to the flip of the signal; −1 for none within the data.
    """

    size: FloatArray
    target_sessions: IntArray
    flip_sessions: IntArray

    def __len__(self) -> int:
        return len(self.size)

    def at_every_session(self, market: ChainMarket | ModelledMarket, kind: int) -> Entries:
        """Return entries of one kind at every session of the market."""
        every = entries_every_session(market)
        target, flip = int(self.target_sessions[kind]), int(self.flip_sessions[kind])
        return replace(
            every,
            horizon=np.where(target >= 0, every.entry + target, -1),
            flip=np.where(flip >= 0, every.entry + flip, len(market)),
            size=np.full(len(every), self.size[kind]),
        )


def terms_of_entries(
    market: ChainMarket | ModelledMarket, entries: Entries, *, longest: int
) -> tuple[EntryTerms, IntArray]:
    """Return the distinct terms of these entries, and which of them each entry has, (n,).

    A target beyond the data counts as far as the data reaches.

    Parameters
    ----------
    longest : sessions that no position outlasts. Targets and flips from then on never come and are one kind.
    """
    target = np.where(entries.horizon >= 0, np.minimum(entries.horizon - entries.entry, longest), -1)
    ahead = entries.flip - entries.entry
    flip = np.where((entries.flip < len(market)) & (ahead < longest), ahead, -1)
    distinct, kind = np.unique(np.column_stack([entries.size, target, flip]), axis=0, return_inverse=True)
    terms = EntryTerms(distinct[:, 0], distinct[:, 1].astype(np.int64), distinct[:, 2].astype(np.int64))
    return terms, np.asarray(kind, dtype=np.int64).reshape(-1)


def entries_from_signals(
    market: ChainMarket | ModelledMarket,
    sessions: ArrayLike,
    *,
    targets: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
) -> Entries:
    """Enter at the exchange's next session after each signal's.

    A signal is about what follows its session, so it enters at the first quote date after it only where that is no
    later than the exchange's next session. Otherwise it is skipped: ``entry_after_data`` where the market has ended,
    ``no_quote_next_session`` where the market begins later or has a hole.

    Parameters
    ----------
    sessions : (n,) sessions whose close produced the signals, strictly ascending; they need not be in the market.
        The next session of a day that is none, such as a Saturday, is that after it.
    targets : (n,) session in which the signal's horizon ends; NaT for none. Where it is not after the
        next session, the signal is skipped with ``horizon_before_entry``.
    directions : (n,) positive up, negative down, 0 neither; a position flips at the first quote date after
        the session of a later signal of the other sign. Where that is the entry's own quote, the signal is
        skipped with ``flipped_before_entry``.
    sizes : (n,) share of the risk budget; 0 for a signal that is not to be traded.

    Raises
    ------
    SchemaError : sessions that are not strictly ascending, sizes or directions that are no numbers.
    """
    signal = np.asarray(sessions).astype("datetime64[D]")
    if (np.diff(signal) <= np.timedelta64(0, "D")).any() or np.isnat(signal).any():
        raise SchemaError(table="signals.recommendation", key="session", rule="strictly ascending")
    share = _finite("position_size", np.ones(len(signal)) if sizes is None else sizes)
    signs = np.sign(_finite("direction", np.zeros(len(signal)) if directions is None else directions))
    if (share < 0).any():
        raise SchemaError(table="signals.recommendation", key="position_size", rule="not negative")
    last = len(market)
    entry = market.days.searchsorted(signal.astype(np.int64), side="right").astype(np.int64)
    next_day = _next_session_days(signal)
    horizon = np.full(len(signal), -1, dtype=np.int64)
    is_too_early = np.zeros(len(signal), dtype=np.bool_)
    if targets is not None:
        target = np.asarray(targets).astype("datetime64[D]")
        has_target = ~np.isnat(target)
        day = np.where(has_target, target, signal).astype(np.int64)
        horizon = np.where(has_target, market.close_positions(day), -1).astype(np.int64)
        is_too_early = has_target & ((day < next_day) if market.has_open_marks else (day <= next_day))
    flip = _flip_positions(entry, signs, beyond=last)
    skip_reason = np.select(
        [is_too_early, entry >= last, market.days[np.minimum(entry, last - 1)] > next_day, flip <= entry],
        [HORIZON_BEFORE_ENTRY, ENTRY_AFTER_DATA, NO_QUOTE_NEXT_SESSION, FLIPPED_BEFORE_ENTRY],
        "",
    ).astype(object)
    return Entries(
        signal=signal,
        entry=np.where(skip_reason == "", entry, -1),
        horizon=horizon,
        flip=flip,
        size=share,
        skip_reason=skip_reason,
    )


def _next_session_days(days: DateArray) -> IntArray:
    """The exchange's first session after each day, in days since 1970-01-01; beyond its calendar the day after."""
    calendar = all_sessions().to_numpy().astype("datetime64[D]").astype(np.int64)
    day = days.astype(np.int64)
    after = calendar.searchsorted(day, side="right")
    is_known = (after < len(calendar)) & (day >= calendar[0])
    return np.where(is_known, calendar[np.minimum(after, len(calendar) - 1)], day + 1)


def _finite(name: str, values: ArrayLike) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise SchemaError(table="signals.recommendation", key=name, rule="finite numbers")
    return numbers


def _flip_positions(entry: IntArray, signs: FloatArray, *, beyond: int) -> IntArray:
    """First position after a later signal of the other sign; one pass from the last signal to the first."""
    flip = np.full(len(entry), beyond, dtype=np.int64)
    next_of_sign = {1: beyond, -1: beyond}
    for row in range(len(entry) - 1, -1, -1):
        sign = int(signs[row])
        if sign:
            flip[row] = next_of_sign[-sign]
            next_of_sign[sign] = int(entry[row])
    return flip
