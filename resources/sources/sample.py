"""The ``sample`` source: real daily data that come inside the PyPI package ``arch``. No network, no keys.

S&P 500 (SPX) and Nasdaq Composite (COMP) 1999–2018, VIX closes 2014–2018. Never presented as live. Oddities of the
data are left as they are and handled by rules further down; only rows outside the exchange's sessions
are left out here. Other sources do not belong here.

The files are read straight from the package's folder, because importing ``arch`` costs 1.5 s.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pandas as pd

from resources.raw_frames import (
    IMPORT_CHAINS,
    on_sessions,
    raw_frame,
    require_rows,
    since_session,
    switched_off,
    with_index_columns,
)
from resources.sources.hull_file import HullFile
from resources.sources.status import SourceStatus
from trading_dag.errors import SourceFormatError, UnknownTickerError
from trading_dag.freshness import SAMPLE
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
    Table,
)
from trading_dag.sessions import TIME_UNIT
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX

NAME: Final = SAMPLE
FILE_OF_TICKER: Final = {"SPX": "sp500/sp500.csv.gz", "COMP": "nasdaq/nasdaq.csv.gz"}
VOLATILITY_FILE: Final = "vix/vix.csv.gz"
OTHER_SOURCES: Final = "set TRADING_DAG_SOURCE to live or files"
MACRO_OFF: Final = f"the sample has no macro series: {OTHER_SOURCES}"
CHAIN_OFF: Final = f"the sample has no option chains; {IMPORT_CHAINS}"
_COLUMNS: Final = {
    "Date": "session",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
}


class SampleSource:
    """Provides daily bars of SPX and COMP and the VIX, from the installed package ``arch``.

    Parameters
    ----------
    hull_file : the file of the Hull Tactical competition, which the sample does not have.
    """

    name = NAME
    has_earlier_chains = False

    def __init__(self, *, hull_file: Path | None = None) -> None:
        self.hull = HullFile(hull_file, source=NAME)

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the bars of an index, 1999-01-04 to 2018-12-31.

        An index has no splits and no dividends: ``split_factor`` is 1 and ``dividend`` 0.

        Raises
        ------
        UnknownTickerError : for a ticker that the sample does not have.
        EmptySourceError : where there are no rows at or after ``since``.
        """
        bars = since_session(_prices(ticker), since)
        bars = bars.assign(ticker=ticker, split_factor=1.0, dividend=0.0)
        return raw_frame(_not_empty(bars, ticker, since), PRICES_DAILY, source=NAME)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return VIX closes of 2014-01-03 to 2018-12-31 for either ticker; open, high, low and VIX3M are NULL.

        Raises
        ------
        UnknownTickerError : for a ticker that the sample does not have.
        EmptySourceError : where there are no rows at or after ``since``.
        """
        last_price_session = _prices(ticker)["session"].max()
        index = _read(VOLATILITY_FILE, {"Date": "session", "vix": "close"}).dropna(subset=["close"])
        index = on_sessions(index[index["session"] <= last_price_session], source=NAME, what="VIX")
        index = _not_empty(since_session(index, since), ticker, since)
        rows = with_index_columns(index, None, ticker=ticker, symbol=FALLBACK_VOLATILITY_INDEX)
        return raw_frame(rows, VOLATILITY_INDEX, source=NAME)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:  # noqa: ARG002 (the protocol has it)
        """Return no rows: the sample has no macro series."""
        return switched_off(MACRO, source=NAME, reason=MACRO_OFF)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002 (the protocol has it)
        """Return no rows: the sample has no option chains."""
        return switched_off(OPTION_CHAIN, source=NAME, reason=CHAIN_OFF)

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:  # noqa: ARG002
        """Return None: the sample has no option chains."""
        return None

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no hourly bars."""
        return _off(PRICES_HOURLY, "hourly bars")

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no hourly bars."""
        return _off(PRICES_HOURLY, "hourly bars")

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no quotes of a session under way."""
        return _off(OPTION_CHAIN, "option chain of a session under way")

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no news."""
        return _off(NEWS, "news")

    def social_mentions(self, ticker: str) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no mentions."""
        return _off(SOCIAL_MENTIONS, "mentions")

    def news_sentiment(self, ticker: str) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no scores of news."""
        return _off(NEWS_SENTIMENT, "scores of news")

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no earnings."""
        return _off(EARNINGS, "earnings")

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: the sample has no economic calendar."""
        return _off(ECONOMIC_CALENDAR, "economic calendar")

    def describe(self) -> list[SourceStatus]:
        """Return what the sample has and what it lacks."""
        return [
            SourceStatus(PRICES_DAILY.name, "on", "SPX and COMP, 1999 to 2018, from the package arch; not live"),
            SourceStatus(VOLATILITY_INDEX.name, "on", "VIX closes, 2014 to 2018, from the package arch; no VIX3M"),
            SourceStatus(MACRO.name, "off", "not in the sample", OTHER_SOURCES),
            SourceStatus(OPTION_CHAIN.name, "off", "not in the sample", IMPORT_CHAINS),
            *(
                SourceStatus(table.name, "off", "not in the sample", OTHER_SOURCES)
                for table in (PRICES_HOURLY, NEWS, SOCIAL_MENTIONS, NEWS_SENTIMENT, EARNINGS, ECONOMIC_CALENDAR)
            ),
            self.hull.describe(),
        ]


def _off(table: Table, what: str) -> pd.DataFrame:
    return switched_off(table, source=NAME, reason=f"the sample has no {what}: {OTHER_SOURCES}")


def _prices(ticker: str) -> pd.DataFrame:
    validate_ticker(ticker)
    if ticker not in FILE_OF_TICKER:
        raise UnknownTickerError(
            f"the sample source has {' and '.join(FILE_OF_TICKER)}, not {ticker}; "
            "set TRADING_DAG_SOURCE to live or files for other tickers"
        )
    return on_sessions(_read(FILE_OF_TICKER[ticker], _COLUMNS), source=NAME, what=ticker)


def _read(file: str, columns: dict[str, str]) -> pd.DataFrame:
    spec = find_spec("arch")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "data" / file if folders else Path(file)
    try:
        frame = pd.read_csv(path, usecols=list(columns), parse_dates=["Date"], na_values=".").rename(columns=columns)
    except (OSError, ValueError) as error:
        raise SourceFormatError(
            source=NAME,
            request=f"arch/data/{file}",
            problem=f"the file is not in the expected shape: {error}",
            remedy="Install the version of arch that constraints.txt names.",
        ) from error
    return frame.assign(session=pd.DatetimeIndex(frame["session"]).as_unit(TIME_UNIT))


def _not_empty(frame: pd.DataFrame, ticker: str, since: pd.Timestamp | None) -> pd.DataFrame:
    return require_rows(
        frame,
        source=NAME,
        request=f"{ticker} since {since:%Y-%m-%d}" if since is not None else ticker,
        problem="the sample ends on 2018-12-31",
        remedy="Ask for earlier sessions, or set TRADING_DAG_SOURCE to live or files.",
    )
