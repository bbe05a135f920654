"""Polygon: which contracts were listed on an earlier day, and the daily bars of one contract.

One request lists the contracts of a session (a page holds a thousand), another gives the bars of one contract on all
days that are wanted. Past days do not change, so answers are kept for long. Which sessions are wanted, and how bars
become chains, is in ``polygon_strips.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote

import pandas as pd

from resources.http.json_answer import FieldKind, Records
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from resources.vendors.chain_snapshot import ChainQuestion, moments, new_york_day
from resources.vendors.polygon_access import SOURCE, VENDOR, Page, PolygonPages, link_of
from trading_dag.settings import Settings

CONTRACTS: Final = "/v3/reference/options/contracts"
BARS: Final = "/v2/aggs/ticker/"
# What the vendor gives at most.
PAGE_ROWS: Final = 1_000
STANDARD_SHARES: Final = 100
_CONTRACT: Final[dict[str, FieldKind]] = {
    "ticker": "text",
    "contract_type": "text",
    "expiration_date": "date",
    "strike_price": "number",
    "shares_per_contract": "number or null",
}
_BAR: Final[dict[str, FieldKind]] = {"t": "integer", "c": "number", "v": "number"}
_SECONDS_A_DAY: Final = 86_400.0


@dataclass(frozen=True)
class ListedContract:
    """Describes one contract as it was listed: the vendor's name of it, ``O:SPY251219C00650000``, and its terms."""

    name: str
    right: str
    expiration: pd.Timestamp
    strike: float


@dataclass(frozen=True)
class Strip:
    """Says which contracts of a session are wanted.

    Attributes
    ----------
    question : ticker and session.
    first, last : expirations, inclusive.
    lowest, highest : strikes, inclusive, in dollars of that day.
    """

    question: ChainQuestion
    first: pd.Timestamp
    last: pd.Timestamp
    lowest: float
    highest: float


@dataclass(frozen=True)
class BarQuestion:
    """Describes one request for bars.

    Attributes
    ----------
    chain : one of the chains that the contract is in.
    contract : the vendor's name of it.
    first, last : days, inclusive.
    """

    chain: ChainQuestion
    contract: str
    first: pd.Timestamp
    last: pd.Timestamp


@dataclass(frozen=True)
class DailyBars:
    """Holds the days on which a contract traded: its last trade and its volume by day.

    Attributes
    ----------
    of_day : close and volume.
    bad : bars that cannot be read.
    """

    of_day: dict[pd.Timestamp, tuple[float, float]]
    bad: tuple[BadRecord, ...] = ()


class PolygonHistoryClient(PolygonPages):
    """Asks Polygon for lists of contracts of earlier days and for their daily bars."""

    _cache_name: ClassVar[str | None] = "polygon-history"
    _asks_by_date: ClassVar[bool] = True

    @staticmethod
    def _cache_seconds(settings: Settings) -> float:
        return settings.polygon_history.cache_days * _SECONDS_A_DAY

    def listed(self, strip: Strip) -> tuple[list[ListedContract], list[BadRecord]]:
        """Return the contracts of a strip that were listed on its session, and what of the list is not used.

        Raises
        ------
        SourceOffError : where the key or its plan is refused, for instance because the session is too long ago.
        SourceUnavailableError, SourceFormatError : as the answer is.
        """
        rows, bad = self._pages(strip.question, CONTRACTS, _asked_of(strip), read=_page_of)
        contracts = list[ListedContract]()
        for row in rows:
            reason = _objection_to(row, strip)
            if reason is None:
                contracts.append(_contract_of(row))
            else:
                bad.append(BadRecord(f"{row['ticker'][:30]} of the {strip.question}", reason))
        return list(dict.fromkeys(contracts)), bad

    def has_list(self, strip: Strip) -> bool:
        """Return whether the first page of a strip's list is kept."""
        return self._client.has_kept(self._request(strip.question, CONTRACTS, _asked_of(strip)))

    def bars(self, asked: BarQuestion) -> DailyBars:
        """Return the daily bars of a contract, in dollars of those days.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError : as ``listed``.
        """

        def read(request: HttpRequest, answer: HttpAnswer) -> Records:
            return _bar_records(request, answer, asked.contract)

        return _bars_of(self._records(self._bars_request(asked), read), asked)

    def has_bars(self, asked: BarQuestion) -> bool:
        """Return whether the answer about a contract is kept."""
        return self._client.has_kept(self._bars_request(asked))

    def _bars_request(self, asked: BarQuestion) -> HttpRequest:
        days = f"{asked.first:%Y-%m-%d}/{asked.last:%Y-%m-%d}"
        path = f"{BARS}{quote(asked.contract, safe=':')}/range/1/day/{days}"
        return self._request(asked.chain, path, {"adjusted": "false", "sort": "asc"})


