"""The report of a trade plan says what its result says: as JSON, as tables, and as a page that needs no other file."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import numpy as np
import pytest

from tests.trading_dag.backtest import test_plan_splits as splits
from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan, Width
from trading_dag.backtest.results.plan_study import CAUSES, PlanStudy, study_plan
from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.options.structures.structure import STRUCTURES, structure_of
from trading_dag.reporting.backtest_page import plan_page
from trading_dag.reporting.backtest_record import notes, plan_record, strike_text
from trading_dag.reporting.backtest_tables import plan_tables


def study_of(account: AccountRules) -> PlanStudy:
    spots = 100.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 0.6, 40))
    plan = TradePlan(
        "bull_put_spread",
        structure_of("bull_put_spread"),
        (TargetDelta(0.3, 0.2), TargetDelta(0.1, 0.1)),
        ExpirationChoice(14, 7, 21),
        ExitRules(days_to_expiration=3),
        account,
    )
    market = small_market(fair_chain(spots))
    result = run_plan(market, plan, entries=entries_weekly(market))
    luck = random_entry_runs(market, result, runs=200, seed=1) if result.is_closed.any() else None
    return study_plan(result, luck=luck, rate=0.03, assumed={"dividends": "unknown <b>here</b>"})


@pytest.fixture(scope="module")
def study() -> PlanStudy:
    return study_of(AccountRules())


@pytest.fixture(scope="module")
def record(study: PlanStudy) -> dict[str, Any]:
    # Through text and back: NaN or a date would not get this far.
    decoded: dict[str, Any] = json.loads(json.dumps(plan_record(study, source="files"), allow_nan=False))
    return decoded


def test_the_record_is_json_and_adds_up(record: dict[str, Any]) -> None:
    closed = [trade for trade in record["trades"] if trade["status"] == "closed"]
    assert record["summary"]["closed"] == len(closed) > 0
    assert sum(trade["pnl_usd"] for trade in closed) == pytest.approx(record["summary"]["total_usd"])
    assert record["exits"][-1]["pnl_usd"] == pytest.approx(record["summary"]["total_usd"])
    for trade in closed:
        causes = sum(trade[f"{cause}_usd"] for cause in CAUSES)
        assert causes == pytest.approx(trade["pnl_usd"] + trade["fees_usd"], abs=1e-6)
    assert record["assumptions"]["exits"]["days_to_expiration"] == 3
    assert len(record["equity"]) - 1 == len(record["greeks"]) == record["sessions"] == 40
    # The curve begins with the starting cash, on the session before the chain's first.
    assert [row["session"] for row in record["equity"][:2]] == ["2023-12-29", "2024-01-02"]
    assert record["equity"][0]["equity_usd"] == 100_000.0


def test_the_p_value_is_the_share_of_random_runs_at_least_as_good(study: PlanStudy, record: dict[str, Any]) -> None:
    assert study.luck is not None
    totals = study.luck.totals_usd
    assert len(totals) == record["random_entry"]["runs"] == 200
    as_good = (totals >= record["summary"]["total_usd"] - 1e-6).sum()
    assert record["random_entry"]["p_value"] == pytest.approx((1 + as_good) / 201)
    assert record["random_entry"]["quantiles_usd"]["0.5"] == pytest.approx(np.median(totals))


def printed(record: dict[str, Any], width: int = 200) -> str:
    from rich.console import Console

    text = StringIO()
    console = Console(file=text, width=width)
    for table in plan_tables(record):
        console.print(table)
    return text.getvalue()


def test_the_tables_show_exits_causes_greeks_scenarios_and_assumptions(record: dict[str, Any]) -> None:
    text = printed(record)
    for head in (
        "Profit by exit",
        "Profit by cause",
        "Greeks of the account",
        "Profit if it moved at once",
        "Assumptions",
    ):
        assert head in text
    assert f"{record['exits'][-1]['theta_usd']:+,.0f}" in text
    assert f"{record['greeks'][-1]['vega_usd']:+,.0f}" in text
    assert f"{record['scenarios']['profit_usd'][0][0]:+,.0f}" in text
    assert "sell 1 put at 0.30 delta" in text
    assert "fee per leg contract usd 0.65" in text


def test_a_plan_without_trades_says_so_in_both(record: dict[str, Any]) -> None:
    study = study_of(AccountRules(account_usd=1.0))
    empty = json.loads(json.dumps(plan_record(study, source=None), allow_nan=False))
    assert empty["scenarios"] is None
    assert empty["random_entry"] is None
    assert "exceeds risk budget" in printed(empty)
    page = plan_page(empty, {})
    assert "No trade was closed." in page
    assert "exceeds risk budget" in page
    assert "Profit by exit" not in printed(empty)


class _Balance(HTMLParser):
    """Which elements a page leaves open, and the sources of its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_holds_every_trade_picture_and_assumption_and_needs_nothing_else(record: dict[str, Any]) -> None:
    page = plan_page(record, {"one": b"png", "two": b"other"})
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.pictures == ["data:image/png;base64,cG5n", "data:image/png;base64,b3RoZXI="]
    assert "<script" not in page
    assert "http" not in page
    for trade in record["trades"]:
        assert trade["status"] == "skipped" or f"<td>{trade['entry_session']}</td>" in page
    assert "unknown &lt;b&gt;here&lt;/b&gt;" in page
    assert "fee per leg contract usd 0.65" in page
    assert "40 sessions. Nothing about so few can be significant" in page


