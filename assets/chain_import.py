"""Imports of option-chain files as Dagster runs: one run an import, and for every session it changed what Dagster has
of any other: a materialization and the verdicts of its checks.

Reading and storing are ``resources.chain_import``'s; this module only makes the UI, and every condition that asks for
the checks, know of it. The verdicts are those on what is stored, found for a whole year of a ticker at once.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import dagster as dg
import numpy as np
import pandas as pd
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from numpy.typing import NDArray

from assets.materialization import check_results
from assets.option_chain import OPTION_CHAIN_KEY
from assets.partitions import OPTION_CHAIN_DATES, chain_partition_key
from assets.running import QUIET_CONSOLE
from resources.chain_import import ChainImport, ImportProgress, import_chains, mark_reported, unreported
from resources.chain_io import StoredChain
from resources.chain_store import ChainStore
from resources.expectations import RuleVerdict
from resources.parquet_store import content_hash
from trading_dag.quality import Finding, QualityContext, examine, rules_of
from trading_dag.quality.rules import EXAMPLES
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
) -> ChainImport:
    """Import a file or folder of chains within one Dagster run, and record every session that it changed.

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
        for name in tickers:
            _record(context, store, imported, name)
        mark_reported(store, unreported(store, imported))

    @dg.job(name=IMPORT_JOB, description="Files of option chains into raw.option_chain.")
    def job() -> None:
        read_and_store()

    job.execute_in_process(instance=instance, tags={"trading_dag/path": str(path)[:200]}, run_config=QUIET_CONSOLE)
    return done[0]


def _record(context: dg.OpExecutionContext, store: ChainStore, imported: ChainImport, ticker: str) -> None:
    """Materializations and verdicts of a ticker's sessions that changed, or that an ended import left out."""
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
    """The rows of one quote date, out of rows that ascend by it."""
    begin, end = (int(rows["quote_date"].searchsorted(day, side)) for side in ("left", "right"))
    return rows.iloc[begin:end]


def _latest_materializations(
    instance: dg.DagsterInstance, partitions: list[dg.MultiPartitionKey]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The materialization that the verdicts on each partition are about: without it Dagster takes them for outdated."""
    wanted = dg.AssetRecordsFilter(asset_key=OPTION_CHAIN_KEY, asset_partitions=list(partitions))
    # The newest first: one for each partition before any older one.
    found = instance.fetch_materializations(wanted, limit=len(partitions)).records
    return {
        str(record.partition_key): AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in found
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


def session_verdicts(
    rows: pd.DataFrame, *, now_session: pd.Timestamp, before: pd.DataFrame | None = None
) -> dict[pd.Timestamp, list[RuleVerdict]]:
    """One verdict for each rule of ``raw.option_chain`` on every session among the rows, all found at once.

    Parameters
    ----------
    rows : of one ticker, as they are stored.
    now_session : latest session that may occur.
    before : the ticker's chain on the stored quote date before them; None where there is none.
    """
    findings = examine(OPTION_CHAIN, rows, context=QualityContext(now_session=now_session, chain_before=before))
    of_row, days = pd.factorize(rows["quote_date"])
    totals = np.bincount(of_row, minlength=len(days))
    by_rule = [(rule, findings[rule.name], _by_session(findings[rule.name], of_row)) for rule in rules_of(OPTION_CHAIN)]
    return {
        pd.Timestamp(day): [
            RuleVerdict(
                rule=rule,
                passed=not counts[place],
                unexpected_count=int(counts[place]),
                total=int(totals[place]),
                examples=_examples(rows[finding.mask & (of_row == place)]) if counts[place] else [],
                detail=finding.detail if counts[place] or not finding.is_examined else "",
                is_examined=finding.is_examined,
            )
            for rule, finding, counts in by_rule
        ]
        for place, day in enumerate(days)
    }


def _by_session(finding: Finding, of_row: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many things are wrong with each session; what is wrong with no row in particular is with every session."""
    sessions = int(of_row.max()) + 1 if len(of_row) else 0
    if finding.count and not finding.mask.any():
        return np.full(sessions, finding.count, dtype=np.int64)
    return np.bincount(of_row[finding.mask], minlength=sessions)


def _examples(rows: pd.DataFrame) -> list[str]:
    """The first of some contracts."""
    keys = rows[["expiration", "strike", "option_right"]].head(EXAMPLES)
    return [f"{expiration:%Y-%m-%d} {strike:g} {right}" for expiration, strike, right in keys.itertuples(index=False)]
