"""Hourly bars: nights left out, early closes kept, holes not filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.intraday import build_intraday
from trading_dag.frames import table_frame
from trading_dag.schemas import INTRADAY, INTRADAY_FEATURES, PRICES_HOURLY
from trading_dag.sessions import sessions_between
from trading_dag.validation.lookahead import probe_lookahead

HALF_PAST = [f"{hour}:30" for hour in ("09", 10, 11, 12, 13, 14, 15)]
BY_CLOCK = [f"{hour}:00" for hour in ("09", 10, 11, 12, 13, 14, 15)]


def bars(*sessions: tuple[str, list[str], list[float]]) -> pd.DataFrame:
    """Bars of sessions given as (day, starts in New York, prices: the first open, then each close)."""
    rows = []
    for day, starts, prices in sessions:
        for start, opened, closed in zip(starts, prices[:-1], prices[1:], strict=True):
            rows.append((pd.Timestamp(f"{day} {start}", tz="America/New_York").tz_convert("UTC"), opened, closed))
    moments, opened, closed = zip(*rows, strict=True) if rows else ((), (), ())
    opens, closes = np.array(opened, dtype=float), np.array(closed, dtype=float)
    values = {
        "ticker": "SPY",
        "ts": pd.DatetimeIndex(pd.to_datetime(list(moments), utc=True)),
        "open": opens,
        "high": np.maximum(opens, closes),
        "low": np.minimum(opens, closes),
        "close": closes,
        "volume": np.ones(len(rows)),
    }
    return table_frame(PRICES_HOURLY, values, rows=len(rows))


def daily(first: str, last: str, *, close: float = 100.0, high: float = 1000.0, low: float = 1.0) -> pd.DataFrame:
    """Sessions whose range leaves room for any bars."""
    sessions = sessions_between(first, last)
    return pd.DataFrame({"ticker": "SPY", "session": sessions, "high": high, "low": low, "close": close})


def features(hourly: pd.DataFrame, first: str, last: str, **day: float) -> pd.DataFrame:
    return build_intraday(hourly, daily(first, last, **day)).set_index("session")[list(INTRADAY_FEATURES)]


def walk(first: str, last: str, *, seed: int = 3, starts: list[str] = HALF_PAST) -> pd.DataFrame:
    """A seeded walk of hourly bars with gaps over night."""
    generator = np.random.default_rng(seed)
    days = []
    for day in sessions_between(first, last):
        prices = 100 * np.exp(generator.normal(0, 0.1)) * np.exp(np.cumsum(generator.normal(0, 0.004, len(starts) + 1)))
        days.append((f"{day:%Y-%m-%d}", starts, prices.tolist()))
    return bars(*days)


ONE_DAY = [100.0, 101.0, 102.0, 101.5, 101.0, 103.0, 104.0, 103.0]


def test_the_hours_at_the_edges_of_a_session_from_half_past_nine() -> None:
    row = features(bars(("2024-11-25", HALF_PAST, ONE_DAY)), "2024-11-25", "2024-11-25").iloc[0]
    assert row["first_hour_return"] == pytest.approx(101 / 100 - 1)
    # The last bar has half an hour and the one before it ends at 15:30: no price of 15:00 is there.
    assert np.isnan(row["last_hour_return"])


def test_the_hours_at_the_edges_of_a_session_by_the_clock() -> None:
    row = features(bars(("2024-11-25", BY_CLOCK, ONE_DAY)), "2024-11-25", "2024-11-25").iloc[0]
    assert np.isnan(row["first_hour_return"])
    assert row["last_hour_return"] == pytest.approx(103 / 104 - 1)


def test_bars_by_the_clock_are_the_same_dated_from_nine_or_from_the_open() -> None:
    hourly = walk("2024-10-01", "2024-12-20", starts=BY_CLOCK)
    from_open = hourly.copy()
    is_first = hourly["ts"].dt.tz_convert("America/New_York").dt.hour == 9
    from_open.loc[is_first, "ts"] += pd.Timedelta(minutes=30)
    rows = [features(frame, "2024-10-01", "2024-12-20") for frame in (hourly, from_open)]
    pd.testing.assert_frame_equal(*rows)
    assert rows[0]["hourly_mean_return_6"].notna().all()


@pytest.mark.parametrize(("starts", "minutes"), [(HALF_PAST, [60] * 6 + [30]), (BY_CLOCK, [30] + [60] * 6)])
def test_the_deviation_of_geometric_brownian_bars_is_their_volatility(starts: list[str], minutes: list[int]) -> None:
    """20 % a year; the mean of m independent sample variances of n bars has a relative error of √(2 / (n − 1) / m)."""
    generator = np.random.default_rng(11)
    sessions = sessions_between("2010-01-01", "2022-12-31")
    deviation = 0.20 * np.sqrt(np.array(minutes) / 60 / (252 * 6.5))
    shocks = generator.normal(0.0, 1.0, (len(sessions), 7)) * deviation
    days = zip(
        sessions, 100 * np.exp(np.cumsum(np.column_stack([np.zeros(len(sessions)), shocks]), axis=1)), strict=True
    )
    hourly = bars(*((f"{day:%Y-%m-%d}", starts, prices.tolist()) for day, prices in days))
    rows = features(hourly, "2010-01-01", "2022-12-31")
    for bars_needed in (6, 30):
        variance = rows[f"hourly_volatility_{bars_needed}"].dropna() ** 2
        independent = variance.iloc[:: -(-bars_needed // 7) + 1]
        error = np.sqrt(2 / (bars_needed - 1) / len(independent))
        assert np.sqrt(independent.mean()) == pytest.approx(20.0, rel=2 * error)  # half of it, times four
        assert error < 0.02


def test_the_mean_and_the_deviation_are_of_returns_within_the_session() -> None:
    row = features(bars(("2024-11-25", HALF_PAST, ONE_DAY)), "2024-11-25", "2024-11-25").iloc[0]
    returns = np.diff(np.log(ONE_DAY))[-6:]
    assert row["hourly_mean_return_6"] == pytest.approx(returns.sum() / 6)
    deviation = np.sqrt(((returns - returns.mean()) ** 2).sum() / 5)
    # Five bars of an hour and one of half an hour.
    assert row["hourly_volatility_6"] == pytest.approx(deviation / np.sqrt(5.5 / 6) * np.sqrt(252 * 6.5) * 100)
    assert np.isnan(row["hourly_mean_return_30"])


def test_the_first_bar_counts_from_its_own_open_and_windows_run_on_over_the_night() -> None:
    hourly = bars(("2024-11-25", HALF_PAST, [100.0] * 8), ("2024-11-26", HALF_PAST[:1], [200.0, 202.0]))
    # Only the first bar of the 26th is there yet: the session is not complete and has nothing.
    assert features(hourly, "2024-11-25", "2024-11-26").iloc[1].isna().all()
    hourly = bars(("2024-11-25", HALF_PAST, ONE_DAY), ("2024-11-26", HALF_PAST, [200.0, 202.0, *[202.0] * 6]))
    row = features(hourly, "2024-11-25", "2024-11-26").iloc[1]
    assert row["hourly_mean_return_6"] == 0.0
    assert row["first_hour_return"] == pytest.approx(0.01)


def test_a_split_over_night_changes_nothing() -> None:
    hourly = walk("2024-10-01", "2024-12-20")
    half = hourly["ts"] >= "2024-11-12"
    split = hourly.copy()
    split.loc[half, ["open", "high", "low", "close"]] /= 4.0
    kept = [features(frame, "2024-10-01", "2024-12-20") for frame in (hourly, split)]
    pd.testing.assert_frame_equal(*kept, rtol=1e-9, atol=1e-12)
    assert kept[0]["hourly_macd_histogram"].notna().sum() > 40


def test_an_early_close_ends_the_session_and_what_comes_after_it_is_left_out() -> None:
    morning = ["09:00", "10:00", "11:00", "12:00"]
    prices = [100.0, 101.0, 102.0, 103.0, 104.0]
    plain = bars(("2022-11-25", morning, prices))
    after = bars(("2022-11-25", [*morning, "13:00", "15:00"], [*prices, 50.0, 60.0]))
    rows = [features(frame, "2022-11-25", "2022-11-28").iloc[0] for frame in (plain, after)]
    pd.testing.assert_series_equal(*rows)
    assert np.isnan(rows[0]["first_hour_return"])
    assert rows[0]["last_hour_return"] == pytest.approx(104 / 103 - 1)


def test_bars_before_the_open_are_left_out() -> None:
    early = bars(("2024-11-25", ["08:30", *HALF_PAST], [50.0, *ONE_DAY]))
    early.loc[1, "open"] = 100.0
    plain = bars(("2024-11-25", HALF_PAST, ONE_DAY))
    pd.testing.assert_frame_equal(
        features(early, "2024-11-25", "2024-11-25"), features(plain, "2024-11-25", "2024-11-25")
    )


@pytest.mark.parametrize("hole", range(7))
def test_a_session_with_a_missing_bar_has_nothing_and_its_bars_enter_no_window(hole: int) -> None:
    hourly = walk("2024-11-11", "2024-11-22")
    day = hourly["ts"].dt.strftime("%Y-%m-%d") == "2024-11-20"
    holed = hourly.drop(index=hourly.index[day][hole])
    without = hourly[~day]
    rows, expected = (features(frame, "2024-11-11", "2024-11-22") for frame in (holed, without))
    assert rows.loc["2024-11-20"].isna().all()
    assert rows.loc["2024-11-21", "hourly_mean_return_30":].drop("last_hour_return").notna().all()
    pd.testing.assert_frame_equal(rows, expected)


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ({"close": 103.0, "high": 104.0, "low": 100.0}, True),
        ({"close": 51.5, "high": 52.0, "low": 50.0}, True),
        ({"close": 103.0, "high": 104.0 / 1.019, "low": 100.0 / 0.981}, True),
        ({"close": 103.0, "high": 104.0 / 1.021, "low": 100.0}, False),
        ({"close": 103.0, "high": 104.0, "low": 100.0 / 0.979}, False),
    ],
)
def test_a_session_whose_bars_leave_the_days_range_has_nothing(day: dict[str, float], counts: bool) -> None:
    rows = features(bars(("2024-11-25", HALF_PAST, ONE_DAY)), "2024-11-25", "2024-11-25", **day)
    assert rows["first_hour_return"].notna().item() is counts


def test_overlapping_bars_are_no_session() -> None:
    twice = pd.concat([walk("2024-11-25", "2024-11-25"), walk("2024-11-25", "2024-11-25", starts=BY_CLOCK[1:])])
    assert features(twice, "2024-11-25", "2024-11-25").isna().all(axis=None)


def test_a_hole_is_not_made_good_by_an_overlap_of_its_length() -> None:
    starts = ["09:30", "10:30", "11:30", "13:00", "13:30", "14:30", "15:30"]
    rows = features(bars(("2024-11-25", starts, ONE_DAY)), "2024-11-25", "2024-11-25")
    assert rows.isna().all(axis=None)


def test_a_window_does_not_reach_more_than_ten_sessions_back() -> None:
    sessions = sessions_between("2024-10-01", "2024-12-31")
    hourly = walk("2024-10-01", "2024-12-31")
    day = hourly["ts"].dt.tz_localize(None).dt.normalize()

    def with_gap(missing: int) -> pd.Series:
        gap = sessions[20 : 20 + missing]
        return features(hourly[~day.isin(gap)], "2024-10-01", "2024-12-31").loc[sessions[20 + missing]]

    # Thirty bars need the last two of the fifth session back: the row itself and four before the gap.
    assert with_gap(6)[["hourly_mean_return_30", "hourly_rsi_14", "hourly_macd_histogram"]].notna().all()
    assert np.isnan(with_gap(7)["hourly_mean_return_30"])
    assert not np.isnan(with_gap(7)["hourly_mean_return_6"])
    assert np.isnan(with_gap(12)["hourly_rsi_14"])


def _wilder_rsi(prices: np.ndarray, n: int) -> float:
    changes = np.diff(prices)
    gain, loss = np.maximum(changes[:n], 0).mean(), np.maximum(-changes[:n], 0).mean()
    for change in changes[n:]:
        gain = (gain * (n - 1) + max(change, 0.0)) / n
        loss = (loss * (n - 1) + max(-change, 0.0)) / n
    return float(100 * gain / (gain + loss))


def _ema(values: np.ndarray, n: int) -> np.ndarray:
    out = [float(values[:n].mean())]
    for value in values[n:]:
        out.append(out[-1] + 2 / (n + 1) * (value - out[-1]))
    return np.array(out)


def test_rsi_and_macd_are_those_of_the_price_without_nights() -> None:
    hourly = walk("2024-11-01", "2024-11-22")
    row = features(hourly, "2024-11-01", "2024-11-22").iloc[-1]
    by_day = hourly.groupby(hourly["ts"].dt.date)
    price, prices = 1.0, []
    for _, day in by_day:
        prices += (price * day["close"] / day["open"].iloc[0]).tolist()
        price = prices[-1]
    series = np.array(prices)
    # RSI of the changes after the first bar: the price before it is not part of the series.
    assert row["hourly_rsi_14"] == pytest.approx(_wilder_rsi(series, 14), rel=1e-9)
    # The 12-bar mean is started so that both means begin at the 26th bar.
    macd = _ema(series[14:], 12) - _ema(series, 26)
    histogram = macd[-1] - _ema(macd, 9)[-1]
    assert row["hourly_macd_histogram"] == pytest.approx(histogram / series[-1] * 100, rel=1e-6)


def test_prices_that_never_moved_have_no_strength() -> None:
    flat = bars(*((f"{day:%Y-%m-%d}", HALF_PAST, [100.0] * 8) for day in sessions_between("2024-11-04", "2024-11-22")))
    row = features(flat, "2024-11-04", "2024-11-22").iloc[-1]
    assert np.isnan(row["hourly_rsi_14"])
    assert row["hourly_volatility_30"] == 0.0


def test_without_bars_there_are_columns_and_nothing_in_them() -> None:
    built = build_intraday(bars(), daily("2024-11-25", "2024-11-27"))
    assert tuple(built.columns) == INTRADAY.column_names
    assert built[list(INTRADAY_FEATURES)].isna().all(axis=None)
    assert (built[list(INTRADAY_FEATURES)].dtypes == "float64").all()
    assert len(build_intraday(walk("2024-11-25", "2024-11-25"), daily("2024-11-25", "2024-11-24"))) == 0


def test_bad_input_is_refused() -> None:
    hourly = walk("2024-11-25", "2024-11-26")
    for broken, message in (
        (hourly.drop(columns="close"), "close"),
        (pd.concat([hourly, hourly.iloc[:1]]), "one bar per start"),
        (hourly.assign(open=-1.0), "open is a positive"),
        (hourly.assign(close=np.inf), "close is a positive"),
        (hourly.assign(ticker=["SPY"] * 13 + ["QQQ"]), "one ticker"),
    ):
        with pytest.raises(SchemaError, match=message):
            build_intraday(broken, daily("2024-11-25", "2024-11-26"))


@pytest.fixture(scope="module")
def real_hourly(real_data: Path) -> pd.DataFrame:
    found = pd.read_parquet(real_data / "prices_hourly.parquet")
    columns = list(PRICES_HOURLY.column_names)
    return found.loc[found["ticker"] == "SPY", columns].reset_index(drop=True)


@pytest.mark.files_data
def test_real_bars_know_nothing_of_later_ones(real_hourly: pd.DataFrame, spy_prices: pd.DataFrame) -> None:
    inputs = {
        "prices_hourly": real_hourly.assign(volume=real_hourly["volume"].astype("float64")),
        "prices": spy_prices[spy_prices["session"] >= "1997-12-01"].reset_index(drop=True),
    }
    times = {"prices_hourly": "ts", "prices": "session"}
    assert probe_lookahead(build_intraday, inputs, time_columns=times, table="features.intraday", cuts=6) == []

    def leaky(prices_hourly: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
        return build_intraday(prices_hourly, prices).bfill()

    found = probe_lookahead(leaky, inputs, time_columns=times, table="features.intraday", cuts=6)
    assert "hourly_mean_return_30" in {violation.feature for violation in found}


@pytest.mark.files_data
def test_the_hours_of_a_real_session_make_up_its_day(real_hourly: pd.DataFrame, spy_prices: pd.DataFrame) -> None:
    frame = spy_prices[(spy_prices["session"] >= "1998-01-02") & (spy_prices["session"] <= "2024-12-31")]
    rows = build_intraday(real_hourly, frame.reset_index(drop=True)).set_index("session")
    missing = rows["hourly_mean_return_6"].isna()
    # An open of 111.00 on a day between 131 and 134.
    assert missing["2000-12-18"]
    assert rows["first_hour_return"].abs().max() < 0.05
    assert missing.mean() < 0.01
    # Yahoo's half days of 2023 and 2024 lack the bar from 12:30: they are not complete.
    assert missing[["2023-07-03", "2023-11-24", "2024-07-03", "2024-11-29", "2024-12-24"]].all()
    ordinary = bool((~missing)[["2015-11-27", "2019-11-29", "2022-11-25"]].all())
    assert ordinary
    # Seven bars from 09:30: the first hour and the six bars after it are the day, which the daily bars have too.
    recent = rows.loc["2023-02-06":]
    day = np.log1p(recent["first_hour_return"]) + 6 * recent["hourly_mean_return_6"]
    bars_of_day = frame.set_index("session").loc["2023-02-06":]
    difference = (day - np.log(bars_of_day["close"] / bars_of_day["open"])).dropna().abs()
    assert len(difference) > 450
    assert difference.quantile(0.95) < 1e-3
    assert rows["hourly_rsi_14"].dropna().between(0, 100).all()
