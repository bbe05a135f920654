"""The one description of every table: columns, types, units, keys, bounds; a module for each group.

Checks, warehouse views, Dagster metadata and ``docs/tables.md`` are generated from here.
"""

from __future__ import annotations

from typing import Final

from trading_dag.regime_observations import REGIME_INPUTS
from trading_dag.schemas.allocation import HULL_ALLOCATION, HULL_SCORES, PREDICTIONS_ALLOCATION
from trading_dag.schemas.backtests import COMPARISON, EQUITY, SUMMARY, TRADES
from trading_dag.schemas.evaluation import IMPORTANCE, LIVE, METRICS, MULTIPLICITY
from trading_dag.schemas.feature_names import (
    ALL_FEATURES,
    CROSS_ASSET_FEATURES,
    EARNINGS_FEATURES,
    ECONOMIC_CALENDAR_FEATURES,
    FEATURE_GROUPS,
    FLAG_FEATURES,
    GROUP_OF_FEATURE,
    HULL_INTERACTIONS,
    IMPLIED_VOLATILITY_FEATURES,
    INTRADAY_FEATURES,
    IV_RANK_LAGS,
    LEVEL_FEATURES,
    MACRO_FEATURES,
    MARKET_STATES,
    OPTION_CHAIN_FEATURES,
    REGIME_FEATURES,
    SAFE_FEATURES,
    SENTIMENT_FEATURES,
    TECHNICAL_FEATURES,
    VOLATILITY_FORECASTER_FEATURES,
    feature_column,
)
from trading_dag.schemas.features import (
    CROSS_ASSET,
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR_TABLE,
    FEATURE_TABLE,
    HULL_MARKET_TABLE,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO_TABLE,
    OPTION_CHAIN_TABLE,
    REGIME,
    SENTIMENT,
    TECHNICAL,
)
from trading_dag.schemas.hyperparameters import BEST_HYPERPARAMETERS, HYPERPARAMETERS
from trading_dag.schemas.labels import TARGETS
from trading_dag.schemas.models import (
    COEFFICIENTS,
    INPUTS,
    REGIME_HMM,
    REGISTRY,
    SELECTION_STABILITY,
    VERSIONS,
)
from trading_dag.schemas.monitoring import DRIFT
from trading_dag.schemas.opportunities import OPPORTUNITIES, OPPORTUNITY_CALIBRATION
from trading_dag.schemas.options import CHAIN_ANALYTICS, DEALER_EXPOSURE
from trading_dag.schemas.predictions import (
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_REGIME,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY,
)
from trading_dag.schemas.price import FAR_SESSIONS, PREDICTIONS_PRICE, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.raw import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    ECONOMIC_EVENTS,
    HULL_FAMILIES,
    HULL_FEATURES,
    HULL_LABELS,
    HULL_MARKET,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
)
from trading_dag.schemas.signals import RECOMMENDATION
from trading_dag.schemas.stacking import STACK_WEIGHTS
from trading_dag.schemas.table import HORIZON, HORIZON_KEYS, SESSION, TICKER, Column, ColumnType, SliceKind, Table
from trading_dag.schemas.vocabulary import (
    DIRECTIONS,
    IV_DIRECTIONS,
    IV_REGIMES,
    MACRO_SERIES,
    RISE,
    SCALE_SOURCES,
    SPREAD_CLASSES,
    TIMINGS,
    UP_IF_CLEAR,
    VERDICTS,
)
from trading_dag.schemas.volatility_level import PREDICTIONS_VOLATILITY_LEVEL

TABLES: Final[dict[str, Table]] = {
    table.qualified_name: table
    for table in (
        PRICES_DAILY, PRICES_HOURLY, VOLATILITY_INDEX, MACRO, NEWS, SOCIAL_MENTIONS, NEWS_SENTIMENT, EARNINGS,
        ECONOMIC_CALENDAR, HULL_MARKET, OPTION_CHAIN, CHAIN_ANALYTICS, DEALER_EXPOSURE,
        TECHNICAL, IMPLIED_VOLATILITY, MACRO_TABLE, SENTIMENT, EARNINGS_TABLE, ECONOMIC_CALENDAR_TABLE, INTRADAY,
        OPTION_CHAIN_TABLE, REGIME, CROSS_ASSET, FEATURE_TABLE, HULL_MARKET_TABLE, HULL_ALLOCATION, HULL_SCORES,
        HYPERPARAMETERS, BEST_HYPERPARAMETERS,
        TARGETS, INPUTS, SELECTION_STABILITY, REGISTRY, COEFFICIENTS, STACK_WEIGHTS, REGIME_HMM,
        VERSIONS,
        PREDICTIONS_ALLOCATION,
        PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, PREDICTIONS_VOLATILITY_LEVEL, PREDICTIONS_PRICE,
        PREDICTIONS_SPREAD, PREDICTIONS_REGIME,
        METRICS, MULTIPLICITY, IMPORTANCE,
        OPPORTUNITIES, RECOMMENDATION, PREDICTIONS_LOG, LIVE, TRADES, EQUITY, SUMMARY, COMPARISON, DRIFT,
    )
}  # fmt: skip


