"""Features and labels of the Hull Tactical data never meet."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.hull_market import hull_features, hull_labels
from trading_dag.schemas import HULL_FEATURES, HULL_LABELS, HULL_MARKET


def market() -> pd.DataFrame:
    columns = {name: [2.0, 1.0] for name in HULL_MARKET.column_names}
    return pd.DataFrame({**columns, "date_id": [1, 0]})


def test_there_are_94_features_in_seven_families_and_three_labels() -> None:
    families = pd.Series([name[0] for name in HULL_FEATURES]).value_counts().to_dict()
    assert families == {"E": 20, "M": 18, "P": 13, "V": 13, "S": 12, "D": 9, "I": 9}
    assert HULL_LABELS == ("forward_returns", "risk_free_rate", "market_forward_excess_returns")
    assert set(HULL_MARKET.column_names) == {"date_id", *HULL_FEATURES, *HULL_LABELS}


def test_features_are_by_day_and_hold_no_label() -> None:
    features = hull_features(market())
    assert list(features.index) == [0, 1]
    assert list(features["E1"]) == [1.0, 2.0]
    assert set(features.columns).isdisjoint(HULL_LABELS)
    assert list(hull_labels(market()).columns) == list(HULL_LABELS)


@pytest.mark.parametrize("label", HULL_LABELS)
def test_a_label_can_never_be_a_feature(label: str) -> None:
    assert HULL_MARKET.column(label).description.startswith("LABEL, never a feature")
    with pytest.raises(SchemaError, match="known only after the day"):
        hull_features(market(), ("E1", label))


def test_what_is_neither_is_refused_and_so_are_days_that_come_twice() -> None:
    with pytest.raises(SchemaError, match="is no feature"):
        hull_features(market(), ("E99",))
    with pytest.raises(SchemaError, match="comes once"):
        hull_labels(pd.concat([market(), market()]))
    with pytest.raises(SchemaError, match="is missing"):
        hull_features(market().drop(columns="E1"))
