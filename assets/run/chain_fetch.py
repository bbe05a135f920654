"""Option chains from the source: which ones are wanted, and how they are fetched, several at once, and stored.

Each chain becomes a run of ``raw.option_chain``, so that it gets checks and verdicts like any other. Chains in files
come in through ``importing.importer``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import dagster as dg
import pandas as pd

from assets.jobs import OPTION_CHAIN_JOB
from assets.partitions import OPTION_CHAIN_DATES, chain_partition_key, chain_slice_of
from assets.run.in_process import RunOutcome, run_job
from resources.chains.store import ChainStore
from resources.http.parallel_fetch import FetchProgress, fetch_each
from resources.sources.protocol import Source
from trading_dag.errors import ConfigurationError
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings

# Enough to wait for a vendor's answers at any pace that it allows; one yfinance answers one question at a time.
FETCHING_THREADS: Final = 8


@dataclass(frozen=True)
class ChainFetch:
    """Tells what became of the chains that were wanted, by partition key, ``2024-11-15|SPY``.

    Attributes
    ----------
    stored : fetched and stored now, with the number of contracts.
    kept : stored before, so not asked for again.
    failed : not stored, and why.
    """

    stored: dict[str, int] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def tickers(self) -> list[str]:
        """Return the underlyings for which a chain was stored now, sorted."""
        return sorted({chain_slice_of(key)[1] for key in self.stored})


def wanted_chains(
    source: Source,
    tickers: Iterable[str],
    *,
    now: pd.Timestamp,
    first: pd.Timestamp | None = None,
    last: pd.Timestamp | None = None,
) -> list[str]:
    """Return the partition keys of the chains to fetch: the present session's, or all sessions' between two dates.

    Parameters
    ----------
    now : the present moment, UTC.
    first, last : days, inclusive. Without ``first`` only the last day is wanted, without ``last`` all up to now.

    Raises
    ------
    ConfigurationError : for dates, if the source shows present chains only.
    """
    if first is None and last is None:
        present = {ticker: source.present_chain_session(ticker, now=now) for ticker in tickers}
        return [str(chain_partition_key(session, ticker)) for ticker, session in present.items() if session is not None]
    if not source.has_earlier_chains:
        raise ConfigurationError(
            f"source {source.name} has no chains of earlier sessions, so --from and --to cannot be asked of it; "
            "files of earlier chains come in by trading-dag import-chains, and daily bars of earlier contracts with "
            "TRADING_DAG_SOURCE=live, TRADING_DAG_CHAIN_VENDOR=polygon and POLYGON_API_KEY"
        )
    keys = []
    for ticker in tickers:
        end = last if last is not None else source.present_chain_session(ticker, now=now)
        begin = first if first is not None else end
        if begin is not None and end is not None:
            keys += [str(chain_partition_key(session, ticker)) for session in sessions_between(begin, end)]
    return keys


def is_stored(store: ChainStore, partition: str) -> bool:
    """Return whether quotes of that session and ticker are stored."""
    session, ticker = chain_slice_of(partition)
    if session.year not in store.years(ticker):
        return False
    return not store.read(ticker, columns=["quote_date"], first=session, last=session).empty


def add_chain_date(instance: dg.DagsterInstance, partition: str) -> None:
    """Add the date of a chain to Dagster's partitions."""
    instance.add_dynamic_partitions(str(OPTION_CHAIN_DATES.name), [partition.partition("|")[0]])


def run_chain(job: dg.JobDefinition, instance: dg.DagsterInstance, partition: str) -> RunOutcome:
    """Execute one run of ``raw.option_chain``. Its date is a partition from then on."""
    add_chain_date(instance, partition)
    return run_job(job, instance, partition=partition)


class FetchedChains:
    """Serves as the source of the runs that store a chain already fetched; holds one chain at a time.

    Parameters
    ----------
    source : the source from which the chain was fetched.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._held: dict[tuple[str, pd.Timestamp], pd.DataFrame] = {}

    def hold(self, ticker: str, session: pd.Timestamp, chain: pd.DataFrame) -> None:
        """Keep a chain until it is asked for."""
        self._held = {(ticker, session): chain}

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return the chain that is held."""
        return self._held.pop((ticker, session))


class ChainRuns:
    """Stores fetched chains, each in a run of its own.

    Parameters
    ----------
    source : where they were fetched.
    build : makes the definitions, with some resources replaced.

    Attributes
    ----------
    stored : number of contracts by partition key.
    refused : why a chain is not stored, by partition key.
    """

    def __init__(
        self,
        source: Source,
        *,
        settings: Settings,
        instance: dg.DagsterInstance,
        build: Callable[[Settings, dict[str, object]], dg.Definitions],
    ) -> None:
        self.stored: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self._instance = instance
        self._fetched = FetchedChains(source)
        self._job = build(settings, {"source": self._fetched}).resolve_job_def(OPTION_CHAIN_JOB)

    def store(self, partition: str, chain: pd.DataFrame) -> None:
        """Store a chain, or note why not."""
        off = chain.attrs.get("source_off")
        if off:
            self.refused[partition] = str(off)
            return
        session, ticker = chain_slice_of(partition)
        self._fetched.hold(ticker, session, chain)
        errors = run_chain(self._job, self._instance, partition).errors
        if errors:
            self.refused[partition] = "; ".join(errors)
        else:
            self.stored[partition] = len(chain)


def fetch_chains(
    wanted: Iterable[str],
    *,
    source: Source,
    settings: Settings,
    instance: dg.DagsterInstance,
    build: Callable[[Settings, dict[str, object]], dg.Definitions],
    again: bool = False,
    progress: Callable[[FetchProgress], None] | None = None,
) -> ChainFetch:
    """Fetch chains, several at once within the vendor's limit, and store each in a run of its own as it comes.

    However the call ends, stored chains stay stored, and vendors' answers stay in the cache. The same call
    continues from there.

    Parameters
    ----------
    wanted : partition keys.
    build : makes the definitions, with some resources replaced.
    again : whether to fetch stored chains too, and merge them.
    progress : called after every chain.

    Raises
    ------
    SourceOffError : for a refused key, at once, because it fails for every chain.
    """
    store = ChainStore(settings.home)
    keys = list(wanted)
    kept = () if again else tuple(key for key in keys if is_stored(store, key))
    runs = ChainRuns(source, settings=settings, instance=instance, build=build)

    def fetch(partition: str) -> pd.DataFrame:
        session, ticker = chain_slice_of(partition)
        return source.option_chain(ticker, session=session)

    asks_a_vendor = settings.source == "live" and settings.chain_vendor != "yahoo"
    unanswered = fetch_each(
        [key for key in keys if key not in set(kept)],
        fetch,
        workers=FETCHING_THREADS if asks_a_vendor else 1,
        receive=runs.store,
        progress=progress,
    )
    return ChainFetch(runs.stored, kept, {**runs.refused, **{key: str(error) for key, error in unanswered.items()}})
