"""Alpaca's paper account as a broker, against an account on loopback that keeps its own books."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import isnan

import pandas as pd
import pytest

from resources.brokers.alpaca.reports import ENDED_STATES, FOREIGN_STATES, WORKING_STATES
from tests.resources.brokers.alpaca_account import (
    EXPIRATION,
    LONG_CALL,
    LONG_PUT,
    SHORT_CALL,
    SHORT_PUT,
    broker_of,
    closing,
    condor,
    long_call,
    with_quotes,
)
from tests.resources.loopback.alpaca import AlpacaFault, LoopbackAlpaca, Quote
from trading_dag.errors import BrokerAnswerError, BrokerError, BrokerUnavailableError, OrderNotFoundError
from trading_dag.paper.orders import OrderLeg, PlanKey
from trading_dag.paper.orders import Quote as QuoteTime

_TENTH = Decimal("0.001")


@pytest.fixture
def account():
    with LoopbackAlpaca() as server:
        yield with_quotes(server)


def sent_bodies(account: LoopbackAlpaca) -> list[dict]:
    return [one.body for one in account.asked("POST", "/v2/orders")]


def test_a_condor_is_one_order_of_four_legs_with_their_intents_at_a_credit_in_whole_cents(account):
    report = broker_of(account).submit(condor())
    (body,) = sent_bodies(account)
    assert body["order_class"] == "mleg"
    assert body["type"] == "limit"
    assert body["time_in_force"] == "day"
    assert (body["qty"], body["limit_price"]) == (2, -2.95)
    assert body["client_order_id"] == "td-SPY-20260302-24h-matrix-r0-open"
    assert [(leg["symbol"], leg["side"], leg["position_intent"], leg["ratio_qty"]) for leg in body["legs"]] == [
        (SHORT_PUT, "sell", "sell_to_open", 1),
        (LONG_PUT, "buy", "buy_to_open", 1),
        (SHORT_CALL, "sell", "sell_to_open", 1),
        (LONG_CALL, "buy", "buy_to_open", 1),
    ]
    assert report.order_id == body["client_order_id"]
    assert report.broker_order_id in account.orders


def test_the_fill_tells_cash_risk_and_time_as_the_account_booked_them(account):
    broker = broker_of(account)
    broker.submit(condor())
    report = broker.order(condor().order_id)
    assert report is not None
    fill = report.fill
    assert fill is not None
    assert report.status == "filled"
    # 2.90 + 2.60 − 1.20 − 1.35 = 2.95 a share received, twice, of 100 shares.
    assert fill.cash_usd == 590.0
    assert float(account.cash) == 100_590.0
    # Ten dollars between the strikes, less the credit.
    assert fill.max_loss_usd == pytest.approx(2 * 100 * (10 - 2.95))
    assert [(leg.leg.side, leg.leg.strike, leg.price) for leg in fill.legs] == [
        ("sell", 450.0, 2.90), ("buy", 440.0, 1.20), ("sell", 470.0, 2.60), ("buy", 480.0, 1.35),
    ]  # fmt: skip
    assert fill.quote == QuoteTime(pd.Timestamp("2026-03-03"), is_close=False)
    assert (fill.contracts, fill.quote_source) == (2, "broker")
    assert isnan(fill.spot)


def test_a_closing_order_trades_the_opposite_of_what_is_held_and_says_so(account):
    broker = broker_of(account)
    broker.submit(condor())
    report = broker.order(broker.submit(closing(condor())).order_id)
    assert [leg["position_intent"] for leg in sent_bodies(account)[1]["legs"]] == [
        "buy_to_close", "sell_to_close", "buy_to_close", "sell_to_close",
    ]  # fmt: skip
    assert report is not None
    assert report.fill is not None
    # 3.05 + 2.75 paid, 1.10 + 1.25 received.
    assert report.fill.cash_usd == pytest.approx(-690.0)
    assert [leg.leg.side for leg in report.fill.legs] == ["sell", "buy", "sell", "buy"]
    assert report.fill.max_loss_usd == 0.0
    assert broker.contracts() == []


def test_one_leg_is_a_simple_order_whose_limit_has_no_sign(account):
    broker = broker_of(account)
    broker.submit(long_call())
    report = broker.submit(closing(long_call()))
    opened, closed = sent_bodies(account)
    assert "order_class" not in opened
    assert (opened["symbol"], opened["side"], opened["position_intent"]) == (SHORT_CALL, "buy", "buy_to_open")
    assert (opened["qty"], opened["limit_price"]) == (3, 2.75)
    assert (closed["side"], closed["position_intent"], closed["limit_price"]) == ("sell", "sell_to_close", 2.6)
    assert broker.order(report.order_id).fill.cash_usd == pytest.approx(780.0)
    assert broker.order(long_call().order_id).fill.max_loss_usd == pytest.approx(825.0)


def test_quotes_finer_than_a_cent_give_the_cent_in_the_accounts_favour(account):
    account.quotes[LONG_PUT] = Quote(account.quotes[LONG_PUT].bid, account.quotes[LONG_PUT].ask + 5 * _TENTH)
    account.quotes[SHORT_CALL] = Quote(account.quotes[SHORT_CALL].bid, account.quotes[SHORT_CALL].ask + _TENTH)
    broker = broker_of(account)
    broker.submit(condor())
    broker.submit(long_call())
    # −2.945 becomes −2.95 received, 2.751 becomes 2.75 paid.
    assert [body["limit_price"] for body in sent_bodies(account)] == [-2.95, 2.75]


def test_what_is_held_is_told_by_contract(account):
    broker = broker_of(account)
    broker.submit(condor())
    held = {(one.right, one.strike): one.quantity for one in broker.contracts()}
    assert held == {("put", 450.0): -2.0, ("put", 440.0): 2.0, ("call", 470.0): -2.0, ("call", 480.0): 2.0}
    assert {(one.ticker, one.expiration) for one in broker.contracts()} == {("SPY", EXPIRATION)}


def test_the_account_tells_cash_equity_and_buying_power(account):
    said = broker_of(account).account()
    assert (said.cash_usd, said.equity_usd, said.buying_power_usd) == (100_000.0, 100_000.0, 100_000.0)


def test_after_a_crash_between_sending_and_recording_the_order_is_found_and_not_sent_again(account):
    account.inject("POST", "/v2/orders", AlpacaFault(cuts_after=True))
    account.inject("GET", "by_client_order_id", AlpacaFault(), times=1)
    account.inject("GET", "by_client_order_id", AlpacaFault(status=500), times=3)
    with pytest.raises(BrokerUnavailableError):
        broker_of(account).submit(condor())
    report = broker_of(account).submit(condor())
    assert report.status == "filled"
    assert len(account.accepted(condor().order_id)) == 1
    assert len(sent_bodies(account)) == 1


def test_a_connection_cut_after_the_order_was_taken_is_told_as_taken(account):
    account.inject("POST", "/v2/orders", AlpacaFault(cuts_after=True))
    report = broker_of(account).submit(condor())
    assert report.status == "filled"
    assert len(account.accepted(condor().order_id)) == 1


def test_a_connection_cut_before_the_order_was_taken_leaves_it_unknown_and_it_can_be_sent_again(account):
    account.inject("POST", "/v2/orders", AlpacaFault(cuts_before=True))
    broker = broker_of(account)
    with pytest.raises(BrokerUnavailableError, match="no answer"):
        broker.submit(condor())
    assert broker.order(condor().order_id) is None
    assert broker.submit(condor()).order_id == condor().order_id
    assert len(account.accepted(condor().order_id)) == 1


def test_an_answer_later_than_the_time_limit_counts_as_none_and_the_order_is_found(account):
    account.inject("POST", "/v2/orders", AlpacaFault(delay_seconds=2.0))
    assert broker_of(account).submit(condor()).status == "filled"
    assert len(account.accepted(condor().order_id)) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_an_order_is_never_sent_again_by_itself_after_a_status(account, status):
    account.inject("POST", "/v2/orders", AlpacaFault(status=status, body=b'{"message": "try again later"}'))
    with pytest.raises(BrokerUnavailableError, match=f"status {status}: try again later"):
        broker_of(account).submit(condor())
    assert len(sent_bodies(account)) == 1


def test_an_id_that_is_taken_in_between_is_looked_up_and_not_refused(account):
    broker = broker_of(account)
    broker.submit(condor())
    # Another process sent it after this one had looked.
    account.inject("GET", "by_client_order_id", AlpacaFault(status=404, body=b'{"message": "order not found"}'))
    report = broker.submit(condor())
    assert (report.status, len(account.accepted(condor().order_id))) == ("filled", 1)


def test_another_order_under_the_same_id_is_an_error(account):
    broker = broker_of(account)
    broker.submit(condor())
    with pytest.raises(BrokerError, match="another order was sent under this id"):
        broker.submit(replace(condor(), contracts=5))


def test_a_refusal_is_a_rejection_with_the_brokers_words(account):
    account.cash = account.cash * 0
    report = broker_of(account).submit(condor())
    assert report.status == "rejected"
    assert report.reason == "insufficient options buying power (403, code 40310000)"
    assert report.fill is None


def test_closing_what_is_not_held_is_a_rejection(account):
    report = broker_of(account).submit(closing(condor()))
    assert (report.status, "position intent mismatch" in report.reason) == ("rejected", True)


def test_an_order_that_the_exchange_rejects_later_says_so(account):
    account.rejects = lambda order: "halted"
    account.is_open = False
    broker = broker_of(account)
    broker.submit(condor())
    assert broker.order(condor().order_id).status == "rejected"


def test_a_part_that_was_filled_before_the_end_of_the_session_is_told(account):
    with_quotes(account, size=2)
    broker = broker_of(account)
    report = broker.order(broker.submit(condor(contracts=5)).order_id)
    assert (report.status, report.reason, report.fill) == ("accepted", "partially_filled: 2 of 5 filled", None)
    account.end_session()
    ended = broker.order(condor().order_id)
    assert ended.status == "cancelled"
    assert ended.reason == "expired at the end of its session: 2 of 5 filled"
    assert (ended.fill.contracts, ended.fill.cash_usd) == (2, 590.0)


def test_an_order_that_nothing_filled_expires_with_its_session(account):
    account.quotes[SHORT_PUT].size = 0
    broker = broker_of(account)
    broker.submit(condor())
    account.end_session()
    report = broker.order(condor().order_id)
    assert (report.status, report.reason, report.fill) == ("cancelled", "expired at the end of its session", None)


def test_an_order_sent_while_the_market_is_closed_waits_and_is_filled_when_it_opens(account):
    account.is_open = False
    broker = broker_of(account)
    report = broker.submit(condor())
    assert (report.status, report.reason) == ("accepted", "pending_new")
    for order in account.orders.values():
        order["status"] = "accepted"
    account.begin_session()
    assert broker.order(condor().order_id).status == "filled"


def test_a_working_order_is_taken_back_and_one_that_has_ended_keeps_its_end(account):
    account.quotes[SHORT_PUT].size = 0
    broker = broker_of(account)
    broker.submit(condor())
    assert broker.cancel(condor().order_id).status == "cancelled"
    assert broker.cancel(condor().order_id).status == "cancelled"
    assert len(account.asked("DELETE", "/v2/orders/")) == 1
    broker.submit(long_call())
    assert broker.cancel(long_call().order_id).status == "filled"
    with pytest.raises(OrderNotFoundError):
        broker.cancel("td-SPY-20260302-72h-matrix-r0-open")


def test_an_order_filled_while_it_is_being_taken_back_is_told_as_filled(account):
    account.quotes[SHORT_PUT].size = 0
    broker = broker_of(account)
    broker.submit(condor())
    account.inject(
        "DELETE", "/v2/orders/", AlpacaFault(status=422, body=b'{"code": 42210000, "message": "already filled"}')
    )
    account.inject("GET", "by_client_order_id", AlpacaFault())
    account.quotes[SHORT_PUT].size = 10
    account.match()
    # The first look still saw it working in a real race; here the refusal itself is what is passed over.
    assert broker.cancel(condor().order_id).status == "filled"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"legs": (OrderLeg("buy", "call", 470.0, EXPIRATION),) * 2}, "two legs are of one contract"),
        ({"legs": tuple(OrderLeg("buy", "call", 470.0 + n, EXPIRATION) for n in range(5))}, "5 legs"),
        ({"legs": ()}, "0 legs"),
        ({"legs": (OrderLeg("buy", "call", 470.0, EXPIRATION, 2), OrderLeg("sell", "call", 480.0, EXPIRATION, 2))},
         "common divisor"),
        ({"structure": "covered_call"}, "holds shares"),
        ({"contracts": 0}, "0 contracts"),
        ({"key": PlanKey("SPX", EXPIRATION, "24h", "matrix")}, "cash indices"),
        ({"key": PlanKey("SPY1", EXPIRATION, "24h", "matrix")}, "adjusted"),
        ({"legs": (OrderLeg("buy", "call", 471.0, EXPIRATION),)}, "SPY260320C00471000 has no quote"),
        ({"order_id": "x" * 129}, "at most 128"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_rejected_with_the_reason_and_not_sent(account, change, words):
    report = broker_of(account).submit(replace(condor(), **change))
    assert report.status == "rejected"
    assert words in report.reason
    assert sent_bodies(account) == []


@pytest.mark.parametrize(("bid", "ask"), [("0", "3.05"), ("3.10", "3.05"), ("0", "0")])
def test_a_quote_that_cannot_be_gives_no_limit(account, bid, ask):
    account.is_open = False
    account.quote(SHORT_PUT, bid, ask)
    report = broker_of(account).submit(condor())
    assert (report.status, "no limit follows" in report.reason) == ("rejected", True)


def test_a_quote_from_before_the_session_gives_no_limit(account):
    account.quoted_at = "2026-03-02T20:59:59Z"
    report = broker_of(account).submit(condor())
    assert (report.status, "has no quote" in report.reason) == ("rejected", True)


@pytest.mark.parametrize("state", sorted(WORKING_STATES))
def test_every_working_state_of_the_reference_counts_as_accepted(account, state):
    account.quotes[SHORT_PUT].size = 0
    broker = broker_of(account)
    broker.submit(condor())
    for order in account.orders.values():
        order["status"] = state
    assert broker.order(condor().order_id).status == "accepted"


def test_every_state_that_the_library_knows_is_mapped():
    from alpaca.trading.enums import OrderStatus

    assert {state.value for state in OrderStatus} == WORKING_STATES | FOREIGN_STATES | ENDED_STATES.keys()


def test_a_state_that_nobody_knows_is_an_error(account):
    broker = broker_of(account)
    broker.submit(condor())
    for order in account.orders.values():
        order["status"] = "pondering"
    with pytest.raises(BrokerAnswerError, match="the state 'pondering' is not known"):
        broker.order(condor().order_id)


def test_an_order_that_somebody_replaced_is_an_error(account):
    broker = broker_of(account)
    broker.submit(condor())
    for order in account.orders.values():
        order["status"] = "replaced"
    with pytest.raises(BrokerError, match="somebody replaced it"):
        broker.order(condor().order_id)


@pytest.mark.parametrize(
    ("name", "value"),
    [("filled_qty", "many"), ("filled_qty", "1.5"), ("filled_qty", "7"), ("qty", None), ("id", ""), ("filled_at", 5),
     ("legs", ["x"])],
)  # fmt: skip
def test_an_order_in_another_shape_is_an_error(account, name, value):
    broker = broker_of(account)
    broker.submit(condor())
    for order in account.orders.values():
        order[name] = value
    with pytest.raises(BrokerAnswerError):
        broker.order(condor().order_id)


@pytest.mark.parametrize("symbol", ["SPY", "SPY1260320C00450000", "AAPL7260320C00450000"])
def test_a_holding_that_no_order_of_ours_can_have_made_is_an_error(account, symbol):
    account.held[symbol] = 5
    account.average[symbol] = account.cash
    with pytest.raises(BrokerError, match=f"5 of {symbol} are held"):
        broker_of(account).contracts()


def test_what_expired_is_told_with_its_trade_every_time(account):
    broker = broker_of(account)
    broker.submit(condor())
    assert broker.settlements() == []
    for symbol in (SHORT_PUT, LONG_PUT, SHORT_CALL, LONG_CALL):
        account.deliver(symbol, "OPEXP")
    for _ in range(2):
        (settled,) = broker_of(account).settlements()
        assert (settled.position_id, settled.kind) == ("SPY-20260302-24h-matrix-r0", "expiration")
        assert [leg.price for leg in settled.fill.legs] == [0.0] * 4
        assert (settled.fill.cash_usd, settled.fill.contracts) == (0.0, 2)


def test_a_spread_of_which_both_legs_were_delivered_is_told_to_the_cent(account):
    broker = broker_of(account)
    broker.submit(condor())
    before = account.cash
    for symbol, kind in ((SHORT_PUT, "OPASN"), (LONG_PUT, "OPEXC"), (SHORT_CALL, "OPEXP"), (LONG_CALL, "OPEXP")):
        account.deliver(symbol, kind)
    # Two sold puts bring 200 shares at 450, two bought ones take them at 440.
    account.trade_shares("SPY", 200, "450")
    account.trade_shares("SPY", -200, "440")
    (settled,) = broker.settlements()
    assert settled.kind == "assignment"
    assert settled.fill.cash_usd == float(account.cash - before) == -2000.0


def test_shares_that_were_delivered_and_stay_are_an_error(account):
    broker = broker_of(account)
    broker.submit(condor())
    for symbol, kind in ((SHORT_PUT, "OPASN"), (LONG_PUT, "OPEXP"), (SHORT_CALL, "OPEXP"), (LONG_CALL, "OPEXP")):
        account.deliver(symbol, kind)
    with pytest.raises(BrokerError, match=r"\+200 shares of SPY were delivered for SPY-20260302-24h-matrix-r0"):
        broker.settlements()


def test_an_assignment_of_one_leg_alone_is_an_error_that_names_it(account):
    broker = broker_of(account)
    broker.submit(condor())
    account.deliver(SHORT_PUT, "OPASN")
    with pytest.raises(BrokerError, match=f"only {SHORT_PUT} ended"):
        broker.settlements()


def test_a_position_that_was_closed_by_an_order_is_no_settlement(account):
    broker = broker_of(account)
    broker.submit(condor())
    broker.submit(closing(condor()))
    account.held[SHORT_PUT] = 1
    account.deliver(SHORT_PUT, "OPEXP")
    assert broker.settlements() == []


def test_more_orders_and_activities_than_a_page_holds_are_all_read(account):
    broker = broker_of(account)
    broker.submit(condor())
    (template,) = account.orders.values()
    for number in range(510):
        moment = f"2026-03-03T15:{number // 60 % 60:02d}:{number % 60:02d}.000000Z"
        stranger = template | {"id": f"other-{number:03d}", "client_order_id": f"hand-{number}", "submitted_at": moment}
        account.orders[stranger["id"]] = stranger
    for number in range(150):
        account.held[f"QQQ260320C00{number:03d}000"] = 1
        account.deliver(f"QQQ260320C00{number:03d}000", "OPEXP")
    for symbol in (SHORT_PUT, LONG_PUT, SHORT_CALL, LONG_CALL):
        account.deliver(symbol, "OPEXP")
    assert [one.position_id for one in broker.settlements()] == ["SPY-20260302-24h-matrix-r0"]
    assert len(account.asked("GET", "/v2/orders")) >= 2
    assert len(account.asked("GET", "/v2/account/activities")) >= 2
