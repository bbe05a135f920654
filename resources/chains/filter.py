"""Which rows of a stored chain to read: contracts and dates as one value. Where rows lie is ``chains.store``'s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.sessions import TIME_UNIT


@dataclass(frozen=True)
class ChainFilter:
    """Says which contracts to read; None for any.

    Attributes
    ----------
    option_right : C or P.
    expires_from, expires_to : inclusive.
    strike_from, strike_to : USD, inclusive.
    minimum_days, maximum_days : calendar days from quote date to expiration, inclusive.
    """

    option_right: str | None = None
    expires_from: pd.Timestamp | str | None = None
    expires_to: pd.Timestamp | str | None = None
    strike_from: float | None = None
    strike_to: float | None = None
    minimum_days: int | None = None
    maximum_days: int | None = None

    @property
    def columns(self) -> set[str]:
        """Return the columns that the filter has to see."""
        asked = {
            "option_right": self.option_right is not None,
            "expiration": self.expires_from is not None or self.expires_to is not None or self._limits_days,
            "quote_date": self._limits_days,
            "strike": self.strike_from is not None or self.strike_to is not None,
        }
        return {name for name, is_asked in asked.items() if is_asked}

    @property
    def _limits_days(self) -> bool:
        return self.minimum_days is not None or self.maximum_days is not None

    def mask(self, frame: pd.DataFrame) -> BoolArray:
        """Return whether each row passes, (n,)."""
        passes = np.ones(len(frame), dtype=np.bool_)
        if self.option_right is not None:
            passes &= (frame["option_right"] == self.option_right).to_numpy()
        if self.columns & {"expiration"}:
            passes &= within(frame["expiration"], as_day(self.expires_from), as_day(self.expires_to))
        if self._limits_days:
            days = (frame["expiration"] - frame["quote_date"]).dt.days
            passes &= within(days, self.minimum_days, self.maximum_days)
        if "strike" in self.columns:
            passes &= within(frame["strike"], self.strike_from, self.strike_to)
        return passes


def within(values: pd.Series, low: object, high: object) -> BoolArray:
    """Return whether each value lies between the bounds, both inclusive and None for none, (n,)."""
    passes = np.ones(len(values), dtype=np.bool_)
    if low is not None:
        passes &= (values >= low).to_numpy()
    if high is not None:
        passes &= (values <= high).to_numpy()
    return passes


def as_day(value: pd.Timestamp | str | None) -> pd.Timestamp | None:
    """Return a bound as a timestamp in the unit of stored dates."""
    return None if value is None else pd.Timestamp(value).as_unit(TIME_UNIT)
