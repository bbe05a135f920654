"""Raw tables: what the source returned, merged into what is already stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Fetch, Result, Slice, table_asset
from resources.left_out import LEFT_OUT
from resources.storage.parquet_store import ASKED_AT_ATTRIBUTE
from trading_dag.quality.casting import cast_frame
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
    Table,
)

RESTATEMENTS_SHOWN: Final = 50
# The source that is asked about the present: what it did not have when asked was not known here. Rows of a file, a
# sample or a simulation say themselves when they were known.
ASKED_NOW: Final = "live"


def kept_while_off(table: Table, *, stored: pd.DataFrame, fresh: pd.DataFrame) -> Result:
    """Return what is stored while its source is switched off; where nothing is stored, no rows and the reason."""
    if stored.empty:
        return Result({table.name: fresh}, source_off=fresh.attrs["source_off"])
    return Result({table.name: stored})


def load_incrementally(at: Slice, table: Table, fetch: Callable[[pd.Timestamp | None], pd.DataFrame]) -> Result:
    """Fetch from the last stored session (with an overlap) and merge; refetch all where the base has moved.

    A source that is switched off leaves the stored rows as they are; where nothing is stored, the result is a typed
    frame without rows.

    Raises
    ------
    SourceMismatchError : where the stored rows come from another source.
    """
    from resources.merging.restatement import merge_history, overlap_start

    stored = at.store.read_or_empty(table, at.key)
    is_first = stored.empty
    since = None if is_first else overlap_start(stored, table=table, overlap_sessions=at.settings.http.overlap_sessions)
    fresh = fetch(since)
    if fresh.attrs.get("source_off"):
        return kept_while_off(table, stored=stored, fresh=fresh)
    fresh.attrs["source"] = at.source.name
    if cast_frame(fresh, table)[1]:
        # The frame does not have the table's shape, so there is nothing to merge: the checks refuse it by name.
        return Result({table.name: fresh}, left_out_of(fresh))
    merged = merge_history(stored, fresh, table=table)
    metadata: dict[str, Any] = {"appended rows": merged.appended, "restated values": len(merged.restated)}
    frame = merged.frame
    if merged.rebased:
        frame = fresh = fetch(None)
        metadata["base moved"] = "the vendor rebased the history (dividend or split); the slice was fetched anew"
    if len(merged.restated):
        metadata["restatements"] = _restatement_table(merged.restated)
    metadata.update(left_out_of(fresh))
    frame.attrs = {"source": at.source.name}
    return Result({table.name: frame}, metadata)


def load_events(at: Slice, table: Table, fetch: Callable[[pd.Timestamp | None], pd.DataFrame]) -> Result:
    """Fetch what is new, with an overlap, and merge it into what is stored; stored rows are never thrown away.

    What a vendor will not give again (snapshots, old articles) is kept for ever, unless the settings say how long.

    Raises
    ------
    SourceMismatchError : where the stored rows come from another source.
    PriceBaseError : where hourly bars differ from the stored ones by more than one split.
    """
    from resources.merging.event_history import fetch_start, keep_recent, merge_events

    stored, asked_before = at.store.read_or_empty(table, at.key), _asked_before(at, table)
    since = fetch_start(stored, table)
    asked_at = pd.Timestamp.now("UTC").as_unit("us")
    fresh = fetch(since)
    if fresh.attrs.get("source_off"):
        if not stored.empty and asked_before is not None:
            stored.attrs[ASKED_AT_ATTRIBUTE] = asked_before.isoformat()
        return kept_while_off(table, stored=stored, fresh=fresh)
    fresh.attrs["source"] = at.source.name
    if cast_frame(fresh, table)[1]:
        return Result({table.name: fresh}, left_out_of(fresh))
    merged = merge_events(
        stored,
        fresh,
        table=table,
        asked_at=asked_at,
        asked_before=asked_before if at.source.name == ASKED_NOW else None,
        since=since,
    )
    frame = keep_recent(merged.frame, table, days=at.settings.event_days, now=asked_at)
    frame.attrs = {"source": at.source.name, ASKED_AT_ATTRIBUTE: asked_at.isoformat()}
    metadata: dict[str, Any] = {
        "appended rows": merged.appended,
        "completed values": merged.completed,
        "restated values": len(merged.restated),
        "withdrawn rows": merged.withdrawn,
        "rows past their time": len(merged.frame) - len(frame),
    }
    if len(merged.restated):
        metadata["restatements"] = _restatement_table(merged.restated)
    metadata.update(left_out_of(fresh))
    if merged.base_factor != 1.0:
        metadata["base moved"] = f"stored prices were multiplied by {merged.base_factor:.6g}, as the vendor's were"
    return Result({table.name: frame}, metadata)


def left_out_of(fresh: pd.DataFrame) -> dict[str, Any]:
    """Return metadata about what the source left out of an answer: how many records, why, and where the first one
    was."""
    return {LEFT_OUT: fresh.attrs[LEFT_OUT]} if fresh.attrs.get(LEFT_OUT) else {}


def _asked_before(at: Slice, table: Table) -> pd.Timestamp | None:
    """Return when the source was last asked for the stored slice, or when the slice was written if that is not
    recorded."""
    recorded = at.store.provenance(table, at.key)
    return None if recorded is None else pd.Timestamp(recorded.asked_at or recorded.fetched_at)


def _restatement_table(restated: pd.DataFrame) -> dg.TableMetadataValue:
    shown = restated.head(RESTATEMENTS_SHOWN).astype(str)
    records = [dg.TableRecord({str(name): value for name, value in row.items()}) for row in shown.to_dict("records")]
    return dg.MetadataValue.table(records=records)


@table_asset(PRICES_DAILY, code_version="1", kinds={"parquet", "api"}, fetch=Fetch())
def prices_daily(at: Slice) -> Result:
    """Bars are fetched from the configured source and merged by session; restatements are recorded."""
    return load_incrementally(at, PRICES_DAILY, lambda since: at.source.prices_daily(at.ticker, since=since))


@table_asset(VOLATILITY_INDEX, code_version="1", kinds={"parquet", "api"}, fetch=Fetch())
def volatility_index(at: Slice) -> Result:
    """The index is VXN for QQQ, RVX for IWM, and VIX otherwise or where the ticker's own index is not available."""
    return load_incrementally(at, VOLATILITY_INDEX, lambda since: at.source.volatility_index(at.ticker, since=since))


