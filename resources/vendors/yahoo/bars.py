"""Bars from Yahoo by way of yfinance: finished sessions with dividends and splits, and finished hours.

Symbols, what is asked of yfinance, the cut at the last finished session and the conversion of daily bars belong here.
How Yahoo is asked is in ``yahoo.session.py``, what its answers must look like in ``yahoo.chart_answer.py`` and
``yahoo.options_answer.py``; hourly bars are converted in ``yahoo.hourly.py``, option chains in ``yahoo.chain.py``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.http.client import CACHE_FOLDER
from resources.http.json_answer import shown
from resources.left_out import BadRecord, LeftOut
from resources.raw_frames import on_sessions, require_rows
from resources.vendors.yahoo.chart_answer import HOURLY, NO_PRICE, SOURCE
from resources.vendors.yahoo.hourly import finished_hours, first_hourly_day, said_volume
from trading_dag.errors import SourceFormatError, SourceUnavailableError
from trading_dag.sessions import FIRST_CALENDAR_DAY, NEW_YORK, SETTLEMENT_DELAY, TIME_UNIT, last_closed_session
from trading_dag.settings import Settings

if TYPE_CHECKING:
    import yfinance

    from resources.vendors.yahoo.session import YahooSession

YAHOO_SYMBOL_OF: Final = {"SPX": "^GSPC", "COMP": "^IXIC"}
_COLUMNS: Final = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split_factor",
}
_logger = logging.getLogger(__name__)


def present() -> pd.Timestamp:
    """Return the present moment, UTC."""
    return pd.Timestamp.now("UTC")


def yahoo_symbol(ticker: str) -> str:
    """Return Yahoo's symbol of a ticker: SPX is ^GSPC, COMP is ^IXIC, BRK.B is BRK-B."""
    return YAHOO_SYMBOL_OF.get(ticker, ticker.replace(".", "-"))


def index_symbol(index: str) -> str:
    """Return Yahoo's symbol of a volatility index: VIX is ^VIX."""
    return f"^{index}"