def test_the_source_is_named_and_what_is_simulated_is_said_before_any_figure(
    study: PlanStudy, record: dict[str, Any]
) -> None:
    assert record["source"] == "files"
    assert "source files" in plan_page(record, {})
    assert "imulated" not in plan_page(record, {})
    made_up = plan_record(study, source="simulated-0a1b2c3d+files")
    assert made_up["source"] == "simulated-0a1b2c3d+files"
    assert made_up["notes"][0].startswith("Simulated, not market data (source simulated-0a1b2c3d+files)")
    page = plan_page(made_up, {})
    assert page.index("Simulated, not market data") < page.index("profit after fees")


def test_a_scenario_is_the_deeper_coloured_the_more_it_earns_or_loses(record: dict[str, Any]) -> None:
    page = plan_page(record, {})
    cells = re.findall(r"rgba\((\d+),\d+,\d+,([\d.]+)\)\">([+-][\d,]+)</td>", page)
    assert len(cells) == len(record["scenarios"]["spot_moves"]) * len(record["scenarios"]["volatility_moves"])
    by_size = sorted((abs(float(usd.replace(",", ""))), float(depth)) for _, depth, usd in cells)
    assert [depth for _, depth in by_size] == sorted(depth for _, depth in by_size)
    assert all((red == "0") == (float(usd.replace(",", "")) >= 0) for red, _, usd in cells if usd not in ("+0", "-0"))


@pytest.mark.parametrize(
    ("structure", "leg", "choice", "words"),
    [
        ("bull_put_spread", 0, TargetDelta(0.3), "sell 1 put at 0.30 delta (within 0.10)"),
        ("call_butterfly", 0, TargetDelta(0.5), "sell 2 call at 0.50 delta (within 0.10)"),
        ("iron_butterfly", 2, Width(0, 0.0), "sell 1 call at the strike of leg 1"),
        ("iron_butterfly", 3, Width(0, 0.03, "spot_fraction"), "buy 1 call 3.00% of spot further out of the money"),
        ("call_butterfly", 1, Width(0, -5.0), "buy 1 call 5 USD further in the money than leg 1"),
        ("calendar", 1, Width(0, 0.0), "buy 1 call that expires 28 or more days later, at the strike of leg 1"),
    ],
)
def test_strikes_are_told_in_words(structure: str, leg: int, choice: TargetDelta | Width, words: str) -> None:
    assert strike_text(STRUCTURES[structure].legs[leg], choice).startswith(words)


