"""A small invented market whose history changes as a vendor's does: new sessions, dividends, splits, corrections.

Deterministic (a seed), on real exchange sessions. Never presented as data: it exists to be served to clients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from trading_dag.sessions import all_sessions, last_closed_session

# Symbol → type, first price, daily volatility. The volatility indices revert to their first value.
ETFS = {"SPY": (200.0, 0.010), "QQQ": (110.0, 0.013), "IWM": (120.0, 0.014)}
INDICES = {"^GSPC": (2000.0, 0.010), "^IXIC": (4800.0, 0.013)}
VOLATILITIES = {"^VIX": 18.0, "^VXN": 22.0, "^RVX": 24.0, "^VIX3M": 20.0}
PRICE_FIELDS = ("open", "high", "low", "close")


@dataclass
class Listing:
    """One symbol: what it was worth per original share, and what has happened to it since.

    Attributes
    ----------
    instrument : ``ETF`` or ``INDEX``, as Yahoo says.
    timezone : of its exchange.
    worth : columns open, high, low, close, volume by session, before any split.
    dividends, splits : amount per share of its day, and new shares per old one, by session.
    corrections : (session, field) → value, as published.
    """

    instrument: str
    timezone: str
    worth: pd.DataFrame
    dividends: dict[pd.Timestamp, float] = field(default_factory=dict)
    splits: dict[pd.Timestamp, float] = field(default_factory=dict)
    corrections: dict[tuple[pd.Timestamp, str], float] = field(default_factory=dict)

    def published(self, last: pd.Timestamp) -> pd.DataFrame:
        """The history as the vendor shows it at the close of ``last``: split-adjusted, and ``adj_close``."""
        bars = self.worth.loc[:last].copy()
        ratio = float(np.prod([1.0, *(ratio for day, ratio in self.splits.items() if day <= last)]))
        bars[list(PRICE_FIELDS)] /= ratio
        bars["volume"] *= ratio
        for (day, name), value in self.corrections.items():
            if day <= last:
                bars.loc[day, name] = value
        factor = pd.Series(1.0, index=bars.index)
        for day in self.dividends:
            if day <= last:
                before = bars.index[bars.index < day]
                factor[before] *= 1.0 - self.adjusted_dividend(day, last) / bars.loc[before[-1], "close"]
        return bars.assign(adj_close=bars["close"] * factor)

    def adjusted_dividend(self, day: pd.Timestamp, last: pd.Timestamp) -> float:
        """The dividend of a day per share of today."""
        later = (ratio for split, ratio in self.splits.items() if day < split <= last)
        return self.dividends[day] / float(np.prod([1.0, *later]))


class Market:
    """Listings and the session that the vendor has reached.

    Parameters
    ----------
    sessions : how many sessions the history has at first.
    spare_sessions : sessions that ``advance`` may still add.
    seed : of the invented prices.
    """

    def __init__(self, *, sessions: int, spare_sessions: int, seed: int) -> None:
        calendar = all_sessions()
        days = calendar[calendar <= last_closed_session(pd.Timestamp.now("UTC") - pd.Timedelta(days=1))]
        self.calendar = days[-(sessions + spare_sessions) :]
        self.last = pd.Timestamp(self.calendar[sessions - 1])
        generator = np.random.default_rng(seed)
        self.listings: dict[str, Listing] = {}
        for symbol, (start, volatility) in (ETFS | INDICES).items():
            close = start * np.exp(np.cumsum(generator.normal(0.0003, volatility, len(self.calendar))))
            kind = "ETF" if symbol in ETFS else "INDEX"
            self.listings[symbol] = Listing(kind, "America/New_York", self._bars(close, generator, volatility))
        for symbol, level in VOLATILITIES.items():
            close = level * np.exp(_reverting(generator.normal(0.0, 0.06, len(self.calendar))))
            bars = self._bars(close, generator, 0.03).assign(volume=0.0)
            self.listings[symbol] = Listing("INDEX", "America/Chicago", bars)

    def session(self, offset: int) -> pd.Timestamp:
        """A session by its distance from the last one: 0 is the last, −1 the one before."""
        return pd.Timestamp(self.calendar[self.calendar.get_loc(self.last) + offset])

    def advance(self) -> pd.Timestamp:
        """Close one more session."""
        self.last = self.session(1)
        return self.last

    def _bars(self, close: np.ndarray, generator: np.random.Generator, volatility: float) -> pd.DataFrame:
        opening = close * np.exp(generator.normal(0.0, volatility / 2, len(close)))
        spread = np.exp(np.abs(generator.normal(0.0, volatility / 2, (2, len(close)))))
        return pd.DataFrame(
            {
                "open": opening,
                "high": np.maximum(opening, close) * spread[0],
                "low": np.minimum(opening, close) / spread[1],
                "close": close,
                "volume": np.round(generator.uniform(5e7, 1.5e8, len(close))),
            },
            index=self.calendar,
        )


def _reverting(shocks: np.ndarray) -> np.ndarray:
    level, path = 0.0, np.empty_like(shocks)
    for position, shock in enumerate(shocks):
        level = 0.95 * level + shock
        path[position] = level
    return path
