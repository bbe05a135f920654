"""Splits of the underlying within a chain's sessions: those that prices record, and those that only the chain shows.

A split changes the strikes and the number of every listed contract. Nothing here adjusts a position for that; a
position whose contracts would live through one is skipped, with the action as the reason (``positions``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

# Of the underlying, either way. Smaller splits are found in the prices only.
LEAST_JUMP: Final = 1.3
_STILL_LISTED_SHARE: Final = 0.5
_WHOLE: Final = 0.05
_EXPIRATION_SHIFT: Final = 31
CONTRACT_MASK: Final = (1 << 47) - 1
"""Of a key of ``chain_market``: expiration (16 bits), right (1) and strike (30)."""


@dataclass(frozen=True)
class CorporateActions:
    """Holds actions by date.

    Attributes
    ----------
    days : (n,) first day of the new shares, in days since 1970-01-01, ascending.
    names : what it was and when, such as ``10 for 1 on 2024-06-10``.
    """

    days: IntArray
    names: tuple[str, ...]

    def within(self, after: IntArray, through: IntArray) -> NDArray[np.object_]:
        """Name of the first action after one day and not after another, (n,); empty where there is none."""
        place = np.searchsorted(self.days, after, side="right")
        is_there = (place < len(self.days)) & (np.append(self.days, 0)[place] <= through)
        return np.where(is_there, np.array([*self.names, ""], dtype=object)[place], "")


NO_ACTIONS: Final = CorporateActions(np.empty(0, dtype=np.int64), ())


def splits_of_prices(prices: pd.DataFrame) -> CorporateActions:
    """Return the splits that ``raw.prices_daily`` of one ticker records, sessions ascending; none where there are no
    rows."""
    factor = prices["split_factor"].to_numpy(dtype=np.float64, na_value=np.nan)
    is_split = np.isfinite(factor) & (factor > 0.0) & (factor != 1.0)
    days = prices["session"].to_numpy().astype("datetime64[D]").astype(np.int64)[is_split]
    return _actions(
        [(day, _split(ratio, day)) for ratio, day in zip(factor[is_split].tolist(), days.tolist(), strict=True)]
    )


def jumps_of_chain(days: IntArray, spot: FloatArray, *, first_row: IntArray, key: IntArray) -> CorporateActions:
    """Jumps of the underlying at which the contracts that were listed are no longer there.

    A crash leaves the old strikes listed; a split replaces them. So a move by 30 % or more counts where less than half
    of the contracts that have not expired are still quoted.

    Parameters
    ----------
    days, spot, first_row, key : as ``ChainMarket`` has them.
    """
    known = np.flatnonzero(np.isfinite(spot) & (spot > 0.0))
    ratio = spot[known[:-1]] / spot[known[1:]]
    jumps = []
    for place in np.flatnonzero(np.maximum(ratio, 1.0 / ratio) >= LEAST_JUMP):
        before, after = int(known[place]), int(known[place + 1])
        # A key without its quote date names the contract: expiration, right and strike.
        old, new = (key[first_row[at] : first_row[at + 1]] & CONTRACT_MASK for at in (before, after))
        alive = old[old >= days[after] << _EXPIRATION_SHIFT]
        if len(alive) and np.isin(alive, new).mean() < _STILL_LISTED_SHARE:
            jumps.append((int(days[after]), f"looks like {_split(float(ratio[place]), int(days[after]))}"))
    return _actions(jumps)


def joined_actions(recorded: CorporateActions, seen: CorporateActions, *, days: IntArray) -> CorporateActions:
    """Both, where what is only seen lies between two sessions of the chain that no recorded action explains."""
    before = days[np.maximum(np.searchsorted(days, seen.days) - 1, 0)]
    is_new = recorded.within(before, seen.days) == ""
    only_seen = [
        (day, name) for day, name, new in zip(seen.days.tolist(), seen.names, is_new.tolist(), strict=True) if new
    ]
    return _actions([*zip(recorded.days.tolist(), recorded.names, strict=True), *only_seen])


def _actions(jumps: list[tuple[int, str]]) -> CorporateActions:
    ordered = sorted(jumps)
    return CorporateActions(np.array([day for day, _ in ordered], dtype=np.int64), tuple(name for _, name in ordered))


def _split(ratio: float, day: int) -> str:
    """In words, such as ``10 for 1 on 2024-06-10``; a ratio next to a whole number as that number."""
    greater = max(ratio, 1.0 / ratio)
    shares = f"{round(greater) if abs(round(greater) / greater - 1.0) <= _WHOLE else float(f'{greater:.4g}'):g}"
    return (
        f"{shares} for 1 on {np.datetime64(day, 'D')}"
        if ratio > 1.0
        else f"1 for {shares} on {np.datetime64(day, 'D')}"
    )