def noted(spots: np.ndarray, *, dropped: slice | None = None, half_spread: float = 0.02, last_only: bool = False,
          rules: ExitRules | None = None) -> dict[str, Any]:  # fmt: skip
    """The record of puts that are sold each week on a chain with these defects."""
    frame = fair_chain(spots, half_spread=half_spread)
    days = frame["quote_date"].drop_duplicates().to_numpy()
    if dropped is not None:
        frame = frame[~frame["quote_date"].isin(days[dropped])]
    if last_only:
        # From the second week on no quote of a put stands.
        is_gone = (frame["quote_date"] >= days[4]) & (frame["option_right"] == "P")
        frame.loc[is_gone, ["bid", "ask"]] = np.nan
    plan = TradePlan(
        "bull_put_spread", structure_of("bull_put_spread"), (TargetDelta(0.3, 0.2), TargetDelta(0.1, 0.1)),
        ExpirationChoice(14, 7, 21), rules or ExitRules(days_to_expiration=3),
    )  # fmt: skip
    market = small_market(frame.reset_index(drop=True))
    study = study_plan(run_plan(market, plan, entries=entries_weekly(market)), luck=None)
    return plan_record(study, source="files")


WALK = 100.0 + np.cumsum(np.random.default_rng(3).normal(0.0, 0.6, 300))


def test_holes_of_the_chain_are_said_and_counted() -> None:
    record = noted(WALK, dropped=slice(20, 270))
    # Weekdays from 2024-01-02: the 20 before the hole end on the 29th, on which Martin Luther King Day counts as one.
    assert record["sessions"] == 50
    assert record["exchange_sessions"] > 280
    (note,) = [note for note in record["notes"] if "exchange's" in note]
    assert f"50 of the exchange's {record['exchange_sessions']:,} sessions" in note
    assert "2024-01-30 to 2025-01-13" in note
    a_year = record["summary"]["statistics"]["sessions_per_year"]
    assert f"annualised by the {a_year:.0f} returns a year" in note
    assert a_year < 252 * 51 / 280
    assert f"50 sessions of {record['exchange_sessions']:,}" in plan_page(record, {})


def test_a_profit_that_no_cause_explains_is_said_with_its_share() -> None:
    # A fifth of a USD of spread on every leg, in and out, is no Greek.
    wide = noted(WALK[:40], half_spread=0.2, rules=ExitRules(horizon_sessions=1))
    total = wide["exits"][-1]
    gross = total["pnl_usd"] + total["fees_usd"]
    share = abs(total["residual_usd"] / gross)
    assert share > 0.3
    (note,) = [note for note in wide["notes"] if note.startswith("Profit by cause")]
    assert f"{total['residual_usd']:+,.0f} of {gross:+,.0f} USD" in note
    assert f"{share:.0%} of the profit" in note
    assert not any(note.startswith("Profit by cause") for note in noted(WALK[:40], half_spread=0.0)["notes"])


def test_exits_that_could_not_be_made_are_said() -> None:
    record = noted(WALK[:40], last_only=True)
    (note,) = [note for note in record["notes"] if "had no quote" in note]
    delayed = record["summary"]["delayed_exits"]
    assert delayed > 0
    assert note.startswith(f"{delayed} of {record['summary']['closed'] + record['summary']['open_at_end']} trades")
    assert f"{record['summary']['delayed_to_expiration']} of them to expiration" in note
    assert not any("had no quote" in note for note in noted(WALK[:40], half_spread=0.0)["notes"])


def test_a_note_names_the_split_that_trades_lived_through():
    ten_for_one = splits.as_traded(splits.new_shares(7), 10.0)
    market = splits.market_of(ten_for_one, splits.split_of(10.0))
    result = splits.run(market, splits.plan_of("bull_put_spread", ExitRules()))
    lived, taken = int((result.adjusted_by != "").sum()), int(result.is_taken.sum())
    said = [note for note in notes(study_plan(result, luck=None), source="files") if "the split" in note]
    assert len(said) == 1
    assert said[0].startswith(f"{lived} of {taken} trades lived through the split:")
    untouched = splits.run(splits.market_of(splits.new_shares(7)), splits.plan_of("bull_put_spread", ExitRules()))
    assert not [note for note in notes(study_plan(untouched, luck=None), source="files") if "lived through" in note]
