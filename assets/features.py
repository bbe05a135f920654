"""Feature tables: one row per session, with nothing that was not known at its close."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, LateValues, Probe, Read, Slice, table_asset
from trading_dag.schemas import (
    EARNINGS,
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR,
    ECONOMIC_CALENDAR_TABLE,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO,
    MACRO_TABLE,
    NEWS,
    NEWS_SENTIMENT,
    PRICES_DAILY,
    PRICES_HOURLY,
    SENTIMENT,
    SOCIAL_MENTIONS,
    TECHNICAL,
    VOLATILITY_INDEX,
)


@table_asset(
    TECHNICAL,
    reads={"prices": PRICES_DAILY},
    code_version="2",
    kinds={"talib", "pandas", "parquet"},
    probe=Probe({"prices": "session"}),
)
def technical(at: Slice, prices: pd.DataFrame) -> pd.DataFrame:
    """Prices are scaled to the base of their first session, so that a later dividend changes no earlier row."""
    from trading_dag.features.technical import build_technical

    return build_technical(prices)


@table_asset(
    IMPLIED_VOLATILITY,
    reads={
        "volatility_index": VOLATILITY_INDEX,
        "technical": Read(TECHNICAL, columns=("ticker", "session", "hv_20", "log_return_1d")),
    },
    code_version="5",
    probe=Probe({"volatility_index": "session", "technical": "session"}),
    uses=("volatility_indices",),
)
def implied_volatility(at: Slice, volatility_index: pd.DataFrame, technical: pd.DataFrame) -> pd.DataFrame:
    """A rank needs 252 sessions of the index and is NULL before that. ``iv_source`` says whether the index is the
    ticker's own."""
    from trading_dag.features.implied_volatility import build_implied_volatility

    own_index = at.settings.own_volatility_index(at.ticker)
    return build_implied_volatility(volatility_index, technical, own_index=own_index)


@table_asset(MACRO_TABLE, reads={"macro": MACRO}, code_version="4", probe=Probe({"macro": "known_on"}))
def macro(at: Slice, macro: pd.DataFrame) -> pd.DataFrame:
    """Values are point in time: each appears on the session on which it was published, and expires when it grows stale.
    A value that a vendor already shows but that counts as known only later is absent until that session has closed."""
    from trading_dag.features.macro import build_macro

    return build_macro(macro, as_of=at.as_of)


def _announced_at(earnings: pd.DataFrame) -> pd.Series:
    from trading_dag.features.earnings import announcement_known_at

    return announcement_known_at(earnings)


def _figures_at(earnings: pd.DataFrame) -> pd.Series:
    from trading_dag.features.earnings import figures_known_at

    return figures_known_at(earnings)


def _scheduled_at(economic_calendar: pd.DataFrame) -> pd.Series:
    from trading_dag.features.economic_calendar import event_known_at

    return event_known_at(economic_calendar)


_IV: Final = Read(IMPLIED_VOLATILITY, columns=("ticker", "session", "iv_rank", "iv_hv_spread"))
_DAYS: Final = Read(PRICES_DAILY, columns=("ticker", "session", "adj_close"))


@table_asset(
    SENTIMENT,
    reads={
        "news": NEWS,
        "social_mentions": SOCIAL_MENTIONS,
        "news_sentiment": NEWS_SENTIMENT,
        "implied_volatility": _IV,
    },
    code_version="3",
    kinds={"vader", "pandas", "parquet"},
    probe=Probe(
        {
            "news": "known_at",
            "social_mentions": "known_at",
            "news_sentiment": "known_at",
            "implied_volatility": "session",
        }
    ),
    uses=("sentiment_basis",),
)
def sentiment(
    at: Slice,
    news: pd.DataFrame,
    social_mentions: pd.DataFrame,
    news_sentiment: pd.DataFrame,
    implied_volatility: pd.DataFrame,
) -> pd.DataFrame:
    """A headline counts from the moment at which it could be read; a session without headlines has no score. With
    ``sentiment_basis`` ``vendor``, tone and buzz come from the vendor's snapshots and are NULL where there is none: a
    column never mixes the two."""
    from trading_dag.features.sentiment import build_sentiment

    return build_sentiment(
        news,
        social_mentions,
        implied_volatility=implied_volatility,
        vendor_scores=news_sentiment,
        basis=at.settings.sentiment_basis,
    )


@table_asset(
    EARNINGS_TABLE,
    reads={"earnings": EARNINGS, "prices": _DAYS, "implied_volatility": _IV},
    code_version="2",
    probe=Probe(
        {"earnings": _announced_at, "prices": "session", "implied_volatility": "session"},
        late_values={"earnings": LateValues(("eps_actual", "revenue_actual"), _figures_at)},
    ),
)
def earnings(at: Slice, earnings: pd.DataFrame, prices: pd.DataFrame, implied_volatility: pd.DataFrame) -> pd.DataFrame:
    """A surprise counts from the close of the first session that could react to it."""
    from trading_dag.features.earnings import build_earnings

    return build_earnings(earnings, prices, implied_volatility=implied_volatility)


@table_asset(
    ECONOMIC_CALENDAR_TABLE,
    reads={"economic_calendar": Read(ECONOMIC_CALENDAR, same_source_as="prices"), "prices": _DAYS},
    code_version="2",
    probe=Probe({"economic_calendar": _scheduled_at, "prices": "session"}),
)
def economic_calendar(at: Slice, economic_calendar: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """An event that was not scheduled is not visible before it happens."""
    from trading_dag.features.economic_calendar import build_economic_calendar

    return build_economic_calendar(economic_calendar, prices)


@table_asset(
    INTRADAY,
    reads={"prices_hourly": PRICES_HOURLY, "prices": PRICES_DAILY},
    code_version="2",
    kinds={"talib", "pandas", "parquet"},
    probe=Probe({"prices_hourly": "ts", "prices": "session"}),
)
def intraday(at: Slice, prices_hourly: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Features are computed from the session's hourly bars; a session with holes in its bars has none."""
    from trading_dag.features.intraday import build_intraday

    return build_intraday(prices_hourly, prices)


DECLARATIONS: Final[tuple[Declaration, ...]] = (
    technical,
    implied_volatility,
    macro,
    sentiment,
    earnings,
    economic_calendar,
    intraday,
)
