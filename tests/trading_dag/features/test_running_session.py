"""The session under way as features see it: its bar so far, what stands at the last close, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError, StaleSourceError
from trading_dag.features.running_session import (
    STANDING_GROUPS,
    bar_so_far,
    count_known,
    features_of_range,
    features_of_volume,
    filled_from_last_close,
    last_bar_ended,
    standing,
)
from trading_dag.features.technical import build_technical
from trading_dag.schemas import ALL_FEATURES, FEATURE_GROUPS, TECHNICAL_FEATURES
from trading_dag.sessions import session_open, sessions_between

SESSION = pd.Timestamp("2024-11-27").as_unit("us")
HALF_DAY = pd.Timestamp("2024-11-29").as_unit("us")
HOUR = pd.Timedelta(hours=1)


def prices(count: int = 3, *, before: pd.Timestamp = SESSION) -> pd.DataFrame:
    """Bars of the sessions before the running one; the dividend factor at the last is 0.9."""
    sessions = sessions_between("2020-01-02", before - pd.Timedelta(days=1))[-count:]
    draw = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0, 0.01, count)))
    spread = draw.uniform(0.001, 0.02, (2, count))
    return pd.DataFrame({
        "ticker": "SPY", "session": sessions, "open": close * draw.uniform(0.995, 1.005, count),
        "high": close * (1.01 + spread[0]), "low": close * (0.99 - spread[1]), "close": close,
        "adj_close": 0.9 * close, "volume": draw.uniform(1e6, 2e6, count), "split_factor": 1.0, "dividend": 0.0,
    })  # fmt: skip


def hours(count: int = 2, *, session: pd.Timestamp = SESSION) -> pd.DataFrame:
    """Hours of the running session: 100 → 101 → 103 → …, a high of 109 in the second, a low of 91 in the first."""
    opens = np.array([100.0, 101.0, 103.0, 102.0, 104.0, 105.0, 103.5])[:count]
    closes = np.array([101.0, 103.0, 102.0, 104.0, 105.0, 103.5, 106.0])[:count]
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    high[min(1, count - 1)], low[0] = 109.0, 91.0
    return pd.DataFrame({
        "ticker": "SPY", "ts": [session_open(session) + place * HOUR for place in range(count)],
        "open": opens, "high": high, "low": low, "close": closes, "volume": [1_000.0 * (n + 1) for n in range(count)],
    })  # fmt: skip


def test_the_bar_so_far_is_the_hours_combined_on_the_last_closes_base() -> None:
    row = bar_so_far(hours(3), prices(), session=SESSION).iloc[0]
    assert (row["open"], row["high"], row["low"], row["close"]) == (100.0, 109.0, 91.0, 102.0)
    assert row["volume"] == 6_000.0
    assert row["adj_close"] == pytest.approx(0.9 * 102.0)
    assert (row["split_factor"], row["dividend"], row["session"]) == (1.0, 0.0, SESSION)


def test_a_volume_that_one_hour_does_not_say_is_not_known() -> None:
    unsaid = hours(2)
    unsaid.loc[1, "volume"] = np.nan
    assert np.isnan(bar_so_far(unsaid, prices(), session=SESSION)["volume"].iloc[0])


def test_the_last_bar_ends_after_an_hour_or_with_the_session() -> None:
    assert last_bar_ended(hours(2), SESSION) == pd.Timestamp("2024-11-27 16:30", tz="UTC")
    assert last_bar_ended(hours(7), SESSION) == pd.Timestamp("2024-11-27 21:00", tz="UTC")
    assert last_bar_ended(hours(4, session=HALF_DAY), HALF_DAY) == pd.Timestamp("2024-11-29 18:00", tz="UTC")


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (hours(3).drop(index=1).reset_index(drop=True), "follow each other"),
        (hours(3).drop(index=0).reset_index(drop=True), "follow each other"),
        (hours(2)[::-1].reset_index(drop=True), "follow each other"),
        (pd.concat([hours(1), hours(1)], ignore_index=True), "follow each other"),
        (hours(2).assign(ticker="QQQ"), "are the ticker's"),
        (hours(2).iloc[:0], "are the ticker's"),
        (hours(2, session=HALF_DAY), "follow each other"),
    ],
)
def test_hours_that_are_no_running_session_are_refused(broken: pd.DataFrame, rule: str) -> None:
    with pytest.raises(SchemaError, match=rule):
        bar_so_far(broken, prices(), session=SESSION)


def test_stored_bars_that_end_earlier_are_refused_with_what_to_do() -> None:
    with pytest.raises(StaleSourceError, match=r"end with 2024-11-22, and the session before is 2024-11-26.*refresh"):
        bar_so_far(hours(), prices(before=pd.Timestamp("2024-11-25")), session=SESSION)


def changed_by(**factors: float) -> set[str]:
    """The technical features of the last session that move when its bar is changed by some factors."""
    bars = prices(400)
    moved = bars.copy()
    for name, factor in factors.items():
        moved.loc[moved.index[-1], name] *= factor
    before, after = (build_technical(frame).iloc[-1] for frame in (bars, moved))
    return {name for name in TECHNICAL_FEATURES if before[name] != after[name] and pd.notna(before[name])}


def test_what_reads_the_volume_is_what_moves_with_it() -> None:
    assert changed_by(volume=50.0) == features_of_volume()


def test_what_reads_the_range_is_what_moves_with_it_and_flags_that_need_not() -> None:
    found = changed_by(high=1.5, low=0.6)
    assert found <= features_of_range() | features_of_volume()
    assert features_of_range() - found <= {"near_high_52w", "near_low_52w"}


def test_a_standing_table_has_the_running_session_at_its_last_values() -> None:
    table = pd.DataFrame({"session": sessions_between("2024-11-25", "2024-11-26"), "value": [1.0, 2.0]})
    table.attrs["source"] = "files"
    stood = standing(table, SESSION)
    assert stood["session"].tolist() == [*table["session"], SESSION]
    assert stood["value"].tolist() == [1.0, 2.0, 2.0]
    assert stood.attrs == {"source": "files"}
    assert stood.dtypes.equals(table.dtypes)
    back = standing(stood.assign(value=[1.0, 2.0, 9.0], other=[1.0, 2.0, 9.0]), SESSION, ["value"])
    assert back["value"].tolist() == [1.0, 2.0, 2.0]
    assert back["other"].tolist() == [1.0, 2.0, 9.0]


def test_a_table_without_rows_stays_without() -> None:
    empty = pd.DataFrame({"session": sessions_between("2024-11-25", "2024-11-26")[:0], "value": []})
    assert standing(empty, SESSION).empty


def test_every_feature_is_counted_once_by_how_it_is_known() -> None:
    rows = pd.DataFrame(1.0, index=[0, 1], columns=list(ALL_FEATURES))
    computed = rows.assign(ticker="SPY", session=sessions_between("2024-11-26", "2024-11-27"))
    gaps = ["correlation_20_to_market", "beta_60_to_market"]
    computed.loc[1, gaps] = np.nan
    computed.loc[:, "sma_200"] = np.nan
    filled = filled_from_last_close(computed)
    assert filled.loc[1, gaps].tolist() == [1.0, 1.0]
    known = count_known(filled, computed)
    stands = sum(len(FEATURE_GROUPS[group]) for group in STANDING_GROUPS) + len(features_of_volume())
    assert (known.missing, known.at_last_close) == (1, stands + 2)
    assert known.so_far + known.at_last_close + known.missing == len(ALL_FEATURES)
    assert known.of_range == len(features_of_range())
