"""A copy of the volatility index that is a session late or early is caught by what FRED says a session later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.quality import QualityContext, examine
from trading_dag.quality.rules import Finding
from trading_dag.schemas import FEATURE_TABLE
from trading_dag.sessions import sessions_between
from trading_dag.table_frames import table_frame

RULE = "index_agrees_with_fred"
SESSIONS = sessions_between("2022-01-03", "2022-12-30")


def finding(index: pd.Series, fred: pd.Series) -> Finding:
    frame = table_frame(
        FEATURE_TABLE,
        {"ticker": "SPY", "session": index.index, "vix_close": index.to_numpy(), "vix_fred": fred.to_numpy()},
        rows=len(index),
    )
    return examine(FEATURE_TABLE, frame, context=QualityContext(now_session=pd.Timestamp("2026-01-02")))[RULE]


def drawn() -> tuple[pd.Series, pd.Series]:
    """An index to the cent, and FRED's copy of it, which becomes known a session later."""
    generator = np.random.default_rng(11)
    index = pd.Series(20 + generator.normal(size=len(SESSIONS)).cumsum() * 0.4, index=SESSIONS).round(2)
    return index, index.shift(1)


def test_the_index_and_its_copy_at_fred_agree() -> None:
    assert finding(*drawn()).count == 0


@pytest.mark.parametrize(("shift", "word"), [(1, "late"), (-1, "early")])
def test_a_copy_that_is_a_session_off_is_refused_and_the_direction_named(shift: int, word: str) -> None:
    index, fred = drawn()
    found = finding(index.shift(shift), fred)
    assert found.count > 200
    assert f"a session {word}" in found.detail


def test_a_copy_that_is_late_only_in_its_last_month_is_refused_there() -> None:
    index, fred = drawn()
    found = finding(index.where(index.index < "2022-12-01", index.shift(1)), fred)
    assert found.count
    assert not found.mask[: SESSIONS.searchsorted(pd.Timestamp("2022-12-01"))].any()


def test_another_index_is_not_examined_and_the_rule_says_so() -> None:
    index, fred = drawn()
    found = finding(index * 1.3, fred)
    assert found.count == 0
    assert "not examined" in found.detail


def test_an_index_without_anything_of_fred_is_not_examined() -> None:
    index, fred = drawn()
    assert "not examined" in finding(index, fred * np.nan).detail


def test_real_vix_agrees_with_real_vixcls_and_a_late_copy_of_it_does_not(real_data: Path) -> None:
    vix = pd.read_parquet(real_data / "volatility_index.parquet", filters=[("symbol", "==", "VIX")])
    fred = pd.read_parquet(real_data / "macro.parquet", filters=[("series_id", "==", "VIXCLS")])
    sessions = sessions_between("1990-01-02", "2024-12-31")
    index = vix.assign(session=pd.to_datetime(vix["session"])).set_index("session")["close"].reindex(sessions)
    dates = pd.to_datetime(fred["observation_date"])
    known = pd.Series(fred["value"].to_numpy(), index=dates).reindex(sessions).shift(1)
    assert finding(index.ffill(limit=10), known).count == 0
    assert finding(index.ffill(limit=10).shift(1), known).count > 8_000
