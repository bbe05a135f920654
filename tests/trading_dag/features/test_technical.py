"""Technical features against loops written from the definitions, TA-Lib itself, SciPy and pandas-ta-classic."""

from __future__ import annotations

import importlib.util
import itertools
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.formulas.technical import TECHNICAL_FORMULAS
from trading_dag.features.technical import adjusted_bars, build_technical
from trading_dag.schemas import FLAG_FEATURES, TABLES, TECHNICAL_FEATURES

TABLE = TABLES["features.technical"]
PricesFactory = Callable[..., pd.DataFrame]
# Rows at which loops are compared: the first possible ones, some in the middle, the last.
ROWS = (272, 273, 300, 351, 399)


@pytest.fixture(scope="module")
def prices(make_prices: PricesFactory) -> pd.DataFrame:
    return make_prices(400)


@pytest.fixture(scope="module")
def features(prices: pd.DataFrame) -> pd.DataFrame:
    return build_technical(prices)


def _columns(prices: pd.DataFrame) -> tuple[list[float], ...]:
    return tuple(prices[name].tolist() for name in ("open", "high", "low", "close", "volume"))


def _log_returns(close: list[float]) -> list[float]:
    return [math.nan, *(math.log(now / before) for before, now in itertools.pairwise(close))]


def test_the_frame_has_the_columns_types_and_rows_of_the_table(prices: pd.DataFrame, features: pd.DataFrame) -> None:
    assert tuple(features.columns) == TABLE.column_names
    assert (features[list(TECHNICAL_FEATURES)].dtypes == "float64").all()
    assert features["ticker"].dtype == "str"
    assert features["session"].dtype == "datetime64[us]"
    assert features["session"].equals(prices["session"])
    assert isinstance(features.index, pd.RangeIndex)


def test_zero_rows_give_a_typed_frame_of_zero_rows(prices: pd.DataFrame, features: pd.DataFrame) -> None:
    empty = build_technical(prices.iloc[:0])
    assert len(empty) == 0
    assert empty.dtypes.equals(features.dtypes)


@pytest.mark.parametrize("n_sessions", [1, 2, 5, 14, 15, 20, 34])
def test_a_short_history_gives_the_same_rows_as_a_long_one(
    prices: pd.DataFrame, features: pd.DataFrame, n_sessions: int
) -> None:
    pd.testing.assert_frame_equal(build_technical(prices.iloc[:n_sessions]), features.iloc[:n_sessions])


@pytest.mark.parametrize("row", ROWS)
def test_moving_averages_and_their_slopes_are_means(prices: pd.DataFrame, features: pd.DataFrame, row: int) -> None:
    close = prices["close"].tolist()
    sma = {n: statistics.fmean(close[row - n + 1 : row + 1]) for n in (20, 50, 200)}
    at = features.iloc[row]
    for n, value in sma.items():
        assert at[f"sma_{n}"] == pytest.approx(value, rel=1e-12)
        assert at[f"price_to_sma_{n}"] == pytest.approx(close[row] / value - 1, rel=1e-9)
    assert at["sma_20_above_50"] == float(sma[20] > sma[50])
    assert at["sma_50_above_200"] == float(sma[50] > sma[200])
    sma_20_before = statistics.fmean(close[row - 24 : row - 4])
    assert at["sma_20_slope_5"] == pytest.approx((sma[20] / sma_20_before - 1) / 5, rel=1e-9)
    sma_50_before = statistics.fmean(close[row - 59 : row - 9])
    assert at["sma_50_slope_10"] == pytest.approx((sma[50] / sma_50_before - 1) / 10, rel=1e-9)


@pytest.mark.parametrize("n", [12, 26])
def test_exponential_means_start_from_the_simple_mean(prices: pd.DataFrame, features: pd.DataFrame, n: int) -> None:
    close = prices["close"].tolist()
    mean = statistics.fmean(close[:n])
    for price in close[n:]:
        mean += 2 / (n + 1) * (price - mean)
    assert features[f"ema_{n}"].iloc[-1] == pytest.approx(mean, rel=1e-12)
    assert features[f"price_to_ema_{n}"].iloc[-1] == pytest.approx(close[-1] / mean - 1, rel=1e-9)


