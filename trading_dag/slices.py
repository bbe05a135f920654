"""What slices are named after: tickers and the six horizons. Sessions and calendars stand in ``sessions``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from trading_dag.errors import UnknownHorizonError, UnknownTickerError

TICKER_PATTERN: Final = r"[A-Z][A-Z0-9]{0,9}(?:[.-][A-Z0-9]{1,4})?"
_TICKER: Final = re.compile(TICKER_PATTERN)


@dataclass(frozen=True)
class Horizon:
    """Describes how far ahead a forecast looks, counted from the close of session t.

    Attributes
    ----------
    key : partition key, such as ``24h``.
    target_offset : sessions from t to the target session.
    target_field : whether the horizon ends at the target session's open or close.
    gap_sessions : purge and embargo between a training and a test part.
    scaling_sessions : length in sessions for square-root-of-time scaling.
    """

    key: str
    target_offset: int
    target_field: Literal["open", "close"]
    gap_sessions: int
    scaling_sessions: float

    @property
    def outlasts_entry(self) -> bool:
        """Return whether the horizon ends after the next session's open, the first moment at which a signal can be
        traded."""
        return self.target_offset > 1 or (self.target_offset == 1 and self.target_field == "close")


HORIZONS: Final[dict[str, Horizon]] = {
    horizon.key: horizon
    for horizon in (
        Horizon("12h", 1, "open", 1, 0.5),
        Horizon("24h", 1, "close", 1, 1.0),
        Horizon("48h", 2, "close", 2, 2.0),
        Horizon("72h", 3, "close", 3, 3.0),
        Horizon("96h", 4, "close", 4, 4.0),
        Horizon("168h", 5, "close", 5, 5.0),
    )
}


def horizon_of(key: str) -> Horizon:
    """Return the horizon of a partition key.

    Raises
    ------
    UnknownHorizonError : for a key that is not one of the six.
    """
    try:
        return HORIZONS[key]
    except KeyError:
        raise UnknownHorizonError(f"unknown horizon {key!r}; choose from {', '.join(HORIZONS)}") from None


def validate_ticker(ticker: str) -> str:
    """Return the ticker if it has the form of one, so that it may stand in a path or a partition key.

    Raises
    ------
    UnknownTickerError : for anything else, such as ``../x`` or ``'; drop``.
    """
    if not isinstance(ticker, str) or not _TICKER.fullmatch(ticker):
        raise UnknownTickerError(f"{ticker!r} is no ticker: expected capital letters and digits such as SPY or BRK.B")
    return ticker
