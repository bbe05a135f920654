"""What models read, known at the close of its session."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.feature_names import (
    ALL_FEATURES,
    CROSS_ASSET_FEATURES,
    EARNINGS_FEATURES,
    ECONOMIC_CALENDAR_FEATURES,
    HULL_INTERACTIONS,
    IMPLIED_VOLATILITY_FEATURES,
    INTRADAY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    OPTION_CHAIN_FEATURES,
    REGIME_FEATURES,
    SENTIMENT_FEATURES,
    TECHNICAL_FEATURES,
    feature_columns,
)
from trading_dag.schemas.raw import HULL_DAY, HULL_FEATURE_MEANING, HULL_FEATURES
from trading_dag.schemas.table import SESSION, TICKER, Table, number, text
from trading_dag.schemas.vocabulary import INDEX_SOURCES, IV_SOURCES

_RANK_TOLERANCE: Final = 1e-6

TECHNICAL: Final = Table(
    "features", "technical", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(TECHNICAL_FEATURES)),
    f"{len(TECHNICAL_FEATURES)} indicators of price and volume, from data up to the session's close.",
)  # fmt: skip

IMPLIED_VOLATILITY: Final = Table(
    "features", "implied_volatility", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION, *feature_columns(IMPLIED_VOLATILITY_FEATURES), *feature_columns(IV_RANK_LAGS),
        number("vix_filled_sessions", "sessions since the index was last published, 0 on a published one",
                minimum=0.0, maximum=10.0),
        text("iv_source", "index: x is of the ticker's own options; proxy_index: of another's", allowed=INDEX_SOURCES),
    ),
    "Level, rank, premium and term structure of implied volatility, with the forecaster's lags.",
)  # fmt: skip

MACRO_TABLE: Final = Table(
    "features", "macro", "none", ("session",),
    (
        SESSION, *feature_columns(MACRO_FEATURES),
        number("vix_fred_age_sessions", "sessions from the one that vix_fred is about to the row, 1 where on time",
               minimum=0.0),
    ),
    f"{len(MACRO_FEATURES)} macroeconomic features as they were known at each session's close.",
)  # fmt: skip

SENTIMENT: Final = Table(
    "features", "sentiment", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(SENTIMENT_FEATURES)),
    "Tone and amount of news and of mentions on Reddit that were known at the close.",
)  # fmt: skip

EARNINGS_TABLE: Final = Table(
    "features", "earnings", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(EARNINGS_FEATURES)),
    "How near earnings announcements are and how the last ones surprised.",
)  # fmt: skip

ECONOMIC_CALENDAR_TABLE: Final = Table(
    "features", "economic_calendar", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(ECONOMIC_CALENDAR_FEATURES)),
    "How near the releases of CPI and consumer confidence and the FOMC's decisions are.",
)  # fmt: skip

OPTION_CHAIN_TABLE: Final = Table(
    "features", "option_chain", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION, *feature_columns(OPTION_CHAIN_FEATURES),
        number("chain_iv_sessions", "of the last 252 sessions, those whose atm_iv_30d is known", minimum=0.0,
               maximum=252.0),
        number("own_iv_rank", "iv_rank of the ticker's own options: its index's, otherwise chain_iv_rank; NULL where "
               "only a proxy speaks", minimum=-_RANK_TOLERANCE, maximum=100.0 + _RANK_TOLERANCE),
        number("own_iv_percentile", "iv_percentile in the same way", minimum=-_RANK_TOLERANCE,
               maximum=100.0 + _RANK_TOLERANCE),
        text("iv_source", "which volatility tells the ticker's rank: index or chain, of its own options, or "
             "proxy_index, of another's, where neither is known", allowed=IV_SOURCES),
    ),
    "What the session's option chain says: activity, level, skew and term of volatility, dealers' exposure.",
)  # fmt: skip

INTRADAY: Final = Table(
    "features", "intraday", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(INTRADAY_FEATURES)),
    "How the session went by the hour.",
)  # fmt: skip

REGIME: Final = Table(
    "features", "regime", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(REGIME_FEATURES)),
    "The market state of a hidden Markov model fitted on earlier sessions, filtered, never smoothed.",
    may_be_empty=True,
)  # fmt: skip

CROSS_ASSET: Final = Table(
    "features", "cross_asset", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION, *feature_columns(CROSS_ASSET_FEATURES),
        text("market", "the first named benchmark, which is the market"),
        number("benchmarks_missing", "named benchmarks, the ticker apart, without the closes of a return to t",
               minimum=0.0),
    ),
    "How the underlying moves with named benchmarks, and how strong it is against them.",
)  # fmt: skip

HULL_MARKET_TABLE: Final = Table(
    "features", "hull_market", "none", (HULL_DAY.name,),
    (
        HULL_DAY,
        *(number(name, HULL_FEATURE_MEANING) for name in HULL_FEATURES),
        *(number(name, meaning) for name, meaning in HULL_INTERACTIONS.items()),
    ),
    "Features of the Hull Tactical competition with interaction terms: no ticker, no labels, nothing filled in.",
    session_column=None,
)  # fmt: skip

FEATURE_TABLE: Final = Table(
    "features", "feature_table", "ticker", ("ticker", "session"),
    (TICKER, SESSION, *feature_columns(ALL_FEATURES)),
    "Every feature of one underlying joined on the session: what the models read.",
)  # fmt: skip
