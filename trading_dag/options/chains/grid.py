"""One session's chain as arrays of right × expiration × strike.

Which of its quotes are credible is said by ``chains.cleaning``, what they are worth is computed in ``chains.measures``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.frames import require_columns
from trading_dag.options.chains.contracts import is_adjusted_root, is_morning_settled, years_to_settlement
from trading_dag.options.chains.rows import CHAIN_TABLE, repeated_rows
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import TIME_UNIT

CALL, PUT = 0, 1
_NUMBERS: Final = ("underlying_price", "bid", "ask", "last", "volume", "open_interest", "implied_volatility")


@dataclass(frozen=True)
class SessionGrid:
    """Holds one ticker's chain on one session; ``CALL`` and ``PUT`` are the places on the first axis.

    Attributes
    ----------
    ticker, session : of which chain.
    spot : USD, the median of the rows.
    expirations : (expirations,) ascending dates. strikes : (strikes,) ascending, USD.
    is_listed : (2, expirations, strikes) whether there is such a contract.
    underlying_price, bid, ask, last, volume, open_interest, implied_volatility : of that shape, NaN where missing.
    places : (rows,) where each row of the chain lies in such an array, flattened; also of rows that do not count.
    is_adjusted : whether the root names adjusted contracts, which fit no formula.
    """

    ticker: str
    session: pd.Timestamp
    spot: float
    expirations: pd.DatetimeIndex
    strikes: FloatArray
    is_listed: BoolArray
    underlying_price: FloatArray
    bid: FloatArray
    ask: FloatArray
    last: FloatArray
    volume: FloatArray
    open_interest: FloatArray
    implied_volatility: FloatArray
    places: IntArray
    is_adjusted: bool

    @cached_property
    def years(self) -> FloatArray:
        """Return the calendar time to settlement of each expiration, years of 365 days, (expirations,)."""
        names = pd.Series([self.ticker] * len(self.expirations), dtype="str")
        days = pd.Series(self.expirations)
        quoted = pd.Series([self.session] * len(self.expirations))
        return years_to_settlement(quoted, days, is_morning=is_morning_settled(names, days))

    @property
    def price(self) -> FloatArray:
        """Return the middle of bid and ask where both are present, otherwise the last trade, USD."""
        middle: FloatArray = 0.5 * (self.bid + self.ask)
        return np.where(np.isnan(middle), self.last, middle)

    def having(self, rows: IntArray) -> BoolArray:
        """Return which contracts these rows of the chain are of, (2, expirations, strikes)."""
        flat = np.zeros(self.bid.size, dtype=np.bool_)
        flat[self.places[rows]] = True
        return flat.reshape(self.bid.shape)


def session_grid(chain: pd.DataFrame) -> SessionGrid:
    """Return the chain of one ticker and quote date as arrays. One of equal rows counts; of differing rows of a key,
    none.

    Raises
    ------
    SchemaError : for a missing column.
    InsufficientDataError : for a chain without rows, or of several tickers or dates.
    """
    require_columns(chain, CHAIN_TABLE, columns=OPTION_CHAIN.column_names)
    tickers, dates = chain["ticker"].unique(), chain["quote_date"].unique()
    if len(tickers) != 1 or len(dates) != 1:
        raise InsufficientDataError(
            f"a session's chain holds one ticker and one date, not {len(tickers)} and {len(dates)} of them"
        )
    place, expirations, strikes = _places(chain)
    places = place
    if len(place) and np.bincount(place).max() > 1:
        later, differing = repeated_rows(chain)
        place, chain = place[~later & ~differing], chain[~later & ~differing]
    shape = (2, len(expirations), len(strikes))
    cells = {}
    for name in _NUMBERS:
        flat = np.full(shape[0] * shape[1] * shape[2], np.nan)
        flat[place] = chain[name].to_numpy(dtype=np.float64)
        cells[name] = flat.reshape(shape)
    is_listed = np.zeros(shape[0] * shape[1] * shape[2], dtype=np.bool_)
    is_listed[place] = True
    ticker, session = str(tickers[0]), pd.Timestamp(dates[0])
    known = cells["underlying_price"][~np.isnan(cells["underlying_price"])]
    return SessionGrid(
        ticker=ticker,
        session=session,
        spot=float(np.median(known)) if len(known) else float("nan"),
        expirations=expirations,
        strikes=strikes,
        is_listed=is_listed.reshape(shape),
        **cells,
        places=places,
        is_adjusted=bool(is_adjusted_root(pd.Series([ticker])).iloc[0]),
    )


def _places(chain: pd.DataFrame) -> tuple[IntArray, pd.DatetimeIndex, FloatArray]:
    """Return the place of each row in the flat grid, and the grid's expirations and strikes."""
    expiration, expirations = pd.factorize(chain["expiration"].to_numpy(), sort=True)
    strike, strikes = pd.factorize(chain["strike"].to_numpy(dtype=np.float64), sort=True)
    right = np.where((chain["option_right"] == "C").to_numpy(), CALL, PUT)
    place: IntArray = (right * len(expirations) + expiration) * len(strikes) + strike
    return place, pd.DatetimeIndex(expirations).as_unit(TIME_UNIT), np.asarray(strikes, dtype=np.float64)
