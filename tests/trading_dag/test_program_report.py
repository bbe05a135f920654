"""The report of a program says what its result says, in JSON that is JSON and a page that needs no other file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.trading_dag.backtest.program_chains import fair_chain, small_market
from trading_dag.backtest.chain_programs import run_program
from trading_dag.backtest.entries import entries_weekly
from trading_dag.backtest.program_results import ProgramResult
from trading_dag.backtest.program_summary import summarize
from trading_dag.backtest.programs import ExitRules, ExpirationChoice, Program, TargetDelta
from trading_dag.options.structures import structure_of
from trading_dag.plots.programs import program_equity
from trading_dag.program_report import program_html, program_record


@pytest.fixture(scope="module")
def result() -> ProgramResult:
    spots = 100.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 0.6, 40))
    program = Program(
        "bull_put_spread",
        structure_of("bull_put_spread"),
        (TargetDelta(0.3, 0.2), TargetDelta(0.1, 0.1)),
        ExpirationChoice(14, 7, 21),
        ExitRules(days_to_expiration=3),
    )
    market = small_market(fair_chain(spots))
    return run_program(market, program, entries=entries_weekly(market))


def test_the_record_is_json_and_adds_up(result: ProgramResult) -> None:
    record = json.loads(json.dumps(program_record(result, summarize(result), None), allow_nan=False))
    closed = [trade for trade in record["trades"] if trade["status"] == "closed"]
    assert record["summary"]["closed"] == len(closed) > 0
    assert sum(trade["pnl_usd"] for trade in closed) == pytest.approx(record["summary"]["total_usd"])
    by_exit = sum(usd for _, usd in record["summary"]["profit_by_exit_reason"].values())
    assert by_exit == pytest.approx(record["summary"]["total_usd"])
    assert record["summary"]["random_entry_p_value"] is None
    assert record["assumptions"]["exits"]["days_to_expiration"] == 3


def test_the_page_holds_every_trade_and_its_assumptions(result: ProgramResult) -> None:
    page = program_html(result, summarize(result), None, picture=b"png")
    record = program_record(result, summarize(result), None)
    assert page.count("<tr>") >= len(record["trades"])
    assert all(trade["entry_session"] in page for trade in record["trades"] if trade["entry_session"])
    assert "fee_per_leg_contract_usd" in page
    assert "40 sessions" in page
    assert "<script" not in page


def test_equity_is_drawn_in_thousands_with_its_drawdown(result: ProgramResult) -> None:
    equity = result.equity()
    figure = program_equity(equity, "TEST bull put spread")
    drawn = np.asarray(figure.axes[0].get_lines()[0].get_ydata())
    assert drawn == pytest.approx(equity["equity_usd"].to_numpy() / 1_000)
    assert "insufficient data" in "".join(text.get_text() for text in program_equity(equity.iloc[:1], "TEST").texts)
