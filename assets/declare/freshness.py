"""The check ``freshness``: whether the newest session of what an asset shows to people is the one that is due.

It measures the data, not the time of a materialization, by the one rule of ``trading_dag.freshness``. Each run reports
it with its asset; between runs the sensor ``watch_freshness`` does, because data grow old without a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd

from resources.storage.parquet_store import Provenance
from trading_dag.freshness import DataAge, data_age
from trading_dag.schemas import (
    ACCURACY,
    CHAIN_ANALYTICS,
    DRIFT,
    EQUITY,
    FEATURE_TABLE,
    METRICS,
    OPPORTUNITIES,
    PREDICTIONS_ALLOCATION,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_PRICE,
    PREDICTIONS_REGIME,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY,
    PREDICTIONS_VOLATILITY_LEVEL,
    PRICES_DAILY,
    RECOMMENDATION,
    SUMMARY,
    VOLATILITY_INDEX,
    Table,
)

if TYPE_CHECKING:
    from assets.declare.declaration import Declaration, Slice
    from trading_dag.settings import Settings

FRESHNESS_CHECK: Final = "freshness"
# What commands, pages and alerts show of a ticker. Their newest row is of the newest session, or they are computed from
# tables of which that is true; what is read only on the way there is as fresh as these are.
FRESH_TABLES: Final[tuple[Table, ...]] = (
    PRICES_DAILY, VOLATILITY_INDEX, CHAIN_ANALYTICS, FEATURE_TABLE, PREDICTIONS_REGIME,
    PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, PREDICTIONS_VOLATILITY_LEVEL, PREDICTIONS_PRICE,
    PREDICTIONS_ALLOCATION, PREDICTIONS_SPREAD, OPPORTUNITIES, RECOMMENDATION, PREDICTIONS_LOG,
    METRICS, EQUITY, SUMMARY, DRIFT, ACCURACY,
)  # fmt: skip
AGE_NAME: Final = "data age, sessions"


def freshness_spec(table: Table, partitions_def: dg.PartitionsDefinition | None) -> dg.AssetCheckSpec:
    """Return the check of a table."""
    return dg.AssetCheckSpec(
        name=FRESHNESS_CHECK,
        asset=dg.AssetKey([table.group, table.name]),
        description=(
            "The newest session is the one that is due: the last that has closed, once the time of day has come that "
            "TRADING_DAG_ALERTS__SIGNAL_BY names, before that the session before. It only warns."
        ),
        blocking=False,
        partitions_def=partitions_def,
    )


def data_through(
    declaration: Declaration, table: Table, frames: Mapping[str, pd.DataFrame], at: Slice
) -> pd.Timestamp | None:
    """Return the newest session that all reach from which a table without sessions was computed: tables that the same
    computation makes, and stored ones that it reads. None for a table with sessions, and for one that is not shown.
    """
    if table.session_column is not None or table not in FRESH_TABLES:
        return None
    dated = [other for other in declaration.tables if other.session_column and other in FRESH_TABLES]
    made = [frames[other.name][other.session_column].max() for other in dated]
    read = [] if made else [_stored(entry.table, at) for entry in declaration.reads.values()]
    return min((day for day in (*made, *read) if not pd.isna(day)), default=None)


def _stored(table: Table | None, at: Slice) -> pd.Timestamp | None:
    if table is None or table not in FRESH_TABLES:
        return None
    record = at.store.provenance(table, at.key.of_table(table))
    return None if record is None else record.newest_session


def age_of_record(record: Provenance | None, *, now: datetime, settings: Settings) -> DataAge | None:
    """Return how old a stored slice is; None where it has no rows for a reason of its own, such as a source that is
    off.

    Parameters
    ----------
    record : read from the footer of its file; None where nothing is stored.
    """
    if record is not None and record.newest_session is None:
        return None
    newest, source = (None, None) if record is None else (record.newest_session, record.source)
    return data_age(newest, now=now, settings=settings.alerts, source=source)


def freshness_evaluation(table: Table, age: DataAge | None, *, why_no_rows: str | None) -> dict[str, Any]:
    """Return the arguments that a result of the check and an evaluation of it have in common."""
    metadata: dict[str, Any] = {}
    if age is not None:
        metadata["session due"] = f"{age.due:%Y-%m-%d}"
        if age.last is not None:
            metadata |= {"newest session": f"{age.last:%Y-%m-%d}", AGE_NAME: age.behind}
    return {
        "asset_key": dg.AssetKey([table.group, table.name]),
        "check_name": FRESHNESS_CHECK,
        "passed": age is None or not age.is_stale,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": f"not examined: {why_no_rows or 'no rows'}" if age is None else age.in_words,
        "metadata": metadata,
    }


def freshness_results(made: Iterable[tuple[Table, Provenance]], settings: Settings) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of the check for each of the tables that are shown, of which one run has just made a slice."""
    now = pd.Timestamp.now("UTC").to_pydatetime()
    for table, record in made:
        if table in FRESH_TABLES:
            age = age_of_record(record, now=now, settings=settings)
            yield dg.AssetCheckResult(**freshness_evaluation(table, age, why_no_rows=record.source_off))
