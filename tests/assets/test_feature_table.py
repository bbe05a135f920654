"""What the UI shows of the feature table: which columns are missing, drawn only where that is news."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.declare.declaration import Slice
from assets.feature_table import feature_table
from resources.sources.sample import SampleSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import ALL_FEATURES, FEATURE_GROUPS, FEATURE_TABLE
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings

SPX = SliceKey("SPX")
THIN = "columns present in less than 80% of the sessions"


def features(last: str = "2018-12-31") -> pd.DataFrame:
    """A table in which intraday features are never there and ``hv_120`` in half of the sessions."""
    sessions = sessions_between("2018-01-02", last)
    frame = pd.DataFrame({"ticker": "SPX", "session": sessions, **dict.fromkeys(ALL_FEATURES, 1.0)})
    frame["williams_r_14"] = -50.0
    frame[list(FEATURE_GROUPS["intraday"])] = np.nan
    frame.loc[: len(frame) // 2, "hv_120"] = np.nan
    return frame


@pytest.fixture
def at(tmp_path: Path) -> Slice:
    settings = Settings(_env_file=None, home=tmp_path)
    return Slice(SPX, settings, SampleSource(), ParquetStore(tmp_path))


def described(at: Slice, frame: pd.DataFrame) -> dict[str, object]:
    assert feature_table.describe is not None
    return feature_table.describe(at, frame)


def test_columns_that_are_never_there_and_thin_ones_are_named(at: Slice) -> None:
    told = described(at, features())
    assert told["columns never present"] == f"8: {', '.join(FEATURE_GROUPS['intraday'])}"
    assert told[THIN] == "1: hv_120"


def test_the_picture_is_drawn_at_first_and_where_other_columns_are_there_than_before(at: Slice) -> None:
    frame = features("2018-11-30")
    assert "data:image/png" in str(described(at, frame)["missing data"])
    at.store.write(FEATURE_TABLE, SPX, frame)
    assert "missing data" not in described(at, features())
    assert "missing data" in described(at, features().assign(hourly_rsi_14=50.0))
    assert "missing data" in described(at, features().assign(hv_120=np.nan))


def test_a_stored_table_that_cannot_be_read_stops_nothing(at: Slice) -> None:
    at.store.write(FEATURE_TABLE, SPX, features())
    at.store.path(FEATURE_TABLE, SPX).write_bytes(b"nothing of the kind")
    assert "missing data" in described(at, features())


def test_a_table_without_rows_has_a_picture_that_says_so(at: Slice) -> None:
    told = described(at, features().iloc[:0])
    assert str(told["columns never present"]).startswith(f"{len(ALL_FEATURES)}: ")
