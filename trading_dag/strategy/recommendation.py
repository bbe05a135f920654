"""One row a session: the structure that the forecasts select, priced, sized and explained.

Indicative only: everything is at the close of the signal's session, on the slices fitted to its option chain where
there is one, otherwise on the modelled surface. What a trade would have filled at is the backtest's business, at the
next session's quotes. The sentences are ``explanation``'s, the choice is ``selector``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, TextArray
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of, values_at_sessions
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.options.structures.payoff import breakevens, probability_of_profit
from trading_dag.options.structures.quotes import construct_positions
from trading_dag.options.structures.strike_selection import choose_expirations, years_to_expiration
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.options.surfaces.modelled import ModelledSurface, VolatilitySurface, continuous_rate
from trading_dag.options.surfaces.of_chain import fitted_surface
from trading_dag.schemas import RECOMMENDATION
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.explanation import (
    INDICATIVE,
    INDICATIVE_OF_CHAIN,
    Reasons,
    breakevens_text,
    evidence_json,
    legs_json,
    sentence,
    shared_json,
    strikes_text,
)
from trading_dag.strategy.selector import NO_TRADE, Selection, select
from trading_dag.strategy.sizing import contracts_for_risk, conviction_sizes, settings_for_contract
from trading_dag.validation.baselines import CLASS_PRIOR

DIRECTION_MODEL: Final = "direction_logistic"
VOLATILITY_MODEL: Final = "volatility_logistic"
EDGE_UNKNOWN: Final = "insufficient_data"
EDGES_WITH_SIZE: Final = ("skilled", "admissible")


@dataclass(frozen=True)
class _Quoted:
    """What quotes add to each row; NaN, None and NaT where nothing was quoted."""

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


def build_recommendations(
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    *,
    edge: pd.DataFrame,
    rates: pd.DataFrame,
    horizon: Horizon,
    settings: Settings,
    smiles: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build ``signals.recommendation`` of one ticker and horizon.

    Parameters
    ----------
    direction, volatility : predictions.direction and predictions.volatility; the rows of
        ``direction_logistic`` and ``volatility_logistic`` are read, those of ``class_prior`` only for the sentence.
        A session without a volatility forecast is a ``no_trade`` row with that reason.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    edge : session, edge, direction_difference, volatility_difference, n_outcomes, each computed from
        outcomes known at the session's close. A session that is absent counts as insufficient_data.
    rates : session, treasury_3m in percent or NaN.
    smiles : options.chain_analytics of the ticker, by which the sessions that it has are priced; None for none.

    Returns
    -------
    One row for every session with a direction forecast, ascending, known at that session's close.
    ``conviction`` comes from confidence alone; ``position_size`` and ``contracts`` are 0 where the horizon
    ends at its entry, where the edge is ``no_edge`` or ``insufficient_data``, and where nothing can be
    quoted. Premium, risk and probability are for one structure at its natural price (bought at the ask,
    sold at the bid), fees not counted; the number of contracts counts fees both ways.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that repeat or do not ascend.
    """
    calls = _rows_of_model(direction, DIRECTION_MODEL, table="predictions.direction")
    if calls.empty:
        return table_frame(RECOMMENDATION, {}, rows=0)
    sessions = require_sessions(
        calls,
        ("target_session", "y_pred", "probability_up", "confidence", "fold", "fitted_through", "model_version"),
        table="predictions.direction",
    )
    settings = settings_for_contract(ticker_of(calls), settings)
    regimes = _rows_of_model(volatility, VOLATILITY_MODEL, table="predictions.volatility")
    require_sessions(
        regimes, ("y_pred", "confidence", "fold", "fitted_through", "model_version"), table="predictions.volatility"
    )
    require_sessions(
        edge,
        ("edge", "direction_difference", "volatility_difference", "n_outcomes"),
        table="signals.recommendation edge",
    )
    regimes = regimes.set_index("session").reindex(sessions)
    usual = _rows_of_model(direction, CLASS_PRIOR, table="predictions.direction").set_index("session")
    known_edge = edge.set_index("session").reindex(sessions)

    called = calls["y_pred"].to_numpy(dtype=object)
    regime = _text(regimes["y_pred"])
    direction_confidence = calls["confidence"].to_numpy(dtype=np.float64)
    iv_confidence = regimes["confidence"].to_numpy(dtype=np.float64)
    selection = select(called, regime, direction_confidence, iv_confidence, settings=settings.selector)
    verdict = known_edge["edge"].fillna(EDGE_UNKNOWN).to_numpy(dtype=object)
    spot = values_at_sessions(prices, sessions, column="close", table="raw.prices_daily")
    surfaces: list[VolatilitySurface] = [
        ModelledSurface(
            values_at_sessions(volatility_index, sessions, column="close", table="raw.volatility_index"),
            continuous_rate(
                values_at_sessions(rates, sessions, column="treasury_3m", table="features.macro"),
                fallback=settings.surface.risk_free_rate,
            ),
            settings.surface.dividend_yield,
            settings.surface,
        )
    ]
    has_chain = np.zeros(len(sessions), dtype=np.bool_)
    if smiles is not None and len(smiles):
        wanted = choose_expirations(sessions, days_to_expiration=settings.backtest.days_to_expiration)
        years = years_to_expiration(sessions, wanted, quoted_at="close")
        as_quoted = prices.assign(close=closes_as_quoted(prices))
        quoted_close = values_at_sessions(as_quoted, sessions, column="close", table="raw.prices_daily")
        of_chain = fitted_surface(smiles, sessions, quoted_close=quoted_close, years=years)
        has_chain = of_chain.is_fitted
        surfaces.append(of_chain)
    quoted = _no_quotes(len(sessions))
    for surface, is_used in zip(surfaces, (~has_chain, has_chain), strict=False):
        _quote(quoted, np.where(is_used, selection.strategy, NO_TRADE), sessions, spot, surface, settings)

    book = settings.backtest
    maximum_loss_usd = quoted.maximum_loss * book.multiplier
    maximum_profit_usd = quoted.maximum_profit * book.multiplier
    has_time_to_enter = horizon.outlasts_entry
    is_tradable = has_time_to_enter & quoted.is_quoted & (quoted.maximum_profit > 0) & (quoted.maximum_loss > 0)
    position_size = np.where(
        np.isin(verdict, EDGES_WITH_SIZE) & is_tradable, conviction_sizes(selection.conviction), 0.0
    )
    contracts = contracts_for_risk(
        account_usd=book.account_usd,
        risk_fraction=book.risk_fraction,
        size=position_size,
        maximum_loss_usd=maximum_loss_usd,
        round_trip_fees_usd=2.0 * book.fee_per_leg_contract_usd * quoted.contracts_per_structure,
    )
    # The maximum of a bought option alone is never, or only at zero, reached: its target is on what was paid.
    target_base = np.where(quoted.is_bought_only, quoted.premium * book.multiplier, maximum_profit_usd)
    reasoning = [
        sentence(Reasons(*row))
        for row in zip(
            selection.strategy, selection.conviction, verdict, called, regime,
            calls["probability_up"].tolist(), usual["probability_up"].reindex(sessions).tolist(),
            iv_confidence.tolist(), selection.reason, quoted.strikes,
            quoted.expiration, contracts.tolist(), maximum_loss_usd.tolist(), maximum_profit_usd.tolist(),
            [has_time_to_enter] * len(sessions), strict=True,
        )
    ]  # fmt: skip
    return table_frame(
        RECOMMENDATION,
        {
            "ticker": ticker_of(calls),
            "horizon": horizon.key,
            "session": sessions,
            "target_session": calls["target_session"],
            "strategy": selection.strategy,
            "conviction": selection.conviction,
            "edge": verdict,
            "position_size": position_size,
            "direction": called,
            "iv_regime": regime,
            "direction_confidence": direction_confidence,
            "iv_confidence": iv_confidence,
            "overall_confidence": selection.overall_confidence,
            "legs": quoted.legs,
            "strikes": quoted.strikes,
            "expiration": quoted.expirations,
            "contracts": contracts,
            "net_premium_usd": quoted.premium * book.multiplier,
            "max_loss_usd": np.maximum(maximum_loss_usd, 0.0),
            "max_profit_usd": np.where(np.isinf(maximum_profit_usd), np.nan, np.maximum(maximum_profit_usd, 0.0)),
            "breakevens": quoted.breakevens,
            "probability_of_profit": quoted.probability_of_profit,
            "profit_target_usd": np.maximum(book.profit_target_fraction * target_base, 0.0),
            "stop_loss_fraction": np.where(quoted.is_quoted, book.stop_underlying_fraction, np.nan),
            "reasoning": np.array(reasoning, dtype=object),
            "evidence": _evidence(calls, regimes, known_edge, selection=selection, has_chain=has_chain),
            "model_version": _text(calls["model_version"]),
            "volatility_model_version": _text(regimes["model_version"]),
        },
        rows=len(sessions),
    )


