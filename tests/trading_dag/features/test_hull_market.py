"""Features and labels of the Hull Tactical data never meet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.hull_market import build_hull_market, hull_features, missing_by_family
from trading_dag.schemas import HULL_FEATURES, HULL_INTERACTIONS, HULL_LABELS, HULL_MARKET, HULL_MARKET_TABLE
from trading_dag.validation.lookahead import probe_lookahead


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


@pytest.mark.parametrize("label", HULL_LABELS)
def test_a_label_can_never_be_a_feature(label: str) -> None:
    assert HULL_MARKET.column(label).description.startswith("LABEL, never a feature")
    with pytest.raises(SchemaError, match="known only after the day"):
        hull_features(market(), ("E1", label))


def test_what_is_neither_is_refused_and_so_are_days_that_come_twice() -> None:
    with pytest.raises(SchemaError, match="is no feature"):
        hull_features(market(), ("E99",))
    with pytest.raises(SchemaError, match="comes once"):
        hull_features(pd.concat([market(), market()]))
    with pytest.raises(SchemaError, match="is missing"):
        hull_features(market().drop(columns="E1"))


def many_days(rows: int = 120) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    frame = pd.DataFrame({name: generator.normal(size=rows) for name in HULL_MARKET.column_names})
    frame["date_id"] = np.arange(rows)
    return frame.mask(pd.DataFrame(generator.random(frame.shape) < 0.2, columns=frame.columns).assign(date_id=False))


def test_the_interaction_terms_are_those_worked_out_by_hand() -> None:
    day = {"I1": 0.5, "I2": -1.0, "I7": 2.0, "I9": 5.0, "M11": 3.0, "V1": 0.25, "S1": -2.0}
    row = build_hull_market(market().assign(**day)).iloc[0]
    assert row["i2_minus_i1"] == -1.5
    assert row["m11_over_mean_rate"] == 1.5  # 3 / ((−1 + 2 + 5) / 3)
    assert row["v1_times_s1"] == -0.5
    assert row["m11_times_v1"] == 0.75
    assert row["i9_times_s1"] == -10.0


def test_nothing_is_filled_in_and_a_missing_feature_makes_its_terms_missing() -> None:
    raw = many_days()
    built = build_hull_market(raw)
    assert tuple(built.columns) == HULL_MARKET_TABLE.column_names
    pd.testing.assert_frame_equal(built[list(HULL_FEATURES)], raw[list(HULL_FEATURES)])
    of_the_mean = raw[["I2", "I7", "I9", "M11"]].isna().any(axis=1)
    pd.testing.assert_series_equal(built["m11_over_mean_rate"].isna(), of_the_mean, check_names=False)
    assert 0 < of_the_mean.sum() < len(raw)


def test_a_mean_of_zero_gives_no_ratio_and_not_infinity() -> None:
    row = build_hull_market(market().assign(I2=1.0, I7=1.0, I9=-2.0)).iloc[0]
    assert np.isnan(row["m11_over_mean_rate"])


def test_no_rows_give_the_columns_of_the_table() -> None:
    built = build_hull_market(market().iloc[:0])
    assert tuple(built.columns) == HULL_MARKET_TABLE.column_names
    assert built.empty


def test_labels_change_no_feature_and_no_later_day_changes_an_earlier_one() -> None:
    raw = many_days()
    other = raw.assign(**dict.fromkeys(HULL_LABELS, 99.0))
    pd.testing.assert_frame_equal(build_hull_market(other), build_hull_market(raw))
    found = probe_lookahead(
        lambda market: build_hull_market(market), {"market": raw}, time_columns={"market": "date_id"},
        table="features.hull_market", row_column="date_id",
    )  # fmt: skip
    assert found == []


def test_a_term_that_looks_a_day_ahead_is_caught_on_days_by_number() -> None:
    def leaks(market: pd.DataFrame) -> pd.DataFrame:
        built = build_hull_market(market)
        return built.assign(i2_minus_i1=built["I2"].shift(-1) - built["I1"])

    found = probe_lookahead(
        leaks, {"market": many_days()}, time_columns={"market": "date_id"}, table="x", row_column="date_id"
    )
    assert {violation.feature for violation in found} == {"i2_minus_i1"}


def test_missing_values_are_counted_by_letter() -> None:
    raw = market().assign(D1=[np.nan, 1.0], S3=np.nan, S4=np.nan)
    shares = missing_by_family(raw)
    assert shares["D"] == pytest.approx(1 / 18)
    assert shares["S"] == pytest.approx(2 / 12)
    assert {letter for letter, share in shares.items() if share == 0.0} == {"E", "I", "M", "P", "V"}


def test_every_interaction_is_said_in_the_letters_of_the_publisher() -> None:
    assert set(HULL_INTERACTIONS) == set(HULL_MARKET_TABLE.column_names) - {"date_id", *HULL_FEATURES}
