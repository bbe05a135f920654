"""Open positions on prices so far: the same marks and exits as at the close, if the session closed there."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.resources.brokers.paper_market import Operator, market_of, paper_settings
from trading_dag.paper.account import Account
from trading_dag.paper.watching import watch

RULES = {"exits": {"stop_underlying": 0.015, "profit_target": 0.3}}


@pytest.fixture
def operator(tmp_path):
    """An account after twelve evenings, with exits by stop and target."""
    operator = Operator(market_of(7, sessions=24), paper_settings(tmp_path, **RULES))
    for session in operator.market.sessions[:12]:
        operator.work(session)
    return operator


def test_a_position_is_worth_so_far_what_it_is_marked_at_if_the_session_closes_there(operator):
    session = operator.market.sessions[12]
    held = Account(operator.journal.events).open_positions
    seen = {
        one.position_id: one
        for one in watch(operator.market.through(session).view(operator.settings), held, session=session)
    }
    before = len(operator.journal.events)
    assert seen
    assert len(operator.journal.events) == before
    operator.work(session)
    after = Account(operator.journal.events)
    compared = 0
    for position_id, one in seen.items():
        position = after.positions[position_id]
        if position.end is None:
            mark = position.marks[pd.Timestamp(session)][0]
            assert one.value_usd == pytest.approx(mark.value_usd)
            assert one.exit_reason == ""
            compared += 1
        else:
            assert one.exit_reason == position.end_reason
            assert one.value_usd == pytest.approx(position.end.cash_usd)
            compared += 1
    assert compared == len(seen)


def test_a_fall_to_the_stop_is_seen_before_the_close(operator):
    session = operator.market.sessions[12]
    market = operator.market.through(session)
    held = Account(operator.journal.events).open_positions
    reasons = set()
    for factor in (0.93, 1.07):
        prices = market.prices.copy()
        prices.loc[prices.index[-1], ["close", "adj_close"]] *= factor
        moved = type(market)(prices, market.volatility_index, market.rates, market.signals)
        reasons |= {one.exit_reason for one in watch(moved.view(operator.settings), held, session=session)}
    assert "stop_underlying" in reasons or any("stop" in reason for reason in reasons)


def test_a_position_whose_entry_has_no_price_yet_is_left_out(operator):
    held = Account(operator.journal.events).open_positions
    early = operator.market.through(operator.market.sessions[2])
    late = [one for one in held if one.held.fill.quote.session > operator.market.sessions[2]]
    assert late
    assert watch(early.view(operator.settings), late, session=operator.market.sessions[2]) == []
