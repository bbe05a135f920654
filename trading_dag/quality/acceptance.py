"""Bars that a user has examined and accepted, although a rule refuses or doubts them. Where they are kept is not here.

An acceptance is of one bar, not of a date: it holds while the bar is the one that was looked at. Its shape is compared,
not its price, because a later split divides the whole history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

_SAME: Final = 1e-4


@dataclass(frozen=True)
class AcceptedBar:
    """Holds one accepted bar of ``raw.prices_daily``.

    Attributes
    ----------
    ticker, session : which bar; the session as ISO date.
    open, high, low, close : the prices when the bar was accepted, USD.
    previous_close : the close of the session before; None where there was none.
    reason : why it is true, in the user's words.
    accepted_at : ISO time, UTC.
    """

    ticker: str
    session: str
    open: float
    high: float
    low: float
    close: float
    previous_close: float | None
    reason: str
    accepted_at: str

    @property
    def shape(self) -> tuple[float, ...]:
        """Return open, high, low and the previous close, each divided by the close."""
        before = float("nan") if self.previous_close is None else self.previous_close
        return tuple(value / self.close for value in (self.open, self.high, self.low, before))


def accepted_bar(prices: pd.DataFrame, session: pd.Timestamp, *, reason: str, now: pd.Timestamp) -> AcceptedBar | None:
    """Return the bar of a session in its accepted form; None where the prices have no such bar, or no close above
    zero."""
    rows = prices.sort_values("session", kind="stable", ignore_index=True)
    places = rows.index[rows["session"] == session]
    if len(places) != 1 or not rows.loc[places[0], "close"] > 0:
        return None
    row = rows.loc[places[0]]
    before = rows["close"].iloc[places[0] - 1] if places[0] else None
    values = {name: float(row[name]) for name in ("open", "high", "low", "close")}
    return AcceptedBar(
        ticker=str(row["ticker"]),
        session=f"{session:%Y-%m-%d}",
        **values,
        previous_close=None if before is None or pd.isna(before) else float(before),
        reason=reason,
        accepted_at=now.isoformat(timespec="seconds"),
    )


def still_accepted(accepted: Iterable[AcceptedBar], prices: pd.DataFrame) -> dict[pd.Timestamp, str]:
    """Return the sessions whose bar is one that was accepted, each with the reason.

    A bar whose shape has changed by more than 0.01 % since it was accepted is another bar.
    """
    unchanged = {}
    for entry in accepted:
        session = pd.Timestamp(entry.session)
        present = accepted_bar(prices, session, reason=entry.reason, now=pd.Timestamp(entry.accepted_at))
        if present is None or present.ticker != entry.ticker:
            continue
        pairs = zip(present.shape, entry.shape, strict=True)
        if all(abs(now - then) <= _SAME * abs(then) or (pd.isna(now) and pd.isna(then)) for now, then in pairs):
            unchanged[session] = entry.reason
    return unchanged
