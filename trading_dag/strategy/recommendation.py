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

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of
from trading_dag.schemas import RECOMMENDATION
from trading_dag.served_models import SERVED_DIRECTION, SERVED_VOLATILITY
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.explanation import (
    INDICATIVE,
    INDICATIVE_OF_CHAIN,
    Reasons,
    evidence_json,
    says_no_more_than_usual,
    sentence,
    shared_json,
)
from trading_dag.strategy.quoting import QuotedStructures, quote_structures
from trading_dag.strategy.selector import Selection, select
from trading_dag.strategy.sizing import contracts_for_risk, design_sizes, settings_for_contract
from trading_dag.validation.baselines import CLIMATOLOGY

EDGE_UNKNOWN: Final = "insufficient_data"
EDGES_WITH_SIZE: Final = ("skilled", "admissible")


@dataclass(frozen=True)
class _Forecasts:
    """Forecasts of both models and the edge they are known to have, one row a session of the direction's.

    Attributes
    ----------
    calls, regimes : rows of the direction's and of the IV regime's model; NULL where the latter has none.
    usual_probability_up : of climatology, a fraction.
    known_edge : edge, direction_difference, volatility_difference, n_outcomes.
    direction, iv_regime, edge : words; None without a forecast of the regime.
    direction_confidence, iv_confidence : fractions.
    """

    ticker: str
    sessions: pd.DatetimeIndex
    calls: pd.DataFrame
    regimes: pd.DataFrame
    usual_probability_up: pd.Series
    known_edge: pd.DataFrame
    direction: TextArray
    iv_regime: TextArray
    edge: TextArray
    direction_confidence: FloatArray
    iv_confidence: FloatArray


@dataclass(frozen=True)
class _Sizes:
    """How large each position is and what it can bring, one row a session; USD for one structure."""

    position_size: FloatArray
    contracts: IntArray
    premium_usd: FloatArray
    maximum_loss_usd: FloatArray
    maximum_profit_usd: FloatArray
    target_usd: FloatArray


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
        the served models are read (``served_models.py``), those of ``climatology`` for the sentence and the evidence.
        A session without a volatility forecast is a ``no_trade`` row with that reason.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    edge : session, edge, direction_difference, volatility_difference, n_outcomes, each computed from
        outcomes known at the session's close. A session that is absent counts as insufficient_data.
    rates : session, treasury_3m in percent or NaN.
    smiles : options.chain_analytics of the ticker, by which the sessions that it has are priced; None for none.

    Returns
    -------
    One row for every session with a direction forecast, ascending, known at that session's close.
    ``design_size`` comes from confidence alone. ``position_size`` and ``contracts`` are 0 where the edge is ``no_edge``
    or ``insufficient_data``, where the horizon ends at its entry, and where nothing can be quoted. Premium, risk and
    probability are for one structure at its natural price (bought at the ask, sold at the bid), fees not counted; the
    number of contracts counts fees both ways.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that repeat or do not ascend.
    """
    calls = _rows_of_model(direction, SERVED_DIRECTION, table="predictions.direction")
    if calls.empty:
        return table_frame(RECOMMENDATION, {}, rows=0)
    forecasts = _forecasts_of(calls, direction, volatility, edge)
    sessions = forecasts.sessions
    settings = settings_for_contract(forecasts.ticker, settings)
    selection = select(
        forecasts.direction, forecasts.iv_regime, forecasts.direction_confidence, forecasts.iv_confidence,
        settings=settings.selector,
    )  # fmt: skip
    quoted = quote_structures(
        selection.strategy, sessions, prices=prices, volatility_index=volatility_index, rates=rates, smiles=smiles,
        settings=settings,
    )  # fmt: skip
    sizes = _sizes_of(quoted, selection, forecasts.edge, book=settings.backtest, horizon=horizon)
    return table_frame(
        RECOMMENDATION,
        {
            "ticker": forecasts.ticker,
            "horizon": horizon.key,
            "session": sessions,
            "target_session": calls["target_session"],
            "strategy": selection.strategy,
            "design_size": selection.design_size,
            "edge": forecasts.edge,
            "position_size": sizes.position_size,
            "direction": forecasts.direction,
            "iv_regime": forecasts.iv_regime,
            "direction_confidence": forecasts.direction_confidence,
            "iv_confidence": forecasts.iv_confidence,
            "overall_confidence": selection.overall_confidence,
            "legs": quoted.legs,
            "strikes": quoted.strikes,
            "expiration": quoted.expirations,
            "contracts": sizes.contracts,
            "net_premium_usd": sizes.premium_usd,
            "max_loss_usd": np.maximum(sizes.maximum_loss_usd, 0.0),
            "max_profit_usd": _bounded(sizes.maximum_profit_usd),
            "breakevens": quoted.breakevens,
            "probability_of_profit": quoted.probability_of_profit,
            "profit_target_usd": sizes.target_usd,
            "stop_loss_fraction": np.where(quoted.is_quoted, settings.backtest.stop_underlying_fraction, np.nan),
            "reasoning": _reasoning(forecasts, selection, quoted, sizes, has_time_to_enter=horizon.outlasts_entry),
            "evidence": _evidence(forecasts, selection=selection, has_chain=quoted.has_chain),
            "model_version": _text(calls["model_version"]),
            "volatility_model_version": _text(forecasts.regimes["model_version"]),
        },
        rows=len(sessions),
    )


def _forecasts_of(
    calls: pd.DataFrame, direction: pd.DataFrame, volatility: pd.DataFrame, edge: pd.DataFrame
) -> _Forecasts:
    """Return the forecasts at the sessions of ``calls``, the rows of the direction's model."""
    sessions = require_sessions(
        calls,
        ("target_session", "y_pred", "probability_up", "confidence", "fold", "fitted_through", "model_version"),
        table="predictions.direction",
    )
    regimes = _rows_of_model(volatility, SERVED_VOLATILITY, table="predictions.volatility")
    require_sessions(
        regimes, ("y_pred", "confidence", "fold", "fitted_through", "model_version"), table="predictions.volatility"
    )
    require_sessions(
        edge,
        ("edge", "direction_difference", "volatility_difference", "n_outcomes"),
        table="signals.recommendation edge",
    )
    regimes = regimes.set_index("session").reindex(sessions)
    usual = _rows_of_model(direction, CLIMATOLOGY, table="predictions.direction").set_index("session")
    known_edge = edge.set_index("session").reindex(sessions)
    return _Forecasts(
        ticker=ticker_of(calls),
        sessions=sessions,
        calls=calls,
        regimes=regimes,
        usual_probability_up=usual["probability_up"].reindex(sessions),
        known_edge=known_edge,
        direction=calls["y_pred"].to_numpy(dtype=object),
        iv_regime=_text(regimes["y_pred"]),
        edge=known_edge["edge"].fillna(EDGE_UNKNOWN).to_numpy(dtype=object),
        direction_confidence=calls["confidence"].to_numpy(dtype=np.float64),
        iv_confidence=regimes["confidence"].to_numpy(dtype=np.float64),
    )


