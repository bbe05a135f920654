"""An input that ends is named with its last day, and with what that costs."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from trading_dag.reporting.input_ends import INPUT_ENDS_SQL, input_end_lines, input_ends
from trading_dag.schemas import MACRO_FEATURES
from trading_dag.schemas.feature_names import ALL_FEATURES, FEATURE_GROUPS
from trading_dag.sessions import sessions_between

DAYS = sessions_between("2024-06-03", "2024-08-30")


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """One ticker whose every feature but those of chains has a value in each session."""
    values = {name: float("nan") if name in FEATURE_GROUPS["option_chain"] else 1.0 for name in ALL_FEATURES}
    features = pd.DataFrame({"ticker": "SPY", "session": DAYS, **values})
    forecasts = pd.DataFrame({"ticker": "SPY", "horizon": "24h", "session": DAYS, "is_baseline": False})
    return {"features.feature_table": features, "predictions.direction": forecasts}


def ends_of(tables: dict[str, pd.DataFrame]) -> list[dict[str, object]]:
    with duckdb.connect() as connection:
        for name, frame in tables.items():
            schema, table = name.split(".")
            connection.register(f"frame_{table}", frame)
            connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {name} AS FROM frame_{table}")
        return input_ends(connection.execute(INPUT_ENDS_SQL, [["SPY"], ["24h"]]).df())


def test_nothing_is_said_where_all_goes_on_and_of_what_never_was(tables: dict[str, pd.DataFrame]) -> None:
    assert ends_of(tables) == []


def test_macro_data_that_end_in_july_are_named_with_what_that_costs(tables: dict[str, pd.DataFrame]) -> None:
    features, forecasts = tables["features.feature_table"], tables["predictions.direction"]
    features.loc[features["session"] > "2024-07-12", list(MACRO_FEATURES)] = float("nan")
    tables["predictions.direction"] = forecasts[forecasts["session"] <= "2024-07-12"]
    ends = ends_of(tables)
    assert ends == [
        {
            "ticker": "SPY",
            "prices_until": "2024-08-30",
            "forecasts_until": "2024-07-12",
            "ended": [{"group": "macro", "until": "2024-07-12", "features": len(MACRO_FEATURES)}],
        }
    ]
    (line,) = input_end_lines(ends)
    assert f"macro on 2024-07-12 ({len(MACRO_FEATURES)} features)" in line
    assert "forecasts and signals end on 2024-07-12" in line


def test_an_input_that_ends_without_stopping_the_forecasts_is_named_as_well(tables: dict[str, pd.DataFrame]) -> None:
    features = tables["features.feature_table"]
    features.loc[features["session"] > "2024-07-12", "news_buzz_score"] = float("nan")
    (line,) = input_end_lines(ends_of(tables))
    assert "sentiment on 2024-07-12 (1 features)" in line
    assert line.endswith("forecasts go on without them")


def test_a_gap_of_ten_sessions_is_no_end_and_one_of_eleven_is(tables: dict[str, pd.DataFrame]) -> None:
    features = tables["features.feature_table"]
    features.loc[features.index > features.index[-11], "sentiment_score"] = float("nan")
    assert ends_of(tables) == []
    features.loc[features.index > features.index[-12], "sentiment_score"] = float("nan")
    assert [entry["group"] for entry in ends_of(tables)[0]["ended"]] == ["sentiment"]  # type: ignore[attr-defined]


def test_forecasts_that_lag_without_a_missing_input_are_said(tables: dict[str, pd.DataFrame]) -> None:
    tables["predictions.direction"] = tables["predictions.direction"].iloc[:-3]
    (line,) = input_end_lines(ends_of(tables))
    assert "no input has ended; forecasts and signals end on 2024-08-27" in line
