"""What the scores of all slices say together: which verdicts survive the number of those that were looked for."""

from __future__ import annotations

from typing import Final

import dagster as dg
import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, table_asset
from trading_dag.schemas import METRICS, MULTIPLICITY, VOLATILITY_INDEX


@table_asset(
    MULTIPLICITY,
    reads={
        "metrics": Read(METRICS, of_all_slices=True),
        "indices": Read(VOLATILITY_INDEX, columns=("ticker", "symbol"), of_all_slices=True),
    },
    code_version="1",
    automation="eager_by_slices",
)
def multiplicity(at: Slice, metrics: pd.DataFrame, indices: pd.DataFrame) -> Result:
    """The p-values of every comparison that a task asks for, in every slice that was ever scored, are adjusted for
    their number after Benjamini and Hochberg; slices with the same rows count once."""
    from trading_dag.reporting.multiplicity_page import multiplicity_page
    from trading_dag.validation.verdicts.multiplicity import multiplicity

    named = indices.dropna().drop_duplicates("ticker", keep="last")
    index_of = dict(zip(named["ticker"], named["symbol"], strict=True))
    table = multiplicity(metrics, index_of=index_of)
    return Result({MULTIPLICITY.name: table}, {"verdicts": dg.MetadataValue.md(multiplicity_page(table))})


DECLARATIONS: Final[tuple[Declaration, ...]] = (multiplicity,)
