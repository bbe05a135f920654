"""Yahoo's chart answer (v8) of a listing, in the fields and types of the real one."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from tests.resources.loopback.market import PRICE_FIELDS, Market
from trading_dag.sessions import session_open, shift_sessions

NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}


def chart(market: Market, symbol: str, query: dict[str, str], *, shows_open_session: bool) -> tuple[int, bytes]:
    """Status and body for one chart request."""
    listing = market.listings.get(symbol)
    if listing is None:
        return 404, _encode({"chart": {"result": None, "error": NOT_FOUND}})
    bars = listing.published(market.last)
    times = pd.Series([int(session_open(day).timestamp()) for day in bars.index], index=bars.index)
    if query.get("range") == "1d":
        first, end = int(times.iloc[-1]), int(times.iloc[-1]) + 1
    else:
        first, end = int(query["period1"]), int(query["period2"])
    shown = (times >= first) & (times < end)
    events = {
        "dividends": {
            str(times[day]): {"amount": listing.adjusted_dividend(day, market.last), "date": int(times[day])}
            for day in listing.dividends
            if day <= market.last and shown[day]
        },
        "splits": {
            str(times[day]): {
                "date": int(times[day]), "numerator": ratio, "denominator": 1.0, "splitRatio": f"{ratio:g}:1",
            }
            for day, ratio in listing.splits.items()
            if day <= market.last and shown[day]
        },
    }  # fmt: skip
    bars, stamps = bars[shown], list(times[shown])
    if shows_open_session:
        # Yahoo dates the bar of an open session with its last trade, not with the session's open.
        today = shift_sessions(pd.DatetimeIndex([market.last]), 1)[0]
        bars = pd.concat([bars, bars.iloc[[-1]] * 1.5])
        stamps.append(int(session_open(today).timestamp()) + 7200)
    result: dict[str, Any] = {"meta": _meta(symbol, listing.instrument, listing.timezone, bars)}
    if not stamps:
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
        return 200, _encode({"chart": {"result": [result], "error": None}})
    result["timestamp"] = stamps
    filled = {kind: items for kind, items in events.items() if items}
    if filled:
        result["events"] = filled
    quote = {name: [float(value) for value in bars[name]] for name in PRICE_FIELDS}
    quote["volume"] = [int(value) for value in bars["volume"]]
    result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": [float(v) for v in bars["adj_close"]]}]}
    return 200, _encode({"chart": {"result": [result], "error": None}})


def _meta(symbol: str, instrument: str, timezone: str, bars: pd.DataFrame) -> dict[str, Any]:
    return {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "PCX" if instrument == "ETF" else "SNP",
        "fullExchangeName": "NYSEArca" if instrument == "ETF" else "SNP",
        "instrumentType": instrument,
        "firstTradeDate": 728317800,
        "regularMarketTime": 1731704400,
        "hasPrePostMarketData": instrument == "ETF",
        "gmtoffset": -18000,
        "timezone": "EST",
        "exchangeTimezoneName": timezone,
        "regularMarketPrice": float(bars["close"].iloc[-1]) if len(bars) else None,
        "chartPreviousClose": float(bars["close"].iloc[0]) if len(bars) else None,
        "priceHint": 2,
        "currentTradingPeriod": {
            name: {"timezone": "EST", "start": start, "end": end, "gmtoffset": -18000}
            for name, start, end in (
                ("pre", 1731661200, 1731681000),
                ("regular", 1731681000, 1731704400),
                ("post", 1731704400, 1731718800),
            )
        },
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


def _encode(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()
