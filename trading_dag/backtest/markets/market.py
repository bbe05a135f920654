"""Prices, index levels and rates of one underlying, aligned with the exchange calendar.

Every array has one entry a session, without gaps: a session that the data lacks is NaN, never skipped,
so that "the next session" is the next position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.frames import require_prices, require_sessions, values_at_sessions
from trading_dag.options.surfaces.modelled import ModelledSurface, continuous_rate
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings


@dataclass(frozen=True)
class Market:
    """Holds what the backtest may quote from.

    Attributes
    ----------
    sessions : consecutive exchange sessions from the first to the last price.
    open, close, total_return_close : USD, split-adjusted; the last also dividend-adjusted.
    index_open, index_close : volatility index, points.
    rate : continuously compounded risk-free rate known at the session's close, fraction.
    is_fallback_rate : the rate of the settings stands in.
    """

    sessions: pd.DatetimeIndex
    open: FloatArray
    close: FloatArray
    total_return_close: FloatArray
    index_open: FloatArray
    index_close: FloatArray
    rate: FloatArray
    is_fallback_rate: BoolArray
    settings: Settings

    def __len__(self) -> int:
        return len(self.sessions)

    def entry_surface(self, entry: IntArray) -> ModelledSurface:
        """Return the surface at the open of each entry: the index's open, or its close one session before where there
        is none.

        The rate is the one known at the close before. ``entry`` is at least 1.
        """
        level = np.where(np.isnan(self.index_open[entry]), self.index_close[entry - 1], self.index_open[entry])
        return self._surface(level, self.rate[entry - 1])

    def close_surface(self, positions: IntArray) -> ModelledSurface:
        """Return the surface at the close of each session."""
        return self._surface(self.index_close[positions], self.rate[positions])

    def marking_surface(self, positions: IntArray) -> ModelledSurface:
        """Return the surface at the close of each session, from the last index level known by then."""
        last_known = carried_forward(np.where(np.isnan(self.index_close), self.index_open, self.index_close))
        return self._surface(last_known[positions], self.rate[positions])

    def at_shifted_volatility(self, shift: float) -> Market:
        """Return the same market with every modelled volatility raised by so much, fraction."""
        surface = self.settings.surface
        moved = surface.model_copy(update={"level_shift": surface.level_shift + shift})
        return replace(self, settings=self.settings.model_copy(update={"surface": moved}))

    def last_known_close(self) -> FloatArray:
        """Close of each session, or the last one before it where the session is absent."""
        return carried_forward(self.close)

    def benchmark(self, window: slice) -> FloatArray:
        """Return the starting cash held in the underlying from the first session of the window, dividends
        reinvested."""
        value = carried_forward(self.total_return_close)[window]
        grown: FloatArray = self.settings.backtest.account_usd * value / value[:1]
        return grown

    def first_quoted_close(self) -> IntArray:
        """Return for each session the first position, not before it, with a close and an index close; ``len`` for
        none."""
        rows = len(self)
        is_quoted = np.isfinite(self.close) & np.isfinite(self.index_close)
        position = np.where(is_quoted, np.arange(rows), rows)
        return np.minimum.accumulate(position[::-1])[::-1]

    def _surface(self, level: FloatArray, rate: FloatArray) -> ModelledSurface:
        return ModelledSurface(level, rate, self.settings.surface.dividend_yield, self.settings.surface)


def build_market(
    prices: pd.DataFrame, volatility_index: pd.DataFrame, *, rates: pd.DataFrame, settings: Settings
) -> Market:
    """Align raw.prices_daily, raw.volatility_index and rates (session, treasury_3m percent) of one underlying.

    Raises
    ------
    SchemaError : for missing columns, repeated or unsorted sessions, or a price that is not positive.
    """
    present = require_sessions(prices, ("open", "close", "adj_close"), table="raw.prices_daily")
    require_prices(prices, ("open", "close"), table="raw.prices_daily")
    sessions = sessions_between(present[0], present[-1]) if len(present) else present
    price = {
        name: values_at_sessions(prices, sessions, column=name, table="raw.prices_daily")
        for name in ("open", "close", "adj_close")
    }
    percent = values_at_sessions(rates, sessions, column="treasury_3m", table="features.macro")
    return Market(
        sessions=sessions,
        open=price["open"],
        close=price["close"],
        total_return_close=price["adj_close"],
        index_open=values_at_sessions(volatility_index, sessions, column="open", table="raw.volatility_index"),
        index_close=values_at_sessions(volatility_index, sessions, column="close", table="raw.volatility_index"),
        rate=continuous_rate(percent, fallback=settings.surface.risk_free_rate),
        is_fallback_rate=np.isnan(percent),
        settings=settings,
    )


def carried_forward(values: FloatArray) -> FloatArray:
    """Return each value, or the last one before it that is not NaN."""
    known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    carried: FloatArray = values[known]
    return carried