@pytest.mark.parametrize("n", [14, 28])
def test_rsi_is_wilders(prices: pd.DataFrame, features: pd.DataFrame, n: int) -> None:
    changes = np.diff(prices["close"]).tolist()
    gain = statistics.fmean(max(change, 0.0) for change in changes[:n])
    loss = statistics.fmean(max(-change, 0.0) for change in changes[:n])
    for change in changes[n:]:
        gain = (gain * (n - 1) + max(change, 0.0)) / n
        loss = (loss * (n - 1) + max(-change, 0.0)) / n
    assert features[f"rsi_{n}"].iloc[-1] == pytest.approx(100 - 100 / (1 + gain / loss), rel=1e-10)


def test_atr_and_adx_are_wilders(prices: pd.DataFrame, features: pd.DataFrame) -> None:
    _, high, low, close, _ = _columns(prices)
    true_range, plus, minus = [], [], []
    for t in range(1, len(close)):
        true_range.append(max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])))
        up, down = high[t] - high[t - 1], low[t - 1] - low[t]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    atr = statistics.fmean(true_range[:14])
    for value in true_range[14:]:
        atr = (atr * 13 + value) / 14
    assert features["atr_14"].iloc[-1] == pytest.approx(atr, rel=1e-10)
    assert features["atr_pct"].iloc[-1] == pytest.approx(atr / close[-1] * 100, rel=1e-10)

    # Wilder's sums start with 13 moves and then decay: TA-Lib's convention, Wilder (1978) p. 37.
    sums = [sum(series[:13]) for series in (true_range, plus, minus)]
    adx, directional = math.nan, []
    for t in range(13, len(true_range)):
        sums = [total - total / 14 + series[t] for total, series in zip(sums, (true_range, plus, minus), strict=True)]
        plus_di, minus_di = 100 * sums[1] / sums[0], 100 * sums[2] / sums[0]
        directional.append(100 * abs(plus_di - minus_di) / (plus_di + minus_di))
        if len(directional) == 14:
            adx = statistics.fmean(directional)
        elif len(directional) > 14:
            adx = (adx * 13 + directional[-1]) / 14
    assert features["plus_di_14"].iloc[-1] == pytest.approx(plus_di, rel=1e-10)
    assert features["minus_di_14"].iloc[-1] == pytest.approx(minus_di, rel=1e-10)
    assert features["adx_14"].iloc[-1] == pytest.approx(adx, rel=1e-10)


def test_macd_is_the_difference_of_exponential_means_that_start_together(
    prices: pd.DataFrame, features: pd.DataFrame
) -> None:
    close = prices["close"].tolist()
    fast, slow = statistics.fmean(close[14:26]), statistics.fmean(close[:26])
    line = [fast - slow]
    for price in close[26:]:
        fast += 2 / 13 * (price - fast)
        slow += 2 / 27 * (price - slow)
        line.append(fast - slow)
    signal = [statistics.fmean(line[:9])]
    for value in line[9:]:
        signal.append(signal[-1] + 0.2 * (value - signal[-1]))
    histogram = [value - mean for value, mean in zip(line[8:], signal, strict=True)]
    at = features.iloc[-1]
    assert at["macd"] == pytest.approx(line[-1], rel=1e-9)
    assert at["macd_signal"] == pytest.approx(signal[-1], rel=1e-9)
    assert at["macd_histogram"] == pytest.approx(histogram[-1], rel=1e-8)
    assert at["macd_histogram_change_1d"] == pytest.approx(histogram[-1] - histogram[-2], rel=1e-8)
    assert at["macd_histogram_pct"] == pytest.approx(histogram[-1] / close[-1] * 100, rel=1e-8)
    assert at["macd_histogram_atr"] == pytest.approx(histogram[-1] / at["atr_14"], rel=1e-8)


