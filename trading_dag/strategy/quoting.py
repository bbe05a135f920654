"""What each selected structure costs at its session's close, on that session's chain or on the modelled surface.

Which structure is selected is ``selector``'s, how many of it ``sizing``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, TextArray
from trading_dag.frames import values_at_sessions
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.options.structures.payoff import breakevens, probability_of_profit
from trading_dag.options.structures.quotes import construct_positions
from trading_dag.options.structures.strike_selection import choose_expirations, years_to_expiration
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.options.surfaces.modelled import ModelledSurface, VolatilitySurface, continuous_rate
from trading_dag.options.surfaces.of_chain import FittedSurface, fitted_surface
from trading_dag.settings import Settings
from trading_dag.strategy.explanation import breakevens_text, legs_json, strikes_text
from trading_dag.strategy.selector import NO_TRADE


@dataclass(frozen=True)
class QuotedStructures:
    """Holds what quotes add to each row; NaN, None and NaT where nothing was quoted.

    Attributes
    ----------
    has_chain : whether the row is priced by the chain of its session.
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
    contracts_per_structure: FloatArray
    is_bought_only: BoolArray
    is_quoted: BoolArray


def quote_structures(
    strategy: TextArray,
    sessions: pd.DatetimeIndex,
    *,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    smiles: pd.DataFrame | None,
    settings: Settings,
) -> QuotedStructures:
    """Return the quotes of each session's structure, ``no_trade`` for none; tables as in ``build_recommendations``."""
    spot = values_at_sessions(prices, sessions, column="close", table="raw.prices_daily")
    modelled = _modelled_surface(sessions, volatility_index, rates, settings)
    of_chain = None
    if smiles is not None and len(smiles):
        of_chain = _surface_of_chains(sessions, prices, smiles, settings)
    has_chain = np.zeros(len(sessions), dtype=np.bool_) if of_chain is None else of_chain.is_fitted
    quoted = _no_quotes(has_chain)
    _quote(quoted, np.where(has_chain, NO_TRADE, strategy), sessions, spot, modelled, settings)
    if of_chain is not None:
        _quote(quoted, np.where(has_chain, strategy, NO_TRADE), sessions, spot, of_chain, settings)
    return quoted


def _modelled_surface(
    sessions: pd.DatetimeIndex, volatility_index: pd.DataFrame, rates: pd.DataFrame, settings: Settings
) -> ModelledSurface:
    level = values_at_sessions(volatility_index, sessions, column="close", table="raw.volatility_index")
    bills = values_at_sessions(rates, sessions, column="treasury_3m", table="features.macro")
    rate = continuous_rate(bills, fallback=settings.surface.risk_free_rate)
    return ModelledSurface(level, rate, settings.surface.dividend_yield, settings.surface)


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
        contracts_per_structure=np.zeros(rows),
        is_bought_only=np.zeros(rows, dtype=bool),
        is_quoted=np.zeros(rows, dtype=bool),
    )


def _quote(
    quoted: QuotedStructures,
    strategy: TextArray,
    sessions: pd.DatetimeIndex,
    spot: FloatArray,
    surface: VolatilitySurface,
    settings: Settings,
) -> None:
    """Construct each selected structure at its session's close, one vectorised pass a structure; fill its rows in."""
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
        quoted.contracts_per_structure[where] = structure.contracts_per_structure
        quoted.is_bought_only[where] = bool((structure.signed_ratios > 0).all())
        quoted.is_quoted[where] = is_quoted
