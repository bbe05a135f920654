"""Data as they came from a source."""

from __future__ import annotations

from typing import Final

from trading_dag.schemas.table import SESSION, TICKER, Column, Table, number, price, text
from trading_dag.schemas.vocabulary import MACRO_SERIES

PRICES_DAILY: Final = Table(
    "raw", "prices_daily", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION,
        price("open", "first trade, split-adjusted"),
        price("high", "highest trade, split-adjusted"),
        price("low", "lowest trade, split-adjusted"),
        price("close", "last trade, split-adjusted"),
        price("adj_close", "close adjusted for splits and dividends, on the vendor's current base"),
        number("volume", "shares traded", minimum=0.0),
        number("split_factor", "new shares per old share where a split takes effect, 1 otherwise", minimum=1e-6),
        number("dividend", "cash dividend whose ex-date is this session, USD per share", minimum=0.0),
    ),
    "Daily bars of the underlying: split-adjusted prices, dividend-adjusted close, volume.",
)  # fmt: skip

VOLATILITY_INDEX: Final = Table(
    "raw", "volatility_index", "ticker", ("ticker", "session"),
    (
        TICKER, SESSION,
        text("symbol", "the index used for this ticker: VIX, VXN or RVX", nullable=False),
        number("open", "first value, volatility points", minimum=1.0, maximum=400.0),
        number("high", "highest value, volatility points", minimum=1.0, maximum=400.0),
        number("low", "lowest value, volatility points", minimum=1.0, maximum=400.0),
        number("close", "last value, volatility points", minimum=1.0, maximum=400.0, nullable=False),
        number("vix3m_close", "three-month VIX at the close, volatility points", minimum=1.0, maximum=400.0),
    ),
    "The implied-volatility index that belongs to the underlying, as the exchange published it.",
)  # fmt: skip

MACRO: Final = Table(
    "raw", "macro", "none", ("series_id", "observation_date"),
    (
        text("series_id", "FRED series", nullable=False, allowed=MACRO_SERIES),
        Column("observation_date", "date", "reference date of the value", nullable=False),
        Column("known_on", "date", "first session at whose close the value was public", nullable=False),
        number("value", "in the units of the series", nullable=False),
        text("vintage", "first_release, or latest_vintage where revisions stay in", nullable=False,
              allowed=("first_release", "latest_vintage")),
    ),
    "Macroeconomic series from FRED with the session on which each value became known.",
    session_column=None,
)  # fmt: skip

PRICES_HOURLY: Final = Table(
    "raw", "prices_hourly", "ticker", ("ticker", "ts"),
    (
        TICKER,
        Column("ts", "timestamp", "start of the bar, UTC; the bar is known when it ends", nullable=False),
        price("open", "first trade"),
        price("high", "highest trade"),
        price("low", "lowest trade"),
        price("close", "last trade"),
        number("volume", "shares traded", minimum=0.0),
    ),
    "Hourly bars of the underlying within the exchange's hours, on the vendor's price basis.",
    session_column=None,
)  # fmt: skip

