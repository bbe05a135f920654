"""Yahoo's chart answer (v8) with hourly bars of a listing: from 09:30 on, and the last trade as if it were a bar."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from tests.resources.loopback.market import Market
from tests.resources.loopback.yahoo_shape import NOT_FOUND, _meta
from trading_dag.sessions import session_close, session_open, shift_sessions

HOUR = pd.Timedelta(hours=1)
DAYS = 730


def hours_of(market: Market, symbol: str) -> pd.DataFrame:
    """Every hour of every session up to the last: ts (start, UTC), open, high, low, close, volume."""
    published = market.listings[symbol].published(market.last)
    rows = []
    for day, bar in published.iterrows():
        starts = pd.date_range(session_open(day), session_close(day), freq=HOUR, inclusive="left")
        for place, start in enumerate(starts):
            middle = bar["open"] + (bar["close"] - bar["open"]) * (place + 1) / len(starts)
            before = bar["open"] + (bar["close"] - bar["open"]) * place / len(starts)
            rows.append((start, before, max(before, middle), min(before, middle), middle, 1000.0 + place))
    return pd.DataFrame(rows, columns=["ts", "open", "high", "low", "close", "volume"])


def hourly_chart(
    market: Market, symbol: str, query: dict[str, str], *, shows_open_session: bool, is_empty: bool
) -> tuple[int, bytes]:
    """Status and body for one chart request with ``interval=60m``."""
    listing = market.listings.get(symbol)
    if listing is None:
        return 404, _encode({"chart": {"result": None, "error": NOT_FOUND}})
    end_of_day = session_close(market.last)
    first, end = (pd.Timestamp(int(query[name]), unit="s", tz="UTC") for name in ("period1", "period2"))
    if first < end_of_day - pd.Timedelta(days=DAYS):
        words = "1h data not available for startTime. The requested range must be within the last 730 days."
        error = {"code": "Unprocessable Entity", "description": words}
        return 422, _encode({"chart": {"result": None, "error": error}})
    bars = hours_of(market, symbol)
    if shows_open_session:
        # Two finished hours of the open session, and the running one, dated with its last trade.
        today = session_open(shift_sessions(pd.DatetimeIndex([market.last]), 1)[0])
        running = [today, today + HOUR, today + 2 * HOUR + pd.Timedelta(minutes=17, seconds=33)]
        bars = pd.concat([bars, *(bars.iloc[[-1]].assign(ts=start) for start in running)])
    else:
        bars = pd.concat([bars, bars.iloc[[-1]].assign(ts=end_of_day, volume=0.0)])
    bars = bars[(bars["ts"] >= first) & (bars["ts"] < end)]
    meta = {**_meta(symbol, listing.instrument, listing.timezone, bars), "dataGranularity": "1h"}
    if is_empty or bars.empty:
        body = {"meta": meta, "indicators": {"quote": [{}]}}
        return 200, _encode({"chart": {"result": [body], "error": None}})
    days = pd.DatetimeIndex(bars["ts"]).tz_convert("America/New_York").normalize().unique().tz_localize(None)
    meta["tradingPeriods"] = [
        [
            {
                "timezone": "EST", "gmtoffset": -18000, "start": int(session_open(day).timestamp()),
                "end": int(session_close(day).timestamp()),
            }
        ]
        for day in days
    ]  # fmt: skip
    quote: dict[str, Any] = {name: [float(value) for value in bars[name]] for name in ("open", "high", "low", "close")}
    quote["volume"] = [int(value) for value in bars["volume"]]
    stamps = [int(start.timestamp()) for start in bars["ts"]]
    result = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [quote]}}
    return 200, _encode({"chart": {"result": [result], "error": None}})


def _encode(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()
