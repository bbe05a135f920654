"""Imports of option-chain files as Dagster runs, one run per import. Each session that changed gets what Dagster has
for any other: a materialization and the verdicts of its checks. A run that refused sessions has failed, and names them.

Reading and storing is done by ``resources.chains.importing.importer``; this module only reports it to the UI, and to
every condition that asks for the checks. The verdicts describe what is stored, and are found for a whole year of a
ticker at once.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declare.materialization import check_results
from assets.option_chain import OPTION_CHAIN_KEY
from assets.partitions import OPTION_CHAIN_DATES, chain_partition_key
from assets.run.in_process import QUIET_CONSOLE
from resources.chains.importing.importer import ChainImport, ImportProgress, import_chains, mark_reported, unreported
from resources.chains.store import ChainStore
from resources.chains.verdicts import session_verdicts
from resources.expectations import RuleVerdict
from resources.io_managers.chains import StoredChain
from resources.runs.dagster_private import DATA_VERSION_TAG, AssetCheckEvaluationTargetMaterializationData
from resources.storage.parquet_store import content_hash
from resources.text_files.values import DateOrder
from trading_dag.quality import rules_of
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import last_closed_session

IMPORT_JOB: Final = "import_chains"


def run_import(
    instance: dg.DagsterInstance,
    store: ChainStore,
    path: Path,
    *,
    tickers: tuple[str, ...],
    ticker: str | None,
    progress: Callable[[ImportProgress], None],
    date_order: DateOrder | None = None,
) -> ChainImport:
    """Import a file or folder of chains within one Dagster run, and record every session that it changed.

    Parameters
    ----------
    tickers : the universe; chains of other tickers are stored and can be queried, but are not partitions.
    ticker, date_order : as ``import_chains`` takes them.

    Raises
    ------
    TradingDagError : as ``import_chains`` raises them; the run is recorded as failed.
    """
    imports: list[ChainImport] = []

    @dg.op(name=IMPORT_JOB, description=__doc__)
    def read_and_store(context: dg.OpExecutionContext) -> None:
        imported = import_chains(store, path, ticker=ticker, date_order=date_order, progress=progress)
        imports.append(imported)
        for name in tickers:
            _record(context, store, imported, name)
        mark_reported(store, unreported(store, imported))
        refused = {name: rules for file in imported.files for name, rules in file.refused_sessions.items()}
        for name, rules in refused.items():
            context.log.error("%s [%s] is not stored: %s", OPTION_CHAIN.qualified_name, name, "; ".join(rules))
        if refused:
            raise dg.Failure(f"{len(refused)} sessions break a blocking rule and are not stored: {min(refused)} …")

    @dg.job(name=IMPORT_JOB, description="Files of option chains into raw.option_chain.")
    def job() -> None:
        read_and_store()

    tags = {"trading_dag/path": str(path)[:200]}
    with suppress(dg.Failure):  # what it says is in what is returned
        job.execute_in_process(instance=instance, tags=tags, run_config=QUIET_CONSOLE)
    return imports[0]


def _record(context: dg.OpExecutionContext, store: ChainStore, imported: ChainImport, ticker: str) -> None:
    """Record materializations and verdicts of a ticker's sessions that changed, or that an interrupted import left
    out."""
    names = {name for file in unreported(store, imported) for name in file.sessions}
    changed = {pd.Timestamp(day) for held, day in (name.split("/") for name in names) if held == ticker}
    slices = {tuple(name.split("/")) for file in imported.files for name in file.slices}
    years = {int(year) for held, year in slices if held == ticker}
    if not years:
        return
    known = context.instance.get_materialized_partitions(OPTION_CHAIN_KEY)
    sessions = [
        day
        for day in StoredChain.of(store, ticker).sessions()
        if day in changed or (day.year in years and chain_partition_key(day, ticker) not in known)
    ]
    context.instance.add_dynamic_partitions(str(OPTION_CHAIN_DATES.name), [f"{day:%Y-%m-%d}" for day in sessions])
    for year, of_year in groupby(sessions, key=lambda day: day.year):
        days = list(of_year)
        rows = store.read(ticker, first=days[0], last=days[-1])
        before = StoredChain.of(store, ticker).read_before(days[0])
        verdicts = session_verdicts(rows, now_session=last_closed_session(), before=before)
        partitions = {day: chain_partition_key(day, ticker) for day in days}
        for day, partition in partitions.items():
            metadata: dict[str, Any] = {
                "file of": f"ticker={ticker} year={year}",
                "dagster/row_count": verdicts[day][0].total,
            }
            # By which automation tells a session whose quotes changed from one that was imported again.
            version = {DATA_VERSION_TAG: content_hash(_rows_of(rows, day))}
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=OPTION_CHAIN_KEY, partition=partition, metadata=metadata, tags=version
                )
            )
        targets = _latest_materializations(context.instance, list(partitions.values()))
        for day, partition in partitions.items():
            for evaluation in _evaluations(verdicts[day], partition, target=targets[partition]):
                if not evaluation.passed:
                    context.log.warning("%s [%s] %s", OPTION_CHAIN.qualified_name, partition, evaluation.description)
                context.log_event(evaluation)  # type: ignore[arg-type]  # it is taken, the annotation does not say so


def _rows_of(rows: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of one quote date, from rows sorted by it."""
    begin, end = (int(rows["quote_date"].searchsorted(day, side)) for side in ("left", "right"))
    return rows.iloc[begin:end]


def _latest_materializations(
    instance: dg.DagsterInstance, partitions: list[dg.MultiPartitionKey]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return the materialization that each partition's verdicts are about: without it Dagster takes them for
    outdated."""
    wanted = dg.AssetRecordsFilter(asset_key=OPTION_CHAIN_KEY, asset_partitions=list(partitions))
    # The newest first: one for each partition before any older one.
    records = instance.fetch_materializations(wanted, limit=len(partitions)).records
    return {
        str(record.partition_key): AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in records
    }


def _evaluations(
    verdicts: list[RuleVerdict],
    partition: dg.MultiPartitionKey,
    *,
    target: AssetCheckEvaluationTargetMaterializationData,
) -> Iterator[dg.AssetCheckEvaluation]:
    blocking = {rule.check_name: rule.is_blocking for rule in rules_of(OPTION_CHAIN)}
    for result in check_results(OPTION_CHAIN_KEY, verdicts):
        yield dg.AssetCheckEvaluation(
            asset_key=OPTION_CHAIN_KEY,
            check_name=str(result.check_name),
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=target,
            severity=result.severity,
            description=result.description,
            blocking=blocking[str(result.check_name)],
            partition=partition,
        )
