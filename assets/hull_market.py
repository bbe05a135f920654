"""The data of the Hull Tactical competition: the user's file as it is, and features with interaction terms.

The data belong to no ticker and to no exchange session: days are numbered. The values that replace missing ones are
fitted inside the folds of a model and are not stored here.
"""

from __future__ import annotations

from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Fetch, Probe, Result, Slice, table_asset
from assets.declare.pictures import picture
from assets.raw import kept_while_off, left_out_of
from trading_dag.schemas import HULL_MARKET, HULL_MARKET_TABLE


@table_asset(
    HULL_MARKET,
    code_version="1",
    kinds={"parquet"},
    fetch=Fetch(is_optional=True, state_of=lambda source: str(source.hull.state())),
)
def hull_market(at: Slice) -> Result:
    """The file is read again when it is not the one that is stored, and then replaces it whole; changes are counted."""
    stored = at.store.read_or_empty(HULL_MARKET, at.key)
    fresh = at.source.hull.market()
    if fresh.attrs.get("source_off"):
        return kept_while_off(HULL_MARKET, stored=stored, fresh=fresh)
    changes = _changes(stored, fresh)
    described = {**changes, **_described(fresh), **left_out_of(fresh)}
    if any(changes.values()):
        described["missing data"] = _missing_data(fresh)
    return Result({HULL_MARKET.name: fresh}, described)


def _changes(stored: pd.DataFrame, fresh: pd.DataFrame) -> dict[str, int]:
    old, new = (frame.set_index("date_id") for frame in (stored, fresh))
    before, after = old.loc[old.index.intersection(new.index)], new.loc[new.index.intersection(old.index)]
    is_same = (before == after) | (before.isna() & after.isna())
    return {
        "appended rows": len(new) - len(after),
        "restated values": int((~is_same).to_numpy().sum()),
        "withdrawn rows": len(old) - len(before),
    }


def _described(market: pd.DataFrame) -> dict[str, Any]:
    """Return the extent of the data, and how much of it is missing."""
    from trading_dag.features.hull_market import missing_by_family

    shares = missing_by_family(market)
    records = [dg.TableRecord({"family": letter, "share missing": round(share, 4)}) for letter, share in shares.items()]
    return {
        "rows": len(market),
        "first day": int(market["date_id"].min()),
        "last day": int(market["date_id"].max()),
        "missing by family": dg.MetadataValue.table(records),
    }


def _missing_data(market: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Draw what is missing when; only for data that changed, because it takes a second."""
    from trading_dag.features.hull_market import hull_features
    from trading_dag.features.missing_values import presence_by_block
    from trading_dag.plots.missing import missing_data

    return picture(missing_data(presence_by_block(hull_features(market)), HULL_MARKET.name))


@table_asset(HULL_MARKET_TABLE, reads={"market": HULL_MARKET}, code_version="1", probe=Probe({"market": "date_id"}))
def hull_market_features(at: Slice, market: pd.DataFrame) -> pd.DataFrame:
    """Missing values stay missing: filling them with a median over all days would tell a fold what came after it."""
    from trading_dag.features.hull_market import build_hull_market

    return build_hull_market(market)


DECLARATIONS: Final[tuple[Declaration, ...]] = (hull_market, hull_market_features)