@table_asset(MACRO, code_version="1", kinds={"parquet", "api"}, fetch=Fetch())
def macro(at: Slice) -> Result:
    """Values become visible on the session on which they were public, not on their reference date."""
    return load_incrementally(at, MACRO, lambda since: at.source.macro(since=since))


@table_asset(PRICES_HOURLY, code_version="2", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def prices_hourly(at: Slice) -> Result:
    """Bars are stored by their true start. Stored bars are kept, and divided when a split moves the vendor's base."""
    return load_events(at, PRICES_HOURLY, lambda since: at.source.prices_hourly(at.ticker, since=since))


@table_asset(NEWS, code_version="2", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def news(at: Slice) -> Result:
    """Each article is stored once, as it was first delivered, with the moment from which it could be read."""
    return load_events(at, NEWS, lambda since: at.source.news(at.ticker, since=since))


@table_asset(SOCIAL_MENTIONS, code_version="2", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def social_mentions(at: Slice) -> Result:
    """Each snapshot is stored once; no vendor delivers an old one again."""
    return load_events(at, SOCIAL_MENTIONS, lambda _: at.source.social_mentions(at.ticker))


@table_asset(NEWS_SENTIMENT, code_version="1", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def news_sentiment(at: Slice) -> Result:
    """Each snapshot is stored once; no vendor delivers an old one again. The table is read where ``sentiment_basis`` is
    ``vendor``."""
    return load_events(at, NEWS_SENTIMENT, lambda _: at.source.news_sentiment(at.ticker))


@table_asset(EARNINGS, code_version="2", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def earnings(at: Slice) -> Result:
    """Announcements are those of the ticker itself, or of a fund's heavy holdings. One that was moved or corrected
    stays in the table, marked as cancelled."""
    return load_events(at, EARNINGS, lambda since: at.source.earnings(at.ticker, since=since))


@table_asset(ECONOMIC_CALENDAR, code_version="3", kinds={"parquet", "api"}, fetch=Fetch(is_optional=True))
def economic_calendar(at: Slice) -> Result:
    """The table lists releases and decisions, past and scheduled, with the moment from which each date was known."""
    return load_events(at, ECONOMIC_CALENDAR, lambda since: at.source.economic_calendar(since=since))


DECLARATIONS: Final[tuple[Declaration, ...]] = (
    prices_daily,
    volatility_index,
    prices_hourly,
    news,
    social_mentions,
    news_sentiment,
    earnings,
    macro,
    economic_calendar,
)
