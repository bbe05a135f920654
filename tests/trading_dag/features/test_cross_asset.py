"""Cross-asset features: by definition, point in time, with benchmarks that lack closes, and without any."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.cross_asset import build_cross_asset
from trading_dag.features.formulas import FORMULAS, look_back_sessions
from trading_dag.features.technical import build_technical
from trading_dag.schemas import CROSS_ASSET, CROSS_ASSET_FEATURES
from trading_dag.validation.lookahead import probe_lookahead

NAMED = ("SPY", "QQQ", "IWM")
TO_MARKET = [name for name in CROSS_ASSET_FEATURES if name.endswith("_to_market")]
TO_PEERS = [name for name in CROSS_ASSET_FEATURES if name.endswith("_to_peers")]
COLUMNS = ["ticker", "session", "adj_close"]
Bars = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def bars(make_prices: Callable[..., pd.DataFrame]) -> Bars:
    """Four tickers whose returns share a common part."""
    common = make_prices(300, seed=3)["close"].to_numpy()
    made = {}
    for seed, ticker in enumerate((*NAMED, "XLK")):
        own = make_prices(300, seed=20 + seed)
        close = common ** (0.6 + 0.2 * seed) * np.sqrt(own["close"].to_numpy())
        made[ticker] = own.assign(ticker=ticker, open=close, high=close, low=close, close=close, adj_close=close)
    return made


def of(bars: Bars, *tickers: str) -> pd.DataFrame:
    return pd.concat([bars[ticker][COLUMNS] for ticker in tickers], ignore_index=True)


def features(bars: Bars, ticker: str, *stored: str, named: tuple[str, ...] = NAMED) -> pd.DataFrame:
    built = build_cross_asset(build_technical(bars[ticker]), of(bars, *(stored or NAMED)), named=named)
    return built.set_index("session")


def returns_of(bars: Bars, ticker: str, t: int, n: int) -> list[float]:
    closes = bars[ticker]["adj_close"].tolist()
    return [float(np.log(closes[row] / closes[row - 1])) for row in range(t - n + 1, t + 1)]


@pytest.mark.parametrize("t", [60, 61, 150, 299])
def test_every_feature_follows_its_definition(bars: Bars, t: int) -> None:
    at = features(bars, "XLK").iloc[t]
    for n in (20, 60):
        own, market = returns_of(bars, "XLK", t, n), returns_of(bars, "SPY", t, n)
        peers = [returns_of(bars, name, t, n) for name in NAMED]
        assert at[f"correlation_{n}_to_market"] == pytest.approx(statistics.correlation(own, market), rel=1e-9)
        assert at[f"relative_strength_{n}_to_market"] == pytest.approx(sum(own) - sum(market), abs=1e-12)
        mean = statistics.fmean(statistics.correlation(own, theirs) for theirs in peers)
        assert at[f"correlation_{n}_to_peers"] == pytest.approx(mean, rel=1e-9)
        beyond = sum(own) - statistics.fmean(sum(theirs) for theirs in peers)
        assert at[f"relative_strength_{n}_to_peers"] == pytest.approx(beyond, abs=1e-12)
    assert at["beta_60_to_market"] == pytest.approx(statistics.linear_regression(market, own).slope, rel=1e-9)
    spy, qqq, iwm = peers
    pairs = [statistics.correlation(spy, qqq), statistics.correlation(spy, iwm), statistics.correlation(qqq, iwm)]
    assert at["correlation_60_of_benchmarks"] == pytest.approx(statistics.fmean(pairs), rel=1e-9)
    assert (at["market"], at["benchmarks_missing"]) == ("SPY", 0.0)


def test_a_benchmark_is_compared_with_the_others_and_the_market_not_with_itself(bars: Bars) -> None:
    at = features(bars, "SPY").iloc[-1]
    assert at[TO_MARKET].isna().all()
    own, qqq, iwm = (returns_of(bars, name, 299, 60) for name in NAMED)
    mean = (statistics.correlation(own, qqq) + statistics.correlation(own, iwm)) / 2
    assert at["correlation_60_to_peers"] == pytest.approx(mean, rel=1e-9)
    assert at["correlation_60_of_benchmarks"] == features(bars, "QQQ")["correlation_60_of_benchmarks"].iloc[-1]
    assert features(bars, "QQQ")[TO_MARKET].iloc[-1].notna().all()


def test_the_stated_look_back_is_the_first_row(bars: Bars) -> None:
    built = features(bars, "XLK")
    first = {name: int(built[name].notna().to_numpy().argmax()) + 1 for name in CROSS_ASSET_FEATURES}
    assert first == {name: look_back_sessions(name) for name in CROSS_ASSET_FEATURES}
    assert set(CROSS_ASSET_FEATURES) <= set(FORMULAS)


def test_another_ticker_of_the_universe_changes_no_row_of_this_one(bars: Bars) -> None:
    pd.testing.assert_frame_equal(features(bars, "QQQ"), features(bars, "QQQ", *NAMED, "XLK"))


def test_a_benchmark_that_is_not_stored_makes_what_needs_it_null_and_is_counted(bars: Bars) -> None:
    built, whole = features(bars, "QQQ", "SPY", "QQQ"), features(bars, "QQQ")
    assert built[[*TO_PEERS, "correlation_60_of_benchmarks"]].isna().all(axis=None)
    assert (built["benchmarks_missing"].iloc[1:] == 1.0).all()
    pd.testing.assert_frame_equal(built[TO_MARKET], whole[TO_MARKET])


def test_no_benchmark_at_all_gives_typed_rows_that_know_nothing(bars: Bars) -> None:
    nothing = of(bars, "SPY").iloc[:0]
    for named in (NAMED, ()):
        built = build_cross_asset(build_technical(bars["XLK"]), nothing, named=named)
        assert tuple(built.columns) == CROSS_ASSET.column_names
        assert (built[list(CROSS_ASSET_FEATURES)].dtypes == "float64").all()
        assert built[list(CROSS_ASSET_FEATURES)].isna().all(axis=None)
        assert (built["benchmarks_missing"].iloc[1:] == float(len(named))).all()


def test_a_missing_close_of_a_benchmark_is_unknown_for_as_long_as_a_window_holds_it(bars: Bars) -> None:
    gap = {**bars, "SPY": bars["SPY"].drop(index=150)}
    built = features(gap, "QQQ")["correlation_20_to_market"]
    missing = np.flatnonzero(built.isna().to_numpy())
    # Without the close of row 150 the returns of rows 150 and 151 are unknown.
    assert missing.tolist() == [*range(20), *range(150, 171)]
    assert features(gap, "QQQ")["benchmarks_missing"].iloc[149:153].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_session_that_the_ticker_lacks_is_spanned_by_both_returns(bars: Bars) -> None:
    shorter = {**bars, "XLK": bars["XLK"].drop(index=150).reset_index(drop=True)}
    built = features(shorter, "XLK")
    assert built["correlation_60_to_market"].iloc[60:].notna().all()
    closes = [bars[name]["adj_close"].to_numpy() for name in ("XLK", "SPY")]
    span = [float(np.log(close[160] / close[139])) for close in closes]
    at = built.loc[bars["XLK"]["session"][160], "relative_strength_20_to_market"]
    assert at == pytest.approx(span[0] - span[1], abs=1e-12)


def test_prices_that_stand_still_have_no_correlation_and_no_beta(bars: Bars) -> None:
    still = {**bars, "SPY": bars["SPY"].assign(adj_close=100.0)}
    built = features(still, "QQQ")
    assert built[["correlation_20_to_market", "correlation_60_to_market", "beta_60_to_market"]].isna().all(axis=None)
    assert built["relative_strength_20_to_market"].iloc[20:].notna().all()


def test_a_ticker_that_moves_as_the_market_does_has_a_correlation_of_exactly_1_at_most(bars: Bars) -> None:
    twin = {**bars, "QQQ": bars["SPY"].assign(ticker="QQQ")}
    built = features(twin, "QQQ").iloc[60:]
    assert built["correlation_60_to_market"].max() <= 1.0
    np.testing.assert_allclose(built["correlation_60_to_market"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(built["beta_60_to_market"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(built["relative_strength_60_to_market"], 0.0, atol=1e-13)


def test_a_later_dividend_changes_no_earlier_row(bars: Bars) -> None:
    rebased = {**bars, "SPY": bars["SPY"].assign(adj_close=bars["SPY"]["adj_close"] * 0.97)}
    pd.testing.assert_frame_equal(features(bars, "QQQ"), features(rebased, "QQQ"), rtol=1e-9)


def test_zero_and_few_rows_give_typed_frames(bars: Bars) -> None:
    technical = build_technical(bars["QQQ"])
    for rows in (0, 1, 5, 20):
        built = build_cross_asset(technical.iloc[:rows], of(bars, *NAMED), named=NAMED)
        assert len(built) == rows
        assert built[list(CROSS_ASSET_FEATURES)].isna().all(axis=None)


def test_a_benchmark_with_a_repeated_session_is_refused(bars: Bars) -> None:
    twice = pd.concat([of(bars, *NAMED), of(bars, "SPY").iloc[[7]]], ignore_index=True)
    with pytest.raises(SchemaError, match=r"sessions ascend and none is repeated"):
        build_cross_asset(build_technical(bars["QQQ"]), twice, named=NAMED)


def _probe(technical: pd.DataFrame, benchmarks: pd.DataFrame, *, leak: int = 0) -> list[Any]:
    def build(technical: pd.DataFrame, benchmarks: pd.DataFrame) -> pd.DataFrame:
        built = build_cross_asset(technical, benchmarks, named=NAMED)
        return built.assign(beta_60_to_market=built["beta_60_to_market"].shift(-leak))

    times = {"technical": "session", "benchmarks": "session"}
    inputs = {"technical": technical, "benchmarks": benchmarks}
    return probe_lookahead(build, inputs, time_columns=times, table="features.cross_asset", cuts=5)


def test_nothing_depends_on_later_sessions_and_what_does_is_caught(bars: Bars) -> None:
    technical, benchmarks = build_technical(bars["XLK"]), of(bars, *NAMED)
    assert _probe(technical, benchmarks) == []
    assert {violation.feature for violation in _probe(technical, benchmarks, leak=1)} == {"beta_60_to_market"}


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", NAMED)
def test_real_features_know_nothing_of_later_sessions(real_data: Path, ticker: str) -> None:
    bars = pd.read_parquet(real_data / "prices_daily.parquet").assign(split_factor=1.0, dividend=0.0)
    bars["session"] = pd.to_datetime(bars["session"]).astype("datetime64[us]")
    benchmarks = bars.loc[bars["ticker"].isin(NAMED), COLUMNS].reset_index(drop=True)
    technical = build_technical(bars[bars["ticker"] == ticker].reset_index(drop=True))
    assert _probe(technical, benchmarks) == []
