"""Polygon's answers about earlier days, invented: lists of contracts as of a date, and daily bars of one contract.

Contracts expire on Fridays, or on the session before a holiday, and are listed for ten weeks; those that have expired
are still known. A bar is priced by Black and Scholes at one volatility without dividends and rates, so that what is
computed from chains has a value known beforehand. A contract without a trade on any day has an answer without a list,
as the vendor gives it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import erf, log, sqrt
from typing import Any, Final
from urllib.parse import urlencode

import pandas as pd

from tests.resources.loopback.chain_shapes import POLYGON_KEY
from trading_dag.sessions import session_before, sessions_between

LISTS: Final = "/v3/reference/options/contracts"
BARS: Final = "/v2/aggs/ticker/"
VOLATILITY: Final = 0.2
STEP: Final = 5.0
LISTED_DAYS: Final = 70
FIRST_CLOSE: Final = 600.0


def close_of(session: pd.Timestamp) -> float:
    """Return the underlying's close, in dollars of that day: a dollar more each calendar day."""
    return FIRST_CLOSE + (session - pd.Timestamp("2026-03-02")).days


@dataclass(frozen=True)
class Listed:
    """One contract."""

    symbol: str
    expiration: pd.Timestamp
    right: str
    strike: float

    @property
    def name(self) -> str:
        """The vendor's name of it."""
        return f"O:{self.symbol}{self.expiration:%y%m%d}{self.right}{round(self.strike * 1000):08d}"

    def value(self, session: pd.Timestamp) -> float:
        """What it is worth at a session's close."""
        spot, deviation = close_of(session), VOLATILITY * sqrt((self.expiration - session).days / 365.0)
        upper = log(spot / self.strike) / deviation + deviation / 2.0
        call = spot * _normal(upper) - self.strike * _normal(upper - deviation)
        return call if self.right == "C" else call - spot + self.strike


class ChainHistory:
    """What the vendor answers about earlier days.

    Attributes
    ----------
    page_rows : contracts on a page, at most what is asked for.
    earliest : the first day that the plan includes.
    silent : contracts that never traded.
    quiet_days : days on which a contract did not trade, by its name.
    """

    def __init__(self) -> None:
        self.page_rows = 1_000
        self.earliest = pd.Timestamp("2024-01-01")
        self.silent: set[str] = set()
        self.quiet_days: dict[str, set[str]] = {}

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, is_empty: bool
    ) -> tuple[int, bytes] | None:
        """Status and body, None for a path that is not its own."""
        if not path.startswith((LISTS, BARS)):
            return None
        sent = {name.lower(): value for name, value in headers.items()}
        if sent.get("authorization") != f"Bearer {POLYGON_KEY}":
            return 401, b'{"status":"ERROR","request_id":"1","error":"Unknown API Key"}'
        if path == LISTS:
            return self._list(query, is_empty=is_empty)
        return self._bars(path.removeprefix(BARS), is_empty=is_empty)

    def _list(self, query: Mapping[str, str], *, is_empty: bool) -> tuple[int, bytes]:
        asked = json.loads(base64.urlsafe_b64decode(query["cursor"])) if "cursor" in query else dict(query)
        day = pd.Timestamp(asked["as_of"])
        if day < self.earliest:
            return _refused()
        first, last = (pd.Timestamp(asked[f"expiration_date.{end}"]) for end in ("gte", "lte"))
        low, high = (float(asked[f"strike_price.{end}"]) for end in ("gte", "lte"))
        listed = [
            one for one in listed_on(asked["underlying_ticker"], day)
            if first <= one.expiration <= last and low <= one.strike <= high
        ]  # fmt: skip
        begin, size = int(asked.get("offset", 0)), min(self.page_rows, int(asked.get("limit", 10)))
        body: dict[str, Any] = {
            "request_id": "1", "status": "OK",
            "results": [] if is_empty else [_reference(one) for one in listed[begin : begin + size]],
        }  # fmt: skip
        if begin + size < len(listed) and not is_empty:
            cursor = base64.urlsafe_b64encode(json.dumps({**asked, "offset": begin + size}).encode()).decode()
            body["next_url"] = f"https://api.polygon.io{LISTS}?{urlencode({'cursor': cursor})}"
        return 200, json.dumps(body).encode()

    def _bars(self, rest: str, *, is_empty: bool) -> tuple[int, bytes]:
        name, _, _, _, first, last = rest.split("/")
        if pd.Timestamp(first) < self.earliest:
            return _refused()
        one = _named(name)
        begins = max(pd.Timestamp(first), one.expiration - pd.Timedelta(days=LISTED_DAYS))
        quiet = self.quiet_days.get(name, set())
        rows = [
            {
                "v": 10, "vw": value, "o": value, "c": value, "h": value, "l": value, "n": 3,
                "t": int(day.tz_localize("America/New_York").timestamp() * 1000),
            }
            for day in sessions_between(begins, min(pd.Timestamp(last), one.expiration))
            if f"{day:%Y-%m-%d}" not in quiet
            for value in [round(one.value(day), 2)]
        ]  # fmt: skip
        if is_empty or name in self.silent:
            rows = []
        body: dict[str, Any] = {
            "ticker": name, "queryCount": len(rows), "resultsCount": len(rows), "adjusted": False, "status": "DELAYED",
            "request_id": "1", "count": len(rows),
        }  # fmt: skip
        return 200, json.dumps(body | ({"results": rows} if rows else {})).encode()


def listed_on(symbol: str, day: pd.Timestamp) -> Iterator[Listed]:
    """Yield every contract that is listed on a day, those of earlier days among them that had not expired then."""
    for friday in pd.date_range(day, day + pd.Timedelta(days=LISTED_DAYS), freq="W-FRI"):
        expiration = session_before(friday + pd.Timedelta(days=1))
        for step in range(80, 160):
            for right in "CP":
                yield Listed(symbol, expiration, right, step * STEP)


def _reference(one: Listed) -> dict[str, Any]:
    return {
        "cfi": "OCASPS", "contract_type": "call" if one.right == "C" else "put", "exercise_style": "american",
        "expiration_date": f"{one.expiration:%Y-%m-%d}", "primary_exchange": "BATO", "shares_per_contract": 100,
        "strike_price": int(one.strike), "ticker": one.name, "underlying_ticker": one.symbol,
    }  # fmt: skip


def _named(name: str) -> Listed:
    body = name.removeprefix("O:")
    return Listed(body[:-15], pd.to_datetime(body[-15:-9], format="%y%m%d"), body[-9], int(body[-8:]) / 1000)


def _refused() -> tuple[int, bytes]:
    return 403, b'{"status":"NOT_AUTHORIZED","request_id":"1","message":"Your plan does not include this timeframe."}'


def _normal(value: float) -> float:
    return 0.5 * (1.0 + erf(value / sqrt(2.0)))
