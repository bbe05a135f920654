"""What every broker keeps to. One suite, run on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.brokers.harness import AlpacaUnderTest, BrokerUnderTest, PaperUnderTest
from tests.resources.loopback.alpaca import LoopbackAlpaca
from trading_dag.errors import OrderNotFoundError
from trading_dag.paper.orders import Fill, OrderReport

ABSENT = "td-SPY-20200102-24h-matrix-r0-open"


@pytest.fixture(params=["paper", "alpaca"])
def under_test(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerUnderTest]:
    if request.param == "paper":
        yield PaperUnderTest(tmp_path)
        return
    with LoopbackAlpaca() as account:
        yield AlpacaUnderTest(account)


def filled(under_test: BrokerUnderTest, report: OrderReport) -> Fill:
    """The fill of an order, once the market has had its turn."""
    under_test.let_fills()
    again = under_test.broker().order(report.order_id)
    assert again is not None
    assert again.status == "filled"
    assert again.fill is not None
    return again.fill


def test_no_broker_trades_real_money(under_test: BrokerUnderTest) -> None:
    assert under_test.broker().is_live is False
    assert under_test.broker().name in ("paper", "alpaca")


def test_an_order_that_never_arrived_is_not_known(under_test: BrokerUnderTest) -> None:
    assert under_test.broker().order(ABSENT) is None
    with pytest.raises(OrderNotFoundError):
        under_test.broker().cancel(ABSENT)


def test_an_order_is_known_by_its_id_after_a_restart(under_test: BrokerUnderTest) -> None:
    report = under_test.broker().submit(under_test.opening())
    again = under_test.broker().order(under_test.opening().order_id)
    assert again is not None
    assert (again.order_id, again.broker_order_id) == (report.order_id, report.broker_order_id)
    assert report.broker_order_id


@pytest.mark.parametrize("times", [2, 5])
def test_an_order_that_is_sent_again_is_one_order(under_test: BrokerUnderTest, times: int) -> None:
    reports = [under_test.broker().submit(under_test.opening()) for _ in range(times)]
    under_test.let_fills()
    assert len({report.broker_order_id for report in reports}) == 1
    held = under_test.broker().contracts()
    again = under_test.broker().submit(under_test.opening())
    assert again.status == "filled"
    assert again.fill is not None
    assert {abs(one.quantity) for one in held} == {float(again.fill.contracts)}
    assert list(under_test.broker().contracts()) == list(held)


def test_a_filled_order_is_what_is_held_and_what_was_paid(under_test: BrokerUnderTest) -> None:
    before = under_test.broker().account().cash_usd
    fill = filled(under_test, under_test.broker().submit(under_test.opening()))
    held = {
        (one.ticker, one.right, one.strike, one.expiration): one.quantity for one in under_test.broker().contracts()
    }
    signs = {"buy": 1.0, "sell": -1.0}
    assert held == {
        ("SPY", one.leg.right, one.leg.strike, one.leg.expiration): signs[one.leg.side] * one.leg.ratio * fill.contracts
        for one in fill.legs
    }
    value = sum(-signs[one.leg.side] * one.leg.ratio * one.price for one in fill.legs) * 100 * fill.contracts
    assert fill.cash_usd == pytest.approx(value, abs=0.005)
    assert fill.fees_usd >= 0.0
    assert fill.max_loss_usd > 0.0
    after = under_test.broker().account().cash_usd
    assert after - before == pytest.approx(fill.cash_usd - fill.fees_usd, abs=0.005)


def test_a_closing_order_leaves_nothing_and_its_legs_are_those_that_were_held(under_test: BrokerUnderTest) -> None:
    opened = filled(under_test, under_test.broker().submit(under_test.opening()))
    before = under_test.broker().account().cash_usd
    closed = filled(under_test, under_test.broker().submit(under_test.closing()))
    assert list(under_test.broker().contracts()) == []
    assert [one.leg for one in closed.legs] == [one.leg for one in opened.legs]
    after = under_test.broker().account().cash_usd
    assert after - before == pytest.approx(closed.cash_usd - closed.fees_usd, abs=0.005)


def test_a_working_order_is_accepted_and_can_be_taken_back_once_and_again(under_test: BrokerUnderTest) -> None:
    under_test.hold_fills()
    report = under_test.broker().submit(under_test.opening())
    assert (report.status, report.fill) == ("accepted", None)
    for _ in range(2):
        assert under_test.broker().cancel(report.order_id).status == "cancelled"
    under_test.let_fills()
    assert list(under_test.broker().contracts()) == []
    again = under_test.broker().submit(under_test.opening())
    assert (again.status, again.broker_order_id) == ("cancelled", report.broker_order_id)


def test_an_order_that_was_filled_stays_filled_when_it_is_taken_back(under_test: BrokerUnderTest) -> None:
    report = under_test.broker().submit(under_test.opening())
    fill = filled(under_test, report)
    cancelled = under_test.broker().cancel(report.order_id)
    # By what they print, because a price that a broker does not tell is no number.
    assert (cancelled.status, repr(cancelled.fill)) == ("filled", repr(fill))


def test_what_expired_is_told_every_time_and_is_held_no_more(under_test: BrokerUnderTest) -> None:
    fill = filled(under_test, under_test.broker().submit(under_test.opening()))
    assert list(under_test.broker().settlements()) == []
    under_test.expire()
    for _ in range(2):
        (settled,) = under_test.broker().settlements()
        assert settled.position_id == under_test.opening().key.position_id
        assert settled.kind == "expiration"
        assert settled.fill.contracts == fill.contracts
        assert [one.leg for one in settled.fill.legs] == [one.leg for one in fill.legs]
    assert list(under_test.broker().contracts()) == []
