"""The work behind the commands about options: an import within a Dagster run, and the analysis of what it imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trading_dag.cli.context import CommandContext
from trading_dag.cli.dagster_instance import opened_instance
from trading_dag.cli.printing import progress_bar
from trading_dag.errors import SliceNotFoundError

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from assets.run.chain_fetch import ChainFetch
    from assets.run.chain_history import RequestsLeft
    from resources.chains.importing.importer import ChainImport, ImportProgress
    from resources.chains.store import ChainStore
    from resources.http.parallel_fetch import FetchProgress
    from resources.text_files.values import DateOrder
    from trading_dag.options.chains.session import SessionAnalysis


@dataclass(frozen=True)
class OptionWork:
    """Holds what imports and analyses need: the command's context, the chain store and the Dagster instance."""

    context: CommandContext
    store: ChainStore
    instance: dg.DagsterInstance

    def import_files(self, path: Path, *, ticker: str | None, date_order: DateOrder | None, quiet: bool) -> ChainImport:
        """Import files with a progress bar."""
        from assets.run.chain_import import run_import

        with progress_bar(self.context, quiet=quiet) as bar:
            task = bar.add_task("reading")

            def show(at: ImportProgress) -> None:
                if at.slice_name:
                    merging = f"merging {at.slice_name}, slices"
                    bar.update(task, description=merging, completed=at.slices_done, total=at.slices)
                    return
                files = f"file {min(at.files_done + 1, at.files)} of {at.files}"
                bar.update(task, description=f"{at.path.name} ({files}), rows", completed=at.rows, total=at.file_rows)

            return run_import(
                self.instance, self.store, path, tickers=self.context.settings.all_tickers, ticker=ticker,
                date_order=date_order, progress=show,
            )  # fmt: skip

    def fetch(
        self, tickers: tuple[str, ...], *, first: pd.Timestamp | None, last: pd.Timestamp | None, quiet: bool
    ) -> ChainFetch:
        """Fetch and store the present chains that are missing, or all between two days, with a progress bar."""
        import pandas as pd

        from assets.run.chain_fetch import fetch_chains, wanted_chains
        from assets.run.chain_history import has_daily_bars
        from resources.sources.choose import build_source
        from trading_dag.definitions import build_for_command

        settings = self.context.settings
        if has_daily_bars(settings) and not (first is None and last is None):
            return self._fetch_history(tickers, first=first, last=last, quiet=quiet)
        source = build_source(settings)
        wanted = wanted_chains(source, tickers, now=pd.Timestamp.now("UTC"), first=first, last=last)
        with progress_bar(self.context, quiet=quiet or not wanted) as bar:
            task = bar.add_task("fetching chains", total=len(wanted))

            def show(at: FetchProgress) -> None:
                bar.update(task, description=f"chains (last: {at.key})", completed=at.done, total=at.total)

            return fetch_chains(
                wanted, source=source, settings=settings, instance=self.instance, build=build_for_command, progress=show
            )

    def _fetch_history(
        self, tickers: tuple[str, ...], *, first: pd.Timestamp | None, last: pd.Timestamp | None, quiet: bool
    ) -> ChainFetch:
        """Fetch and store chains made of daily bars; say how many requests it takes before they are sent, and while
        they are."""
        import pandas as pd

        from assets.run.chain_history import fetch_history, wanted_history
        from resources.sources.choose import build_source
        from trading_dag.definitions import build_for_command

        settings, now = self.context.settings, pd.Timestamp.now("UTC")
        wanted = wanted_history(tickers, now=now, first=first, last=last)
        with progress_bar(self.context, quiet=quiet or not wanted) as bar:
            task = bar.add_task("asking for daily bars", total=None)

            def announce(left: RequestsLeft) -> None:
                if not quiet:
                    self.context.console.print(str(left))
                bar.reset(task, total=left.total, description=str(left))

            def show(left: RequestsLeft) -> None:
                bar.update(task, advance=1, description=str(left))

            return fetch_history(
                wanted, source=build_source(settings), settings=settings, instance=self.instance,
                build=build_for_command, now=now, announce=announce, progress=show,
            )  # fmt: skip

    def analyse(self, tickers: Iterable[str], *, quiet: bool) -> list[str]:
        """Bring ``options`` up to date for those of the tickers that are in the universe; return one line per
        failure."""
        from assets.jobs import MACRO_JOB, OPTIONS_JOB
        from resources.storage.parquet_store import ParquetStore, SliceKey
        from trading_dag.definitions import build_for_command
        from trading_dag.schemas import MACRO_TABLE

        known = sorted(set(tickers) & set(self.context.settings.all_tickers))
        if not known:
            return []
        definitions = build_for_command(self.context.settings)
        failures = []
        if not ParquetStore(self.context.settings.home).exists(MACRO_TABLE, SliceKey()):
            # The rates that prices are discounted at.
            failures += self._run(definitions.resolve_job_def(MACRO_JOB), None)
        for ticker in known if not failures else []:
            with self._analysis_bar(ticker, quiet=quiet):
                failures += self._run(definitions.resolve_job_def(OPTIONS_JOB), ticker)
        return failures

    @contextmanager
    def _analysis_bar(self, ticker: str, *, quiet: bool) -> Iterator[None]:
        """Show how many sessions are done, of all; sessions that were analysed before pass quickly."""
        from assets.option_chain import ANALYSIS_PROGRESS

        with progress_bar(self.context, quiet=quiet) as bar:
            task = bar.add_task(f"analysing {ticker}, sessions", total=None)
            before = ANALYSIS_PROGRESS.set(lambda at: bar.update(task, completed=at.done, total=at.sessions))
            try:
                yield
            finally:
                ANALYSIS_PROGRESS.reset(before)

    def _run(self, job: dg.JobDefinition, partition: str | None) -> list[str]:
        from assets.run.in_process import run_job

        outcome = run_job(job, self.instance, partition=partition)
        return [f"{partition or 'macro'}: {line}" for line in outcome.errors]