def _sizes_of(
    quoted: QuotedStructures, selection: Selection, edge: TextArray, *, book: BacktestSettings, horizon: Horizon
) -> _Sizes:
    """Return the sizes: none where nothing can be entered, earned or lost, or where no edge is known."""
    maximum_loss_usd = quoted.maximum_loss * book.multiplier
    maximum_profit_usd = quoted.maximum_profit * book.multiplier
    premium_usd = quoted.premium * book.multiplier
    is_tradable = horizon.outlasts_entry & quoted.is_quoted & (quoted.maximum_profit > 0) & (quoted.maximum_loss > 0)
    size = np.where(np.isin(edge, EDGES_WITH_SIZE) & is_tradable, design_sizes(selection.design_size), 0.0)
    contracts = contracts_for_risk(
        account_usd=book.account_usd,
        risk_fraction=book.risk_fraction,
        size=size,
        maximum_loss_usd=maximum_loss_usd,
        round_trip_fees_usd=2.0 * book.fee_per_leg_contract_usd * quoted.contracts_per_structure,
    )
    # The maximum of a bought option alone is never, or only at zero, reached: its target is on what was paid.
    target_base = np.where(quoted.is_bought_only, premium_usd, maximum_profit_usd)
    target_usd = np.maximum(book.profit_target_fraction * target_base, 0.0)
    return _Sizes(size, contracts, premium_usd, maximum_loss_usd, maximum_profit_usd, target_usd)


def _bounded(profit_usd: FloatArray) -> FloatArray:
    """The profit, not below zero; NaN where it has no bound."""
    return np.where(np.isinf(profit_usd), np.nan, np.maximum(profit_usd, 0.0))


def _reasoning(
    forecasts: _Forecasts, selection: Selection, quoted: QuotedStructures, sizes: _Sizes, *, has_time_to_enter: bool
) -> TextArray:
    """One sentence a row."""
    rows = zip(
        selection.strategy, selection.design_size, forecasts.edge, forecasts.direction, forecasts.iv_regime,
        forecasts.calls["probability_up"].tolist(), forecasts.usual_probability_up.tolist(),
        forecasts.iv_confidence.tolist(), selection.reason, quoted.strikes, quoted.expiration,
        sizes.contracts.tolist(), sizes.maximum_loss_usd.tolist(), sizes.maximum_profit_usd.tolist(),
        [has_time_to_enter] * len(forecasts.sessions), strict=True,
    )  # fmt: skip
    return np.array([sentence(Reasons(*row)) for row in rows], dtype=object)


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


def _evidence(forecasts: _Forecasts, *, selection: Selection, has_chain: BoolArray) -> TextArray:
    """What the row rests on: which fold of which model, what it had seen, and its edge on known outcomes."""

    def days(column: pd.Series) -> list[str | None]:
        text = np.datetime_as_string(column.to_numpy().astype("datetime64[D]")).tolist()
        return [None if day == "NaT" else day for day in text]

    calls, regimes, edge = forecasts.calls, forecasts.regimes, forecasts.known_edge
    rows = zip(
        calls["fold"].tolist(),
        days(calls["fitted_through"]),
        map(says_no_more_than_usual, calls["probability_up"].tolist(), forecasts.usual_probability_up.tolist()),
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
                    ("direction_model", SERVED_DIRECTION),
                    ("direction_fold", direction_fold),
                    ("direction_fitted_through", direction_fitted),
                    ("direction_answer", CLIMATOLOGY if is_usual else "model"),
                    ("volatility_model", SERVED_VOLATILITY),
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
                direction_fold, direction_fitted, is_usual, volatility_fold, volatility_fitted,
                direction_difference, volatility_difference, n_outcomes, reason, quotes,
            ) in rows
        ],
        dtype=object,
    )  # fmt: skip
