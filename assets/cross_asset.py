"""Features that compare a ticker with named benchmarks. No other feature reads another ticker's slices."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Slice, table_asset
from resources.storage.parquet_store import SliceKey
from resources.storage.peers import benchmark_records
from trading_dag.schemas import CROSS_ASSET, PRICES_DAILY, TECHNICAL


def _benchmarks_at_hand(at: Slice, _: pd.DataFrame) -> dict[str, Any]:
    """Return which benchmarks are named, and which of them have no stored bars of this source."""
    named = at.settings.benchmark_tickers
    stored = benchmark_records(at.store, PRICES_DAILY, named, source=at.settings.source)
    missing = [ticker for ticker in named if SliceKey(ticker) not in stored]
    return {"benchmarks": ", ".join(named) or "none", "benchmarks not stored": ", ".join(missing) or "none"}


@table_asset(
    CROSS_ASSET,
    reads={
        "technical": Read(TECHNICAL, columns=("ticker", "session", "log_return_1d")),
        "benchmarks": Read(
            PRICES_DAILY,
            columns=("ticker", "session", "adj_close"),
            of_benchmarks=True,
            same_source_as="technical",
        ),
    },
    code_version="1",
    automation="eager_by_benchmark",
    probe=Probe({"technical": "session", "benchmarks": "session"}),
    uses=("benchmarks",),
    describe=_benchmarks_at_hand,
)
def cross_asset(at: Slice, technical: pd.DataFrame, benchmarks: pd.DataFrame) -> pd.DataFrame:
    """The ticker is compared with the benchmarks that the settings name, whatever else is in the universe. Where a
    benchmark is not stored, the features that need it are NULL and the gap is counted; they fill in once it is
    stored."""
    from trading_dag.features.cross_asset import build_cross_asset

    return build_cross_asset(technical, benchmarks, named=at.settings.benchmark_tickers)


DECLARATIONS: Final[tuple[Declaration, ...]] = (cross_asset,)
