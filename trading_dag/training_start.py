"""Since when a model learns: everything, the last years of each training part, or from a date on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

ALL: Final = "all"
_YEARS: Final = re.compile(r"([1-9]\d?)y")
FORMS: Final = "all, a number of years such as 5y, or a date such as 2015-01-02"


@dataclass(frozen=True)
class TrainingStart:
    """Since when a model learns. Both None: from the first row on.

    Attributes
    ----------
    years : each training part keeps its last so many years; its test part stays what it is.
    first : no earlier row is learnt from or forecast.
    """

    years: int | None = None
    first: date | None = None

    def __str__(self) -> str:
        """Returns it as a setting names it."""
        if self.years is not None:
            return f"{self.years}y"
        return ALL if self.first is None else self.first.isoformat()

    def keeps(self, sessions: pd.DatetimeIndex) -> slice:
        """Returns which rows of a training part are learnt from; its sessions ascend."""
        if self.years is None or sessions.empty:
            return slice(None)
        import pandas as pd

        first = sessions[-1] - pd.DateOffset(years=self.years)
        return slice(int(sessions.searchsorted(first, side="right")), None)


EVERYTHING: Final = TrainingStart()


def parse_start(text: str) -> TrainingStart:
    """Returns the start that a setting names.

    Raises
    ------
    ValueError : for a text of none of the forms.
    """
    word = text.strip().lower()
    if word == ALL:
        return TrainingStart()
    if years := _YEARS.fullmatch(word):
        return TrainingStart(years=int(years[1]))
    try:
        return TrainingStart(first=date.fromisoformat(word))
    except ValueError:
        raise ValueError(f"{text!r} is no start of the training data: {FORMS}") from None