def table_of(qualified_name: str) -> Table:
    """Return the table of a qualified name such as ``raw.prices_daily`` (KeyError if there is none)."""
    return TABLES[qualified_name]


__all__ = [
    "ALL_FEATURES",
    "BEST_HYPERPARAMETERS",
    "CHAIN_ANALYTICS",
    "COEFFICIENTS",
    "COMPARISON",
    "CROSS_ASSET",
    "CROSS_ASSET_FEATURES",
    "DEALER_EXPOSURE",
    "DIRECTIONS",
    "DRIFT",
    "EARNINGS",
    "EARNINGS_FEATURES",
    "EARNINGS_TABLE",
    "ECONOMIC_CALENDAR",
    "ECONOMIC_CALENDAR_FEATURES",
    "ECONOMIC_CALENDAR_TABLE",
    "ECONOMIC_EVENTS",
    "EQUITY",
    "FAR_SESSIONS",
    "FEATURE_GROUPS",
    "FEATURE_TABLE",
    "FLAG_FEATURES",
    "GROUP_OF_FEATURE",
    "HORIZON",
    "HORIZON_KEYS",
    "HULL_ALLOCATION",
    "HULL_FAMILIES",
    "HULL_FEATURES",
    "HULL_INTERACTIONS",
    "HULL_LABELS",
    "HULL_MARKET",
    "HULL_MARKET_TABLE",
    "HULL_SCORES",
    "HYPERPARAMETERS",
    "IMPLIED_VOLATILITY",
    "IMPLIED_VOLATILITY_FEATURES",
    "IMPORTANCE",
    "INPUTS",
    "INTRADAY",
    "INTRADAY_FEATURES",
    "IV_DIRECTIONS",
    "IV_RANK_LAGS",
    "IV_REGIMES",
    "LEVEL_FEATURES",
    "LIVE",
    "MACRO",
    "MACRO_FEATURES",
    "MACRO_SERIES",
    "MACRO_TABLE",
    "MARKET_STATES",
    "METRICS",
    "MULTIPLICITY",
    "NEWS",
    "NEWS_SENTIMENT",
    "OPPORTUNITIES",
    "OPPORTUNITY_CALIBRATION",
    "OPTION_CHAIN",
    "OPTION_CHAIN_FEATURES",
    "OPTION_CHAIN_TABLE",
    "PREDICTIONS_ALLOCATION",
    "PREDICTIONS_DIRECTION",
    "PREDICTIONS_LOG",
    "PREDICTIONS_PRICE",
    "PREDICTIONS_REGIME",
    "PREDICTIONS_SPREAD",
    "PREDICTIONS_VOLATILITY",
    "PREDICTIONS_VOLATILITY_LEVEL",
    "PRICES_DAILY",
    "PRICES_HOURLY",
    "QUANTILE_COLUMNS",
    "QUANTILE_LEVELS",
    "RECOMMENDATION",
    "REGIME",
    "REGIME_FEATURES",
    "REGIME_HMM",
    "REGIME_INPUTS",
    "REGISTRY",
    "RISE",
    "SAFE_FEATURES",
    "SCALE_SOURCES",
    "SELECTION_STABILITY",
    "SENTIMENT",
    "SENTIMENT_FEATURES",
    "SESSION",
    "SOCIAL_MENTIONS",
    "SPREAD_CLASSES",
    "STACK_WEIGHTS",
    "SUMMARY",
    "TABLES",
    "TARGETS",
    "TECHNICAL",
    "TECHNICAL_FEATURES",
    "TICKER",
    "TIMINGS",
    "TRADES",
    "UP_IF_CLEAR",
    "VERDICTS",
    "VERSIONS",
    "VOLATILITY_FORECASTER_FEATURES",
    "VOLATILITY_INDEX",
    "Column",
    "ColumnType",
    "SliceKind",
    "Table",
    "feature_column",
    "table_of",
]
