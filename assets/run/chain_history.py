"""Chains of earlier sessions from a vendor of daily bars: listed first, then asked contract by contract, and stored as
soon as all contracts of a session are answered.

At a free plan's rate this takes hours, so how many requests are left is told before they are sent and while they are.
However it ends, stored chains stay stored and answers stay in the cache: the same call goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import dagster as dg
import numpy as np
import pandas as pd

from assets.partitions import chain_partition_key, chain_slice_of
from assets.run.chain_fetch import FETCHING_THREADS, ChainFetch, ChainRuns, is_stored
from resources.chains.one_kind import require_one_kind
from resources.chains.store import ChainStore
from resources.http.parallel_fetch import FetchProgress, fetch_each
from resources.sources.protocol import Source
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.vendors.chain_snapshot import WITHOUT_OPTIONS
from resources.vendors.polygon_access import KEY_VARIABLE
from resources.vendors.polygon_history import DailyBars, PolygonHistoryClient, strip_of
from resources.vendors.polygon_strips import HISTORY_SOURCE, ListedStrip, bar_questions, chain_of_bars
from trading_dag.errors import ConfigurationError, SourceError
from trading_dag.options.chains.quoted_closes import closes_as_quoted
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import last_closed_session, session_before, session_close, sessions_between
from trading_dag.settings import Settings

# Until then a vendor may still correct the bars of a session.
FINAL_AFTER: Final = pd.Timedelta(days=1)
LISTS: Final = "lists of contracts"
CONTRACTS: Final = "contracts"


@dataclass(frozen=True)
class RequestsLeft:
    """Tells what is still to be asked of a vendor.

    Attributes
    ----------
    what : what is asked for, in the plural.
    total, left : questions, and those of them without an answer yet. A list may take further pages.
    per_minute : the rate of the plan.
    """

    what: str
    total: int
    left: int
    per_minute: float

    def __str__(self) -> str:
        minutes = self.left / self.per_minute
        time = f"{minutes / 60.0:.1f} hours" if minutes >= 90.0 else f"{np.ceil(minutes):.0f} min"
        return f"{self.what}: {self.left:,} requests, {time} at {self.per_minute:g} a minute"


Answer = TypeVar("Answer")
Tell = Callable[[RequestsLeft], None]


def has_daily_bars(settings: Settings) -> bool:
    """Return whether the settings name a vendor whose daily bars make chains of earlier sessions."""
    return settings.source == "live" and settings.chain_vendor == "polygon"


def wanted_history(
    tickers: Iterable[str], *, now: pd.Timestamp, first: pd.Timestamp | None, last: pd.Timestamp | None
) -> list[str]:
    """Return the partition keys of all sessions between two days, of each ticker that has options.

    Parameters
    ----------
    now : the present moment, UTC.
    first, last : days, inclusive. Without ``first`` only the last is wanted, without ``last`` all whose bars are final.
    """
    end = last if last is not None else _last_final(now)
    begin = first if first is not None else end
    days = sessions_between(begin, end)
    return [str(chain_partition_key(day, name)) for name in tickers if name not in WITHOUT_OPTIONS for day in days]


def fetch_history(
    wanted: Iterable[str],
    *,
    source: Source,
    settings: Settings,
    instance: dg.DagsterInstance,
    build: Callable[[Settings, dict[str, object]], dg.Definitions],
    now: pd.Timestamp,
    announce: Tell | None = None,
    progress: Tell | None = None,
) -> ChainFetch:
    """Fetch chains of daily bars and store each in a run of its own.

    Parameters
    ----------
    wanted : partition keys, of the whole range that was asked for.
    source : whose chains they are.
    build : makes the definitions, with some resources replaced.
    now : the present moment, UTC.
    announce : called before lists, and before contracts, are asked for.
    progress : called after every answer.

    Raises
    ------
    ConfigurationError : without a key.
    SourceMismatchError : where quoted chains of a ticker are stored; nothing is asked then.
    SourceOffError : for a key or plan that is refused, at once.
    """
    client = PolygonHistoryClient(settings, clock=lambda: now)
    if not client.has_key:
        raise ConfigurationError(f"chains of earlier sessions are asked of polygon, and {KEY_VARIABLE} is not set")
    keys = list(wanted)
    store = ChainStore(settings.home)
    for ticker in dict.fromkeys(chain_slice_of(key)[1] for key in keys):
        require_one_kind(ticker, stored=store.sources(ticker), fresh=[HISTORY_SOURCE])
    kept = tuple(key for key in keys if is_stored(store, key))
    missing = [key for key in keys if key not in set(kept)]
    work = _HistoryWork(client, settings, announce=announce, progress=progress)
    closes, failed = _closes(missing, settings=settings, now=now)
    strips = work.listed(closes)
    days = [chain_slice_of(key)[0] for key in keys]
    runs = ChainRuns(source, settings=settings, instance=instance, build=build)
    if strips:
        work.fetch_bars(strips, first=min(days), last=max(days), store=runs.store)
    return ChainFetch(runs.stored, kept, {**failed, **work.failed, **runs.refused})


class _HistoryWork:
    """Asks for lists and bars, and tells how far it is.

    Attributes
    ----------
    failed : sessions that have no chain, and why.
    """

    def __init__(
        self, client: PolygonHistoryClient, settings: Settings, *, announce: Tell | None, progress: Tell | None
    ) -> None:
        self.failed: dict[str, str] = {}
        self._client = client
        self._settings = settings
        self._announce = announce or _say_nothing
        self._progress = progress or _say_nothing

    def listed(self, closes: Mapping[str, float]) -> dict[str, ListedStrip]:
        """Return the strip of each session by partition key; those whose list fails are noted."""
        strips = {}
        for key, close in closes.items():
            session, ticker = chain_slice_of(key)
            strips[key] = strip_of(ticker, session, close, self._settings)
        found: dict[str, ListedStrip] = {}

        def receive(key: str, strip: ListedStrip) -> None:
            found[key] = strip

        def ask(key: str) -> ListedStrip:
            contracts, bad = self._client.listed(strips[key])
            return ListedStrip(strips[key], closes[key], tuple(contracts), tuple(bad))

        open_keys = {key for key, strip in strips.items() if not self._client.has_list(strip)}
        errors = self._each(LISTS, strips, open_keys, ask, receive)
        self.failed |= {key: str(error) for key, error in errors.items()}
        return {key: found[key] for key in strips if key in found}

    def fetch_bars(
        self,
        strips: Mapping[str, ListedStrip],
        *,
        first: pd.Timestamp,
        last: pd.Timestamp,
        store: Callable[[str, pd.DataFrame], None],
    ) -> None:
        """Ask for every contract once, and hand on each session's chain when its last contract is answered."""
        questions = bar_questions(list(strips.values()), first=first, last=last)
        waiting = {key: {one.name for one in strip.contracts} for key, strip in strips.items()}
        wanted_by: dict[str, list[str]] = {name: [] for name in questions}
        for key, names in waiting.items():
            for name in names:
                wanted_by[name].append(key)
        bars: dict[str, DailyBars] = {}

        def finish(key: str) -> None:
            try:
                chain = chain_of_bars(strips[key], bars)
            except SourceError as error:
                self.failed[key] = str(error)
            else:
                store(key, chain)

        def receive(name: str, answer: DailyBars) -> None:
            bars[name] = answer
            for key in wanted_by[name]:
                waiting[key].discard(name)
                if not waiting[key]:
                    finish(key)

        open_names = {name for name, asked in questions.items() if not self._client.has_bars(asked)}
        for key in [key for key, strip in strips.items() if not strip.contracts]:
            finish(key)
        errors = self._each(CONTRACTS, questions, open_names, lambda name: self._client.bars(questions[name]), receive)
        for key, names in waiting.items():
            if names:
                example = errors[min(names)]
                self.failed[key] = f"{len(names)} of {len(strips[key].contracts)} contracts have no answer: {example}"

    def _each(
        self,
        what: str,
        keys: Iterable[str],
        open_keys: set[str],
        ask: Callable[[str], Answer],
        receive: Callable[[str, Answer], None],
    ) -> dict[str, SourceError]:
        wanted, rate = list(keys), self._settings.polygon_requests_per_minute
        left = set(open_keys)
        self._announce(RequestsLeft(what, len(wanted), len(left), rate))

        def show(at: FetchProgress) -> None:
            left.discard(at.key)
            self._progress(RequestsLeft(what, len(wanted), len(left), rate))

        return fetch_each(wanted, ask, workers=FETCHING_THREADS, receive=receive, progress=show)


