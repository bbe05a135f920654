"""A copy of the volatility index that is a session late or early is caught by what FRED says a session later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.features.macro import build_macro
from trading_dag.frames import table_frame
from trading_dag.quality import QualityContext, examine
from trading_dag.quality.rules import Finding
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import FEATURE_TABLE
from trading_dag.sessions import sessions_between

RULE = "index_agrees_with_fred"
SESSIONS = sessions_between("2022-01-03", "2022-12-30")


def finding(index: pd.Series, fred: pd.Series, *, age: int = 1) -> Finding:
    """The verdict on an index by session; ``fred`` is by the session it is about, and known ``age`` sessions on."""
    frame = table_frame(
        FEATURE_TABLE,
        {"ticker": "SPY", "session": index.index, "vix_close": index.to_numpy()},
        rows=len(index),
    )
    known = fred.shift(age)
    macro = pd.DataFrame(
        {"session": known.index, "vix_fred": known.to_numpy(), "vix_fred_age_sessions": known.where(known.isna(), age)}
    )
    context = QualityContext(now_session=pd.Timestamp("2026-01-02"), macro=macro)
    return examine(FEATURE_TABLE, frame, context=context)[RULE]


def drawn() -> tuple[pd.Series, pd.Series]:
    """An index to the cent, and FRED's copy of it."""
    generator = np.random.default_rng(11)
    index = pd.Series(20 + generator.normal(size=len(SESSIONS)).cumsum() * 0.4, index=SESSIONS).round(2)
    return index, index.copy()


def late_from(index: pd.Series, start: int, *, by: int = 1, length: int | None = None) -> pd.Series:
    """The index with values of the session before, or after, from a row on."""
    stop = len(index) if length is None else start + length
    rows = np.arange(len(index))
    return index.where((rows < start) | (rows >= stop), index.shift(by))


def test_the_index_and_its_copy_at_fred_agree() -> None:
    assert finding(*drawn()).count == 0


@pytest.mark.parametrize(("shift", "word"), [(1, "late"), (-1, "early")])
def test_a_copy_that_is_a_session_off_is_refused_and_the_direction_named(shift: int, word: str) -> None:
    index, fred = drawn()
    found = finding(index.shift(shift), fred)
    assert found.count > 200
    assert f"a session {word}" in found.detail


@pytest.mark.parametrize(("by", "word"), [(1, "late"), (-1, "early")])
@pytest.mark.parametrize("length", [5, 8, 10])
def test_a_copy_that_is_off_for_a_week_in_mid_history_is_refused_there(by: int, word: str, length: int) -> None:
    index, fred = drawn()
    found = finding(late_from(index, 120, by=by, length=length), fred)
    assert f"a session {word}" in found.detail
    assert set(np.flatnonzero(found.mask)) <= set(range(120, 120 + length + 3))


@pytest.mark.parametrize("age", [1, 2, 3])
def test_a_fred_that_is_late_is_no_objection_to_an_index_that_is_not(age: int) -> None:
    assert finding(*drawn(), age=age).count == 0
    index, fred = drawn()
    assert "a session late" in finding(index.shift(1), fred, age=age).detail


def test_an_index_in_tenths_and_a_fred_that_ends_are_no_objection() -> None:
    index, fred = drawn()
    assert finding(index.round(1), fred).count == 0
    assert finding(index, fred.where(fred.index < "2022-06-01")).count == 0


def test_a_filled_hole_is_no_late_copy() -> None:
    index, fred = drawn()
    rows = np.arange(len(index))
    for length in (1, 2, 5, 10):
        assert finding(index.where((rows < 100) | (rows >= 100 + length)).ffill(), fred).count == 0


def test_a_relative_of_vix_is_held_against_its_moves() -> None:
    """As VXN or RVX: another level, the same moves. The turn repeats a close, and the moves come a session late."""
    generator = np.random.default_rng(7)
    moves = generator.normal(0.0, 0.06, len(SESSIONS))
    fred = pd.Series(20 * np.exp(moves.cumsum()), index=SESSIONS).round(2)
    own = generator.normal(0.0, 0.02, len(SESSIONS))
    relative = pd.Series(26 * np.exp((0.8 * moves + own).cumsum()), index=SESSIONS).round(2)
    assert (finding(relative, fred).count, finding(relative, fred).detail) == (0, "")
    assert "a session late" in finding(late_from(relative, 120), fred).detail


def test_an_index_that_is_no_relative_is_not_examined_and_the_rule_says_so() -> None:
    _, fred = drawn()
    other = pd.Series(20 + np.random.default_rng(5).normal(size=len(SESSIONS)).cumsum() * 0.4, index=SESSIONS)
    found = finding(other, fred)
    assert found.count == 0
    assert "not examined" in found.detail
    # That of a share goes with VIX, half as far, and closes where it closed before without being late.
    generator = np.random.default_rng(9)
    moves = generator.normal(0.0, 0.06, len(SESSIONS))
    fred = pd.Series(20 * np.exp(moves.cumsum()), index=SESSIONS)
    share = pd.Series(30 * np.exp((0.5 * moves + generator.normal(0.0, 0.02, len(SESSIONS))).cumsum()), index=SESSIONS)
    assert "not examined" in finding(share.where(np.arange(len(share)) % 20 > 0).ffill().bfill(), fred).detail


