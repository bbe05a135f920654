"""Splits and special dividends of the underlying within a chain's sessions, and what each does to a listed contract.

Those that prices record, and splits that only the chain shows. What becomes of a position is
``trades.adjusted_contracts``'s business; an action whose terms nobody knows is a reason to skip (``positions``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.backtest.markets.special_dividends import special_dividends

if TYPE_CHECKING:
    import pandas as pd

# Of the underlying, either way. Smaller splits are found in the prices only.
LEAST_JUMP: Final = 1.3
# A smaller split is no greater than what a day's trading moves, so that no chain tells whether it is in it.
LEAST_TELLING: Final = 1.1
_STILL_LISTED_SHARE: Final = 0.5
_WHOLE: Final = 0.05
_EXPIRATION_SHIFT: Final = 31
_STRIKE_MASK: Final = (1 << 30) - 1
CONTRACT_MASK: Final = (1 << 47) - 1
"""Of a key of ``chain_market``: expiration (16 bits), right (1) and strike (30)."""
_THOUSANDTHS_A_CENT: Final = 10


@dataclass(frozen=True)
class CorporateAction:
    """Describes one action.

    Attributes
    ----------
    day : first day of the new shares, or the ex-date, in days since 1970-01-01.
    name : what it was and when, such as ``10 for 1 on 2024-06-10``.
    ratio : new shares for one old share; 1 for a dividend.
    cash : special dividend a share, USD as paid; 0 for a split.
    is_known : its terms are, so that contracts can be adjusted.
    """

    day: int
    name: str
    ratio: float = 1.0
    cash: float = 0.0
    is_known: bool = True

    @property
    def multiplies_contracts(self) -> bool:
        """Return whether it makes several contracts of one: a split into a whole number of shares."""
        return self.ratio > 1.0 and self.ratio == round(self.ratio)

    def adjusted(self, strikes: FloatArray) -> FloatArray:
        """Return the strikes, USD of the day before, as those of the contracts they become, USD of the day.

        Splits into more shares divide the strike, rounded to the cent, and multiply contracts (whole numbers of
        shares) or what one delivers (3 for 2: 150 shares). Splits into fewer shares leave strike and contract and
        divide what it delivers; that is worth as many standard contracts as it delivers lots, of the strike that is
        returned. A special dividend is taken off the strike.

        References
        ----------
        OCC By-Laws, Article VI, Section 11A, as amended by SR-OCC-2006-01 (Federal Register 71, 12226) and
        SR-OCC-2008-16 (73, 55582).
        """
        divided = strikes / self.ratio
        return np.round(divided, 2) - self.cash if self.ratio > 1.0 else divided - self.cash


@dataclass(frozen=True)
class CorporateActions:
    """Holds actions, by date."""

    actions: tuple[CorporateAction, ...] = ()

    @property
    def days(self) -> IntArray:
        """Return the days of the actions, days since 1970-01-01, ascending."""
        return np.array([action.day for action in self.actions], dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each was and when."""
        return tuple(action.name for action in self.actions)

    @property
    def known(self) -> tuple[CorporateAction, ...]:
        """Return those by which contracts can be adjusted."""
        return tuple(action for action in self.actions if action.is_known)

    @property
    def unknown(self) -> CorporateActions:
        """Return those whose terms are not known."""
        return CorporateActions(tuple(action for action in self.actions if not action.is_known))

    def within(self, after: IntArray, through: IntArray) -> NDArray[np.object_]:
        """Name of the first action after one day and not after another, (n,); empty where there is none."""
        days = self.days
        place = np.searchsorted(days, after, side="right")
        is_there = (place < len(days)) & (np.append(days, 0)[place] <= through)
        return np.where(is_there, np.array([*self.names, ""], dtype=object)[place], "")

    def __add__(self, other: CorporateActions) -> CorporateActions:
        return _by_day([*self.actions, *other.actions])


NO_ACTIONS: Final = CorporateActions()


def actions_of_prices(prices: pd.DataFrame) -> CorporateActions:
    """Return splits and special dividends that ``raw.prices_daily`` of one ticker records, sessions ascending."""
    rows = np.flatnonzero(special_dividends(prices).is_special)
    days, amounts = _days(prices), special_dividends(prices).amounts
    dividends = [
        CorporateAction(day, f"special dividend of {amount:g} USD on {np.datetime64(day, 'D')}", cash=amount)
        for day, amount in zip(days[rows].tolist(), amounts[rows].tolist(), strict=True)
    ]
    return splits_of_prices(prices) + _by_day(dividends)


def splits_of_prices(prices: pd.DataFrame) -> CorporateActions:
    """Return the splits that ``raw.prices_daily`` of one ticker records, sessions ascending; none where there are no
    rows."""
    factor = prices["split_factor"].to_numpy(dtype=np.float64, na_value=np.nan)
    is_split = np.isfinite(factor) & (factor > 0.0) & (factor != 1.0)
    return _by_day(
        CorporateAction(day, _split(ratio, day), ratio)
        for ratio, day in zip(factor[is_split].tolist(), _days(prices)[is_split].tolist(), strict=True)
    )


