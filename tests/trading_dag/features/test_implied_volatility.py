"""Implied-volatility features against loops written from the definitions, on real and made-up indices."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.features.technical import build_technical
from trading_dag.schemas import IV_RANK_LAGS, TABLES
from trading_dag.sessions import sessions_between

TABLE = TABLES["features.implied_volatility"]
FEATURES = [name for name in TABLE.column_names if name not in ("ticker", "session", "iv_source")]


def _index(sessions: pd.DatetimeIndex, close: object, vix3m: object = math.nan) -> pd.DataFrame:
    frame = pd.DataFrame({"session": sessions, "close": close, "vix3m_close": vix3m})
    return frame.astype({"close": "float64", "vix3m_close": "float64"}).assign(ticker="SPY", symbol="VIX")


def _technical(sessions: pd.DatetimeIndex, hv_20: object = 15.0) -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": sessions, "hv_20": hv_20}).astype({"hv_20": "float64"})


@pytest.fixture(scope="module")
def random_case() -> tuple[pd.DataFrame, pd.DataFrame, list[float], list[float]]:
    sessions = sessions_between("2018-01-02", "2019-12-31")
    generator = np.random.default_rng(11)
    close = np.round(generator.gamma(8, 2, len(sessions)) + 9, 2)
    vix3m = close * generator.uniform(0.8, 1.2, len(sessions))
    hv_20 = generator.uniform(8, 30, len(sessions))
    built = build_implied_volatility(_index(sessions, close, vix3m), _technical(sessions, hv_20))
    return built, pd.DataFrame({"vix3m": vix3m, "hv": hv_20}), close.tolist(), vix3m.tolist()


def _rank(x: list[float], t: int) -> float:
    window = x[t - 251 : t + 1]
    return (x[t] - min(window)) / (max(window) - min(window)) * 100


@pytest.mark.parametrize("t", [271, 272, 350, 502])
def test_every_feature_follows_its_definition(
    random_case: tuple[pd.DataFrame, pd.DataFrame, list[float], list[float]], t: int
) -> None:
    built, inputs, x, vix3m = random_case
    at, hv = built.iloc[t], inputs["hv"].iloc[t]
    assert at["iv_rank"] == pytest.approx(_rank(x, t), rel=1e-12)
    below = sum(value < x[t] for value in x[t - 251 : t + 1])
    assert at["iv_percentile"] == pytest.approx(below / 252 * 100, rel=1e-12)
    assert at["iv_hv_spread"] == pytest.approx(x[t] - hv)
    assert at["iv_premium"] == float(x[t] > hv)
    assert at["vix_close"] == x[t]
    sma_10, sma_20 = (statistics.fmean(x[t - n + 1 : t + 1]) for n in (10, 20))
    assert at["vix_sma_10"] == pytest.approx(sma_10, rel=1e-12)
    assert at["vix_sma_20"] == pytest.approx(sma_20, rel=1e-12)
    assert at["vix_trend"] == pytest.approx(sma_10 - sma_20, abs=1e-10)
    assert at["vix_change_1d"] == pytest.approx(x[t] - x[t - 1], abs=1e-12)
    assert at["vix_change_5d"] == pytest.approx(x[t] - x[t - 5], abs=1e-12)
    assert at["vix_change_1d_pct"] == pytest.approx((x[t] - x[t - 1]) / x[t - 1] * 100, abs=1e-10)
    assert at["vix_change_5d_pct"] == pytest.approx((x[t] - x[t - 5]) / x[t - 5] * 100, abs=1e-10)
    last_60 = x[t - 59 : t + 1]
    z = (x[t] - statistics.fmean(last_60)) / statistics.stdev(last_60)
    assert at["vix_zscore"] == pytest.approx(z, rel=1e-9, abs=1e-12)
    assert at["vix_term_slope"] == pytest.approx(vix3m[t] - x[t], abs=1e-12)
    assert at["vix_term_ratio"] == pytest.approx(vix3m[t] / x[t], rel=1e-12)
    assert at["vix_contango"] == float(vix3m[t] > x[t])
    assert at["iv_rank_lag_5"] == pytest.approx(_rank(x, t - 5), rel=1e-12)
    assert at["iv_rank_lag_10"] == pytest.approx(_rank(x, t - 10), rel=1e-12)
    assert at["iv_rank_lag_20"] == pytest.approx(_rank(x, t - 20), rel=1e-12)
    assert at["iv_rank_change_5d"] == pytest.approx(_rank(x, t) - _rank(x, t - 5), abs=1e-10)
    assert at["iv_rank_change_10d"] == pytest.approx(_rank(x, t) - _rank(x, t - 10), abs=1e-10)
    assert at["vix_filled_sessions"] == 0


@pytest.mark.parametrize(
    ("rank", "regime"),
    [
        (0.0, "iv_regime_low"),
        (24.9, "iv_regime_low"),
        (25.0, "iv_regime_normal"),
        (49.9, "iv_regime_normal"),
        (50.0, "iv_regime_elevated"),
        (75.0, "iv_regime_high"),
        (100.0, "iv_regime_high"),
    ],
)
def test_exactly_one_regime_flag_is_up_and_bands_are_closed_below(rank: float, regime: str) -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")[:252]
    close = np.full(252, 20.0)
    close[0], close[1] = 10.0, 110.0
    close[-4:] = np.geomspace(20.0, 10.0 + rank, 4)  # an index does not halve in a session
    at = build_implied_volatility(_index(sessions, close), _technical(sessions)).iloc[-1]
    assert at["iv_rank"] == pytest.approx(rank, abs=1e-9)
    regimes = ["iv_regime_low", "iv_regime_normal", "iv_regime_elevated", "iv_regime_high"]
    assert [name for name in regimes if at[name] == 1.0] == [regime]


def test_a_zero_range_is_unknown_and_not_infinite() -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")[:300]
    built = build_implied_volatility(_index(sessions, 17.0), _technical(sessions))
    assert built[["iv_rank", "vix_zscore", "iv_regime_low", "iv_regime_high"]].isna().all(axis=None)
    assert built["iv_percentile"].iloc[-1] == 0.0


def test_a_gap_is_filled_for_ten_sessions_flagged_and_then_unknown() -> None:
    sessions = sessions_between("2024-01-02", "2024-12-31")
    gap = slice(100, 115)
    index = _index(sessions, 20.0 + np.arange(len(sessions)) * 0.1, 25.0).drop(index=range(100, 115))
    built = build_implied_volatility(index, _technical(sessions))
    assert built["vix_filled_sessions"].iloc[99] == 0
    assert built["vix_filled_sessions"].iloc[gap].tolist()[:10] == list(range(1, 11))
    assert built["vix_close"].iloc[100:110].eq(built["vix_close"].iloc[99]).all()
    assert built.iloc[110:115][["vix_close", "vix_filled_sessions", "vix_term_slope"]].isna().all(axis=None)
    assert built["vix_filled_sessions"].iloc[115] == 0
    assert built["vix_change_1d"].iloc[100] == 0.0
    assert math.isnan(built["vix_change_1d"].iloc[115])


def test_a_term_structure_is_of_one_session_or_unknown() -> None:
    """Three sessions without the three-month index, then three without the index itself, then two without either."""
    sessions = sessions_between("2024-01-02", "2024-06-28")
    x = 20.0 + np.arange(len(sessions)) * 0.1
    index = _index(sessions, x, x + 2.0)
    index.loc[50:52, "vix3m_close"] = np.nan
    index.loc[60:62, "close"] = np.nan
    index.loc[70:71, ["close", "vix3m_close"]] = np.nan
    built = build_implied_volatility(index, _technical(sessions))
    term = built[["vix_term_slope", "vix_term_ratio", "vix_contango"]]
    unknown = [*range(50, 53), *range(60, 63)]
    assert term.iloc[unknown].isna().all(axis=None)
    assert term.drop(index=unknown).notna().all(axis=None)
    np.testing.assert_allclose(term["vix_term_slope"].drop(index=unknown), 2.0, atol=1e-9)
    assert built["vix_filled_sessions"].iloc[60:63].tolist() == [1.0, 2.0, 3.0]
    assert built["vix_filled_sessions"].iloc[70:72].tolist() == [1.0, 2.0]


def test_a_value_published_on_an_exchange_holiday_is_left_out() -> None:
    sessions = sessions_between("2021-03-29", "2021-04-09")
    good_friday = pd.Timestamp("2021-04-02")
    assert good_friday not in sessions
    index = pd.concat(
        [_index(sessions, 18.0), _index(pd.DatetimeIndex([good_friday]), 99.0)], ignore_index=True
    ).sort_values("session", ignore_index=True)
    built = build_implied_volatility(index, _technical(sessions))
    assert built["vix_close"].eq(18.0).all()
    assert built["session"].tolist() == sessions.tolist()


def test_windows_reach_back_before_the_first_session_of_the_ticker() -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")
    x = (20 + 5 * np.sin(np.arange(len(sessions)) / 7)).tolist()
    listed_late = sessions[300:]
    built = build_implied_volatility(_index(sessions, x), _technical(listed_late))
    assert built["session"].tolist() == listed_late.tolist()
    assert built["iv_rank"].iloc[0] == pytest.approx(_rank(x, 300))
    assert built[list(IV_RANK_LAGS)].notna().all(axis=None)


def test_an_index_that_starts_late_leaves_earlier_rows_unknown() -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")
    built = build_implied_volatility(_index(sessions[200:], 20.0), _technical(sessions))
    assert built.iloc[:200][FEATURES].isna().all(axis=None)
    assert built["vix_close"].iloc[200:].notna().all()


def test_a_row_says_whether_its_index_is_of_the_tickers_own_options() -> None:
    sessions = sessions_between("2018-01-02", "2018-03-29")
    symbols = ["VIX"] * 20 + ["RVX"] * (len(sessions) - 20)
    index = _index(sessions, 20.0).assign(symbol=symbols).drop(index=[3, 4, *range(40, 52)])
    own = build_implied_volatility(index, _technical(sessions), own_index="RVX")["iv_source"]
    assert own.iloc[:20].tolist() == ["proxy_index"] * 20
    assert own.iloc[20:50].tolist() == ["index"] * 30  # filled as far as the index itself is
    assert own.iloc[50:52].isna().all()
    assert set(build_implied_volatility(index, _technical(sessions))["iv_source"].dropna()) == {"proxy_index"}
    nobody_says = build_implied_volatility(index.drop(columns="symbol"), _technical(sessions), own_index="VIX")
    assert nobody_says["iv_source"].isna().all()


def test_an_empty_index_gives_typed_rows_that_know_nothing() -> None:
    sessions = sessions_between("2018-01-02", "2018-03-29")
    built = build_implied_volatility(_index(sessions, 20.0).iloc[:0], _technical(sessions))
    assert tuple(built.columns) == TABLE.column_names
    assert len(built) == len(sessions)
    assert (built[FEATURES].dtypes == "float64").all()
    assert built[FEATURES].isna().all(axis=None)


def test_no_rows_of_the_ticker_give_zero_typed_rows() -> None:
    sessions = sessions_between("2018-01-02", "2018-03-29")
    built = build_implied_volatility(_index(sessions, 20.0), _technical(sessions).iloc[:0])
    assert tuple(built.columns) == TABLE.column_names
    assert (built[FEATURES].dtypes == "float64").all()
    assert built["session"].dtype == "datetime64[us]"
    assert len(built) == 0


def test_without_a_three_month_index_the_term_structure_is_unknown() -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")
    built = build_implied_volatility(_index(sessions, 20.0), _technical(sessions))
    assert built[["vix_term_slope", "vix_term_ratio", "vix_contango"]].isna().all(axis=None)


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.sampled_from([9.0, 12.5, 20.0, 80.0, math.nan]), min_size=260, max_size=300),
    cut=st.integers(255, 259),
)
def test_ranks_and_percentiles_are_bounded_and_do_not_depend_on_later_values(values: list[float], cut: int) -> None:
    sessions = sessions_between("2018-01-02", "2019-12-31")[: len(values)]
    index = _index(sessions, values).dropna(subset=["close"])
    built = build_implied_volatility(index, _technical(sessions))
    for name in ("iv_rank", "iv_percentile"):
        known = built[name].dropna()
        assert known.between(0, 100).all()
    day = sessions[cut]
    shorter = build_implied_volatility(index[index["session"] <= day], _technical(sessions[: cut + 1]))
    pd.testing.assert_frame_equal(built.iloc[: cut + 1], shorter, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda i: i.drop(columns="vix3m_close"), "missing: vix3m_close"),
        (lambda i: i.iloc[::-1], "ascend"),
        (lambda i: i.iloc[[0, 0, 1]], "none is repeated"),
    ],
)
def test_a_broken_index_is_refused_by_name(damage: Callable[[pd.DataFrame], pd.DataFrame], rule: str) -> None:
    sessions = sessions_between("2018-01-02", "2018-03-29")
    with pytest.raises(SchemaError, match=rule) as caught:
        build_implied_volatility(damage(_index(sessions, 20.0)), _technical(sessions))
    assert caught.value.table == "raw.volatility_index"


@pytest.mark.files_data
def test_the_reference_session_of_spy_has_the_published_values(
    vix_index: pd.DataFrame, spy_prices: pd.DataFrame
) -> None:
    built = build_implied_volatility(vix_index, build_technical(spy_prices)).set_index("session")
    at = built.loc["2024-11-15"]
    assert at["vix_close"] == 16.14
    assert at["vix_term_slope"] == pytest.approx(17.81 - 16.14)
    closes = vix_index.set_index("session")["close"].reindex(sessions_between("2023-01-01", "2024-11-15")).dropna()
    window = closes.iloc[-252:]
    assert at["iv_rank"] == pytest.approx((16.14 - window.min()) / (window.max() - window.min()) * 100)
    for column in TABLE.columns:
        if column.type == "float64":
            values = built[column.name].dropna()
            assert column.minimum is None or values.min() >= column.minimum, column.name
            assert column.maximum is None or values.max() <= column.maximum, column.name


@pytest.mark.files_data
def test_the_regime_persists_as_often_as_it_is_known_to(vix_index: pd.DataFrame, spy_prices: pd.DataFrame) -> None:
    # The contract's independent measurement: persistence 5 sessions on is right 0.774 of the time on pooled test
    # folds of SPY 2011–2024; over all sessions of those years it must come out near that.
    built = build_implied_volatility(vix_index, build_technical(spy_prices)).set_index("session")
    rank = built.loc["2011":"2024", "iv_rank"]
    regime = np.digitize(rank, [30, 60])
    assert float(np.mean(regime[5:] == regime[:-5])) == pytest.approx(0.774, abs=0.02)
