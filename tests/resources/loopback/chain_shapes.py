"""Polygon's, Tradier's and Yahoo's answers about option chains, invented, in the vendors' shapes and with their habits.

Polygon gives pages with a link to the next, at its own host; Tradier writes a list of one as the thing itself, a list
of none as null, and answers in XML unless JSON is asked for; Yahoo gives one expiration an answer and leaves out what a
contract does not have. All three show the same contracts, so one is compared with the other and with what was invented.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from pydantic import SecretStr

from tests.resources.loopback.market import Market
from trading_dag.sessions import session_close
from trading_dag.settings import ChainVendorName, Settings

POLYGON: Final = "/v3/snapshot/options/"
TRADIER: Final = "/v1/markets/"
YAHOO: Final = "/v7/finance/options/"
POLYGON_KEY: Final = "polygon-key-0123456789"
TRADIER_TOKEN: Final = "tradier-token-0123456789"
SPOT: Final = 600.0
# Days to expiration; the last is beyond the period that is asked for by default.
EXPIRATIONS: Final = (0, 1, 7, 14, 28, 56, 98, 120)
STRIKES: Final = tuple(float(strike) for strike in range(540, 661, 5))
UNKNOWN: Final = "NOPE"


def chain_settings(
    settings: Settings,
    url: str,
    vendor: ChainVendorName,
    *,
    requests_per_second: float = 500.0,
    cache_seconds: float = 0.0,
    days: int = 100,
) -> Settings:
    """Settings that ask one of the vendors at an address, with its key."""
    chosen = {
        "chain_vendor": vendor,
        "chain_days": days,
        "chain_cache_seconds": cache_seconds,
        "polygon_url": url,
        "polygon_api_key": SecretStr(POLYGON_KEY),
        "polygon_requests_per_minute": 60.0 * requests_per_second,
        "tradier_url": url,
        "tradier_token": SecretStr(TRADIER_TOKEN),
        "tradier_requests_per_minute": 60.0 * requests_per_second,
    }
    return settings.model_copy(update=chosen)


@dataclass(frozen=True)
class Contract:
    """One listed contract and its last quote. ``traded_days_ago`` counts from the session."""

    root: str
    expiration: pd.Timestamp
    right: str
    strike: float
    bid: float
    ask: float
    last: float
    volume: int
    open_interest: int
    volatility: float
    traded_days_ago: int

    @property
    def occ(self) -> str:
        """The OCC identifier."""
        return f"{self.root}{self.expiration:%y%m%d}{self.right}{round(self.strike * 1000):08d}"


@lru_cache(maxsize=64)
def contracts_of(symbol: str, session: pd.Timestamp, days: tuple[int, ...] = EXPIRATIONS) -> tuple[Contract, ...]:
    """Calls and puts of every expiration, one crossed, one without quotes, and two of an adjusted root."""
    generator = np.random.default_rng(sum(map(ord, symbol)))
    found = []
    for day in days:
        expiration = session + pd.Timedelta(days=day)
        for strike in STRIKES:
            for right in "CP":
                value = max((SPOT - strike) * (1 if right == "C" else -1), 0.0) + 0.5 * np.sqrt(day + 1)
                bid, ask = round(value * 0.98, 2), round(value * 1.02, 2)
                if (day, strike, right) == (7, 600.0, "C"):
                    bid, ask = ask, bid
                if (day, strike, right) == (7, 540.0, "P"):
                    bid, ask = 0.0, 0.0
                found.append(
                    Contract(
                        root=symbol, expiration=expiration, right=right, strike=strike, bid=bid, ask=ask,
                        last=round(value, 2), volume=int(generator.integers(1, 5_000)),
                        open_interest=int(generator.integers(0, 90_000)),
                        volatility=round(0.15 + abs(strike - SPOT) / 2_000, 4),
                        traded_days_ago=5 if strike == STRIKES[0] else 0,
                    )
                )  # fmt: skip
        found += [
            Contract(f"{symbol}1", expiration, right, 600.0, 1.0, 9.0, 5.0, 3, 40, 0.3, 0)
            for right in "CP"
            if day == 14
        ]
    return tuple(found)


class ChainVendors:
    """What the three vendors answer.

    Attributes
    ----------
    page_rows : contracts that Polygon puts on a page, at most what is asked for.
    days : days to expiration of the contracts that are listed.
    minutes_late : how much older than the close the quotes are.
    has_quotes : whether the plan of Polygon's key has quotes and trades.
    writes_key_into_links : whether Polygon's links carry the key.
    page_loops : whether Polygon's second page links to itself.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self.page_rows = 250
        self.days = EXPIRATIONS
        self.minutes_late = 0.0
        self.has_quotes = True
        self.writes_key_into_links = False
        self.page_loops = False

    @property
    def session(self) -> pd.Timestamp:
        """The last closed session."""
        return pd.Timestamp(self._market.last)

    @property
    def quoted_at(self) -> pd.Timestamp:
        """Time-stamp of every quote."""
        return session_close(self.session) - pd.Timedelta(minutes=self.minutes_late)

    def contracts(self, symbol: str) -> tuple[Contract, ...]:
        """Every listed contract of a symbol."""
        return () if symbol == UNKNOWN else contracts_of(symbol, self.session, self.days)

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, is_empty: bool
    ) -> tuple[int, bytes] | None:
        """Status and body, None for a path that is not theirs."""
        sent = {name.lower(): value for name, value in headers.items()}
        if path.startswith(POLYGON):
            if sent.get("authorization") != f"Bearer {POLYGON_KEY}":
                return 401, b'{"status":"ERROR","request_id":"1","error":"Unknown API Key"}'
            return 200, _encode(self._polygon(path, query, is_empty=is_empty))
        if path.startswith(TRADIER):
            if sent.get("authorization") != f"Bearer {TRADIER_TOKEN}":
                return 401, b"Invalid Access Token"
            if sent.get("accept") != "application/json":
                return 200, b"<?xml version='1.0'?><options/>"
            return 200, _encode(self._tradier(path.removeprefix(TRADIER), query, is_empty=is_empty))
        if path.startswith(YAHOO):
            return 200, _encode(self._yahoo(path.removeprefix(YAHOO), query, is_empty=is_empty))
        return None

    def _polygon(self, path: str, query: Mapping[str, str], *, is_empty: bool) -> dict[str, Any]:
        asked = dict(query)
        if "cursor" in query:
            asked = json.loads(base64.urlsafe_b64decode(query["cursor"]))
        first, last = (pd.Timestamp(asked[f"expiration_date.{end}"]) for end in ("gte", "lte"))
        symbol = path.removeprefix(POLYGON).removeprefix("I:")
        listed = [one for one in self.contracts(symbol) if first <= one.expiration <= last]
        begin, size = int(asked.get("offset", 0)), min(self.page_rows, int(asked.get("limit", 10)))
        page = [] if is_empty else [self._snapshot(one, symbol) for one in listed[begin : begin + size]]
        body: dict[str, Any] = {"request_id": "6a7e466379af0a71039d60cc78e72282", "results": page, "status": "OK"}
        if begin + size < len(listed) and not is_empty:
            following = begin if self.page_loops and begin else begin + size
            cursor = base64.urlsafe_b64encode(json.dumps({**asked, "offset": following}).encode()).decode()
            link = {"cursor": cursor, **({"apiKey": POLYGON_KEY} if self.writes_key_into_links else {})}
            body["next_url"] = f"https://api.polygon.io{path}?{urlencode(link)}"
        return body

    def _snapshot(self, one: Contract, symbol: str) -> dict[str, Any]:
        traded = (self.session - pd.Timedelta(days=one.traded_days_ago)).tz_localize("America/New_York")
        row: dict[str, Any] = {
            "day": {
                "change": 0.1, "change_percent": 1.0, "close": one.last, "high": one.last, "low": one.last,
                "open": one.last, "previous_close": one.last, "volume": one.volume, "vwap": one.last,
                "last_updated": int(traded.value),
            },
            "details": {
                "contract_type": "call" if one.right == "C" else "put", "exercise_style": "american",
                "expiration_date": f"{one.expiration:%Y-%m-%d}", "shares_per_contract": 100,
                "strike_price": one.strike, "ticker": f"O:{one.occ}",
            },
            "greeks": {"delta": 0.5, "gamma": 0.01, "theta": -0.1, "vega": 0.3},
            "implied_volatility": one.volatility,
            "open_interest": one.open_interest,
            "underlying_asset": {"change_to_break_even": 1.0, "ticker": symbol},
        }  # fmt: skip
        if self.has_quotes:
            at = int(self.quoted_at.as_unit("ns").value)
            row["last_quote"] = {
                "ask": one.ask, "ask_size": 10, "bid": one.bid, "bid_size": 10, "last_updated": at,
                "midpoint": (one.bid + one.ask) / 2, "timeframe": "REAL-TIME",
            }  # fmt: skip
            row["last_trade"] = {"price": one.last, "sip_timestamp": at, "size": 1, "timeframe": "REAL-TIME"}
            row["underlying_asset"]["price"] = SPOT
        return row

    def _tradier(self, endpoint: str, query: Mapping[str, str], *, is_empty: bool) -> dict[str, Any]:
        symbol = query.get("symbol", query.get("symbols", ""))
        listed = () if is_empty else self.contracts(symbol.replace("/", "."))
        at = int(self.quoted_at.timestamp() * 1000)
        if endpoint == "options/expirations":
            days = sorted({f"{one.expiration:%Y-%m-%d}" for one in listed})
            return {"expirations": {"date": days if len(days) > 1 else days[0]} if days else None}
        if endpoint == "quotes":
            quote = {"symbol": symbol, "type": "etf", "last": SPOT + 1, "close": SPOT, "trade_date": at}
            return {"quotes": {"unmatched_symbols": {"symbol": symbol}} if is_empty else {"quote": quote}}
        rows = [
            {
                "symbol": one.occ, "description": one.occ, "exch": "Z", "type": "option", "last": one.last,
                "change": 0.1, "volume": one.volume, "open": None, "high": None, "low": None, "close": None,
                "bid": one.bid, "ask": one.ask, "underlying": symbol, "strike": one.strike,
                "trade_date": at, "bidsize": 1, "bid_date": at, "asksize": 1, "ask_date": at,
                "open_interest": one.open_interest, "contract_size": 100,
                "expiration_date": f"{one.expiration:%Y-%m-%d}", "expiration_type": "weeklys",
                "option_type": "call" if one.right == "C" else "put", "root_symbol": one.root,
                "greeks": {"delta": 0.5, "mid_iv": one.volatility, "smv_vol": one.volatility},
            }
            for one in listed
            if f"{one.expiration:%Y-%m-%d}" == query["expiration"]
        ]  # fmt: skip
        return {"options": {"option": rows if len(rows) > 1 else rows[0]} if rows else None}

    def _yahoo(self, symbol: str, query: Mapping[str, str], *, is_empty: bool) -> dict[str, Any]:
        listed = () if is_empty else self.contracts(symbol.removeprefix("^").replace("-", "."))
        if not listed:
            return {"optionChain": {"result": [], "error": None}}
        days = sorted({int(one.expiration.timestamp()) for one in listed})
        asked = int(query.get("date", days[0]))
        shown = [one for one in listed if int(one.expiration.timestamp()) == asked]
        at = int(self.quoted_at.timestamp())
        sides = {
            name: [self._yahoo_contract(one, at) for one in shown if one.right == right]
            for name, right in (("calls", "C"), ("puts", "P"))
        }
        result = {
            "underlyingSymbol": symbol,
            "expirationDates": days,
            "strikes": sorted({one.strike for one in shown}),
            "hasMiniOptions": False,
            "quote": {"symbol": symbol, "marketState": "POST", "regularMarketPrice": SPOT, "regularMarketTime": at},
            "options": [{"expirationDate": asked, "hasMiniOptions": False, **sides}],
        }
        return {"optionChain": {"result": [result], "error": None}}

    def _yahoo_contract(self, one: Contract, at: int) -> dict[str, Any]:
        row = {
            "contractSymbol": one.occ, "strike": one.strike, "currency": "USD", "lastPrice": one.last, "change": 0.0,
            "percentChange": 0.0, "volume": one.volume, "openInterest": one.open_interest, "bid": one.bid,
            "ask": one.ask, "contractSize": "REGULAR", "expiration": int(one.expiration.timestamp()),
            "lastTradeDate": at, "impliedVolatility": one.volatility if one.bid else 1.0000000000000003e-05,
            "inTheMoney": one.strike < SPOT,
        }  # fmt: skip
        if one.strike == STRIKES[1]:
            del row["volume"]
        return row


def _encode(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()