class YahooClient:
    """Asks Yahoo for bars.

    Parameters
    ----------
    settings : ``yahoo_url``, ``home``, ``http`` and ``chain_cache_seconds``.
    clock : the present moment, UTC; decides which session is finished.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp] = present) -> None:
        self._settings = settings
        self._clock = clock
        self._kept_session: YahooSession | None = None

    def daily_bars(self, symbol: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return bars of a Yahoo symbol, one row per finished exchange session.

        Parameters
        ----------
        symbol : Yahoo's, such as ``SPY`` or ``^VIX``.
        since : first session, inclusive; None for all since 1985.

        Returns
        -------
        pd.DataFrame : columns session, open, high, low, close (split-adjusted), adj_close (also
            dividend-adjusted, on Yahoo's present base), volume (NaN where Yahoo says none), dividend (USD per share
            on the ex-date, adjusted for later splits, 0 otherwise), split_factor (1 otherwise). Rows without any price
            are left out and counted, as are volumes that are missing.

        Raises
        ------
        EmptySourceError : unknown or delisted symbol, or no finished session since then.
        SourceUnavailableError : network, time-out, refusal, rate limit after the last attempt.
        SourceFormatError : an answer that is not a chart.
        """
        request = f"daily bars of {symbol}" + ("" if since is None else f" since {since:%Y-%m-%d}")
        now = self._clock()
        last = self._last_finished_session(now)
        start = pd.Timestamp(FIRST_CALENDAR_DAY) if since is None else since
        left_out = LeftOut(SOURCE, f"bars or volumes of {symbol}")
        bars = pd.DataFrame()
        if start <= last:
            history = self._history(symbol, start=start, end=_day_after(now), request=request)
            bars = left_out.noted_on(_bars(history, symbol, last=last, left_out=left_out))
        return require_rows(
            bars,
            source=SOURCE,
            request=request,
            problem=f"there is no bar of a finished session (the last one is {last:%Y-%m-%d})",
            remedy="Check the symbol and the period.",
        )

    def hourly_bars(self, symbol: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the hours that have ended, from 09:30 New York on; the last of a session may be shorter.

        Yahoo has 730 days of them. Bars of the open session come half an hour after they have ended.

        Parameters
        ----------
        symbol : Yahoo's, such as ``SPY``.
        since : first session, inclusive; None for as far back as Yahoo has them.

        Returns
        -------
        pd.DataFrame : columns ts (start, UTC), open, high, low, close (split-adjusted, USD), volume (NaN where Yahoo
            says none); ascending.

        Raises
        ------
        EmptySourceError : unknown or delisted symbol, or no hour that has ended since then.
        SourceUnavailableError, SourceFormatError : as for daily bars.
        """
        request = f"hourly bars of {symbol}" + ("" if since is None else f" since {since:%Y-%m-%d}")
        now = self._clock()
        start, tomorrow = first_hourly_day(now, since=since), _day_after(now)
        ended = now - SETTLEMENT_DELAY
        bars = pd.DataFrame()
        if start < tomorrow:
            left_out = LeftOut(SOURCE, f"hourly bars or volumes of {symbol}")
            history = self._history(symbol, start=start, end=tomorrow, request=request, interval=HOURLY)
            bars = left_out.noted_on(finished_hours(history, ended=ended, what=symbol, left_out=left_out))
        return require_rows(
            bars,
            source=SOURCE,
            request=request,
            problem=f"no hour has ended by {ended:%Y-%m-%d %H:%M} UTC",
            remedy="Check the symbol and the period.",
        )

    def ticker(self, symbol: str) -> yfinance.Ticker:
        """Return yfinance's handle on a symbol, on our session."""
        import yfinance
        from yfinance.data import YfData

        _prepare_yfinance(self._settings.home / CACHE_FOLDER / "yfinance")
        # yfinance keeps charts of past periods as long as the process lives; ours is the cache that ages.
        YfData.cache_get.cache_clear()
        # How yfinance uses pandas is its affair; on import it asks for these to be shown. Setting it twice is once.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
        return yfinance.Ticker(symbol, session=self._session())

    def taken_out(self) -> list[BadRecord]:
        """Return the records that were taken out of Yahoo's answers to this thread since it last asked."""
        return [] if self._kept_session is None else self._kept_session.taken_out()

    def _history(
        self,
        symbol: str,
        *,
        start: pd.Timestamp,
        end: pd.Timestamp,
        request: str,
        interval: str = "1d",
    ) -> pd.DataFrame:
        with yfinance_errors(request):
            history: pd.DataFrame = self.ticker(symbol).history(
                start=f"{start:%Y-%m-%d}",
                end=f"{end:%Y-%m-%d}",
                interval=interval,
                auto_adjust=False,
                actions=True,
                # Bars without prices are left out here, where they are counted.
                keepna=True,
                timeout=self._settings.http.timeout_seconds,
            )
        return history

    def _session(self) -> YahooSession:
        if self._kept_session is None:
            from resources.vendors.yahoo.session import YahooSession

            self._kept_session = YahooSession(
                home=self._settings.home,
                http=self._settings.http,
                base_url=self._settings.yahoo_url,
                edition=self._edition,
                chain_cache_seconds=self._settings.chain_cache_seconds,
            )
        return self._kept_session

    def _edition(self, interval: str) -> str:
        """An answer that was cached while a bar was running must not serve once the bar counts as finished."""
        now = self._clock()
        if interval == HOURLY:
            # Hours begin at half past and sessions close on the hour, so what counts changes on half hours only.
            return f"{now.floor(SETTLEMENT_DELAY).isoformat()}"
        return f"{self._last_finished_session(now):%Y-%m-%d}"

    def _last_finished_session(self, now: pd.Timestamp) -> pd.Timestamp:
        return last_closed_session(now - SETTLEMENT_DELAY)


@contextmanager
def yfinance_errors(request: str) -> Iterator[None]:
    """Turn whatever yfinance raises into an error of the source that names the request.

    Raises
    ------
    SourceUnavailableError : where Yahoo says that it is asked too often.
    SourceFormatError : where yfinance cannot read an answer.
    SourceError : our own errors, as they are.
    """
    from curl_cffi.requests.exceptions import RequestException
    from yfinance.exceptions import YFException, YFRateLimitError

    try:
        yield
    except YFRateLimitError as error:
        raise SourceUnavailableError(
            source=SOURCE,
            request=request,
            problem="too many requests",
            remedy="Try again later, and lower TRADING_DAG_HTTP__REQUESTS_PER_SECOND.",
        ) from error
    except RequestException as error:
        raise SourceUnavailableError(
            source=SOURCE,
            request=request,
            problem="Yahoo gives no cookie",
            remedy="Try again later; nothing that is stored was changed.",
        ) from error
    except (YFException, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise SourceFormatError(
            source=SOURCE,
            request=request,
            problem=shown(f"yfinance cannot read the answer: {type(error).__name__}: {str(error)[:200]}"),
            remedy="Update yfinance; if the newest reads it no better, Yahoo has changed its answers.",
        ) from error


def _day_after(now: pd.Timestamp) -> pd.Timestamp:
    return now.tz_convert(NEW_YORK).tz_localize(None).normalize() + pd.Timedelta(days=1)


def _bars(history: pd.DataFrame, symbol: str, *, last: pd.Timestamp, left_out: LeftOut) -> pd.DataFrame:
    missing = [name for name in _COLUMNS if name not in history.columns]
    if missing:
        raise SourceFormatError(
            source=SOURCE,
            request=f"daily bars of {symbol}",
            problem=f"yfinance gives no {', '.join(missing)}",
            remedy="Install the version of yfinance that constraints.txt names.",
        )
    days = pd.DatetimeIndex(history.index).tz_localize(None).normalize().as_unit(TIME_UNIT)
    bars = history[list(_COLUMNS)].rename(columns=_COLUMNS).astype("float64").assign(session=days)
    bars = bars[bars["session"] <= last].reset_index(drop=True)
    is_hole = bars[["open", "high", "low", "close"]].isna().all(axis=1)
    left_out.add(BadRecord(f"{day:%Y-%m-%d}", NO_PRICE) for day in bars.loc[is_hole, "session"])
    bars = on_sessions(bars[~is_hole], source=SOURCE, what=symbol)
    bars = bars.assign(volume=said_volume(bars["volume"]))
    if not symbol.startswith("^") or symbol in YAHOO_SYMBOL_OF.values():
        # Nobody trades a volatility index.
        unsaid = bars.loc[bars["volume"].isna(), "session"]
        left_out.add(BadRecord(f"{day:%Y-%m-%d}", "Yahoo says no volume") for day in unsaid)
    return bars.assign(split_factor=bars["split_factor"].where(bars["split_factor"] > 0.0, 1.0))


@lru_cache(maxsize=1)
def _prepare_yfinance(cache_folder: Path) -> None:
    """Tell yfinance to raise what goes wrong instead of logging it, and to keep its caches below our home.

    Both are switches of the process; once is enough.
    """
    import yfinance
    from filelock import FileLock
    from yfinance import cache

    config: Any = yfinance.config
    config.debug.hide_exceptions = False
    cache_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder / "lock"):
        yfinance.set_tz_cache_location(str(cache_folder))
        # First use creates the SQLite files, which two processes must not do at once.
        cache.get_tz_cache().lookup("SPY")
        cache.get_cookie_cache().lookup("basic")
