"""One row a session and rule: the structure that is recommended, priced, sized and explained.

Indicative only: everything is at the close of the signal's session, on the slices fitted to its option chain where
there is one, otherwise on the modelled surface. What a trade would have filled at is the backtest's business, at the
next session's quotes. Here belongs how the parts become a table; the choice is ``selector``'s and ``volatility_rows``',
what is read beside the selecting forecasts ``beside``'s, the sentences ``explanation``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray, TextArray
from trading_dag.frames import table_frame
from trading_dag.schemas import RECOMMENDATION
from trading_dag.schemas.vocabulary import MATRIX
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.beside import Beside, BesideTables, lay_beside
from trading_dag.strategy.evidence import evidence_of
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, Reasons, sentence
from trading_dag.strategy.forecasts import Forecasts, forecasts_of, words
from trading_dag.strategy.modelled_prices import price_objection
from trading_dag.strategy.quoting import Pricing, QuotedStructures, pricing_at, quote_structures
from trading_dag.strategy.second_opinion import objections
from trading_dag.strategy.selector import Selection, select
from trading_dag.strategy.sizing import contracts_for_risk, design_sizes, settings_for_contract
from trading_dag.strategy.volatility_rows import VOLATILITY_STRUCTURES, LevelForecast, add_volatility_rows
from trading_dag.validation.gates.edge import EDGE_UNKNOWN, edge_words


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
    beside: BesideTables | None = None,
) -> pd.DataFrame:
    """Return the rows of rule ``matrix`` of ``signals.recommendation`` of one ticker and horizon.

    Parameters
    ----------
    direction, volatility : predictions.direction and predictions.volatility; the rows of
        the served models are read (``served_models.py``), those of ``climatology`` for the sentence and the evidence.
        A session without a volatility forecast is a ``no_trade`` row with that reason.
    prices, volatility_index : raw.prices_daily and raw.volatility_index of the ticker.
    edge : session, edge, direction_difference, direction_difference_low, volatility_difference, n_outcomes, each
        computed from outcomes known at the session's close. A session that is absent counts as insufficient_data.
    rates : session, treasury_3m in percent or NaN.
    smiles : options.chain_analytics of the ticker, by which the sessions that it has are priced; None for none.
    beside : what else is served; None for nothing.

    Returns
    -------
    One row for every session with a direction forecast, ascending, known at that session's close.
    ``design_size`` comes from confidence alone. ``position_size`` and ``contracts`` are 0 where the edge is ``no_edge``
    or ``insufficient_data`` and the gate asks for one, where the horizon ends at its entry, and where nothing can be
    quoted. A structure of ``volatility_rows`` rests on the forecast of the level: its edge is that model's. Premium,
    risk and probability are for one structure at its natural price (bought at the ask, sold at the bid), fees not
    counted; expected profit and the number of contracts count fees both ways.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that repeat or do not ascend.
    """
    forecasts = forecasts_of(direction, volatility, edge)
    if forecasts is None:
        return table_frame(RECOMMENDATION, {}, rows=0)
    settings = settings_for_contract(forecasts.ticker, settings)
    said = lay_beside(beside or BesideTables(), forecasts.sessions, horizon=horizon)
    pricing = pricing_at(
        forecasts.sessions, prices=prices, volatility_index=volatility_index, rates=rates, smiles=smiles,
        settings=settings,
    )  # fmt: skip
    objection = price_objection(forecasts.ticker, volatility_index, settings)
    selection = _select(forecasts, said, pricing, settings, is_model_believed=objection is None)
    quoted = quote_structures(selection.strategy, pricing, outlook=said.outlook, settings=settings)
    edges = _edges(forecasts, said, selection)
    sizes = _sizes_of(quoted, selection, edges, settings=settings, horizon=horizon)
    return table_frame(
        RECOMMENDATION,
        {
            "ticker": forecasts.ticker,
            "horizon": horizon.key,
            "session": forecasts.sessions,
            "rule": MATRIX,
            "is_served": settings.signals.rule == MATRIX,
            "edge": edges,
            **_forecast_columns(forecasts, selection),
            **_beside_columns(said),
            **_quoted_columns(quoted, sizes, settings.backtest),
            "reasoning": _reasoning(forecasts, said, selection, edges, quoted, sizes, settings, horizon),
            "evidence": evidence_of(forecasts, said, reason=selection.reason, has_chain=quoted.has_chain),
        },
        rows=len(forecasts.sessions),
    )


def _select(
    forecasts: Forecasts, said: Beside, pricing: Pricing, settings: Settings, *, is_model_believed: bool
) -> Selection:
    """The matrix's choice, and where it has none, that of the volatility forecast.

    Which weighs a forecast against a price: where something speaks against the modelled prices (of another
    underlying's index, of options not known to be listed), those of a stored chain alone.
    """
    selection = select(
        forecasts.direction, forecasts.iv_regime, forecasts.direction_confidence, forecasts.iv_confidence,
        settings=settings.selector,
    )  # fmt: skip
    if not settings.selector.volatility_rows:
        return selection
    level = LevelForecast.of(said.level)
    for surface, is_priced in pricing.surfaces():
        if surface is pricing.modelled and not is_model_believed:
            continue
        selection = add_volatility_rows(
            selection, level, sessions=forecasts.sessions, spot=pricing.spot, rate=pricing.rate, surface=surface,
            is_priced=is_priced, settings=settings.selector, book=settings.backtest,
            dividend_yield=settings.surface.dividend_yield,
        )  # fmt: skip
    return selection


def _edges(forecasts: Forecasts, said: Beside, selection: Selection) -> TextArray:
    """The edge of each row: of direction and regime, or of the level where the level selected."""
    score = said.scores.get("volatility_level")
    by_level = (
        np.full(len(forecasts.edge), EDGE_UNKNOWN, dtype=object)
        if score is None
        else edge_words(score.difference_low > 0, score.n_outcomes)
    )
    return np.where(np.isin(selection.strategy, VOLATILITY_STRUCTURES), by_level, forecasts.edge).astype(object)


def _sizes_of(
    quoted: QuotedStructures, selection: Selection, edges: TextArray, *, settings: Settings, horizon: Horizon
) -> _Sizes:
    """The sizes: none where nothing can be entered, earned or lost, or where the gate asks for an edge in vain."""
    book = settings.backtest
    maximum_loss_usd = quoted.maximum_loss * book.multiplier
    maximum_profit_usd = quoted.maximum_profit * book.multiplier
    premium_usd = quoted.premium * book.multiplier
    is_tradable = horizon.outlasts_entry & quoted.is_quoted & (quoted.maximum_profit > 0) & (quoted.maximum_loss > 0)
    passes = np.isin(edges, EDGES_WITH_SIZE) | (settings.signals.gate == "none")
    size = np.where(passes & is_tradable, design_sizes(selection.design_size), 0.0)
    contracts = contracts_for_risk(
        account_usd=book.account_usd,
        risk_fraction=book.risk_fraction,
        size=size,
        maximum_loss_usd=maximum_loss_usd,
        round_trip_fees_usd=_round_trip_fees(quoted, book),
    )
    # The maximum of a bought option alone is never, or only at zero, reached: its target is on what was paid.
    target_base = np.where(quoted.is_bought_only, premium_usd, maximum_profit_usd)
    target_usd = np.maximum(book.profit_target_fraction * target_base, 0.0)
    return _Sizes(size, contracts, premium_usd, maximum_loss_usd, maximum_profit_usd, target_usd)


def _round_trip_fees(quoted: QuotedStructures, book: BacktestSettings) -> FloatArray:
    return 2.0 * book.fee_per_leg_contract_usd * quoted.contracts_per_structure


def _forecast_columns(forecasts: Forecasts, selection: Selection) -> dict[str, Any]:
    return {
        "target_session": forecasts.calls["target_session"],
        "strategy": selection.strategy,
        "design_size": selection.design_size,
        "direction": forecasts.direction,
        "iv_regime": forecasts.iv_regime,
        "direction_confidence": forecasts.direction_confidence,
        "iv_confidence": forecasts.iv_confidence,
        "overall_confidence": selection.overall_confidence,
        "model_version": words(forecasts.calls["model_version"]),
        "volatility_model_version": words(forecasts.regimes["model_version"]),
    }


def _beside_columns(said: Beside) -> dict[str, Any]:
    level = LevelForecast.of(said.level)
    return {
        "expected_iv_direction": level.direction,
        "expected_iv_change": level.change,
        "iv_source": words(said.iv_rank["iv_source"]),
        "own_iv_rank": said.iv_rank["own_iv_rank"].to_numpy(dtype=np.float64),
        "chain_iv_rank": said.iv_rank["chain_iv_rank"].to_numpy(dtype=np.float64),
        "spread_opinion": words(said.spread["y_pred"]),
        "underlying_position": said.allocation["position"].to_numpy(dtype=np.float64),
    }


def _quoted_columns(quoted: QuotedStructures, sizes: _Sizes, book: BacktestSettings) -> dict[str, Any]:
    bounded = np.where(np.isinf(sizes.maximum_profit_usd), np.nan, np.maximum(sizes.maximum_profit_usd, 0.0))
    return {
        "position_size": sizes.position_size,
        "legs": quoted.legs,
        "strikes": quoted.strikes,
        "expiration": quoted.expirations,
        "contracts": sizes.contracts,
        "net_premium_usd": sizes.premium_usd,
        "max_loss_usd": np.maximum(sizes.maximum_loss_usd, 0.0),
        "max_profit_usd": bounded,
        "breakevens": quoted.breakevens,
        "probability_of_profit": quoted.probability_of_profit,
        "forecast_probability_of_profit": quoted.forecast_probability_of_profit,
        "expected_profit_usd": quoted.expected_profit * book.multiplier - _round_trip_fees(quoted, book),
        "profit_target_usd": sizes.target_usd,
        "stop_loss_fraction": np.where(quoted.is_quoted, book.stop_underlying_fraction, np.nan),
    }


def _reasoning(
    forecasts: Forecasts,
    said: Beside,
    selection: Selection,
    edges: TextArray,
    quoted: QuotedStructures,
    sizes: _Sizes,
    settings: Settings,
    horizon: Horizon,
) -> TextArray:
    """One sentence a row."""
    n = len(forecasts.sessions)
    rows = zip(
        selection.strategy, selection.design_size, edges, forecasts.direction, forecasts.iv_regime,
        forecasts.calls["probability_up"].tolist(), forecasts.usual_probability_up.tolist(),
        forecasts.iv_confidence.tolist(), selection.reason, quoted.strikes, quoted.expiration,
        sizes.contracts.tolist(), sizes.maximum_loss_usd.tolist(), sizes.maximum_profit_usd.tolist(),
        [horizon.outlasts_entry] * n, [settings.signals.gate != "none"] * n,
        objections(selection.strategy, said.spread), strict=True,
    )  # fmt: skip
    return np.array([sentence(Reasons(*row)) for row in rows], dtype=object)