def strip_of(ticker: str, session: pd.Timestamp, close: float, settings: Settings) -> Strip:
    """Return the strip that the settings want of a session, whose underlying closed at some dollars of that day."""
    chosen = settings.polygon_history
    question = ChainQuestion(SOURCE, ticker, session, chosen.maximum_days)
    return Strip(
        question,
        first=session + pd.Timedelta(days=chosen.minimum_days),
        last=question.last_expiration,
        # Rounded, so that the same strip is the same request.
        lowest=round(close * (1.0 - chosen.strike_fraction), 4),
        highest=round(close * (1.0 + chosen.strike_fraction), 4),
    )


def _asked_of(strip: Strip) -> dict[str, str]:
    return {
        "underlying_ticker": strip.question.ticker,
        "as_of": f"{strip.question.session:%Y-%m-%d}",
        "expiration_date.gte": f"{strip.first:%Y-%m-%d}",
        "expiration_date.lte": f"{strip.last:%Y-%m-%d}",
        "strike_price.gte": f"{strip.lowest:.4f}",
        "strike_price.lte": f"{strip.highest:.4f}",
        "limit": str(PAGE_ROWS),
    }


def _page_of(request: HttpRequest, answer: HttpAnswer) -> Page:
    page = VENDOR.read_object(request, answer)
    if "results" not in page:
        raise VENDOR.format_error(request, "field results is missing")
    return Page(VENDOR.records(request, page["results"], _CONTRACT), link_of(request, page))


def _objection_to(row: dict[str, Any], strip: Strip) -> str | None:
    """Return why a listed contract is not asked for; None where it is."""
    if row["contract_type"] not in ("call", "put"):
        return "neither a call nor a put"
    if row["shares_per_contract"] not in (None, STANDARD_SHARES):
        return f"not on {STANDARD_SHARES} shares"
    if not strip.first <= pd.Timestamp(row["expiration_date"]) <= strip.last:
        return "an expiration that was not asked for"
    if not strip.lowest <= row["strike_price"] <= strip.highest:
        return "a strike that was not asked for"
    name = row["ticker"].removeprefix("O:")
    if not (name.isalnum() and name.isascii()):
        return "no name of a contract"
    return None if name.endswith(_terms_in_name(row)) else "other terms than its name says"


def _terms_in_name(row: dict[str, Any]) -> str:
    """Return the end of an OCC identifier: expiration, right and strike."""
    right = row["contract_type"][0].upper()
    return f"{pd.Timestamp(row['expiration_date']):%y%m%d}{right}{round(row['strike_price'] * 1000):08d}"


def _contract_of(row: dict[str, Any]) -> ListedContract:
    right = "C" if row["contract_type"] == "call" else "P"
    expiration = pd.Timestamp(row["expiration_date"]).as_unit("us")
    return ListedContract(row["ticker"], right, expiration, float(row["strike_price"]))


def _bar_records(request: HttpRequest, answer: HttpAnswer, contract: str) -> Records:
    """Return the bars of an answer; a contract that did not trade has none, and the vendor leaves out the list."""
    body = VENDOR.read_object(request, answer)
    if body.get("ticker") != contract:
        raise VENDOR.format_error(request, f"the answer is about {str(body.get('ticker'))[:30]!r}")
    if body.get("next_url"):
        raise VENDOR.format_error(request, "the bars of a few months have more than one page")
    if "results" not in body:
        if body.get("resultsCount") != 0:
            raise VENDOR.format_error(request, "field results is missing")
        return Records([])
    records = VENDOR.records(request, body["results"], _BAR, objection=_objection_to_bar)
    days = [new_york_day(moment) for moment in moments([row["t"] for row in records.rows], unit="ms")]
    if len(set(days)) < len(days):
        raise VENDOR.format_error(request, "two bars of one day")
    return records


def _objection_to_bar(row: dict[str, Any]) -> str | None:
    if row["c"] < 0.0 or row["v"] < 0.0:
        return "a negative close or volume"
    return "no moment" if moments([row["t"]], unit="ms").isna().all() else None


def _bars_of(records: Records, asked: BarQuestion) -> DailyBars:
    of_day: dict[pd.Timestamp, tuple[float, float]] = {}
    bad = list(records.bad)
    for row, moment in zip(records.rows, moments([row["t"] for row in records.rows], unit="ms"), strict=True):
        day = new_york_day(moment)
        if asked.first <= day <= asked.last:
            of_day[day] = (float(row["c"]), float(row["v"]))
        else:
            bad.append(BadRecord(f"{day:%Y-%m-%d} of {asked.contract}", "a bar of a day that was not asked for"))
    return DailyBars(of_day, tuple(bad))
