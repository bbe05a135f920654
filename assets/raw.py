"""Raw tables: what the source gave, merged into what is already stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declaration import Declaration, Result, Slice, table_asset
from resources.restatement import merge_history, overlap_start
from trading_dag.quality.casting import cast_frame
from trading_dag.schemas import MACRO, PRICES_DAILY, VOLATILITY_INDEX, Table

RESTATEMENTS_SHOWN: Final = 50


def load_incrementally(at: Slice, table: Table, fetch: Callable[[pd.Timestamp | None], pd.DataFrame]) -> Result:
    """Fetch from the last stored session (with an overlap) and merge; refetch all where the base has moved.

    A source that is switched off leaves what is stored as it is, and gives a typed frame without
    rows where nothing is.

    Raises
    ------
    SourceMismatchError : where the stored rows come from another source.
    """
    stored = at.store.read_or_empty(table, at.key)
    is_first = stored.empty
    since = None if is_first else overlap_start(stored, table=table, overlap_sessions=at.settings.http.overlap_sessions)
    fresh = fetch(since)
    off = fresh.attrs.get("source_off")
    if off:
        return Result({table.name: stored if not is_first else fresh}, source_off=off if is_first else None)
    fresh.attrs["source"] = at.source.name
    if cast_frame(fresh, table)[1]:
        # Not in the shape of the table, so nothing to merge: the checks refuse it by name.
        return Result({table.name: fresh})
    merged = merge_history(stored, fresh, table=table)
    metadata: dict[str, Any] = {"appended rows": merged.appended, "restated values": len(merged.restated)}
    frame = merged.frame
    if merged.rebased:
        frame = fetch(None)
        metadata["base moved"] = "the vendor rebased the history (dividend or split); the slice was fetched anew"
    if len(merged.restated):
        metadata["restatements"] = _restatement_table(merged.restated)
    frame.attrs = {"source": at.source.name}
    return Result({table.name: frame}, metadata)


def _restatement_table(restated: pd.DataFrame) -> dg.TableMetadataValue:
    shown = restated.head(RESTATEMENTS_SHOWN).astype(str)
    records = [dg.TableRecord({str(name): value for name, value in row.items()}) for row in shown.to_dict("records")]
    return dg.MetadataValue.table(records=records)


@table_asset(PRICES_DAILY, code_version="1", kinds=("parquet", "api"), automation="none", is_fetched=True)
def prices_daily(at: Slice) -> Result:
    """Fetched from the configured source, merged on the session; restatements are recorded."""
    return load_incrementally(at, PRICES_DAILY, lambda since: at.source.prices_daily(at.ticker, since=since))


@table_asset(VOLATILITY_INDEX, code_version="1", kinds=("parquet", "api"), automation="none", is_fetched=True)
def volatility_index(at: Slice) -> Result:
    """VXN for QQQ, RVX for IWM, VIX otherwise and wherever the own index is not to be had."""
    return load_incrementally(at, VOLATILITY_INDEX, lambda since: at.source.volatility_index(at.ticker, since=since))


@table_asset(MACRO, code_version="1", kinds=("parquet", "api"), automation="none", is_fetched=True)
def macro(at: Slice) -> Result:
    """Values become visible on the session on which they were public, not on their reference date."""
    return load_incrementally(at, MACRO, lambda since: at.source.macro(since=since))


DECLARATIONS: Final[tuple[Declaration, ...]] = (prices_daily, volatility_index, macro)