def test_the_scale_free_histograms_do_not_change_with_the_price_level(
    prices: pd.DataFrame, features: pd.DataFrame
) -> None:
    level = {name: prices[name] * 40.0 for name in ("open", "high", "low", "close", "adj_close")}
    dearer = build_technical(prices.assign(**level))
    for name in ("macd_histogram_pct", "macd_histogram_atr"):
        assert features[name].abs().max() > 0.01
        np.testing.assert_allclose(dearer[name], features[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("row", ROWS)
def test_oscillators_follow_their_definitions(prices: pd.DataFrame, features: pd.DataFrame, row: int) -> None:
    _, high, low, close, volume = _columns(prices)
    at = features.iloc[row]

    def fast_k(t: int) -> float:
        lowest, highest = min(low[t - 13 : t + 1]), max(high[t - 13 : t + 1])
        return (close[t] - lowest) / (highest - lowest) * 100

    slow_k = [statistics.fmean(fast_k(s) for s in range(t - 2, t + 1)) for t in range(row - 2, row + 1)]
    assert at["stoch_k"] == pytest.approx(slow_k[-1], rel=1e-10)
    assert at["stoch_d"] == pytest.approx(statistics.fmean(slow_k), rel=1e-10)
    assert at["stoch_kd_spread"] == pytest.approx(slow_k[-1] - statistics.fmean(slow_k), abs=1e-9)
    assert at["williams_r_14"] == pytest.approx(fast_k(row) - 100, abs=1e-9)
    for n in (5, 10, 20):
        assert at[f"roc_{n}"] == pytest.approx((close[row] / close[row - n] - 1) * 100, rel=1e-9)

    typical = [sum(bar) / 3 for bar in zip(high, low, close, strict=True)]
    window = typical[row - 19 : row + 1]
    mean = statistics.fmean(window)
    deviation = statistics.fmean(abs(value - mean) for value in window)
    assert at["cci_20"] == pytest.approx((typical[row] - mean) / (0.015 * deviation), rel=1e-9)

    flows = [(typical[t] - typical[t - 1], typical[t] * volume[t]) for t in range(row - 13, row + 1)]
    up = sum(flow for change, flow in flows if change > 0)
    down = sum(flow for change, flow in flows if change < 0)
    assert at["mfi_14"] == pytest.approx(100 * up / (up + down), rel=1e-9)


@pytest.mark.parametrize("row", ROWS)
def test_realised_volatilities_follow_their_definitions(prices: pd.DataFrame, features: pd.DataFrame, row: int) -> None:
    start, high, low, close, _ = _columns(prices)
    returns = _log_returns(close)
    at = features.iloc[row]

    def hv(n: int, t: int) -> float:
        return statistics.stdev(returns[t - n + 1 : t + 1]) * math.sqrt(252) * 100

    for n in (5, 10, 20, 60, 120):
        assert at[f"hv_{n}"] == pytest.approx(hv(n, row), rel=1e-9)
    assert at["hv_ratio_5_20"] == pytest.approx(hv(5, row) / hv(20, row), rel=1e-9)
    assert at["hv_ratio_20_60"] == pytest.approx(hv(20, row) / hv(60, row), rel=1e-9)
    assert at["hv_trend"] == pytest.approx(hv(5, row) - hv(20, row), rel=1e-8)
    days = range(row - 19, row + 1)
    parkinson = sum(math.log(high[t] / low[t]) ** 2 for t in days) / (20 * 4 * math.log(2))
    assert at["parkinson_hv_20"] == pytest.approx(math.sqrt(parkinson * 252) * 100, rel=1e-9)
    garman_klass = statistics.fmean(
        0.5 * math.log(high[t] / low[t]) ** 2 - (2 * math.log(2) - 1) * math.log(close[t] / start[t]) ** 2 for t in days
    )
    assert at["garman_klass_hv_20"] == pytest.approx(math.sqrt(garman_klass * 252) * 100, rel=1e-9)
    below = sum(hv(20, t) < hv(20, row) for t in range(row - 251, row + 1))
    assert at["hv_20_percentile_252"] == pytest.approx(below / 252 * 100, rel=1e-12)


@pytest.mark.parametrize("row", ROWS)
def test_bollinger_bands_are_two_population_deviations_wide(
    prices: pd.DataFrame, features: pd.DataFrame, row: int
) -> None:
    window = prices["close"].tolist()[row - 19 : row + 1]
    mean, deviation = statistics.fmean(window), statistics.pstdev(window)
    at = features.iloc[row]
    assert at["bb_middle"] == pytest.approx(mean, rel=1e-12)
    assert at["bb_upper"] == pytest.approx(mean + 2 * deviation, rel=1e-9)
    assert at["bb_lower"] == pytest.approx(mean - 2 * deviation, rel=1e-9)
    assert at["bb_width"] == pytest.approx(4 * deviation / mean, rel=1e-7)
    assert at["bb_position"] == pytest.approx((window[-1] - mean + 2 * deviation) / (4 * deviation), rel=1e-7)


@pytest.mark.parametrize("row", ROWS)
def test_volume_features_follow_their_definitions(prices: pd.DataFrame, features: pd.DataFrame, row: int) -> None:
    _, _, _, close, volume = _columns(prices)
    last_20 = volume[row - 19 : row + 1]
    mean = statistics.fmean(last_20)
    at = features.iloc[row]
    assert at["volume_sma_10"] == pytest.approx(statistics.fmean(volume[row - 9 : row + 1]), rel=1e-9)
    assert at["volume_sma_20"] == pytest.approx(mean, rel=1e-9)
    assert at["volume_ratio"] == pytest.approx(volume[row] / mean, rel=1e-9)
    assert at["volume_surge"] == float(volume[row] > 2 * mean)
    assert at["volume_zscore_20"] == pytest.approx((volume[row] - mean) / statistics.stdev(last_20), rel=1e-8)
    dollars = statistics.fmean(close[t] * volume[t] for t in range(row - 19, row + 1))
    assert at["dollar_volume_20"] == pytest.approx(dollars, rel=1e-9)

    def obv(t: int) -> float:
        return volume[0] + sum(math.copysign(volume[s], close[s] - close[s - 1]) for s in range(1, t + 1))

    assert at["obv"] == pytest.approx(obv(row), rel=1e-12)
    assert at["obv_slope_20"] == pytest.approx((obv(row) - obv(row - 20)) / 20 / mean, rel=1e-9)


@pytest.mark.parametrize("row", ROWS)
def test_the_52_week_range_and_returns_follow_their_definitions(
    prices: pd.DataFrame, features: pd.DataFrame, row: int
) -> None:
    start, high, low, close, _ = _columns(prices)
    highest, lowest = max(high[row - 251 : row + 1]), min(low[row - 251 : row + 1])
    at = features.iloc[row]
    assert (at["high_52w"], at["low_52w"]) == (highest, lowest)
    assert at["distance_from_high_52w"] == pytest.approx(close[row] / highest - 1, rel=1e-9)
    assert at["distance_from_low_52w"] == pytest.approx(close[row] / lowest - 1, rel=1e-9)
    assert at["near_high_52w"] == float(close[row] >= 0.97 * highest)
    assert at["near_low_52w"] == float(close[row] <= 1.03 * lowest)
    assert at["position_52w"] == pytest.approx((close[row] - lowest) / (highest - lowest), rel=1e-9)
    for n in (1, 5, 10, 20, 60, 252):
        assert at[f"returns_{n}d"] == pytest.approx(close[row] / close[row - n] - 1, rel=1e-9)
    for n in (1, 5, 20):
        assert at[f"log_return_{n}d"] == pytest.approx(math.log(close[row] / close[row - n]), rel=1e-9)
    assert at["overnight_return"] == pytest.approx(start[row] / close[row - 1] - 1, rel=1e-9)
    assert at["intraday_return"] == pytest.approx(close[row] / start[row] - 1, rel=1e-9)


@pytest.mark.parametrize("row", ROWS)
def test_skewness_and_kurtosis_are_scipys_bias_corrected_ones(
    prices: pd.DataFrame, features: pd.DataFrame, row: int
) -> None:
    from scipy import stats

    window = _log_returns(prices["close"].tolist())[row - 19 : row + 1]
    assert features["return_skew_20"].iloc[row] == pytest.approx(float(stats.skew(window, bias=False)), rel=1e-9)
    assert features["return_kurtosis_20"].iloc[row] == pytest.approx(
        float(stats.kurtosis(window, bias=False)), rel=1e-9
    )


def _bench() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "bench" / "bench_technical.py"
    spec = importlib.util.spec_from_file_location("bench_technical", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # the peer's own
def test_pandas_ta_classic_computes_the_same_numbers_from_the_same_bars() -> None:
    bench = _bench()
    prices = bench.synthetic_prices(1_500)
    ours, peer = build_technical(prices), bench.peer_technical(prices)
    assert set(peer) <= set(TECHNICAL_FEATURES)
    for name in peer:
        # Wilder's smoothing is seeded differently there; after 500 sessions the seeds are forgotten.
        left, right = ours[name].to_numpy()[500:], peer[name].to_numpy(dtype="float64")[500:]
        np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # the peer's own
def test_the_features_take_less_than_a_fifth_of_the_time_of_pandas_ta_classic() -> None:
    assert _bench().measure(8_000, rounds=5)["ratio"] >= 5


# ------------------------------------------------------------------ adjustment


def test_prices_are_adjusted_with_factor_one_at_the_first_session(make_prices: PricesFactory) -> None:
    prices = make_prices(30)
    factor = np.where(np.arange(30) < 10, 0.98, 1.0)  # a dividend of 2 % goes ex on the eleventh session
    bars = adjusted_bars(prices.assign(adj_close=prices["close"] * factor * 0.7))
    scale = np.where(np.arange(30) < 10, 1.0, 1 / 0.98)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(getattr(bars, name), prices[name] * scale, rtol=1e-12)
    np.testing.assert_allclose(bars.split_close, prices["close"])


def test_the_return_over_an_ex_date_holds_the_dividend(make_prices: PricesFactory) -> None:
    prices = make_prices(30)
    close = prices["close"].to_numpy()
    dividend = 1.25
    factor = np.where(np.arange(30) < 10, 1 - dividend / close[9], 1.0)
    features = build_technical(prices.assign(adj_close=close * factor))
    assert features["returns_1d"].iloc[10] == pytest.approx(close[10] / (close[9] - dividend) - 1, rel=1e-12)
    assert features["returns_1d"].iloc[11] == pytest.approx(close[11] / close[10] - 1, rel=1e-12)


def test_dollar_volume_is_not_adjusted_for_dividends(make_prices: PricesFactory) -> None:
    prices = make_prices(60)
    factor = np.where(np.arange(60) < 30, 0.9, 1.0)
    adjusted = build_technical(prices.assign(adj_close=prices["close"] * factor))
    pd.testing.assert_series_equal(adjusted["dollar_volume_20"], build_technical(prices)["dollar_volume_20"])


@settings(max_examples=15, deadline=None)
@given(cash=st.floats(0.001, 0.2), split=st.integers(280, 399))
def test_a_later_dividend_changes_no_earlier_row(cash: float, split: int, make_prices: PricesFactory) -> None:
    prices = make_prices(400)
    earlier_dividends = np.where(np.arange(400) < 120, 0.97, 1.0)
    before = build_technical(prices.assign(adj_close=prices["close"] * earlier_dividends).iloc[:split])
    rebased = np.where(np.arange(400) < split, 1 - cash, 1.0) * earlier_dividends
    after = build_technical(prices.assign(adj_close=prices["close"] * rebased)).iloc[:split]
    pd.testing.assert_frame_equal(before, after, rtol=1e-9, atol=1e-9)


@pytest.mark.files_data
def test_a_later_dividend_changes_no_earlier_row_of_spy(spy_prices: pd.DataFrame) -> None:
    before = build_technical(spy_prices)
    after = build_technical(spy_prices.assign(adj_close=spy_prices["adj_close"] * (1 - 1.966 / 586.08)))
    # Near-zero differences of large numbers (MACD, OBV, kurtosis of tiny moves) need the absolute part.
    pd.testing.assert_frame_equal(before, after, rtol=1e-9, atol=1e-9)


def test_an_unchanged_close_adds_no_volume_whatever_the_adjustment(make_prices: PricesFactory) -> None:
    prices = make_prices(60)
    close = prices["close"].round(2).where(prices.index % 3 != 2).ffill()
    factor = np.where(np.arange(60) < 30, 0.9873, 1.0) * 0.731
    bars = prices.assign(open=close, high=close + 1, low=close - 1, close=close, adj_close=close * factor)
    obv, volume = build_technical(bars)["obv"], bars["volume"]
    unchanged = [t for t in range(2, 60, 3) if t != 30]
    assert all(obv[t] == obv[t - 1] for t in unchanged)
    assert all(abs(obv[t] - obv[t - 1]) == volume[t] for t in range(1, 60) if t % 3 != 2)


# ------------------------------------------------------------------ degenerate input


def test_flat_prices_give_nan_for_what_divides_by_their_range(make_prices: PricesFactory) -> None:
    flat = dict.fromkeys(("open", "high", "low", "close"), 50.0)
    features = build_technical(make_prices(300, adj_close=41.3, **flat))
    at = features.iloc[-1]
    undefined = (
        "rsi_14 rsi_28 adx_14 plus_di_14 minus_di_14 stoch_k stoch_d williams_r_14 cci_20 mfi_14 hv_ratio_5_20 "
        "hv_ratio_20_60 bb_position position_52w return_skew_20 return_kurtosis_20 rsi_14_overbought"
    ).split()
    assert at[undefined].isna().all()
    for name in ("hv_20", "atr_14", "bb_width", "returns_20d", "golden_cross", "sma_20_above_50", "obv_slope_20"):
        assert at[name] == 0.0
    assert at["near_high_52w"] == at["near_low_52w"] == 1.0


def test_a_halt_of_twenty_sessions_is_undefined_and_then_over(make_prices: PricesFactory) -> None:
    prices = make_prices(120)
    halted = prices.index[(prices.index >= 60) & (prices.index < 85)]
    for name in ("open", "high", "low", "close", "adj_close"):
        prices.loc[halted, name] = 80.0
    features = build_technical(prices)
    assert features.loc[84, ["stoch_k", "williams_r_14", "cci_20", "bb_position"]].isna().all()
    assert features.loc[110, ["stoch_k", "williams_r_14", "cci_20", "bb_position", "rsi_14", "adx_14"]].notna().all()


def test_no_volume_gives_nan_ratios(make_prices: PricesFactory) -> None:
    at = build_technical(make_prices(60, volume=0.0)).iloc[-1]
    assert at[["volume_ratio", "volume_zscore_20", "obv_slope_20", "mfi_14"]].isna().all()
    assert at["volume_surge"] == 0.0
    assert at["obv"] == 0.0


def test_sessions_without_a_volume_do_not_poison_later_ones(make_prices: PricesFactory) -> None:
    prices = make_prices(120)
    gap = prices.index[50:53]
    holes = prices.assign(volume=prices["volume"].where(~prices.index.isin(gap)))
    features = build_technical(holes)
    assert features.loc[gap, ["obv", "mfi_14", "volume_ratio"]].isna().all(axis=None)
    assert features.loc[53:, ["obv", "mfi_14"]].notna().all(axis=None)
    assert features.loc[72:, ["volume_sma_20", "volume_zscore_20", "dollar_volume_20"]].notna().all(axis=None)
    without = build_technical(prices.drop(index=gap).reset_index(drop=True))
    np.testing.assert_allclose(features.loc[53:, "mfi_14"], without.loc[50:, "mfi_14"])
    assert features["obv"].iloc[-1] == pytest.approx(
        build_technical(prices.assign(volume=holes["volume"].fillna(0.0)))["obv"].iloc[-1]
    )


@settings(max_examples=25, deadline=None)
@given(
    closes=st.lists(st.sampled_from([10.0, 10.01, 11.0, 1e-4, 5e4]), min_size=1, max_size=300),
    volumes=st.lists(st.sampled_from([0.0, 1.0, 1e12, math.nan]), min_size=300, max_size=300),
)
def test_no_input_gives_an_infinite_value_or_a_flag_that_is_no_flag(
    closes: list[float], volumes: list[float], make_prices: PricesFactory
) -> None:
    close = np.array(closes)
    frame = make_prices(len(close), open=close, high=close, low=close, close=close, adj_close=close)
    features = build_technical(frame.assign(volume=volumes[: len(close)]))
    values = features[list(TECHNICAL_FEATURES)].to_numpy()
    assert not np.isinf(values).any()
    flags = features[[name for name in TECHNICAL_FEATURES if name in FLAG_FEATURES]].to_numpy()
    assert np.isin(flags[~np.isnan(flags)], (0.0, 1.0)).all()


def test_a_crossing_is_flagged_on_its_session_only(make_prices: PricesFactory) -> None:
    close = np.concatenate([np.linspace(150, 100, 260), np.linspace(100, 160, 140)])
    features = build_technical(make_prices(400, open=close, high=close, low=close, close=close, adj_close=close))
    mean = pd.Series(close)
    above = mean.rolling(50).mean() > mean.rolling(200).mean()
    crossings = [t for t in range(200, 400) if above[t] and not above[t - 1]]
    assert len(crossings) == 1
    assert features.index[features["golden_cross"] == 1].tolist() == crossings
    assert (features["death_cross"].dropna() == 0).all()
    mirrored = 300 - close
    fallen = build_technical(
        make_prices(400, open=mirrored, high=mirrored, low=mirrored, close=mirrored, adj_close=mirrored)
    )
    assert fallen.index[fallen["death_cross"] == 1].tolist() == crossings
    assert (fallen["golden_cross"].dropna() == 0).all()


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda p: p.drop(columns="high"), "missing: high"),
        (lambda p: p.iloc[[0, 1, 1, 2]], "none is repeated"),
        (lambda p: p.iloc[::-1], "ascend"),
        (lambda p: p.assign(ticker=["SPY"] * 39 + ["QQQ"]), "one ticker"),
        (lambda p: p.assign(close=p["close"].where(p.index != 3)), "close is a positive, finite price"),
        (lambda p: p.assign(low=p["low"].where(p.index != 3, -1.0)), "low is a positive, finite price"),
        (lambda p: p.assign(adj_close=p["adj_close"].where(p.index != 3, 0.0)), "adj_close is a positive"),
        (lambda p: p.assign(open=p["open"].where(p.index != 3, math.inf)), "open is a positive"),
        (lambda p: p.assign(session=p["session"].where(p.index != 3)), "names its session"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_refused_by_name(
    make_prices: PricesFactory, damage: Callable[[pd.DataFrame], pd.DataFrame], rule: str
) -> None:
    with pytest.raises(SchemaError, match=rule) as caught:
        build_technical(damage(make_prices(40)))
    assert caught.value.table == "raw.prices_daily"


# ------------------------------------------------------------------ real data


@pytest.mark.files_data
@pytest.mark.parametrize("ticker", ["spy_prices", "qqq_prices"])
def test_etf_features_are_within_the_bounds_of_the_table(ticker: str, request: pytest.FixtureRequest) -> None:
    _assert_within_bounds(build_technical(request.getfixturevalue(ticker)))


@pytest.mark.parametrize("ticker", ["spx_prices", "comp_prices"])
def test_index_features_are_within_the_bounds_of_the_table(ticker: str, request: pytest.FixtureRequest) -> None:
    _assert_within_bounds(build_technical(request.getfixturevalue(ticker)))


def _assert_within_bounds(features: pd.DataFrame) -> None:
    for name in TECHNICAL_FEATURES:
        column, values = TABLE.column(name), features[name].dropna()
        assert np.isfinite(values).all(), name
        assert column.minimum is None or values.min() >= column.minimum, name
        assert column.maximum is None or values.max() <= column.maximum, name
    # What the formula says is needed is enough, on every later row.
    for name, formula in TECHNICAL_FORMULAS.items():
        look_back = int(formula.rpartition("look-back ")[2])
        assert features[name].iloc[look_back:].notna().all(), name


@pytest.mark.files_data
def test_the_reference_session_of_spy_has_the_returns_of_its_adjusted_close(spy_prices: pd.DataFrame) -> None:
    features = build_technical(spy_prices).set_index("session")
    adjusted = spy_prices.set_index("session")["adj_close"]
    day = pd.Timestamp("2024-11-15")
    assert adjusted[day] == pytest.approx(578.714, abs=1e-3)
    history = adjusted[:day]
    assert features.loc[day, "returns_5d"] == pytest.approx(history.iloc[-1] / history.iloc[-6] - 1, rel=1e-9)
    assert features.loc[day, "returns_252d"] == pytest.approx(history.iloc[-1] / history.iloc[-253] - 1, rel=1e-9)
