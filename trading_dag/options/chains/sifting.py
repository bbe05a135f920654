"""Splits rows of a chain by rules: which rows are kept, which rule refused the others, and the first row of each
rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, IntArray

REASON: Final = "reason"


@dataclass(frozen=True)
class Fault:
    """Names the first row that a rule refused.

    Attributes
    ----------
    position : of the row in the frame that was sifted, from 0.
    column, value : what is wrong with it, as far as one value is.
    """

    position: int
    column: str
    value: str


@dataclass(frozen=True)
class SiftedChain:
    """Holds rows of a chain, and the refused rows with the rule that refused each.

    Attributes
    ----------
    kept : rows in the order they came in, on a plain index.
    refused : the same columns and ``reason``.
    kept_at : position of each kept row in the frame that was sifted, from 0, (n,).
    faults : the first refused row of each reason.
    """

    kept: pd.DataFrame
    refused: pd.DataFrame
    kept_at: IntArray
    faults: dict[str, Fault]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of refused rows by reason, the most frequent first."""
        return {str(reason): int(count) for reason, count in self.refused[REASON].value_counts().items()}


def sift(
    frame: pd.DataFrame,
    rules: list[tuple[str, BoolArray]],
    *,
    blame: Callable[[str, int], tuple[str, object]] | None = None,
) -> SiftedChain:
    """Split a frame by masks of rows to refuse; the first rule that hits a row is its reason.

    Parameters
    ----------
    blame : from a reason and the position of a row to the column and the value that is wrong with it; None where the
        row as a whole is.
    """
    names = np.array([*(name for name, _ in rules), ""], dtype=object)
    number = np.full(len(frame), len(rules))
    for place in reversed(range(len(rules))):
        number[rules[place][1]] = place
    refused = number < len(rules)
    faults = {}
    for place, (name, _) in enumerate(rules):
        hits: IntArray = np.flatnonzero(number == place)
        if len(hits):
            column, value = blame(name, int(hits[0])) if blame is not None else ("", "")
            faults[name] = Fault(int(hits[0]), column, _shown(value))
    return SiftedChain(
        frame[~refused].reset_index(drop=True),
        frame[refused].assign(**{REASON: names[number[refused]]}).reset_index(drop=True),
        kept_at=np.flatnonzero(~refused),
        faults=faults,
    )


def _shown(value: object) -> str:
    """Return a value of a file in a message."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return "" if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)) else str(value)
