"""FRED's answers: observations with their vintages and vintage dates (XML), and the public CSV.

Real-time periods are clipped to what was asked, more than 2,000 vintages are refused, a wrong key and an unknown
series are errors with FRED's own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from trading_dag.sessions import all_sessions

END_OF_TIME = pd.Timestamp("2262-01-01")
FIRST_OBSERVATION = "2014-01-01"
# The vintage with which FRED took the invented series over, with all of their past.
TAKEN_OVER_ON = pd.Timestamp("2016-01-04")
MAXIMUM_VINTAGES = 2000
_LEVELS = {
    "DFF": 2.0, "DGS2": 2.5, "DGS10": 3.0, "DGS3MO": 2.0, "VIXCLS": 18.0, "T10Y2Y": 0.5, "T10YIE": 2.2, "DFII10": 0.8,
    "UNRATE": 4.5, "CPIAUCSL": 240.0, "GDP": 18000.0, "UMCSENT": 90.0,
}  # fmt: skip
_DAYS_TO_RELEASE = {"UNRATE": 36, "CPIAUCSL": 43, "UMCSENT": 28, "GDP": 118}


@dataclass(frozen=True)
class FredData:
    """All vintages of the invented series: series_id, date, value, start and end of validity."""

    releases: pd.DataFrame

    @classmethod
    def invented(cls, *, last: pd.Timestamp, seed: int) -> FredData:
        """Daily series released the next session, monthly and quarterly ones later and revised a month after."""
        generator = np.random.default_rng(seed)
        parts = []
        for series_id, level in _LEVELS.items():
            if series_id in _DAYS_TO_RELEASE:
                frequency = "QS" if series_id == "GDP" else "MS"
                dates = pd.date_range(FIRST_OBSERVATION, last, freq=frequency)
                starts = dates + pd.Timedelta(days=_DAYS_TO_RELEASE[series_id])
            else:
                weekdays = pd.date_range(FIRST_OBSERVATION, last, freq="B")
                dates, sessions = weekdays, all_sessions()
                starts = sessions[sessions.searchsorted(weekdays + pd.Timedelta(days=1))]
            values = np.round(level * np.exp(np.cumsum(generator.normal(0.0, 0.002, len(dates)))), 3)
            first = pd.DataFrame({"series_id": series_id, "date": dates, "start": starts, "value": values})
            first["start"] = first["start"].where(first["start"] > TAKEN_OVER_ON, TAKEN_OVER_ON)
            if series_id == "VIXCLS":
                first.loc[~first["date"].isin(all_sessions()), "value"] = float("nan")
            if series_id in _DAYS_TO_RELEASE:
                revised = first.assign(start=first["start"] + pd.Timedelta(days=30), value=first["value"] + 0.5)
                first = first.assign(end=revised["start"] - pd.Timedelta(days=1))
                parts.append(revised.assign(end=END_OF_TIME))
            else:
                first = first.assign(end=END_OF_TIME)
            parts.append(first)
        releases = pd.concat(parts, ignore_index=True).sort_values(["series_id", "date", "start"], ignore_index=True)
        return cls(releases[releases["start"] <= last + pd.Timedelta(days=1)])

    def as_of(self, day: pd.Timestamp) -> FredData:
        """What had been released by a day."""
        return FredData(self.releases[self.releases["start"] <= day])

    def of(self, series_id: str) -> pd.DataFrame:
        """The vintages of one series."""
        return self.releases[self.releases["series_id"] == series_id]


def xml_answer(data: FredData, endpoint: str, query: dict[str, str], *, is_empty: bool) -> tuple[int, bytes]:
    """Status and body of ``series/observations`` or ``series/vintagedates``."""
    if not re.fullmatch(r"[0-9a-z]{32}", query.get("api_key", "")):
        return 400, _error(400, "Bad Request.  The value for variable api_key is not registered.")
    rows = data.of(query["series_id"])
    if rows.empty:
        return 400, _error(400, "Bad Request.  The series does not exist.")
    if is_empty:
        rows = rows.iloc[:0]
    if endpoint == "vintagedates":
        dates = "".join(f"<vintage_date>{day:%Y-%m-%d}</vintage_date>" for day in sorted(rows["start"].unique()))
        count = rows["start"].nunique()
        return 200, f'<vintage_dates count="{count}" offset="0" limit="10000">{dates}</vintage_dates>'.encode()
    first = max(pd.Timestamp(query.get("realtime_start", "1776-07-04")), pd.Timestamp("1776-07-04"))
    asked_end = query.get("realtime_end", "9999-12-31")
    last = END_OF_TIME if asked_end.startswith("9999") else pd.Timestamp(asked_end)
    vintages = rows.loc[rows["start"].between(first, last), "start"].nunique()
    if vintages > MAXIMUM_VINTAGES:
        return 400, _error(
            400,
            f"Bad Request.  There are {vintages} vintage dates in the specified real-time period: "
            f"{first:%Y-%m-%d} to {asked_end}.  This exceeds the maximum number of vintage dates allowed (2000).",
        )
    rows = rows[(rows["end"] >= first) & (rows["start"] <= last)]
    rows = rows[rows["date"] >= pd.Timestamp(query.get("observation_start", "1776-07-04"))]
    lines = [
        f'<observation realtime_start="{max(start, first):%Y-%m-%d}" realtime_end="{_day(min(end, last))}"'
        f' date="{day:%Y-%m-%d}" value="{"." if np.isnan(value) else value}"/>'
        for start, end, day, value in zip(rows["start"], rows["end"], rows["date"], rows["value"], strict=True)
    ]
    head = f'<observations realtime_start="{first:%Y-%m-%d}" count="{len(lines)}" offset="0" limit="100000">'
    return 200, (head + "".join(lines) + "</observations>").encode()


def csv_answer(data: FredData, query: dict[str, str], *, is_empty: bool) -> tuple[int, bytes]:
    """Status and body of ``fredgraph.csv``: the latest vintage, an empty field where a value is missing."""
    series_id = query["id"]
    rows = data.of(series_id)
    if rows.empty:
        return 404, b"<!DOCTYPE html><html><head><title>Error - St. Louis Fed</title></head></html>"
    rows = rows.drop_duplicates("date", keep="last")
    rows = rows[rows["date"] >= pd.Timestamp(query.get("cosd", "1776-07-04"))]
    lines = [f"observation_date,{series_id}"]
    if not is_empty:
        pairs = zip(rows["date"], rows["value"], strict=True)
        lines += [f"{day:%Y-%m-%d},{'' if np.isnan(value) else value}" for day, value in pairs]
    return 200, ("\n".join(lines) + "\n").encode()


def _day(day: pd.Timestamp) -> str:
    return "9999-12-31" if day == END_OF_TIME else f"{day:%Y-%m-%d}"


def _error(code: int, message: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8" ?><error code="{code}" message={quoteattr(message)}/>'.encode()