@contextmanager
def option_work(context: CommandContext) -> Iterator[OptionWork]:
    """Yield the work with the instance open, dead runs closed and the views built."""
    from assets.run.claims import bury_dead_runs
    from resources.chains.store import ChainStore

    with opened_instance(context) as instance:
        bury_dead_runs(instance)
        context.warehouse.ensure()
        yield OptionWork(context, ChainStore(context.settings.home), instance)


def session_analysis(context: CommandContext, ticker: str, *, session: pd.Timestamp | None) -> SessionAnalysis:
    """Analyse one stored session.

    Raises
    ------
    SliceNotFoundError : where there is no chain of that ticker and session.
    """
    import pandas as pd

    from resources.chains.store import ChainStore
    from resources.io_managers.chains import StoredChain
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.options.chains.rates import rates_at_sessions
    from trading_dag.options.chains.session import analyse_session
    from trading_dag.schemas import MACRO_TABLE

    stored = StoredChain.of(ChainStore(context.settings.home), ticker)
    sessions = stored.sessions()
    if not len(sessions):
        raise SliceNotFoundError(f"no option chain of {ticker} is stored: trading-dag import-chains PATH brings it in")
    at = sessions[-1] if session is None else session
    if at not in sessions:
        raise SliceNotFoundError(
            f"no option chain of {ticker} on {at:%Y-%m-%d} is stored: there are {len(sessions)} sessions "
            f"from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}"
        )
    macro = ParquetStore(context.settings.home).read_or_empty(MACRO_TABLE, SliceKey())
    rate = rates_at_sessions(macro, pd.DatetimeIndex([at]), fallback=context.settings.surface.risk_free_rate)[0]
    earlier = sessions[sessions < at]
    before = stored.read(earlier[-1]) if len(earlier) else None
    return analyse_session(stored.read(at), rate=float(rate), before=before)
