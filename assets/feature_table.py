"""All features of a ticker side by side, joined from all the feature tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.errors import StorageError
from trading_dag.schemas import (
    ALL_FEATURES,
    CROSS_ASSET,
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR_TABLE,
    FEATURE_GROUPS,
    FEATURE_TABLE,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO_TABLE,
    OPTION_CHAIN_TABLE,
    REGIME,
    SENTIMENT,
    TECHNICAL,
    Table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_TICKER: Final[dict[str, Table]] = {
    "technical": TECHNICAL,
    "implied_volatility": IMPLIED_VOLATILITY,
    "sentiment": SENTIMENT,
    "earnings": EARNINGS_TABLE,
    "economic_calendar": ECONOMIC_CALENDAR_TABLE,
    "intraday": INTRADAY,
    "option_chain": OPTION_CHAIN_TABLE,
    "regime": REGIME,
    "cross_asset": CROSS_ASSET,
}


def _missing_data(at: Slice, features: pd.DataFrame) -> dict[str, Any]:
    """Return which columns are missing or thin; the picture is drawn when other columns are present than before."""
    least = at.settings.walk_forward.minimum_presence
    presence = features[list(ALL_FEATURES)].notna().mean()
    absent = [str(name) for name in presence.index[~(presence > 0.0)]]
    thin = [str(name) for name in presence.index[(presence > 0.0) & (presence < least)]]
    described: dict[str, Any] = {
        "columns never present": f"{len(absent)}: {', '.join(absent)}",
        f"columns present in less than {least:.0%} of the sessions": f"{len(thin)}: {', '.join(thin)}",
    }
    # A new session changes nothing that one could see in the picture, which takes 0.4 s to draw.
    if _stored_features(at) != set(ALL_FEATURES) - set(absent):
        described["missing data"] = picture(_missing_data_figure(features, presence, title=at.ticker))
    return described


def _stored_features(at: Slice) -> set[str]:
    try:
        return set(ALL_FEATURES) & at.store.present_columns(FEATURE_TABLE, at.key)
    except StorageError:
        return set()  # what cannot be read is about to be replaced


def _missing_data_figure(features: pd.DataFrame, presence: pd.Series, *, title: str) -> Figure:
    from trading_dag.features.missing_values import presence_by_group
    from trading_dag.plots.missing import missing_data

    by_group = presence_by_group(features.set_index("session")[list(ALL_FEATURES)], FEATURE_GROUPS)
    complete, never = int((presence == 1.0).sum()), int((presence == 0.0).sum())
    count = f"{len(ALL_FEATURES)} features, together where they come and go together: {complete} complete, "
    return missing_data(by_group, f"{title} · feature_table", count=f"{count}{never} never there")


@table_asset(
    FEATURE_TABLE,
    reads={**_OF_TICKER, "macro": Read(MACRO_TABLE, same_source_as="technical")},
    code_version="4",
    probe=Probe(dict.fromkeys((*_OF_TICKER, "macro"), "session")),
    describe=_missing_data,
)
def feature_table(
    at: Slice, technical: pd.DataFrame, implied_volatility: pd.DataFrame, macro: pd.DataFrame, **others: pd.DataFrame
) -> pd.DataFrame:
    """All feature tables of the ticker are joined by session. Columns never disappear: what the source does not offer
    is NULL."""
    from trading_dag.features.feature_table import build_feature_table

    return build_feature_table(technical, implied_volatility, macro, **others)


DECLARATIONS: Final[tuple[Declaration, ...]] = (feature_table,)