def _closes(keys: Iterable[str], *, settings: Settings, now: pd.Timestamp) -> tuple[dict[str, float], dict[str, str]]:
    """Return the underlying's close as it was quoted on each session, and why a session cannot be asked for."""
    store, of_ticker = ParquetStore(settings.home), dict[str, dict[pd.Timestamp, float]]()
    closes, failed = dict[str, float](), dict[str, str]()
    for key in keys:
        session, ticker = chain_slice_of(key)
        if ticker not in of_ticker:
            prices = store.read_or_empty(PRICES_DAILY, SliceKey(ticker)).sort_values("session", ignore_index=True)
            of_ticker[ticker] = dict(zip(prices["session"], closes_as_quoted(prices), strict=True))
        close = of_ticker[ticker].get(session, np.nan)
        if session_close(session) + FINAL_AFTER > now:
            failed[key] = "its bars are final a day after its close"
        elif not close > 0.0:
            failed[key] = (
                f"no close of {ticker} is stored for that session, and strikes are chosen around it: "
                f"trading-dag fetch --kinds prices_daily --tickers {ticker}"
            )
        else:
            closes[key] = float(close)
    return closes, failed


def _last_final(now: pd.Timestamp) -> pd.Timestamp:
    """Return the last session whose bars are final."""
    last = last_closed_session(now)
    while session_close(last) + FINAL_AFTER > now:
        last = session_before(last)
    return last


def _say_nothing(_: RequestsLeft) -> None:
    pass
