"""Labels by hand: half days, holidays, daylight saving, missing bars, bands, and opens that are none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.labels import build_targets, open_is_previous_close
from trading_dag.schemas import TABLES
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.slices import HORIZONS

COLUMNS = TABLES["labels.targets"].column_names
THETA = {"12h": 0.003162278, "24h": 0.004472136, "48h": 0.006324555, "72h": 0.007745967, "96h": 0.008944272,
         "168h": 0.01}  # fmt: skip


def _prices(first: str, last: str, **columns: object) -> pd.DataFrame:
    sessions = sessions_between(first, last)
    close = 100.0 + np.arange(len(sessions))
    frame = pd.DataFrame({"ticker": "SPY", "session": sessions, "open": close - 0.25, "close": close})
    return frame.assign(high=close + 1, low=close - 1, adj_close=close * 0.9, volume=1e6).assign(**columns)


def _technical(prices: pd.DataFrame, hv_20: object = 16.0) -> pd.DataFrame:
    return prices[["ticker", "session"]].assign(hv_20=hv_20).astype({"hv_20": "float64"})


def _implied(prices: pd.DataFrame, iv_rank: object = 20.0) -> pd.DataFrame:
    columns = {"iv_rank": iv_rank, "vix_close": 18.0, "vix_filled_sessions": 0.0}
    return prices[["ticker", "session"]].assign(**columns).astype({"iv_rank": "float64"})


def _targets(prices: pd.DataFrame, key: str, *, hv_20: object = 16.0, iv_rank: object = 20.0) -> pd.DataFrame:
    horizon = HORIZONS[key]
    built = build_targets(prices, _technical(prices, hv_20), _implied(prices, iv_rank), horizon=horizon)
    return built.set_index("session", drop=False)


@pytest.mark.parametrize(
    ("key", "session", "target"),
    [
        ("12h", "2024-11-27", "2024-11-29"),  # the open of the half day after Thanksgiving
        ("24h", "2024-11-27", "2024-11-29"),  # its early close
        ("24h", "2024-11-29", "2024-12-02"),
        ("48h", "2024-11-26", "2024-11-29"),
        ("72h", "2024-11-26", "2024-12-02"),
        ("96h", "2024-11-26", "2024-12-03"),
        ("168h", "2024-11-22", "2024-12-02"),  # five sessions, not seven days
        ("24h", "2024-11-01", "2024-11-04"),  # the clocks go back on the 3rd
        ("24h", "2024-03-08", "2024-03-11"),  # and forward on the 10th
        ("12h", "2024-12-24", "2024-12-26"),  # over Christmas
        ("168h", "2024-06-14", "2024-06-24"),  # Juneteenth between
    ],
)
def test_the_target_is_counted_in_sessions_of_the_exchange(key: str, session: str, target: str) -> None:
    prices = _prices("2024-03-01", "2024-12-31")
    by_session = prices.set_index("session")
    row = _targets(prices, key).loc[session]
    expected = by_session.loc[target, "open" if key == "12h" else "close"]
    assert row["target_session"] == pd.Timestamp(target)
    assert row["target_price"] == expected
    assert row["forward_return"] == pytest.approx(expected / by_session.loc[session, "close"] - 1, rel=1e-12)


@pytest.mark.parametrize("key", list(HORIZONS))
def test_the_frame_has_the_columns_and_types_of_the_table(key: str) -> None:
    built = _targets(_prices("2024-03-01", "2024-12-31"), key).reset_index(drop=True)
    assert tuple(built.columns) == COLUMNS
    assert built["session"].dtype == built["target_session"].dtype == "datetime64[us]"
    for name in ("ticker", "horizon", "direction", "iv_regime", "spread_class"):
        assert built[name].dtype == "str"
    assert built["horizon"].eq(key).all()


@pytest.mark.parametrize(
    ("key", "open_ended"), [("12h", 1), ("24h", 1), ("48h", 2), ("72h", 3), ("96h", 4), ("168h", 5)]
)
def test_rows_end_where_the_future_is_not_there_yet(key: str, open_ended: int) -> None:
    prices = _prices("2024-11-01", "2024-11-29")
    assert _targets(prices, key)["session"].tolist() == prices["session"].tolist()[:-open_ended]


@pytest.mark.parametrize("key", list(HORIZONS))
def test_a_missing_bar_removes_the_rows_that_aim_at_it_and_moves_no_other(key: str) -> None:
    prices = _prices("2024-11-01", "2024-12-31")
    hole = pd.Timestamp("2024-12-03")
    whole = _targets(prices, key)
    holed = _targets(prices[prices["session"] != hole].reset_index(drop=True), key)
    expected = whole[(whole["target_session"] != hole) & (whole["session"] != hole)]
    pd.testing.assert_frame_equal(holed, expected)


def test_the_target_price_is_not_adjusted_for_dividends() -> None:
    prices = _prices("2024-11-01", "2024-12-31")
    built = _targets(prices, "24h")
    assert built["target_price"].tolist() == prices["close"].tolist()[1:]


@pytest.mark.parametrize("key", list(HORIZONS))
def test_the_dead_band_is_one_percent_a_week_scaled_by_the_root_of_time(key: str) -> None:
    theta = THETA[key]
    prices = _prices("2024-11-01", "2024-12-31")
    offset = HORIZONS[key].target_offset
    for moved, direction in (
        (theta * 1.0001, "UP"),
        (theta * 0.9999, "AMBIGUOUS"),
        (0.0, "AMBIGUOUS"),
        (-theta * 0.9999, "AMBIGUOUS"),
        (-theta * 1.0001, "DOWN"),
    ):
        changed = prices.assign(close=100.0, open=99.0)
        changed.loc[10 + offset, HORIZONS[key].target_field] = 100.0 * (1 + moved)
        assert _targets(changed, key)["direction"].iloc[10] == direction, moved


def test_a_move_of_exactly_the_dead_band_is_ambiguous() -> None:
    prices = _prices("2024-11-01", "2024-11-29").assign(open=100.0, close=100.0)
    prices.loc[6, "close"] = 101.0
    row = _targets(prices, "168h").iloc[1]
    assert row["forward_return"] == pytest.approx(0.01)
    assert row["direction"] == ("UP" if row["forward_return"] > 0.01 else "AMBIGUOUS")


@pytest.mark.parametrize(
    ("iv_rank", "regime"),
    [(0.0, "LOW"), (29.999, "LOW"), (30.0, "NORMAL"), (59.999, "NORMAL"), (60.0, "HIGH"), (100.0, "HIGH")],
)
@pytest.mark.parametrize("key", ["12h", "24h", "168h"])
def test_the_regime_is_the_band_of_iv_rank_at_the_target_sessions_close(key: str, iv_rank: float, regime: str) -> None:
    prices = _prices("2024-11-01", "2024-12-31")
    target = target_sessions(pd.DatetimeIndex(prices["session"][[3]]), HORIZONS[key])[0]
    ranks = np.where(prices["session"] == target, iv_rank, math.nan)
    built = _targets(prices, key, iv_rank=ranks)
    assert built["iv_regime"].iloc[3] == regime
    assert built["iv_regime"].drop(built.index[3]).isna().all()


@pytest.mark.parametrize(
    ("z", "expected"),
    [(0.501, "PUT_CREDIT"), (0.499, "HOLD"), (0.0, "HOLD"), (-0.499, "HOLD"), (-0.501, "CALL_CREDIT")],
)
@pytest.mark.parametrize(("key", "sessions"), [("12h", 0.5), ("24h", 1), ("96h", 4), ("168h", 5)])
def test_the_spread_class_compares_the_move_with_the_volatility_at_the_session(
    key: str, sessions: float, z: float, expected: str
) -> None:
    horizon = HORIZONS[key]
    prices = _prices("2024-11-01", "2024-12-31").assign(close=100.0, open=99.0)
    move = z * 0.18 * math.sqrt(sessions / 252)
    prices.loc[10 + horizon.target_offset, horizon.target_field] = 100 * (1 + move)
    hv_20 = np.where(prices.index == 10, 18.0, math.nan)
    built = _targets(prices, key, hv_20=hv_20)
    assert built["spread_class"].iloc[10] == expected
    assert built["spread_class"].drop(built.index[10]).isna().all()


def test_a_label_says_whose_options_its_regime_is_of_and_no_chain_makes_one() -> None:
    prices = _prices("2024-11-01", "2024-11-14")
    rows = np.arange(len(prices))
    implied = _implied(prices, np.where(rows == 6, math.nan, 20.0))
    implied = implied.assign(iv_source=np.where(rows < 5, "proxy_index", "index"))
    built = build_targets(prices, _technical(prices, 16.0), implied, horizon=HORIZONS["24h"])
    source = built.set_index("target_session")["iv_source"]
    sessions = prices["session"]
    assert source[sessions[4]] == "proxy_index"
    assert source[sessions[5]] == "index"
    assert pd.isna(source[sessions[6]])
    assert (built["iv_source"].isna() == built["iv_regime"].isna()).all()


def test_without_a_volatility_there_is_no_spread_class_but_a_row() -> None:
    prices = _prices("2024-11-01", "2024-12-31")
    for hv_20 in (0.0, math.nan):
        built = _targets(prices, "24h", hv_20=hv_20)
        assert built["spread_class"].isna().all()
        assert len(built) == len(prices) - 1


def test_rows_that_features_do_not_have_leave_nulls() -> None:
    prices = _prices("2024-11-01", "2024-12-31")
    built = build_targets(prices, _technical(prices).iloc[:0], _implied(prices).iloc[:0], horizon=HORIZONS["24h"])
    assert built[["iv_regime", "spread_class"]].isna().all(axis=None)
    assert built["direction"].notna().all()


def test_zero_rows_give_a_typed_frame_of_zero_rows() -> None:
    prices = _prices("2024-11-01", "2024-12-31").iloc[:0]
    built = build_targets(prices, _technical(prices), _implied(prices), horizon=HORIZONS["12h"])
    assert tuple(built.columns) == COLUMNS
    assert len(built) == 0
    assert built["session"].dtype == "datetime64[us]"


def test_a_session_that_is_none_is_an_error() -> None:
    prices = _prices("2024-11-01", "2024-11-29")
    prices.loc[0, "session"] = pd.Timestamp("2024-10-27")
    with pytest.raises(ValueError, match="2024-10-27"):
        _targets(prices, "24h")


def test_a_price_that_is_none_is_an_error_that_names_it() -> None:
    prices = _prices("2024-11-01", "2024-11-29")
    with pytest.raises(SchemaError, match="open is a positive, finite price"):
        _targets(prices.assign(open=prices["open"].where(prices.index != 2)), "12h")


# ------------------------------------------------------------------ opens that are no opens


def _stale(n_stale: int, n_true: int) -> pd.DataFrame:
    """Bars whose first opens are the previous close and whose later ones are not."""
    prices = _prices("2018-01-02", "2022-12-30").iloc[: n_stale + n_true].reset_index(drop=True)
    opens = prices["close"].shift(1).where(prices.index < n_stale, prices["open"])
    return prices.assign(open=opens.fillna(prices["open"]))


def test_a_window_with_more_than_half_stale_opens_has_no_overnight_label() -> None:
    prices = _stale(400, 400)
    verdict = open_is_previous_close(prices)
    same = (prices["open"] == prices["close"].shift(1)).to_numpy()
    expected = [np.mean(same[max(t - 251, 1) : t + 1]) > 0.5 for t in range(60, 800)]
    assert verdict.to_numpy()[60:].tolist() == expected
    assert verdict.to_numpy()[:60].all()
    built = _targets(prices, "12h")
    skipped = verdict.index[verdict]
    assert not built["target_session"].isin(skipped).any()
    assert len(built) == len(prices) - 1 - (len(skipped) - 1)


def test_stale_opens_leave_the_labels_at_the_close_alone() -> None:
    prices = _stale(400, 100)
    assert len(_targets(prices, "24h")) == len(prices) - 1


def test_a_history_too_short_for_a_verdict_keeps_its_rows() -> None:
    prices = _stale(40, 0)
    assert not open_is_previous_close(prices).any()
    assert len(_targets(prices, "12h")) == 39


def test_ordinary_opens_are_kept_from_the_first_row() -> None:
    prices = _prices("2018-01-02", "2020-12-31")
    assert not open_is_previous_close(prices).any()
    assert len(_targets(prices, "12h")) == len(prices) - 1


@pytest.mark.parametrize("name", ["sp500", "nasdaq"])
def test_the_sample_has_overnight_labels_only_where_its_opens_are_opens(name: str) -> None:
    import importlib

    bars = importlib.import_module(f"arch.data.{name}").load()
    prices = bars.reset_index().set_axis(["session", "open", "high", "low", "close", "adj_close", "volume"], axis=1)
    prices["session"] = prices["session"].astype("datetime64[us]")
    prices.insert(0, "ticker", "SPX")
    built = _targets(prices, "12h")
    same = (prices["open"] == prices["close"].shift(1)).groupby(prices["session"].dt.year).mean()
    stale = same.index[same > 0.9]
    genuine = same.index[same < 0.1]
    years = built["target_session"].dt.year
    # A year of stale opens stays within the trailing window of the year after it.
    assert not years.isin(stale).any()
    counted = years.value_counts()
    for year in genuine.difference(stale + 1):
        assert counted[year] >= len(sessions_between(f"{year}-01-01", f"{year}-12-31")) - 1
    if name == "sp500":
        assert set(range(1999, 2006)) <= set(stale)


# ------------------------------------------------------------------ properties and real data


@settings(max_examples=25, deadline=None)
@given(
    key=st.sampled_from(list(HORIZONS)),
    closes=st.lists(st.floats(50, 150), min_size=2, max_size=40),
    cut=st.integers(1, 40),
)
def test_more_history_adds_labels_and_changes_none(key: str, closes: list[float], cut: int) -> None:
    prices = _prices("2024-03-01", "2024-12-31").iloc[: len(closes)].assign(close=closes, open=closes[::-1])
    whole, part = _targets(prices, key), _targets(prices.iloc[:cut], key)
    # the regime of a 12h label needs the target's close, which is on the same bar as its open
    pd.testing.assert_frame_equal(part, whole[whole["target_session"].isin(prices["session"].iloc[:cut])])


@pytest.mark.files_data
@pytest.mark.parametrize("key", list(HORIZONS))
def test_labels_of_spy_are_the_bars_so_many_sessions_on(real_data: Path, key: str) -> None:
    prices = pd.read_parquet(real_data / "prices_daily.parquet")
    prices = prices[prices["ticker"] == "SPY"].reset_index(drop=True)
    prices["session"] = pd.to_datetime(prices["session"]).astype("datetime64[us]")
    built = _targets(prices, key).reset_index(drop=True)
    offset = HORIZONS[key].target_offset
    # SPY has no gap against the exchange's calendar, so sessions on are rows on.
    assert len(built) == len(prices) - offset
    field = prices["open" if key == "12h" else "close"].to_numpy()
    np.testing.assert_array_equal(built["target_price"], field[offset:])
    np.testing.assert_allclose(built["forward_return"], field[offset:] / prices["close"].to_numpy()[:-offset] - 1)
    reference = built[built["target_session"] == "2024-11-15"].iloc[0]
    if key != "12h":
        assert reference["target_price"] == pytest.approx(585.75)


def _regimes(index_close: pd.Series, published: pd.Series) -> pd.Series:
    """Labels of 24h by target session, of an index that is published on some sessions only."""
    prices = _prices("2022-01-03", "2024-06-28")
    sessions = pd.DatetimeIndex(prices["session"])
    index = pd.DataFrame({"ticker": "SPY", "session": sessions, "close": index_close.to_numpy(), "vix3m_close": np.nan})
    implied = build_implied_volatility(index[published.to_numpy()], _technical(prices))
    built = build_targets(prices, _technical(prices), implied, horizon=HORIZONS["24h"])
    return built.set_index("target_session")["iv_regime"]


def _index_of_sessions() -> tuple[pd.Series, pd.Series]:
    rows = len(_prices("2022-01-03", "2024-06-28"))
    return pd.Series(20.0 + 4.0 * np.sin(np.arange(rows) / 30)), pd.Series(True, index=range(rows))


def test_a_filled_index_becomes_no_outcome_neither_at_the_end_nor_in_a_hole() -> None:
    close, published = _index_of_sessions()
    whole = _regimes(close, published)
    gone = published.copy()
    gone.iloc[-8:], gone.iloc[400:403] = False, False
    found = _regimes(close, gone)
    assert whole.iloc[300:].notna().all()
    assert found.iloc[-8:].isna().all()
    assert found.iloc[399:402].isna().all()
    kept = found.notna()
    assert kept.sum() == whole.notna().sum() - 11
    assert found[kept].equals(whole[kept])


@pytest.mark.parametrize("factor", [1.6, 0.55])
def test_a_close_of_the_index_that_cannot_be_true_becomes_no_outcome_and_changes_no_other(factor: float) -> None:
    close, published = _index_of_sessions()
    whole = _regimes(close, published)
    wrong = close.copy()
    wrong.iloc[450] *= factor
    found = _regimes(wrong, published)
    assert pd.isna(found.iloc[449])
    assert found.drop(found.index[449]).equals(whole.drop(whole.index[449]))
