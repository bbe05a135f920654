"""The preview of a table: its ends, its first columns, and nothing that would swell the event log."""

from __future__ import annotations

import json

import dagster as dg
import numpy as np
import pandas as pd

from resources.io_managers.preview import LONGEST_TEXT, MOST_COLUMNS, preview_of


def frame(rows: int, columns: int = 2) -> pd.DataFrame:
    return pd.DataFrame({f"c{n}": np.arange(rows, dtype="float64") + n for n in range(columns)})


def shown(table: pd.DataFrame) -> list[dict[str, object]]:
    return [dict(record.data) for record in preview_of(table).records]


def test_the_first_and_last_three_rows_are_shown_with_their_places() -> None:
    assert [row["row"] for row in shown(frame(2_000))] == ["0", "1", "2", "1,997", "1,998", "1,999"]
    assert [row["c1"] for row in shown(frame(2_000))] == ["1", "2", "3", "1998", "1999", "2000"]
    assert [row["row"] for row in shown(frame(6))] == ["0", "1", "2", "3", "4", "5"]
    assert shown(frame(0)) == []


def test_a_wide_table_says_how_many_columns_are_left_out() -> None:
    (first, *_) = shown(frame(10, columns=240))
    assert list(first) == ["row", *(f"c{n}" for n in range(MOST_COLUMNS)), "and 228 more columns"]


def test_values_are_short_texts_days_have_no_hours_and_what_is_missing_is_a_dash() -> None:
    (row,) = shown(
        pd.DataFrame(
            {
                "session": pd.to_datetime(["2024-01-02"]),
                "known_at": pd.to_datetime(["2024-01-02 16:00"]).tz_localize("UTC"),
                "close": [1 / 3],
                "volume": [np.nan],
                "headline": ["a\x1b[2J" + "b" * 500],
            }
        )
    )
    assert row["session"] == "2024-01-02"
    assert row["known_at"] == "2024-01-02 16:00:00+00:00"
    assert row["close"] == "0.333333"
    assert row["volume"] == "–"
    assert str(row["headline"]).startswith("a\\x1b[2Jbb")
    assert len(str(row["headline"])) == LONGEST_TEXT


def test_a_preview_takes_little_room_in_the_event_log_and_comes_back_from_it() -> None:
    value = preview_of(frame(5_000, columns=300))
    packed = dg.serialize_value(value)
    assert len(packed) < 8_000
    assert dg.deserialize_value(packed, dg.TableMetadataValue) == value
    assert json.loads(packed)
