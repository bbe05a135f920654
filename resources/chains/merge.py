"""Merging rows of a chain into stored ones, as pure comparison of two frames. Files and locks are
``chains.store``'s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import IntArray
from trading_dag.options.chains.rows import CHAIN_KEY
from trading_dag.schemas import OPTION_CHAIN

OUTCOMES: Final = ("appended", "restated", "completed", "unchanged")
APPENDED, RESTATED, COMPLETED, UNCHANGED = range(len(OUTCOMES))
_VALUES: Final = tuple(name for name in OPTION_CHAIN.column_names if name not in CHAIN_KEY)


@dataclass(frozen=True)
class MergeCounts:
    """Counts the rows that a merge into a slice changed or kept.

    Attributes
    ----------
    appended : keys that were not stored.
    restated : keys of which a stored value was replaced by another.
    completed : keys of which only missing values were filled in.
    unchanged : keys that say what was stored.
    duplicate, conflicting_duplicate : fresh rows left out, as ``clean_chain`` names them.
    changed_sessions : quote dates of which anything is other than it was, ascending.
    refused_sessions : quote dates that were not merged, and each blocking rule that they would break.
    failed_check : fresh rows of those.
    """

    appended: int
    restated: int
    completed: int
    unchanged: int
    duplicate: int
    conflicting_duplicate: int
    changed_sessions: tuple[pd.Timestamp, ...] = ()
    refused_sessions: dict[pd.Timestamp, tuple[str, ...]] = field(default_factory=dict)
    failed_check: int = 0


@dataclass(frozen=True)
class MergedChain:
    """Holds the result of a merge.

    Attributes
    ----------
    frame : rows as they are to be stored.
    outcomes : place in ``OUTCOMES`` for each fresh row, (n,).
    """

    frame: pd.DataFrame
    outcomes: IntArray

    @property
    def counts(self) -> dict[str, int]:
        """Return the fresh rows counted by outcome, in the order of ``OUTCOMES``."""
        return dict(zip(OUTCOMES, np.bincount(self.outcomes, minlength=len(OUTCOMES)).tolist(), strict=True))


def merge_chains(stored: pd.DataFrame, fresh: pd.DataFrame) -> MergedChain:
    """Merge stored and fresh rows, each with unique keys, sorted by key; fresh values win where they say anything.

    Parameters
    ----------
    stored : ascending by key. Only its rows between the first and the last fresh quote date are compared.
    fresh : in any order.
    """
    if fresh.empty:
        return MergedChain(stored.reset_index(drop=True), np.zeros(0, dtype=np.int64))
    days = stored["quote_date"]
    begin = int(days.searchsorted(fresh["quote_date"].min(), side="left"))
    end = int(days.searchsorted(fresh["quote_date"].max(), side="right"))
    middle, outcomes = _merged(stored.iloc[begin:end], fresh)
    parts = [part for part in (stored.iloc[:begin], middle, stored.iloc[end:]) if len(part)]
    return MergedChain(pd.concat(parts, ignore_index=True), outcomes)


def _merged(stored: pd.DataFrame, fresh: pd.DataFrame) -> tuple[pd.DataFrame, IntArray]:
    both = pd.concat([stored, fresh[list(OPTION_CHAIN.column_names)]], ignore_index=True)
    order = np.lexsort(
        [
            np.arange(len(both)) >= len(stored),
            both["strike"].to_numpy(),
            (both["option_right"] == "P").to_numpy(),
            both["expiration"].to_numpy().view("int64"),
            both["quote_date"].to_numpy().view("int64"),
        ]
    )
    both = both.take(order)
    is_fresh = order >= len(stored)
    # A stored row stands just before the fresh row of its key, if there is one.
    pair = np.flatnonzero(is_fresh[1:] & ~is_fresh[:-1])
    for name in ("quote_date", "expiration", "option_right", "strike"):
        values = both[name].to_numpy()
        pair = pair[values[pair] == values[pair + 1]]
    restated, completed = np.zeros(len(pair), dtype=np.bool_), np.zeros(len(pair), dtype=np.bool_)
    for name in _VALUES:
        values = both[name].to_numpy(dtype=np.float64, copy=True)
        old, new = values[pair], values[pair + 1]
        restated |= np.isfinite(old) & np.isfinite(new) & (old != new)
        completed |= np.isnan(old) & np.isfinite(new)
        values[pair + 1] = np.where(np.isnan(new), old, new)
        both[name] = values
    kept = np.ones(len(both), dtype=np.bool_)
    kept[pair] = False
    outcomes = np.full(len(fresh), APPENDED, dtype=np.int64)
    outcomes[order[pair + 1] - len(stored)] = np.select([restated, completed], [RESTATED, COMPLETED], UNCHANGED)
    return both[kept], outcomes


@dataclass(frozen=True)
class MergedPieces:
    """Holds the result of merging several pieces, one after the other.

    Attributes
    ----------
    frame : rows as they are to be stored.
    counts : rows of each piece by what came of them, in the order of ``OUTCOMES``.
    changed : quote dates that each piece changed.
    """

    frame: pd.DataFrame
    counts: IntArray
    changed: list[tuple[pd.Timestamp, ...]]


def merge_pieces(stored: pd.DataFrame, pieces: Sequence[pd.DataFrame]) -> MergedPieces:
    """Merge each piece of fresh rows into the stored ones, as ``merge_chains`` does."""
    frame = stored
    counts = np.zeros((len(pieces), len(OUTCOMES)), dtype=np.int64)
    changed: list[tuple[pd.Timestamp, ...]] = [()] * len(pieces)
    for places in rounds(pieces):
        fresh = pd.concat([pieces[place] for place in places], ignore_index=True)
        merged = merge_chains(frame, fresh)
        frame, owner = merged.frame, np.repeat(places, [len(pieces[place]) for place in places])
        counts += np.bincount(owner * len(OUTCOMES) + merged.outcomes, minlength=counts.size).reshape(counts.shape)
        news = fresh["quote_date"][merged.outcomes != UNCHANGED]
        for place, days in news.groupby(owner[merged.outcomes != UNCHANGED]):
            changed[int(str(place))] = tuple(sorted(days.unique()))
    return MergedPieces(frame, counts, changed)


def rounds(pieces: Sequence[pd.DataFrame]) -> Iterator[list[int]]:
    """Yield the places of pieces that may be merged at once: pieces of one round have no quote date in common.

    Merging round after round then is merging piece after piece, at the cost of few merges: files of months or days
    are one round.
    """
    together: list[int] = []
    taken: set[pd.Timestamp] = set()
    for place, piece in enumerate(pieces):
        days = set(piece["quote_date"].unique())
        if together and days & taken:
            yield together
            together, taken = [], set()
        together.append(place)
        taken |= days
    if together:
        yield together
