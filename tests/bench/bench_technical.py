"""How long the technical features take, against those that pandas-ta-classic and plain pandas make as well.

Run ``python tests/bench/bench_technical.py``. The peer is given the adjusted bars, computes what it has with its
own functions as a user calls them (it uses TA-Lib itself where it can), and the rest with the pandas idioms
of its documentation. Runs alternate, so that a busy machine slows both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from trading_dag.features.technical import adjusted_bars, build_technical
from trading_dag.schemas import TECHNICAL_FEATURES
from trading_dag.sessions import sessions_between


def synthetic_prices(n_sessions: int = 8_000, *, seed: int = 42) -> pd.DataFrame:
    """Seeded geometric random walk in the shape of raw.prices_daily; for timing only."""
    generator = np.random.default_rng(seed)
    sessions = sessions_between("1990-01-02", "2024-12-31")[:n_sessions]
    close = 100 * np.exp(np.cumsum(generator.normal(0.0003, 0.011, len(sessions))))
    start = close * np.exp(generator.normal(0, 0.005, len(sessions)))
    spread = np.exp(np.abs(generator.normal(0, 0.004, len(sessions))))
    dividends = np.cumsum(np.arange(len(sessions))[::-1] % 63 == 0)[::-1]
    return pd.DataFrame(
        {
            "ticker": pd.Series(["SPY"] * len(sessions), dtype="str"),
            "session": sessions,
            "open": start,
            "high": np.maximum(start, close) * spread,
            "low": np.minimum(start, close) / spread,
            "close": close,
            "adj_close": close * 0.996**dividends,
            "volume": np.round(generator.lognormal(17, 0.4, len(sessions))),
            "split_factor": 1.0,
            "dividend": 0.0,
        }
    )


def peer_technical(prices: pd.DataFrame) -> pd.DataFrame:
    """Returns the features of the comparison by pandas-ta-classic, and by pandas where it has none.

    A feature that is added to ours need not be added here: ours then makes more in its time than the peer.
    """
    import pandas_ta_classic as ta

    bars = adjusted_bars(prices)
    o, h, low, c = (pd.Series(values) for values in (bars.open, bars.high, bars.low, bars.close))
    v, split_close = pd.Series(bars.volume), pd.Series(bars.split_close)
    f: dict[str, pd.Series] = {}
    for n in (20, 50, 200):
        f[f"sma_{n}"] = ta.sma(c, n)
        f[f"price_to_sma_{n}"] = c / f[f"sma_{n}"] - 1
    for n in (12, 26):
        f[f"ema_{n}"] = ta.ema(c, n)
        f[f"price_to_ema_{n}"] = c / f[f"ema_{n}"] - 1
    for left, right, name in (
        ("sma_20", "sma_50", "sma_20_above_50"),
        ("sma_50", "sma_200", "sma_50_above_200"),
        ("ema_12", "ema_26", "ema_12_above_26"),
    ):
        f[name] = (f[left] > f[right]).astype(float).where(f[left].notna() & f[right].notna())
    above = f["sma_50_above_200"]
    f["golden_cross"] = ((above == 1) & (above.shift(1) == 0)).astype(float).where(above.shift(1).notna())
    f["death_cross"] = ((above == 0) & (above.shift(1) == 1)).astype(float).where(above.shift(1).notna())
    f["sma_20_slope_5"] = f["sma_20"].pct_change(5) / 5
    f["sma_50_slope_10"] = f["sma_50"].pct_change(10) / 10
    adx = ta.adx(h, low, c, 14)
    f["adx_14"], f["plus_di_14"], f["minus_di_14"] = adx["ADX_14"], adx["DMP_14"], adx["DMN_14"]
    f["rsi_14"], f["rsi_28"] = ta.rsi(c, 14), ta.rsi(c, 28)
    f["rsi_14_overbought"] = (f["rsi_14"] > 70).astype(float).where(f["rsi_14"].notna())
    f["rsi_14_oversold"] = (f["rsi_14"] < 30).astype(float).where(f["rsi_14"].notna())
    macd = ta.macd(c, 12, 26, 9)
    f["macd"], f["macd_histogram"], f["macd_signal"] = macd.iloc[:, 0], macd.iloc[:, 1], macd.iloc[:, 2]
    f["macd_histogram_change_1d"] = f["macd_histogram"].diff()
    stoch = ta.stoch(h, low, c, 14, 3, 3)
    f["stoch_k"], f["stoch_d"] = stoch.iloc[:, 0].reindex(c.index), stoch.iloc[:, 1].reindex(c.index)
    f["stoch_kd_spread"] = f["stoch_k"] - f["stoch_d"]
    for n in (5, 10, 20):
        f[f"roc_{n}"] = ta.roc(c, n)
    f["mfi_14"] = ta.mfi(h, low, c, v, 14)
    f["williams_r_14"] = ta.willr(h, low, c, 14)
    f["cci_20"] = ta.cci(h, low, c, 20)
    log_return = ta.log_return(c, 1)
    for n in (5, 10, 20, 60, 120):
        f[f"hv_{n}"] = ta.stdev(log_return, n, ddof=1) * np.sqrt(252) * 100
    f["hv_ratio_5_20"], f["hv_ratio_20_60"] = f["hv_5"] / f["hv_20"], f["hv_20"] / f["hv_60"]
    f["hv_trend"] = f["hv_5"] - f["hv_20"]
    bands = ta.bbands(c, 20, 2.0, ddof=0)
    f["bb_lower"], f["bb_middle"], f["bb_upper"] = bands.iloc[:, 0], bands.iloc[:, 1], bands.iloc[:, 2]
    f["bb_width"] = (f["bb_upper"] - f["bb_lower"]) / f["bb_middle"]
    f["bb_position"] = (c - f["bb_lower"]) / (f["bb_upper"] - f["bb_lower"])
    f["atr_14"] = ta.atr(h, low, c, 14)
    f["atr_pct"] = f["atr_14"] / c * 100
    squared_range = np.log(h / low) ** 2
    squared_body = np.log(c / o) ** 2
    f["parkinson_hv_20"] = np.sqrt(squared_range.rolling(20).mean() / (4 * np.log(2)) * 252) * 100
    garman_klass = 0.5 * squared_range - (2 * np.log(2) - 1) * squared_body
    f["garman_klass_hv_20"] = np.sqrt(garman_klass.rolling(20).mean() * 252) * 100
    f["hv_20_percentile_252"] = (f["hv_20"].rolling(252).rank(method="min") - 1) / 252 * 100
    f["volume_sma_10"], f["volume_sma_20"] = ta.sma(v, 10), ta.sma(v, 20)
    f["volume_ratio"] = v / f["volume_sma_20"]
    f["obv"] = ta.obv(c, v)
    f["obv_slope_20"] = f["obv"].diff(20) / 20 / f["volume_sma_20"]
    f["volume_surge"] = (v > 2 * f["volume_sma_20"]).astype(float).where(f["volume_sma_20"].notna())
    f["volume_zscore_20"] = ta.zscore(v, 20, std=1)
    f["dollar_volume_20"] = ta.sma(split_close * v, 20)
    f["high_52w"], f["low_52w"] = h.rolling(252).max(), low.rolling(252).min()
    f["distance_from_high_52w"], f["distance_from_low_52w"] = c / f["high_52w"] - 1, c / f["low_52w"] - 1
    f["near_high_52w"] = (c >= 0.97 * f["high_52w"]).astype(float).where(f["high_52w"].notna())
    f["near_low_52w"] = (c <= 1.03 * f["low_52w"]).astype(float).where(f["low_52w"].notna())
    f["position_52w"] = (c - f["low_52w"]) / (f["high_52w"] - f["low_52w"])
    for n in (1, 5, 10, 20, 60, 252):
        f[f"returns_{n}d"] = ta.percent_return(c, n)
    for n in (1, 5, 20):
        f[f"log_return_{n}d"] = ta.log_return(c, n)
    f["overnight_return"], f["intraday_return"] = o / c.shift(1) - 1, c / o - 1
    f["return_skew_20"] = ta.skew(log_return, 20)
    f["return_kurtosis_20"] = ta.kurtosis(log_return, 20)
    return pd.DataFrame(f)


def measure(n_sessions: int = 8_000, *, rounds: int = 9) -> dict[str, float]:
    """Median seconds of alternating runs, and how many times faster ours is."""
    prices = synthetic_prices(n_sessions)
    contestants: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"ours": build_technical, "peer": peer_technical}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for build in contestants.values():
        build(prices)
    for _ in range(rounds):
        for name, build in contestants.items():
            started = time.perf_counter()
            build(prices)
            seconds[name].append(time.perf_counter() - started)
    ours, peer = (statistics.median(seconds[name]) for name in ("ours", "peer"))
    return {"sessions": float(n_sessions), "ours_seconds": ours, "peer_seconds": peer, "ratio": peer / ours}


def main() -> None:
    """Print the table."""
    result = measure()
    print(
        f"{len(TECHNICAL_FEATURES)} technical features, {result['sessions']:.0f} sessions, medians of alternating runs"
    )
    print(f"  this project            {result['ours_seconds'] * 1e3:8.1f} ms")
    print(f"  pandas-ta-classic       {result['peer_seconds'] * 1e3:8.1f} ms")
    print(f"  times faster            {result['ratio']:8.1f}")


if __name__ == "__main__":
    main()
