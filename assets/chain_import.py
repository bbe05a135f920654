"""Imports of option-chain files as Dagster runs: one run an import, a materialization for every session it touched.

Reading and storing are ``resources.chain_import``'s; this module only makes the UI know of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import dagster as dg

from assets.execution import QUIET_CONSOLE
from assets.option_chain import OPTION_CHAIN_KEY
from assets.partitions import OPTION_CHAIN_DATES, chain_partition_key
from assets.runs import owner_tags
from resources.chain_import import ChainImport, ImportProgress, import_chains
from resources.chain_io import StoredChain
from resources.chain_store import ChainStore

IMPORT_JOB: Final = "import_chains"


def run_import(
    instance: dg.DagsterInstance,
    store: ChainStore,
    path: Path,
    *,
    tickers: tuple[str, ...],
    ticker: str | None,
    progress: Callable[[ImportProgress], None],
) -> ChainImport:
    """Import a file or folder of chains within one Dagster run, and record every session of the slices it changed.

    Parameters
    ----------
    tickers : the universe; chains of other tickers are stored and can be queried, but are no partitions.
    ticker : the underlying where the files do not say it.

    Raises
    ------
    TradingDagError : as ``import_chains`` raises them; the run is recorded as failed.
    """
    done: list[ChainImport] = []

    @dg.op(name=IMPORT_JOB, description=__doc__)
    def read_and_store(context: dg.OpExecutionContext) -> None:
        imported = import_chains(store, path, ticker=ticker, progress=progress)
        done.append(imported)
        _record(context, store, imported, tickers)

    @dg.job(name=IMPORT_JOB, description="Files of option chains into raw.option_chain.")
    def job() -> None:
        read_and_store()

    job.execute_in_process(
        instance=instance, tags={**owner_tags(), "trading_dag/path": str(path)[:200]}, run_config=QUIET_CONSOLE
    )
    return done[0]


def _record(context: dg.OpExecutionContext, store: ChainStore, imported: ChainImport, tickers: tuple[str, ...]) -> None:
    """Sessions of the slices that the files touched: all of a changed slice, and what a killed import left out."""
    touched = {tuple(name.split("/")): False for file in imported.files for name in file.slices}
    changed = touched | {tuple(name.split("/")): True for file in imported.files if file.is_new for name in file.slices}
    recorded = context.instance.get_materialized_partitions(OPTION_CHAIN_KEY)
    for ticker in sorted({name for name, _ in changed} & set(tickers)):
        years = {int(year): is_new for (name, year), is_new in changed.items() if name == ticker}
        sessions = [
            day
            for day in StoredChain.of(store, ticker).sessions()
            if years.get(day.year) or (day.year in years and chain_partition_key(day, ticker) not in recorded)
        ]
        context.instance.add_dynamic_partitions(str(OPTION_CHAIN_DATES.name), [f"{day:%Y-%m-%d}" for day in sessions])
        for session in sessions:
            metadata: dict[str, Any] = {"file of": f"ticker={ticker} year={session.year}"}
            key = chain_partition_key(session, ticker)
            context.log_event(dg.AssetMaterialization(asset_key=OPTION_CHAIN_KEY, partition=key, metadata=metadata))
