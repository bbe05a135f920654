"""What each selected structure costs at its session's close, on that session's chain or on the modelled surface.

Which structure is selected is ``selector``'s, how many of it ``sizing``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.frames import values_at_sessions
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.forecast_value import expected_profit, forecast_probability_of_profit
from trading_dag.options.structures.payoff import breakevens, probability_of_profit
from trading_dag.options.structures.quotes import Positions, construct_positions
from trading_dag.options.structures.strike_selection import choose_expirations, years_to_expiration
from trading_dag.options.structures.structure import STRUCTURES, Structure
from trading_dag.options.surfaces.modelled import ModelledSurface, VolatilitySurface, continuous_rate
from trading_dag.options.surfaces.of_chain import FittedSurface, fitted_surface
from trading_dag.settings import Settings
from trading_dag.strategy.beside import PriceOutlook
from trading_dag.strategy.explanation import breakevens_text, legs_json, strikes_text
from trading_dag.strategy.selector import NO_TRADE


@dataclass(frozen=True)
class QuotedStructures:
    """Holds what quotes add to each row; NaN, None and NaT where nothing was quoted.

    Attributes
    ----------
    has_chain : whether the row is priced by the chain of its session.
    probability_of_profit : by the surface's own prices, at expiration.
    forecast_probability_of_profit, expected_profit : by the forecast of the price at expiration, the latter USD a
        share, fees not counted; NaN where no forecast reaches so far.
    """

    has_chain: BoolArray
    strikes: TextArray
    legs: TextArray
    breakevens: TextArray
    expiration: TextArray
    expirations: NDArray[np.datetime64]
    premium: FloatArray
    maximum_loss: FloatArray
    maximum_profit: FloatArray
    probability_of_profit: FloatArray
    forecast_probability_of_profit: FloatArray
    expected_profit: FloatArray
    contracts_per_structure: FloatArray
    is_bought_only: BoolArray
    is_quoted: BoolArray


@dataclass(frozen=True)
class Pricing:
    """Holds what structures are priced on at each session's close.

    Attributes
    ----------
    spot : (n,) USD; NaN where there is no price.
    rate : (n,) continuously compounded fraction.
    modelled : surface of the volatility index.
    of_chain : slices fitted to the sessions' chains; None where no session has one.
    has_chain : (n,) which sessions have them.
    """

    sessions: pd.DatetimeIndex
    spot: FloatArray
    rate: FloatArray
    modelled: ModelledSurface
    of_chain: FittedSurface | None
    has_chain: BoolArray

    def surfaces(self) -> tuple[tuple[VolatilitySurface, BoolArray], ...]:
        """Return each kind of surface with the sessions that it prices."""
        modelled = (self.modelled, ~self.has_chain & self.modelled.is_known & np.isfinite(self.spot))
        return (modelled,) if self.of_chain is None else (modelled, (self.of_chain, self.has_chain))


def pricing_at(
    sessions: pd.DatetimeIndex,
    *,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    smiles: pd.DataFrame | None,
    settings: Settings,
) -> Pricing:
    """Return what each session's structures are priced on; tables as in ``build_recommendations``."""
    spot = values_at_sessions(prices, sessions, column="close", table="raw.prices_daily")
    level = values_at_sessions(volatility_index, sessions, column="close", table="raw.volatility_index")
    bills = values_at_sessions(rates, sessions, column="treasury_3m", table="features.macro")
    rate = continuous_rate(bills, fallback=settings.surface.risk_free_rate)
    modelled = ModelledSurface(level, rate, settings.surface.dividend_yield, settings.surface)
    of_chain = None
    if smiles is not None and len(smiles):
        of_chain = _surface_of_chains(sessions, prices, smiles, settings)
    has_chain = np.zeros(len(sessions), dtype=np.bool_) if of_chain is None else of_chain.is_fitted
    return Pricing(sessions, spot, rate, modelled, of_chain, has_chain)


def quote_structures(
    strategy: TextArray, pricing: Pricing, *, outlook: PriceOutlook, settings: Settings
) -> QuotedStructures:
    """Return the quotes of each session's structure, ``no_trade`` for none, and what the forecast of the price says."""
    quoted = _no_quotes(pricing.has_chain)
    has_chain = pricing.has_chain
    _quote(quoted, np.where(has_chain, NO_TRADE, strategy), pricing, pricing.modelled, outlook, settings)
    if pricing.of_chain is not None:
        _quote(quoted, np.where(has_chain, strategy, NO_TRADE), pricing, pricing.of_chain, outlook, settings)
    return quoted


