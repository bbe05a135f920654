"""A paper account that speaks Alpaca's JSON on loopback: orders of one and of several legs, positions, fills, refusals.

It keeps its own books from the quotes that a test sets, so that a client is tested against an exchange that decides for
itself. Faults are injected per request: a status with a body, a delay, a connection that is cut before the order is
taken or after it. Shapes follow Alpaca's published reference of the trading API v2.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from math import gcd
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.resources.loopback.server import Server

KEY: Final = "PKLOOPBACKKEY0000001"
SECRET: Final = "loopback-secret-that-must-never-be-seen"
OPEN_STATUSES: Final = ("new", "accepted", "pending_new", "partially_filled", "held", "pending_cancel")
MOST_LEGS: Final = 4
LONGEST_CLIENT_ID: Final = 128
HUNDRED: Final = Decimal(100)
CENT: Final = Decimal("0.01")
DUPLICATE: Final = {"code": 40010001, "message": "client_order_id must be unique"}
NOT_FOUND: Final = {"code": 40410000, "message": "order not found for"}
Answer = tuple[int, Any]


@dataclass(frozen=True)
class AlpacaFault:
    """What goes wrong with one request.

    Attributes
    ----------
    status, body : answered in place of the account's answer, which is then not asked at all.
    delay_seconds : before the answer.
    cuts_before, cuts_after : the connection is closed without an answer, before the account is asked or after it.
    """

    status: int | None = None
    body: bytes = b""
    delay_seconds: float = 0.0
    cuts_before: bool = False
    cuts_after: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class AskedOf:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str] = field(repr=False)


@dataclass
class Quote:
    """Bid and ask of a contract, and how many can be had at them."""

    bid: Decimal
    ask: Decimal
    size: int = 1_000_000


class LoopbackAlpaca:
    """A paper account behind a server, for the length of a ``with`` block.

    Parameters
    ----------
    cash : USD at the start.
    fee_per_contract : what each contract costs to trade, USD; shown as an activity of type FEE.
    """

    def __init__(self, *, cash: str = "100000", fee_per_contract: str = "0") -> None:
        self.cash = Decimal(cash)
        self.fee_per_contract = Decimal(fee_per_contract)
        self.is_open = True
        self.quotes: dict[str, Quote] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.held: dict[str, int] = {}
        self.average: dict[str, Decimal] = {}
        self.activities: list[dict[str, Any]] = []
        self.requests: list[AskedOf] = []
        self.rejects: Callable[[dict[str, Any]], str | None] = lambda order: None
        self.quoted_at: str | None = None
        self.now = "2026-03-03T15:00:00.123456789Z"
        self._faults: list[tuple[str, str, AlpacaFault]] = []
        self._lock = threading.RLock()
        self._closing = threading.Event()
        account = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                account._handle(self)

            def do_POST(self) -> None:
                account._handle(self)

            def do_DELETE(self) -> None:
                account._handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the tests' output clean."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> LoopbackAlpaca:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server, without the version that the client appends."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def quote(self, symbol: str, bid: str, ask: str, size: int = 1_000_000) -> None:
        """Set a contract's quote, and fill what has become marketable."""
        with self._lock:
            self.quotes[symbol] = Quote(Decimal(bid), Decimal(ask), size)
            self.match()

    def inject(self, method: str, path_substring: str, fault: AlpacaFault, times: int = 1) -> None:
        """Let the next requests of a method whose path contains a text fail."""
        with self._lock:
            self._faults += [(method, path_substring, fault)] * times

    def asked(self, method: str, path_substring: str) -> list[AskedOf]:
        """The requests of a method whose path contains a text, in order."""
        with self._lock:
            return [one for one in self.requests if one.method == method and path_substring in one.path]

    def accepted(self, client_order_id: str) -> list[dict[str, Any]]:
        """The orders that the account holds under an identity of the client's."""
        with self._lock:
            return [order for order in self.orders.values() if order["client_order_id"] == client_order_id]

    def end_session(self) -> None:
        """Close the market: what is open of the day's orders expires."""
        with self._lock:
            self.is_open = False
            for order in self.orders.values():
                if order["status"] in OPEN_STATUSES:
                    self._finish(order, "expired", "expired_at")

    def begin_session(self) -> None:
        """Open the market and fill what is marketable."""
        with self._lock:
            self.is_open = True
            self.match()

    def deliver(self, symbol: str, activity_type: str) -> None:
        """Take an option out of the account by assignment, exercise or expiry (OPASN, OPEXC, OPEXP)."""
        with self._lock:
            quantity = self.held.pop(symbol)
            activity = {"activity_type": activity_type, "symbol": symbol, "qty": str(-quantity), "price": "0"}
            self._note(activity | {"date": "2026-03-03", "net_amount": "0", "description": "", "status": "executed"})

    def trade_shares(self, symbol: str, quantity: int, price: str) -> None:
        """Note the shares that an exercise or an assignment moved (OPTRD)."""
        with self._lock:
            paid = Decimal(price) * quantity
            self.cash -= paid
            activity = {"activity_type": "OPTRD", "symbol": symbol, "qty": str(quantity), "price": price}
            self._note(activity | {"date": "2026-03-03", "net_amount": _plain(-paid), "status": "executed"})

    def _note(self, activity: dict[str, Any]) -> None:
        self.activities.append({"id": f"20260303000000{len(self.activities):03d}::{uuid.uuid4()}", **activity})

    def match(self) -> None:
        """Fill every open order that the quotes allow, as far as their sizes go."""
        if not self.is_open:
            return
        for order in list(self.orders.values()):
            if order["status"] in ("new", "accepted", "partially_filled"):
                self._try_to_fill(order)

    def _try_to_fill(self, order: dict[str, Any]) -> None:
        legs = order["legs"] or [order]
        if any(leg["symbol"] not in self.quotes for leg in legs):
            return
        prices = {
            leg["symbol"]: quote.ask if leg["side"] == "buy" else quote.bid
            for leg in legs
            for quote in [self.quotes[leg["symbol"]]]
        }
        ratio = {leg["symbol"]: int(leg.get("ratio_qty") or 1) for leg in legs}
        signs = {leg["symbol"]: 1 if leg["side"] == "buy" else -1 for leg in legs}
        net = sum((signs[name] * ratio[name] * prices[name] for name in prices), Decimal(0))
        is_single_sale = not order["legs"] and order["side"] == "sell"
        limit = Decimal(order["limit_price"]) * (-1 if is_single_sale else 1)
        if net > limit:
            return
        left = int(order["qty"]) - int(order["filled_qty"])
        quantity = min([left, *(self.quotes[name].size // ratio[name] for name in prices)])
        if quantity <= 0:
            return
        self._book(order, legs, prices, quantity, shown=abs(net) if not order["legs"] else net)

    def _book(
        self,
        order: dict[str, Any],
        legs: list[dict[str, Any]],
        prices: dict[str, Decimal],
        quantity: int,
        *,
        shown: Any,
    ) -> None:
        done = int(order["filled_qty"])
        for leg in legs:
            name, contracts = leg["symbol"], quantity * int(leg.get("ratio_qty") or 1)
            sign = 1 if leg["side"] == "buy" else -1
            self.quotes[name].size -= contracts
            self.cash -= sign * contracts * prices[name] * HUNDRED + contracts * self.fee_per_contract
            self.held[name] = self.held.get(name, 0) + sign * contracts
            self.average[name] = prices[name]
            if not self.held[name]:
                del self.held[name]
            self._note(self._fill_activity(leg, prices[name], contracts))
            if leg is not order:
                before, was = int(leg["filled_qty"]), Decimal(leg["filled_avg_price"] or 0)
                leg["filled_qty"] = str(before + contracts)
                mean = (was * before + prices[name] * contracts) / (before + contracts)
                leg["filled_avg_price"] = _plain(mean)
                leg["status"] = "filled" if before + contracts == int(leg["qty"]) else "partially_filled"
        mean = (Decimal(order["filled_avg_price"] or 0) * done + shown * quantity) / (done + quantity)
        order.update(filled_qty=str(done + quantity), filled_avg_price=_plain(mean), updated_at=self.now)
        order["status"] = "filled" if done + quantity == int(order["qty"]) else "partially_filled"
        if order["status"] == "filled":
            order["filled_at"] = self.now

    def _fill_activity(self, leg: dict[str, Any], price: Decimal, contracts: int) -> dict[str, Any]:
        return {
            "activity_type": "FILL", "type": "fill", "transaction_time": self.now, "price": _plain(price),
            "qty": str(contracts), "side": leg["side"], "symbol": leg["symbol"], "leaves_qty": "0",
            "cum_qty": str(contracts), "order_id": leg["id"], "order_status": "filled",
        }  # fmt: skip

    def _finish(self, order: dict[str, Any], status: str, when: str) -> None:
        for one in [order, *(order["legs"] or [])]:
            if one["status"] in OPEN_STATUSES:
                one.update({"status": status, when: self.now, "updated_at": self.now})

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        length = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(length)
        with self._lock:
            fault = self._take_fault(handler.command, path)
            body = json.loads(text) if text else None
            self.requests.append(AskedOf(handler.command, path, query, body, dict(handler.headers)))
            is_asked = fault.status is None and not fault.cuts_before
            status, answer = self._answer(handler, path, query, body) if is_asked else (fault.status or 500, None)
        sent = fault.body if fault.status is not None else b"" if answer is None else json.dumps(answer).encode()
        if fault.delay_seconds:
            self._closing.wait(fault.delay_seconds)
        if fault.cuts_before or fault.cuts_after:
            handler.close_connection = True
            return
        try:
            handler.send_response(status)
            for name, value in fault.headers:
                handler.send_header(name, value)
            handler.send_header("Content-Type", "application/json; charset=UTF-8")
            handler.send_header("Content-Length", str(len(sent)))
            handler.end_headers()
            handler.wfile.write(sent)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _take_fault(self, method: str, path: str) -> AlpacaFault:
        for position, (of_method, text, fault) in enumerate(self._faults):
            if of_method == method and text in path:
                del self._faults[position]
                return fault
        return AlpacaFault()

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: Any) -> Answer:
        if (handler.headers.get("APCA-API-KEY-ID"), handler.headers.get("APCA-API-SECRET-KEY")) != (KEY, SECRET):
            return 401, {"message": "unauthorized."}
        method = handler.command
        if path == "/v2/orders" and method == "POST":
            return self._take_order(body)
        if path == "/v2/orders" and method == "GET":
            return 200, self._listed(query)
        if path == "/v2/orders:by_client_order_id":
            found = self.accepted(query.get("client_order_id", ""))
            return (200, found[-1]) if found else (404, NOT_FOUND)
        if path.startswith("/v2/orders/"):
            return self._one_order(method, path.removeprefix("/v2/orders/"))
        if path == "/v2/positions":
            return 200, [self._position(name) for name in self.held]
        if path == "/v2/account":
            return 200, self._account()
        if path == "/v2/clock":
            return 200, {
                "timestamp": self.now, "is_open": self.is_open, "next_open": "2026-03-04T09:30:00-05:00",
                "next_close": "2026-03-03T16:00:00-05:00",
            }  # fmt: skip
        if path == "/v2/account/activities":
            return 200, self._activity_page(query)
        if path == "/v1beta1/options/quotes/latest":
            wanted = query["symbols"].split(",")
            return 200, {"quotes": {name: self._told_quote(name) for name in wanted if name in self.quotes}}
        return 404, {"message": "endpoint not found."}

    def _activity_page(self, query: dict[str, str]) -> list[dict[str, Any]]:
        kinds = set(query["activity_types"].split(","))
        found = [one for one in self.activities if one["activity_type"] in kinds]
        after = query.get("page_token")
        start = 0 if after is None else [one["id"] for one in found].index(after) + 1
        return found[start : start + int(query.get("page_size", "100"))]

    def _told_quote(self, name: str) -> dict[str, Any]:
        quote = self.quotes[name]
        return {
            "t": self.quoted_at or self.now, "bp": float(quote.bid), "ap": float(quote.ask), "bs": 10, "as": 10,
            "bx": "C", "ax": "C", "c": "A",
        }  # fmt: skip

    def _one_order(self, method: str, order_id: str) -> Answer:
        order = self.orders.get(order_id)
        if order is None:
            return 404, NOT_FOUND
        if method == "GET":
            return 200, order
        if order["status"] not in OPEN_STATUSES:
            return 422, {"code": 42210000, "message": f'order is already in "{order["status"]}" state'}
        self._finish(order, "canceled", "canceled_at")
        return 204, None

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted, after = query.get("status", "open"), query.get("after", "")
        found = [
            order
            for order in self.orders.values()
            if (wanted == "all" or (order["status"] in OPEN_STATUSES) == (wanted == "open"))
            and order["submitted_at"][:23] > after[:23]
        ]
        return (found if query.get("direction") == "asc" else found[::-1])[: int(query.get("limit", "50"))]

    def _take_order(self, body: Any) -> Answer:
        refusal = self._refusal(body)
        if refusal:
            return refusal
        order = self._new_order(body)
        self.orders[order["id"]] = order
        reason = self.rejects(order)
        if reason:
            self._finish(order, "rejected", "failed_at")
        answer = json.loads(json.dumps(order))
        self.match()
        return 200, answer

    def _refusal(self, body: dict[str, Any]) -> Answer | None:
        client_id = body.get("client_order_id", "")
        if len(client_id) > LONGEST_CLIENT_ID:
            return 422, {"code": 40010001, "message": "client_order_id must be no more than 128 characters"}
        if self.accepted(client_id):
            return 422, DUPLICATE
        if body.get("time_in_force") != "day":
            return 422, {"code": 42210000, "message": "invalid time_in_force for options order"}
        limit = Decimal(str(body["limit_price"]))
        if limit != limit.quantize(CENT):
            rule = "sub-penny increment does not fulfill minimum pricing criteria"
            return 422, {"code": 42210000, "message": f"invalid limit_price {limit}. {rule}"}
        if body.get("order_class") != "mleg":
            if limit <= 0:
                return 422, {"code": 40010001, "message": "limit price must be > 0"}
            return self._uncovered([body], int(body["qty"]))
        legs = body["legs"]
        if not 2 <= len(legs) <= MOST_LEGS:
            return 422, {"code": 42210000, "message": "mleg orders must have between 2 and 4 legs"}
        if gcd(*(int(leg["ratio_qty"]) for leg in legs)) != 1:
            return 422, {"code": 42210000, "message": "leg ratio quantities must be relatively prime"}
        return self._uncovered(legs, int(body["qty"]))

    def _uncovered(self, legs: list[dict[str, Any]], quantity: int) -> Answer | None:
        for leg in legs:
            name, contracts = leg["symbol"], quantity * int(leg.get("ratio_qty") or 1)
            signed = self.held.get(name, 0)
            intent = leg["position_intent"]
            has = {"sell_to_close": signed, "buy_to_close": -signed}.get(intent, contracts)
            if has < contracts:
                return 403, {
                    "code": 40310000, "symbol": name, "message": "position intent mismatch, inferred: "
                    f"{intent.replace('close', 'open')}, specified: {intent}",
                }  # fmt: skip
        cost = sum(
            (int(leg.get("ratio_qty") or 1) * quantity * self.quotes[leg["symbol"]].ask * HUNDRED for leg in legs
             if leg["position_intent"] == "buy_to_open" and leg["symbol"] in self.quotes),
            Decimal(0),
        )  # fmt: skip
        if cost > self.cash:
            return 403, {
                "code": 40310000,
                "message": "insufficient options buying power",
                "buying_power": _plain(self.cash),
            }
        return None

    def _new_order(self, body: dict[str, Any]) -> dict[str, Any]:
        is_multi = body.get("order_class") == "mleg"
        top = self._order_fields(body, client_order_id=body["client_order_id"], qty=body["qty"])
        top.update(limit_price=_plain(Decimal(str(body["limit_price"]))), type="limit", order_type="limit")
        if not is_multi:
            return {**top, "order_class": "", "legs": None, "position_intent": body.get("position_intent")}
        legs = []
        for leg in body["legs"]:
            quantity = int(body["qty"]) * int(leg["ratio_qty"])
            fields = self._order_fields(leg, client_order_id=str(uuid.uuid4()), qty=quantity)
            ratio = {"ratio_qty": str(int(leg["ratio_qty"])), "position_intent": leg["position_intent"]}
            legs.append({**fields, **ratio, "order_class": "mleg", "legs": None, "limit_price": None, "type": ""})
        return {**top, "symbol": "", "asset_id": "", "asset_class": "", "side": "", "order_class": "mleg", "legs": legs}

    def _order_fields(self, said: dict[str, Any], *, client_order_id: str, qty: Any) -> dict[str, Any]:
        moments = dict.fromkeys(("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at"))
        return {
            "id": str(uuid.uuid4()), "client_order_id": client_order_id, "created_at": self.now,
            "updated_at": self.now, "submitted_at": self.now, **moments, "replaced_by": None, "replaces": None,
            "asset_id": str(uuid.uuid4()), "symbol": said.get("symbol", ""), "asset_class": "us_option",
            "notional": None, "qty": str(int(qty)), "filled_qty": "0", "filled_avg_price": None,
            "side": said.get("side", ""), "time_in_force": "day", "stop_price": None,
            "status": "pending_new" if not self.is_open else "new", "extended_hours": False,
            "trail_percent": None, "trail_price": None, "hwm": None, "subtag": None, "source": None,
            "expires_at": "2026-03-03T21:00:00Z",
        }  # fmt: skip

    def _position(self, name: str) -> dict[str, Any]:
        quantity = self.held[name]
        price = self.average[name]
        value = _plain(quantity * price * HUNDRED)
        return {
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "symbol": name, "exchange": "",
            "asset_class": "us_option", "asset_marginable": False, "qty": str(quantity),
            "avg_entry_price": _plain(price), "side": "long" if quantity > 0 else "short", "market_value": value,
            "cost_basis": value, "unrealized_pl": "0", "unrealized_plpc": "0", "current_price": _plain(price),
            "lastday_price": _plain(price), "change_today": "0", "qty_available": str(quantity),
        }  # fmt: skip

    def _account(self) -> dict[str, Any]:
        value = sum((quantity * self.average[name] * HUNDRED for name, quantity in self.held.items()), Decimal(0))
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, "account")), "account_number": "PA0000000000", "status": "ACTIVE",
            "currency": "USD", "cash": _plain(self.cash), "portfolio_value": _plain(self.cash + value),
            "equity": _plain(self.cash + value), "buying_power": _plain(self.cash), "trading_blocked": False,
            "options_buying_power": _plain(self.cash), "options_trading_level": 3, "account_blocked": False,
            "pattern_day_trader": False, "trade_suspended_by_user": False, "created_at": "2026-01-02T00:00:00Z",
        }  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return once a condition holds; it is an error if it does not come to hold."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "what was waited for did not come"
        time.sleep(0.01)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
