"""One session's chain as arrays of right × expiration × strike, and which of its quotes are credible.

The rules are those of ``chains.cleaning``, written again without frames, because every session of every chain passes
through here; tests compare the two. What the quotes are worth is computed in ``chains.measures``.
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
from trading_dag.options.chains.cleaning import CleaningRules
from trading_dag.options.chains.contracts import is_adjusted_root, is_morning_settled, years_to_settlement
from trading_dag.options.chains.out_of_line import most_in_line
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

    @property
    def is_two_sided(self) -> BoolArray:
        """Return whether both bid and ask are present."""
        return np.isfinite(self.bid) & np.isfinite(self.ask)


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
        is_adjusted=bool(is_adjusted_root(pd.Series([ticker])).iloc[0]),
    )


def believed_quotes(
    grid: SessionGrid, *, before: SessionGrid | None = None, rules: CleaningRules | None = None
) -> BoolArray:
    """Return which listed contracts ``chains.cleaning.clean_chain`` would keep, (2, expirations, strikes).

    Parameters
    ----------
    before : the chain of the quote date before, by which quotes that stood still are told; None for none.
    """
    asked = CleaningRules() if rules is None else rules
    bid, ask, last = grid.bid, grid.ask, grid.last
    if grid.is_adjusted:
        return np.zeros(bid.shape, dtype=np.bool_)
    is_quoted = np.isfinite(bid) | np.isfinite(ask)
    distance = grid.underlying_price - grid.strikes
    intrinsic = np.maximum(np.stack([distance[CALL], -distance[PUT]]), 0.0)
    with np.errstate(invalid="ignore"):
        no_bid = ~(bid > 0.0) if asked.refuse_zero_bid else ~(bid >= 0.0)
        refused = (
            ~grid.is_listed
            | ~(grid.years >= 0.0)[:, np.newaxis]
            | ~(grid.underlying_price > 0.0)
            | (bid > ask)
            | np.where(is_quoted, no_bid | ~(ask > 0.0), ~(last > 0.0))
            | (~is_quoted & (~(grid.volume > 0.0) | (last < intrinsic)))
        )
        if asked.require_volatility:
            refused |= ~(grid.implied_volatility > 0.0)
    if before is not None:
        refused |= _stood_still(grid, before, asked)
    believed = ~refused
    in_line: BoolArray = believed & ~_out_of_line(grid, believed & grid.is_two_sided, asked.line_slack_fraction)
    return in_line


def _places(chain: pd.DataFrame) -> tuple[IntArray, pd.DatetimeIndex, FloatArray]:
    """Return the place of each row in the flat grid, and the grid's expirations and strikes."""
    expiration, expirations = pd.factorize(chain["expiration"].to_numpy(), sort=True)
    strike, strikes = pd.factorize(chain["strike"].to_numpy(dtype=np.float64), sort=True)
    right = np.where((chain["option_right"] == "C").to_numpy(), CALL, PUT)
    place: IntArray = (right * len(expirations) + expiration) * len(strikes) + strike
    return place, pd.DatetimeIndex(expirations).as_unit(TIME_UNIT), np.asarray(strikes, dtype=np.float64)


def _stood_still(grid: SessionGrid, before: SessionGrid, rules: CleaningRules) -> BoolArray:
    """Return two-sided, dear quotes equal to those of the quote date before although the underlying moved."""
    expiration = before.expirations.get_indexer(grid.expirations)
    strike = pd.Index(before.strikes).get_indexer(pd.Index(grid.strikes))
    rows, columns = expiration >= 0, strike >= 0
    stale = np.zeros(grid.bid.shape, dtype=np.bool_)

    def earlier(values: FloatArray) -> FloatArray:
        return values[:, expiration[rows]][:, :, strike[columns]]

    def now(values: FloatArray) -> FloatArray:
        return values[:, rows][:, :, columns]

    underlying = now(grid.underlying_price)
    # A missing bid or ask is NaN, which equals nothing.
    same = (now(grid.bid) == earlier(before.bid)) & (now(grid.ask) == earlier(before.ask))
    moved = np.abs(underlying / earlier(before.underlying_price) - 1.0) >= rules.stale_move_fraction
    dear = now(grid.price) >= rules.stale_price_fraction * underlying
    stale[np.ix_(np.array([CALL, PUT]), np.flatnonzero(rows), np.flatnonzero(columns))] = same & moved & dear
    return stale


def _out_of_line(grid: SessionGrid, quoted: BoolArray, slack_fraction: float) -> BoolArray:
    """Return two-sided quotes that contradict the others of their ladder, as ``chains.out_of_line.out_of_line`` finds
    them."""
    slack, strike = slack_fraction * grid.underlying_price, grid.strikes
    # What never falls with the strike: the worth of a put (of a call, the negative), and the strike less that.
    low = np.stack([-grid.ask[CALL], grid.bid[PUT]])
    high = np.stack([-grid.bid[CALL], grid.ask[PUT]])
    left = quoted.copy()
    for lows, highs in ((low, high), (strike - high, strike - low)):
        ceilings = np.where(left, highs + slack, np.inf)
        highest = np.maximum.accumulate(np.where(left, lows, -np.inf), axis=2)
        for right, expiration in zip(*np.nonzero((highest > ceilings).any(axis=2)), strict=True):
            ladder = np.flatnonzero(left[right, expiration])
            agrees = most_in_line(lows[right, expiration, ladder], ceilings[right, expiration, ladder])
            left[right, expiration, ladder] = agrees
    return quoted & ~left