def _surface_of_chains(
    sessions: pd.DatetimeIndex, prices: pd.DataFrame, smiles: pd.DataFrame, settings: Settings
) -> FittedSurface:
    wanted = choose_expirations(sessions, days_to_expiration=settings.backtest.days_to_expiration)
    years = years_to_expiration(sessions, wanted, quoted_at="close")
    as_quoted = prices.assign(close=closes_as_quoted(prices))
    quoted_close = values_at_sessions(as_quoted, sessions, column="close", table="raw.prices_daily")
    return fitted_surface(smiles, sessions, quoted_close=quoted_close, years=years)


def _no_quotes(has_chain: BoolArray) -> QuotedStructures:
    rows = len(has_chain)
    return QuotedStructures(
        has_chain=has_chain,
        strikes=np.full(rows, None, dtype=object),
        legs=np.full(rows, None, dtype=object),
        breakevens=np.full(rows, None, dtype=object),
        expiration=np.full(rows, None, dtype=object),
        expirations=np.full(rows, np.datetime64("NaT"), dtype="datetime64[us]"),
        premium=np.full(rows, np.nan),
        maximum_loss=np.full(rows, np.nan),
        maximum_profit=np.full(rows, np.nan),
        probability_of_profit=np.full(rows, np.nan),
        forecast_probability_of_profit=np.full(rows, np.nan),
        expected_profit=np.full(rows, np.nan),
        contracts_per_structure=np.zeros(rows),
        is_bought_only=np.zeros(rows, dtype=bool),
        is_quoted=np.zeros(rows, dtype=bool),
    )


def _quote(
    quoted: QuotedStructures,
    strategy: TextArray,
    pricing: Pricing,
    surface: VolatilitySurface,
    outlook: PriceOutlook,
    settings: Settings,
) -> None:
    """Construct each selected structure at its session's close, one vectorised pass a structure; fill its rows in."""
    sessions, spot = pricing.sessions, pricing.spot
    for name in np.unique(strategy[strategy != NO_TRADE].astype(str)):
        structure = STRUCTURES[name]
        where = np.flatnonzero(strategy == name)
        positions = construct_positions(
            structure, surface.rows(where), sessions=sessions[where], spot=spot[where], quoted_at="close",
            settings=settings.backtest,
        )  # fmt: skip
        is_quoted = positions.is_quoted
        probability = probability_of_profit(
            structure, positions.strikes, premium=positions.premium, spot=spot[where], years=positions.years,
            surface=surface.rows(where),
        )  # fmt: skip
        forecast, expected = _by_forecast(structure, positions, outlook, where, spot[where])
        points = breakevens(structure, positions.strikes, premium=positions.premium)
        dates = np.datetime_as_string(positions.expirations.to_numpy().astype("datetime64[D]"))
        written = zip(
            where[is_quoted].tolist(),
            positions.strikes[is_quoted].tolist(),
            points[is_quoted].tolist(),
            dates[is_quoted].tolist(),
            strict=True,
        )
        for row, strikes, points_of_row, expiration in written:
            quoted.strikes[row] = strikes_text(strikes)
            quoted.legs[row] = legs_json(structure, strikes, expiration=expiration)
            quoted.breakevens[row] = breakevens_text(points_of_row)
            quoted.expiration[row] = expiration
        quoted.expirations[where] = np.where(is_quoted, positions.expirations.to_numpy(), np.datetime64("NaT"))
        quoted.premium[where] = np.where(is_quoted, positions.premium, np.nan)
        quoted.maximum_loss[where] = np.where(is_quoted, positions.maximum_loss, np.nan)
        quoted.maximum_profit[where] = np.where(is_quoted, positions.maximum_profit, np.nan)
        quoted.probability_of_profit[where] = np.where(is_quoted, probability, np.nan)
        quoted.forecast_probability_of_profit[where] = np.where(is_quoted, forecast, np.nan)
        quoted.expected_profit[where] = np.where(is_quoted, expected, np.nan)
        quoted.contracts_per_structure[where] = structure.contracts_per_structure
        quoted.is_bought_only[where] = bool((structure.signed_ratios > 0).all())
        quoted.is_quoted[where] = is_quoted


def _by_forecast(
    structure: Structure, positions: Positions, outlook: PriceOutlook, where: IntArray, spot: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The probability of a profit at expiration and the expected profit, USD a share, by the forecast of the price."""
    probability, expected = np.full(len(where), np.nan), np.full(len(where), np.nan)
    if not outlook.ahead or not structure.expires_together:
        return probability, expected
    quantiles = outlook.quantiles_at(positions.expirations.to_numpy(), spot=spot, rows=where)
    at = np.flatnonzero(positions.is_quoted & np.isfinite(quantiles).all(axis=1))
    if len(at):
        forecast = ForecastDistribution(quantiles[at])
        strikes, premium = positions.strikes[at], positions.premium[at]
        probability[at] = forecast_probability_of_profit(structure, strikes, premium=premium, forecast=forecast)
        expected[at] = expected_profit(structure, strikes, premium=premium, forecast=forecast)
    return probability, expected
