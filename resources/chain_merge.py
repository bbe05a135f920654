"""Merging rows of a chain into stored ones, as pure comparison of two frames. Files and locks are ``chain_store``'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.options.chain import CHAIN_KEY
from trading_dag.schemas import OPTION_CHAIN

_VALUES: Final = tuple(name for name in OPTION_CHAIN.column_names if name not in CHAIN_KEY)


@dataclass(frozen=True)
class MergeCounts:
    """What came of merging rows into a slice; rows each.

    Attributes
    ----------
    appended : keys that were not stored.
    restated : keys of which a stored value was replaced by another.
    completed : keys of which only missing values were filled in.
    unchanged : keys that say what was stored.
    duplicate, conflicting_duplicate : fresh rows left out, as ``clean_chain`` names them.
    """

    appended: int
    restated: int
    completed: int
    unchanged: int
    duplicate: int
    conflicting_duplicate: int


@dataclass(frozen=True)
class MergedChain:
    """Rows as they are to be stored, and how many keys came to be so in which way; as in ``MergeCounts``."""

    frame: pd.DataFrame
    appended: int
    restated: int
    completed: int
    unchanged: int


def merge_chains(stored: pd.DataFrame, fresh: pd.DataFrame) -> MergedChain:
    """Stored and fresh rows, each with unique keys, sorted by key; fresh values win where they say anything."""
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
    completed &= ~restated
    return MergedChain(
        frame=both[kept].reset_index(drop=True),
        appended=len(fresh) - len(pair),
        restated=int(restated.sum()),
        completed=int(completed.sum()),
        unchanged=int((~restated & ~completed).sum()),
    )