def _rows_of_model(predictions: pd.DataFrame, model: str, *, table: str) -> pd.DataFrame:
    """One model's rows in the order of their sessions."""
    require_columns(predictions, table, columns=("session", "model"))
    rows = predictions[(predictions["model"] == model).to_numpy(dtype=bool)]
    return rows.sort_values("session", kind="stable").reset_index(drop=True)


def _text(column: pd.Series) -> TextArray:
    """The column's words as objects, None where there is none."""
    words = column.to_numpy(dtype=object)
    words[column.isna().to_numpy()] = None
    return words


def _no_quotes(rows: int) -> _Quoted:
    return _Quoted(
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
    quoted: _Quoted,
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


def _evidence(
    calls: pd.DataFrame, regimes: pd.DataFrame, edge: pd.DataFrame, *, selection: Selection, has_chain: BoolArray
) -> TextArray:
    """What the row rests on: which fold of which model, what it had seen, and its edge on known outcomes."""

    def days(column: pd.Series) -> list[str | None]:
        text = np.datetime_as_string(column.to_numpy().astype("datetime64[D]")).tolist()
        return [None if day == "NaT" else day for day in text]

    rows = zip(
        calls["fold"].tolist(),
        days(calls["fitted_through"]),
        regimes["fold"].tolist(),
        days(regimes["fitted_through"]),
        edge["direction_difference"].to_numpy(dtype=np.float64).tolist(),
        edge["volatility_difference"].to_numpy(dtype=np.float64).tolist(),
        edge["n_outcomes"].fillna(0).astype("int64").tolist(),
        selection.reason.tolist(),
        np.where(has_chain, INDICATIVE_OF_CHAIN, INDICATIVE).tolist(),
        strict=True,
    )
    return np.array(
        [
            evidence_json(
                shared_json(
                    ("direction_model", DIRECTION_MODEL),
                    ("direction_fold", direction_fold),
                    ("direction_fitted_through", direction_fitted),
                    ("volatility_model", VOLATILITY_MODEL),
                    ("volatility_fold", None if volatility_fold != volatility_fold else int(volatility_fold)),
                    ("volatility_fitted_through", volatility_fitted),
                ),
                {
                    "direction_difference": direction_difference,
                    "volatility_difference": volatility_difference,
                    "n_outcomes": n_outcomes,
                },
                shared_json(("selection", reason), ("quotes", quotes)),
            )
            for (
                direction_fold, direction_fitted, volatility_fold, volatility_fitted,
                direction_difference, volatility_difference, n_outcomes, reason, quotes,
            ) in rows
        ],
        dtype=object,
    )  # fmt: skip