NEWS: Final = Table(
    "raw", "news", "ticker", ("ticker", "news_id"),
    (
        TICKER,
        text("news_id", "the vendor's number of the article, or a digest of what it says", nullable=False),
        Column("published_at", "timestamp", "when the vendor says it was published, UTC", nullable=False),
        Column("known_at", "timestamp", "when it could be read: not before it was published, UTC", nullable=False),
        text("scope", "company for news of the ticker, market for general news", nullable=False,
             allowed=("company", "market")),
        text("publisher", "who published it"),
        text("headline", "the headline", nullable=False),
        text("summary", "the vendor's summary"),
        text("url", "where it can be read"),
        number("sentiment", "the vendor's score, −1 to 1; NULL where the vendor gives none", minimum=-1.0, maximum=1.0),
    ),
    "News headlines about the underlying and the market, as a vendor gave them; kept for ever.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip

SOCIAL_MENTIONS: Final = Table(
    "raw", "social_mentions", "ticker", ("ticker", "known_at"),
    (
        TICKER,
        Column("known_at", "timestamp", "when the vendor was asked, UTC", nullable=False),
        Column("rank", "int64", "place among all tickers mentioned; NULL where it is not among them", minimum=1),
        number("mentions", "mentions on Reddit within 24 hours", minimum=0.0, nullable=False),
        number("mentions_24h_ago", "the same a day earlier, as the vendor says", minimum=0.0),
        number("upvotes", "upvotes of these mentions", minimum=0.0),
        text("name", "the vendor's name of the ticker"),
    ),
    "How often the underlying is mentioned on Reddit, one row a snapshot; 0 where it was not listed; kept for ever.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip

NEWS_SENTIMENT: Final = Table(
    "raw", "news_sentiment", "ticker", ("ticker", "known_at"),
    (
        TICKER,
        Column("known_at", "timestamp", "when the vendor was asked, UTC", nullable=False),
        number("company_score", "the vendor's score of the ticker's news of a week, 0 worst to 1 best",
               minimum=0.0, maximum=1.0),
        number("sector_score", "the same, averaged over the sector", minimum=0.0, maximum=1.0),
        number("buzz", "articles of the last week over the weekly average; 1 is as usual", minimum=0.0),
        Column("articles_last_week", "int64", "articles that were scored; without any the score says nothing",
               minimum=0),
    ),
    "A vendor's own score of the underlying's news, one row a snapshot; kept for ever.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip

EARNINGS: Final = Table(
    "raw", "earnings", "ticker", ("ticker", "company", "report_date", "known_at"),
    (
        TICKER,
        text("company", "who reports: the ticker itself, or a heavy holding of the fund", nullable=False),
        Column("report_date", "date", "day of the announcement, New York", nullable=False),
        text("timing", "BMO before the open, AMC after the close, DMH during the session; NULL where not said",
             allowed=("BMO", "AMC", "DMH")),
        Column("known_at", "timestamp", "from when on this row was what the calendar said, UTC; NULL for a file that "
               "does not say", nullable=True),
        Column("cancelled_at", "timestamp", "when it was moved or corrected and held no longer, UTC; NULL while it "
               "holds", nullable=True),
        number("eps_estimate", "consensus before the announcement, USD a share"),
        number("eps_actual", "announced, USD a share; public only after the announcement"),
        number("revenue_estimate", "consensus before the announcement, USD"),
        number("revenue_actual", "announced, USD; public only after the announcement"),
    ),
    "Earnings announcements of the underlying or its heavy holdings: when, and how they surprised. What the calendar "
    "says now is where cancelled_at is NULL; the other rows are what it said before.",
    session_column=None,
    may_be_empty=True,
)  # fmt: skip

ECONOMIC_EVENTS: Final = ("CPI", "UMCSENT", "FOMC")
ECONOMIC_CALENDAR: Final = Table(
    "raw", "economic_calendar", "none", ("event", "event_date", "known_at"),
    (
        text("event", "CPI, UMCSENT (consumer confidence) or FOMC (decision)", nullable=False, allowed=ECONOMIC_EVENTS),
        Column("event_date", "date", "day of the release or decision, New York", nullable=False),
        Column("known_at", "timestamp", "from when on the date was known, UTC; NULL where only a rule says it",
               nullable=True),
        Column("cancelled_at", "timestamp", "when the date was called off or taken back, UTC; NULL while it holds",
               nullable=True),
        text("basis", "published, or rule where the date is worked out from the agency's rule", nullable=False,
             allowed=("published", "rule")),
    ),
    "Days of economic releases and decisions, past and scheduled, and those that were called off.",
    session_column=None,
)  # fmt: skip

# Letters as the publisher gives them: dummies, economic, interest, market, price, sentiment, volatility.
HULL_FAMILIES: Final = (("D", 9), ("E", 20), ("I", 9), ("M", 18), ("P", 13), ("S", 12), ("V", 13))
HULL_FEATURES: Final[tuple[str, ...]] = tuple(
    f"{letter}{position}" for letter, count in HULL_FAMILIES for position in range(1, count + 1)
)
# What the next day brought. They look like columns of the row and are known only after it.
HULL_LABELS: Final[tuple[str, ...]] = ("forward_returns", "risk_free_rate", "market_forward_excess_returns")
HULL_DAY: Final = Column("date_id", "int64", "trading day by number, ascending in time", nullable=False, minimum=0)
HULL_FEATURE_MEANING: Final = "feature of the publisher, meaning not disclosed; known at the day's close"
HULL_MARKET: Final = Table(
    "raw", "hull_market", "none", ("date_id",),
    (
        HULL_DAY,
        *(number(name, HULL_FEATURE_MEANING) for name in HULL_FEATURES),
        number("forward_returns", "LABEL, never a feature: return of the S&P 500 from this day to the next"),
        number("risk_free_rate", "LABEL, never a feature: federal funds rate of the next day, as a return"),
        number("market_forward_excess_returns",
               "LABEL, never a feature: forward return less its five-year mean, winsorized by the publisher"),
    ),
    "Training set of a competition, the Hull Tactical market prediction: anonymous features of the S&P 500 and what "
    "followed, from a file. It has nothing to do with any ticker; its last three columns are labels, never features.",
    session_column=None,
)  # fmt: skip

OPTION_CHAIN: Final = Table(
    "raw", "option_chain", "ticker_year", ("quote_date", "ticker", "expiration", "option_right", "strike"),
    (
        Column("quote_date", "date", "session of the end-of-day quote", nullable=False),
        TICKER,
        price("underlying_price", "underlying at the quote, a share of that day; NULL where the source does not say",
              nullable=True),
        Column("expiration", "date", "expiration as the exchange dated it, which was a Saturday until 2015",
               nullable=False),
        price("strike", "strike"),
        text("option_right", "C for a call, P for a put", allowed=("C", "P"), nullable=False),
        number("bid", "best bid, USD a share", minimum=0.0),
        number("ask", "best offer, USD a share", minimum=0.0),
        number("last", "last trade, perhaps of an earlier session, USD a share", minimum=0.0),
        number("volume", "contracts traded in the session", minimum=0.0),
        number("open_interest", "contracts open, published on the morning of the quote date", minimum=0.0),
        number("implied_volatility", "the vendor's, as a fraction; NULL where the vendor has none", minimum=0.0),
    ),
    "End-of-day quotes of listed options, as found and in the dollars of their day, whatever was split later: one row "
    "a contract and session.",
    session_column="quote_date",
)  # fmt: skip
