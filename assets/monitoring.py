"""What the project monitors about itself: how far features drift from what the models were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import DRIFT, FEATURE_TABLE

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel


@table_asset(
    DRIFT,
    reads={"features": FEATURE_TABLE, "direction_classifier": Read(model="direction_classifier")},
    code_version="1",
    uses=("drift",),
)
def drift(at: Slice, features: pd.DataFrame, direction_classifier: StoredModel) -> pd.DataFrame:
    """One report per session is appended to the earlier ones, so that a policy can ask for consecutive breaches."""
    from trading_dag.drift.psi import drift_report

    live = direction_classifier.fitted.folds[-1]
    earlier = at.store.read_or_empty(DRIFT, at.key)
    if live.fitted_through is None or features.empty:
        return earlier
    report = drift_report(features, fitted_through=live.fitted_through, settings=at.settings.drift)
    report = report.assign(ticker=at.ticker, horizon=at.horizon.key)[list(DRIFT.column_names)]
    earlier_reports = earlier[~earlier["as_of_session"].isin(report["as_of_session"])]
    return pd.concat([earlier_reports, report], ignore_index=True) if len(earlier_reports) else report


DECLARATIONS: Final[tuple[Declaration, ...]] = (drift,)
