"""Cash dividends of the underlying on the sessions of a market. Who receives or owes them is not decided here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import SchemaError

_TABLE: Final = "dividends"


@dataclass(frozen=True)
class Dividends:
    """Holds cash dividends of the underlying.

    Attributes
    ----------
    ex_dates : (n,) dates, ascending.
    amounts : (n,) USD a share. Taken as known the session before the ex-date, as declared dividends are.
    is_special : (n,) contracts are adjusted for it, so that nobody exercises early to receive it; None for none.

    Raises
    ------
    SchemaError : dates that are missing or do not ascend, amounts that are negative, no numbers or of another count.
    """

    ex_dates: NDArray[np.datetime64]
    amounts: FloatArray
    is_special: BoolArray | None = None

    def __post_init__(self) -> None:
        dates, amounts = np.asarray(self.ex_dates, dtype="datetime64[D]"), np.asarray(self.amounts, dtype=np.float64)
        if np.isnat(dates).any() or (np.diff(dates) < np.timedelta64(0, "D")).any():
            raise SchemaError(table=_TABLE, key="ex-date", rule="given and ascending")
        if amounts.shape != dates.shape or not (np.isfinite(amounts) & (amounts >= 0.0)).all():
            raise SchemaError(table=_TABLE, key="dividend", rule="one number for each ex-date, not negative")

    @property
    def ex_days(self) -> IntArray:
        """Return the ex-dates in days since 1970-01-01."""
        return np.asarray(self.ex_dates, dtype="datetime64[D]").astype(np.int64)

    def going_ex(self, days: ArrayLike) -> FloatArray:
        """Dividend whose ex-date is that session, or a day since the one before that the market has no session of.

        Parameters
        ----------
        days : (sessions,) days since 1970-01-01, ascending.

        Returns
        -------
        (sessions,) USD a share; 0 at the first session, before which nothing was held.
        """
        return _on_sessions(days, self.ex_days, np.asarray(self.amounts, dtype=np.float64))

    def owed_after(self, days: ArrayLike) -> FloatArray:
        """Ordinary dividend whose ex-date is after each session and not after the next one, (sessions,) USD a share."""
        return np.append(self.ordinary.going_ex(days)[1:], np.zeros(min(len(np.atleast_1d(days)), 1)))

    @property
    def ordinary(self) -> Dividends:
        """Return those for which no contract is adjusted."""
        if self.is_special is None:
            return self
        return Dividends(self.ex_dates[~self.is_special], np.asarray(self.amounts)[~self.is_special])


def _on_sessions(days: ArrayLike, ex_days: IntArray, amounts: FloatArray) -> FloatArray:
    day = np.asarray(days, dtype=np.int64)
    amount = np.zeros(len(day))
    at = np.searchsorted(day, ex_days, side="left")
    inside = (at > 0) & (at < len(day))
    np.add.at(amount, at[inside], amounts[inside])
    return amount