def _days(prices: pd.DataFrame) -> IntArray:
    return np.asarray(prices["session"].to_numpy().astype("datetime64[D]").astype(np.int64))


@dataclass(frozen=True)
class _Quotes:
    """The chain as ``ChainMarket`` has it: dates, prices of the underlying, and rows by session."""

    days: IntArray
    spot: FloatArray
    first_row: IntArray
    key: IntArray

    def priced(self) -> IntArray:
        """Sessions with a price."""
        return np.flatnonzero(np.isfinite(self.spot) & (self.spot > 0.0))

    def still_listed(self, before: int, after: int, *, ratio: float = 1.0) -> float:
        """Share of the contracts of one session that another lists, strikes divided; NaN where none has not expired."""
        # A key without its quote date names the contract: expiration, right and strike.
        old, new = (self.key[self.first_row[at] : self.first_row[at + 1]] & CONTRACT_MASK for at in (before, after))
        alive = old[old >= self.days[after] << _EXPIRATION_SHIFT]
        if ratio != 1.0:
            cents = np.round((alive & _STRIKE_MASK) / ratio / _THOUSANDTHS_A_CENT).astype(np.int64)
            alive = (alive & ~_STRIKE_MASK) | cents * _THOUSANDTHS_A_CENT
        return float(np.isin(alive, new).mean()) if len(alive) else math.nan


def actions_of_chain(
    recorded: CorporateActions, days: IntArray, spot: FloatArray, *, first_row: IntArray, key: IntArray
) -> CorporateActions:
    """Return the actions by which this chain's contracts change: what is recorded, and jumps that nothing recorded
    explains.

    A chain whose underlying does not jump at a recorded split is in shares of after it all along; nothing happens to
    its contracts.

    Parameters
    ----------
    days, spot, first_row, key : as ``ChainMarket`` has them.
    """
    quotes = _Quotes(days, spot, first_row, key)
    seen = _jumps(quotes)
    before = days[np.maximum(np.searchsorted(days, seen.days) - 1, 0)]
    is_new = (recorded.within(before, seen.days) == "").tolist()
    only_seen = CorporateActions(tuple(action for action, new in zip(seen.actions, is_new, strict=True) if new))
    held = [found for action in recorded.actions if (found := _as_listed(action, quotes)) is not None]
    return _by_day(held) + only_seen


def _as_listed(action: CorporateAction, quotes: _Quotes) -> CorporateAction | None:
    """The action as this chain has it: unknown where its quotes do not tell, None where they are in new shares."""
    priced = quotes.priced()
    place = int(np.searchsorted(quotes.days[priced], action.day))
    if action.ratio == 1.0 or not 0 < place < len(priced):
        return action
    if max(action.ratio, 1.0 / action.ratio) < LEAST_TELLING:
        return replace(action, is_known=False)
    before, after = int(priced[place - 1]), int(priced[place])
    jump, split = math.log(quotes.spot[before] / quotes.spot[after]), math.log(action.ratio)
    if abs(jump - split) <= abs(jump):
        return action
    is_unchanged = quotes.still_listed(before, after) >= _STILL_LISTED_SHARE
    return None if is_unchanged else replace(action, is_known=False)


def _jumps(quotes: _Quotes) -> CorporateActions:
    """Jumps of the underlying at which the contracts that were listed are no longer there.

    A crash leaves the old strikes listed; a split replaces them. So a move by 30 % or more counts where less than half
    of the contracts that have not expired are still quoted. Its terms are known where the chain lists them under
    strikes divided by a whole number.
    """
    priced = quotes.priced()
    ratio = quotes.spot[priced[:-1]] / quotes.spot[priced[1:]]
    jumps = []
    for place in np.flatnonzero(np.maximum(ratio, 1.0 / ratio) >= LEAST_JUMP):
        before, after = int(priced[place]), int(priced[place + 1])
        if quotes.still_listed(before, after) < _STILL_LISTED_SHARE:
            day, whole = int(quotes.days[after]), float(round(float(ratio[place])))
            is_known = whole > 1.0 and quotes.still_listed(before, after, ratio=whole) >= _STILL_LISTED_SHARE
            name = f"looks like {_split(float(ratio[place]), day, tolerance=_WHOLE)}"
            jumps.append(CorporateAction(day, name, whole if is_known else math.nan, is_known=is_known))
    return _by_day(jumps)


def _by_day(actions: Iterable[CorporateAction]) -> CorporateActions:
    return CorporateActions(tuple(sorted(actions, key=lambda action: (action.day, action.name))))


def _split(ratio: float, day: int, *, tolerance: float = 1e-6) -> str:
    """In words, such as ``10 for 1 on 2024-06-10``; a ratio as near to a whole number as that number."""
    greater = max(ratio, 1.0 / ratio)
    shares = f"{round(greater) if abs(round(greater) / greater - 1.0) <= tolerance else float(f'{greater:.4g}'):g}"
    return (
        f"{shares} for 1 on {np.datetime64(day, 'D')}"
        if ratio > 1.0
        else f"1 for {shares} on {np.datetime64(day, 'D')}"
    )
