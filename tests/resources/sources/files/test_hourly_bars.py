"""Hourly bars by the clock, from a file through the ``files`` source to the features that they are for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.sources.files.source import FilesSource
from trading_dag.features.intraday import build_intraday
from trading_dag.sessions import sessions_between

FIRST, LAST = "2019-10-01", "2019-12-31"
# New York: the first bar holds the trades from 09:30 on.
BY_CLOCK = ["09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]


def by_clock(folder: Path) -> pd.DataFrame:
    """Files of clock-hour bars that rise by 0.1 % each, and of the days they make up; half days end at 13:00."""
    bars, days = [], []
    for day in sessions_between(FIRST, LAST):
        starts = BY_CLOCK[:4] if f"{day:%m-%d}" in ("11-29", "12-24") else BY_CLOCK
        closes = 100 * 1.001 ** np.arange(len(starts) + 1)
        for start, opened, closed in zip(starts, closes[:-1], closes[1:], strict=True):
            moment = pd.Timestamp(f"{day:%Y-%m-%d} {start}", tz="America/New_York").tz_convert("UTC")
            bars.append(("SPY", moment, opened, closed, opened, closed, 1e6))
        days.append(("SPY", day, 100.0, closes[-1], 100.0, closes[-1], closes[-1], 7e6))
    columns = ["open", "high", "low", "close"]
    pd.DataFrame(bars, columns=["ticker", "ts", *columns, "volume"]).to_parquet(folder / "prices_hourly.parquet")
    daily = pd.DataFrame(days, columns=["ticker", "session", *columns, "adj_close", "volume"])
    daily.to_parquet(folder / "prices_daily.parquet")
    return daily


def test_every_session_of_bars_by_the_clock_has_its_features(tmp_path: Path) -> None:
    by_clock(tmp_path)
    source = FilesSource(tmp_path)
    rows = build_intraday(source.prices_hourly("SPY"), source.prices_daily("SPY")).set_index("session")
    assert len(rows) == len(sessions_between(FIRST, LAST))
    assert rows["last_hour_return"].to_numpy() == pytest.approx(0.001)
    assert rows["hourly_mean_return_6"].iloc[:1].to_numpy() == pytest.approx(np.log(1.001))
    assert rows["hourly_mean_return_30"].iloc[4:].to_numpy() == pytest.approx(np.log(1.001))
    assert rows["first_hour_return"].isna().all()


@pytest.mark.files_data
def test_nearly_every_real_session_of_each_year_has_its_features(real_data: Path) -> None:
    source = FilesSource(real_data)
    hourly, daily = source.prices_hourly("SPY"), source.prices_daily("SPY")
    rows = build_intraday(hourly, daily[daily["session"] >= "1998-01-01"].reset_index(drop=True))
    years = rows["session"].dt.year
    of_year = rows.notna().groupby(years).mean().loc[1998:2024]
    # Yahoo's bars of 2023 begin the change of layout; half days of it lack their last bar.
    assert of_year["hourly_volatility_30"].drop([1998, 2023]).min() > 0.97
    assert of_year.loc[[1998, 2023], "hourly_volatility_30"].min() > 0.88
    assert of_year.loc[1998:2022, "last_hour_return"].min() > 0.97
    assert of_year.loc[1998:2022, "first_hour_return"].max() == 0.0
    assert of_year.loc[2024, "first_hour_return"] > 0.97
    assert of_year.loc[2024, "last_hour_return"] == 0.0