def test_an_index_without_anything_of_fred_is_not_examined() -> None:
    index, fred = drawn()
    assert "not examined" in finding(index, fred * np.nan).detail


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, pd.Series]:
    """VIX and VXN, filled as the features fill them, and VIXCLS, by exchange session."""
    sessions = sessions_between("1990-01-02", "2024-12-31")
    frames = pd.read_parquet(real_data / "volatility_index.parquet")
    macro = pd.read_parquet(real_data / "macro.parquet", filters=[("series_id", "==", "VIXCLS")])

    def of(rows: pd.DataFrame, day: str, value: str) -> pd.Series:
        return pd.Series(rows[value].to_numpy(), index=pd.to_datetime(rows[day])).reindex(sessions)

    found = {"VIXCLS": of(macro, "observation_date", "value")}
    for symbol in ("VIX", "VXN"):
        index = of(frames[frames["symbol"] == symbol], "session", "close").ffill(limit=10)
        found[symbol] = index.loc[index.first_valid_index() :]
    return found


@pytest.mark.files_data
@pytest.mark.parametrize(("ticker", "symbol"), [("SPY", "VIX"), ("QQQ", "VXN"), ("IWM", "VIX")])
def test_the_real_indices_raise_no_alarm_over_the_whole_history_of_a_fund(
    real: dict[str, pd.Series], real_data: Path, ticker: str, symbol: str
) -> None:
    prices = pd.read_parquet(real_data / "prices_daily.parquet", filters=[("ticker", "==", ticker)])
    sessions = pd.DatetimeIndex(pd.to_datetime(prices["session"])).as_unit("us")
    index = real[symbol].reindex(sessions[sessions >= real[symbol].index[0]])
    for age in (1, 2):
        found = finding(index, real["VIXCLS"], age=age)
        assert (found.count, found.detail) == (0, "")


@pytest.mark.files_data
def test_a_real_vix_that_turned_late_five_sessions_ago_is_refused(real: dict[str, pd.Series]) -> None:
    seen = []
    for end in range(300, len(real["VIX"]), 97):
        index, fred = (real[name].iloc[end - 300 : end] for name in ("VIX", "VIXCLS"))
        seen.append(finding(late_from(index, 295), fred).count > 0)
    # The other ends stand on a VIX that closed where it had closed before, which tells nothing.
    assert np.mean(seen) > 0.9
    march_2012 = real["VIX"].index.searchsorted(pd.Timestamp("2012-03-05"))
    assert finding(late_from(real["VIX"], int(march_2012), length=10), real["VIXCLS"]).count > 0


@pytest.mark.files_data
@pytest.mark.parametrize(("sessions", "least"), [(6, 0.8), (10, 0.9)])
def test_a_real_vxn_that_turned_late_is_refused_within_a_fortnight(
    real: dict[str, pd.Series], sessions: int, least: float
) -> None:
    seen = []
    for end in range(300, len(real["VXN"]), 74):
        index = real["VXN"].iloc[end - 300 : end]
        fred = real["VIXCLS"].reindex(index.index)
        assert finding(index, fred).count == 0
        seen.append(finding(late_from(index, 300 - sessions), fred).count > 0)
    assert np.mean(seen) > least


@pytest.mark.files_data
def test_the_rule_reads_what_the_macro_features_say_of_real_vixcls(real: dict[str, pd.Series]) -> None:
    index = real["VIX"].loc["2023":"2024"]
    fred = real["VIXCLS"].dropna().loc["2022-12":"2024"]
    days = pd.DatetimeIndex(fred.index).as_unit("us")
    macro = build_macro(
        pd.DataFrame(
            {"series_id": "VIXCLS", "observation_date": days, "known_on": known_on("VIXCLS", days), "value": fred}
        )
    )
    context = QualityContext(now_session=pd.Timestamp("2026-01-02"), macro=macro)
    for shown, is_refused in ((index, False), (late_from(index, 200, length=10), True)):
        values = {"ticker": "SPY", "session": index.index, "vix_close": shown.to_numpy()}
        frame = table_frame(FEATURE_TABLE, values, rows=len(index))
        found = examine(FEATURE_TABLE, frame, context=context)[RULE]
        assert "not examined" not in found.detail
        assert (found.count > 0) is is_refused


@pytest.mark.files_data
def test_a_real_vix_that_is_late_throughout_is_refused_throughout(real: dict[str, pd.Series]) -> None:
    assert finding(real["VIX"].shift(1), real["VIXCLS"]).count > 8_000
