"""Reduces one session's raw chain to what its features need: activity, points of each smile, dealers' exposure.

Forwards, volatilities and Greeks here, over the arrays of ``chains.grid``; no frames and no fitted slices. What is
told of every contract (reasons, errors) and the fitted smiles are ``chains.session``', features of several
sessions ``features.option_chain``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.chains.cleaning import CleaningRules, clean_chain
from trading_dag.options.chains.contracts import terms_of
from trading_dag.options.chains.dealer_exposure import DealerExposure, OpenContracts, dealer_exposure
from trading_dag.options.chains.grid import CALL, PUT, SessionGrid, session_grid
from trading_dag.options.chains.sifting import SiftedChain
from trading_dag.options.chains.volatilities import MAXIMUM_VOLATILITY_ERROR, TICK_USD

LEAST_PAIRS: Final = 3  # with fewer strikes one wide quote decides the forward
NEAR_FRACTION: Final = 0.02
WING_DELTA: Final = 0.25
WING_FRACTION: Final = 0.05
_ROUNDING: Final = 1e-12  # a strike at exactly the fraction counts


@dataclass(frozen=True)
class ChainActivity:
    """Counts contracts traded during the session and open on its morning, of calls and of puts; NaN where unknown."""

    call_volume: float
    put_volume: float
    call_open_interest: float
    put_open_interest: float


@dataclass(frozen=True)
class SmilePoints:
    """Holds points of each expiration's smile, (expirations,); volatilities are fractions, NaN where quotes do not
    reach.

    Attributes
    ----------
    expirations : ascending. years : to settlement. forward : USD, by parity. pairs : strikes that made it.
    atm_volatility : at the forward, linear in log-strike.
    put_25_delta_volatility, call_25_delta_volatility : linear in delta.
    put_95_volatility, call_105_volatility : at 95 % and 105 % of spot, linear in log-strike.
    """

    expirations: pd.DatetimeIndex
    years: FloatArray
    forward: FloatArray
    atm_volatility: FloatArray
    put_25_delta_volatility: FloatArray
    call_25_delta_volatility: FloatArray
    put_95_volatility: FloatArray
    call_105_volatility: FloatArray


@dataclass(frozen=True)
class SessionMeasures:
    """Holds the measures of a session's chain; everything is known at its close.

    Attributes
    ----------
    ticker, session, spot : of which chain; spot in USD.
    activity, smile, exposure : of all its contracts, expirations and dealers.
    open_contracts : every listed contract with its volatility, for pictures.
    """

    ticker: str
    session: pd.Timestamp
    spot: float
    activity: ChainActivity
    smile: SmilePoints
    open_contracts: OpenContracts
    exposure: DealerExposure


def measure_session(
    chain: pd.DataFrame,
    *,
    rate: float,
    before: pd.DataFrame | None = None,
    rules: CleaningRules | None = None,
    cleaned: SiftedChain | None = None,
) -> SessionMeasures:
    """Return activity, smile points and exposure from the raw rows of one session.

    Parameters
    ----------
    chain : rows of ``raw.option_chain`` of one ticker and quote date, in any order.
    rate : continuously compounded fraction, known at the session.
    before : the chain of the quote date before, by which stale quotes are told; None for none.
    rules : what is asked of a quote.
    cleaned : what ``clean_chain`` says of these rows, where that is known already.

    A contract's exposure is computed at the volatility of the out-of-the-money quote of its strike, where that may be
    believed; otherwise on the straight line in log-strike between the neighbours that have one; beyond them, at the
    vendor's volatility; without any it does not count.

    Known at the session's close; open interest dated d is published on the morning of d.

    Raises
    ------
    SchemaError : for a missing column.
    InsufficientDataError : for a chain without rows, or of several tickers or dates.
    """
    grid = session_grid(chain)
    sifted = clean_chain(chain, before=before, rules=rules) if cleaned is None else cleaned
    believed = grid.having(sifted.kept_at)
    forward = _forwards(grid, believed, rate)
    dividend_yield = _residual_yield(grid, forward, rate)
    volatility = _fitted(grid, believed, forward, rate=rate, dividend_yield=dividend_yield)
    open_contracts = _open_contracts(grid, volatility, rate=rate, forward=forward, dividend_yield=dividend_yield)
    exposure = dealer_exposure(open_contracts, spot=grid.spot, multiplier=terms_of(grid.ticker).multiplier)
    return SessionMeasures(
        ticker=grid.ticker,
        session=grid.session,
        spot=grid.spot,
        activity=_activity(grid),
        smile=_smile_points(grid, volatility, forward=forward, dividend_yield=dividend_yield),
        open_contracts=open_contracts,
        exposure=exposure,
    )


def _forwards(grid: SessionGrid, believed: BoolArray, rate: float) -> FloatArray:
    """Return the median over strikes near the money of the forward by put-call parity, (expirations,)."""
    near = np.abs(grid.strikes - grid.spot) <= NEAR_FRACTION * grid.spot * (1.0 + _ROUNDING)
    price = np.where(believed[:, :, near], grid.price[:, :, near], np.nan)
    implied = grid.strikes[near] + (price[CALL] - price[PUT]) * np.exp(rate * grid.years)[:, np.newaxis]
    forward = np.full(len(grid.years), np.nan)
    for place, values in enumerate(implied):
        known = values[~np.isnan(values)]
        if len(known) >= LEAST_PAIRS:
            forward[place] = np.median(known)
    return forward


def _residual_yield(grid: SessionGrid, forward: FloatArray, rate: float) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(forward / grid.spot) / grid.years
    return np.where(grid.years > 0.0, rate - growth, np.nan)


def _fitted(
    grid: SessionGrid, believed: BoolArray, forward: FloatArray, *, rate: float, dividend_yield: FloatArray
) -> FloatArray:
    """Return the volatility of the out-of-the-money quote of each expiration and strike, (expirations, strikes); else
    NaN."""
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    is_call = grid.strikes >= forward[:, np.newaxis]
    may = np.where(is_call, believed[CALL], believed[PUT]) & ((grid.years > 0.0) & np.isfinite(forward))[:, np.newaxis]
    volatility = np.full(may.shape, np.nan)
    row, column = np.nonzero(may)
    right = np.where(is_call[row, column], CALL, PUT)
    strike, years, growth = grid.strikes[column], grid.years[row], dividend_yield[row]
    fitted = implied_volatility(
        price=grid.price[right, row, column], spot=grid.spot, strike=strike, years=years, rate=rate,
        dividend_yield=growth, is_call=right == CALL,
    )  # fmt: skip
    spread = grid.ask[right, row, column] - grid.bid[right, row, column]
    half_spread = np.where(np.isnan(spread), TICK_USD, 0.5 * spread)
    deviation = fitted * np.sqrt(years)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d1 = np.log(forward[row] / strike) / deviation + 0.5 * deviation
        vega = grid.spot * np.exp(-growth * years - 0.5 * d1 * d1) * np.sqrt(years / (2.0 * np.pi))
        is_measured = (fitted > 0.0) & (half_spread / vega <= MAXIMUM_VOLATILITY_ERROR)
    volatility[row, column] = np.where(is_measured, fitted, np.nan)
    return volatility


def _smile_points(
    grid: SessionGrid, volatility: FloatArray, *, forward: FloatArray, dividend_yield: FloatArray
) -> SmilePoints:
    """Return each smile read at the forward, at 25 delta, and at 95 % and 105 % of spot."""
    from scipy.special import ndtr

    log_strike, years = np.log(grid.strikes), grid.years
    points = np.full((5, len(years)), np.nan)
    wings = np.log(grid.spot * np.array([1.0 - WING_FRACTION, 1.0 + WING_FRACTION]))
    for place in np.flatnonzero(np.isfinite(volatility).any(axis=1)):
        known = np.isfinite(volatility[place])
        values, where = volatility[place, known], log_strike[known]
        deviation = values * np.sqrt(years[place])
        calls = grid.strikes[known] >= forward[place]
        d1 = (np.log(forward[place]) - where) / deviation + 0.5 * deviation
        delta = np.exp(-dividend_yield[place] * years[place]) * ndtr(np.where(calls, d1, -d1))
        puts = ~calls
        points[:, place] = (
            np.interp(np.log(forward[place]), where, values, left=np.nan, right=np.nan),
            _at_delta(delta[puts], values[puts]),
            _at_delta(delta[calls], values[calls]),
            _at(wings[0], where[puts], values[puts]),
            _at(wings[1], where[calls], values[calls]),
        )
    return SmilePoints(grid.expirations, years, forward, *points)


def _at_delta(delta: FloatArray, volatility: FloatArray) -> float:
    order = np.argsort(delta, kind="stable")
    return _at(WING_DELTA, delta[order], volatility[order])


def _at(where: float, places: FloatArray, values: FloatArray) -> float:
    """Interpolate linearly; NaN beyond the places and where there are none."""
    return float(np.interp(where, places, values, left=np.nan, right=np.nan)) if len(places) else float("nan")


def _open_contracts(
    grid: SessionGrid, volatility: FloatArray, *, rate: float, forward: FloatArray, dividend_yield: FloatArray
) -> OpenContracts:
    """Return every listed contract of a standard root, each with the volatility at which it is to be valued."""
    log_strike = np.log(grid.strikes)
    between = volatility.copy()
    for place in np.flatnonzero(np.isfinite(volatility).any(axis=1)):
        known = np.isfinite(volatility[place])
        between[place] = np.interp(log_strike, log_strike[known], volatility[place, known], left=np.nan, right=np.nan)
    listed = grid.is_listed & (not grid.is_adjusted)
    right, row, column = np.nonzero(listed)
    own = between[row, column]
    # Without a forward there is neither a rate to use nor a yield; spot and strike then decide.
    has_forward = np.isfinite(forward)[row]
    return OpenContracts(
        strike=grid.strikes[column],
        years=grid.years[row],
        rate=np.where(has_forward, rate, 0.0),
        dividend_yield=np.nan_to_num(dividend_yield[row], nan=0.0),
        implied_volatility=np.where(np.isnan(own), grid.implied_volatility[listed], own),
        open_interest=grid.open_interest[listed],
        is_call=right == CALL,
    )


def _activity(grid: SessionGrid) -> ChainActivity:
    """Return sums over all expirations; an unknown count of a contract adds nothing, and all unknown is unknown."""
    return ChainActivity(
        _total(grid.volume[CALL]),
        _total(grid.volume[PUT]),
        _total(grid.open_interest[CALL]),
        _total(grid.open_interest[PUT]),
    )


def _total(counts: FloatArray) -> float:
    known = np.isfinite(counts)
    return float(counts[known].sum()) if known.any() else float("nan")
