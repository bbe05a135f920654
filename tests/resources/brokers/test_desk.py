"""The one place through which orders pass: the kill switch, the limits, real money, and who calls a broker."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.brokers.choose import build_broker
from tests.resources.brokers.paper_market import Operator, market_of, paper_settings
from trading_dag.errors import JournalError, LiveTradingError, PriceBaseError
from trading_dag.paper.account import Account
from trading_dag.paper.decisions import Signals, is_before_entry, why_no_order
from trading_dag.paper.tables import ledger_frame, ledger_objection, orders_frame, positions_frame
from trading_dag.setting_groups import LIVE_CONFIRMATION, PaperSettings
from trading_dag.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def operator_of(tmp_path: Path, *, sessions: int = 8, paper: PaperSettings | None = None, **book: object) -> Operator:
    settings = paper_settings(tmp_path, **({"paper": paper} if paper else {}), **book)
    return Operator(market_of(7, sessions=sessions, strategies=("bull_put_spread",)), settings)


def test_no_other_line_of_the_project_hands_an_order_to_a_broker():
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("trading_dag", "resources", "assets")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"broker\.submit\(|\.submit\(.*order\)", line)
    ]
    assert found == ["resources/brokers/desk.py"]


def test_a_killed_account_sends_nothing_and_what_was_held_back_is_not_filled_in_the_past(tmp_path):
    operator = operator_of(tmp_path, sessions=12)
    sessions = operator.market.sessions
    for session in sessions[:5]:
        operator.work(session)
    operator.switch.turn_on("earnings", at=pd.Timestamp("2019-01-09", tz="UTC"))
    for session in sessions[5:9]:
        desk, verdicts = operator.work(session)
        assert all(verdict.order is None and "kill switch: earnings" in verdict.reason for verdict in verdicts)
    ended = [one for one in desk.account.positions.values() if not one.is_open]
    assert not ended  # the first target was the sixth session
    assert {record.state for record in desk.account.attempts(desk.account.open_positions[0].held.key, "close")} == {
        "refused"
    }
    assert positions_frame(desk.account)["exit_reason"].dropna().unique().tolist() == ["horizon"]
    operator.switch.turn_off()
    desk, verdicts = operator.work(sessions[9])
    assert verdicts[0].order is not None
    due = [one for one in desk.account.positions.values() if one.held.target_session <= sessions[8]]
    assert due
    assert {one.end.quote.session for one in due if one.end} == {sessions[9]}


def test_a_switch_that_cannot_be_read_counts_as_on(tmp_path):
    operator = operator_of(tmp_path)
    operator.switch.path.parent.mkdir(parents=True)
    operator.switch.path.write_bytes(b"\xff\x00")
    _, verdicts = operator.work(operator.market.sessions[0])
    assert "cannot be read, which counts as on" in verdicts[0].reason
    operator.switch.path.unlink()
    operator.switch.path.symlink_to(tmp_path / "nowhere")
    _, verdicts = operator.work(operator.market.sessions[0])
    assert "cannot be read" in verdicts[0].reason


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"trade_limit": 0.005}, "trade_limit: this order may lose 1,000 USD with it, more than 500"),
        ({"ticker_limit": 0.015}, "ticker_limit: all that SPY has open may lose "),
        ({"day_limit": 0.005}, "day_limit: the orders of 2019-01-02 may lose 1,000 USD with it, more than 500"),
    ],
)
def test_an_order_beyond_a_limit_is_not_sent_and_says_which_with_its_numbers(tmp_path, limits, said):
    paper = PaperSettings(**{"trade_limit": 100, "day_limit": 100, "ticker_limit": 100, "drawdown_limit": 1, **limits})
    operator = operator_of(tmp_path, paper=paper)
    signals = operator.market.signals.assign(position_size=0.5, design_size="HALF")
    operator = Operator(type(operator.market)(**{**vars(operator.market), "signals": signals}), operator.settings)
    reasons = [operator.work(session)[1][0].reason for session in operator.market.sessions[:3]]
    assert any(reason.startswith(said) for reason in reasons), reasons
    refused = orders_frame(Account(operator.journal.events)).query("event == 'refused'")
    assert refused["reason"].str.startswith(said).any()


def test_after_too_great_a_loss_nothing_is_opened_but_positions_are_left(tmp_path):
    paper = PaperSettings(trade_limit=100, day_limit=100, ticker_limit=100, drawdown_limit=0.001)
    operator = operator_of(tmp_path, sessions=14, paper=paper)
    reasons = [verdict.reason for session in operator.market.sessions for verdict in operator.work(session)[1]]
    assert any(reason.startswith("drawdown_limit: the account is ") for reason in reasons)
    account = Account(operator.journal.events)
    assert any(not one.is_open for one in account.positions.values())


def test_real_money_needs_two_settings_and_is_refused_with_both(tmp_path):
    settings = paper_settings(tmp_path)
    for live, words, said in (
        (True, "", "TRADING_DAG_PAPER__LIVE_CONFIRMATION does not say so"),
        (False, LIVE_CONFIRMATION, "TRADING_DAG_PAPER__LIVE does not say so"),
        (True, LIVE_CONFIRMATION, "no broker of this project trades it"),
    ):
        asked = settings.paper.model_copy(update={"live": live, "live_confirmation": words})
        with pytest.raises(LiveTradingError, match=said):
            build_broker(settings.model_copy(update={"paper": asked}), views={}, clock=pd.Timestamp.now)


def test_a_broker_that_trades_real_money_gets_no_desk(tmp_path):
    desk = operator_of(tmp_path).desk(pd.Timestamp("2019-01-02"))
    desk.broker.is_live = True
    with pytest.raises(LiveTradingError):
        type(desk)(**{name: getattr(desk, name) for name in desk.__dataclass_fields__})


def test_an_account_of_another_source_is_not_gone_on_with(tmp_path):
    operator = operator_of(tmp_path)
    operator.work(operator.market.sessions[0])
    desk = operator.desk(operator.market.sessions[1])
    with pytest.raises(JournalError, match="opened with source simulated, and now it is files"):
        type(desk)(
            **{name: getattr(desk, name) for name in desk.__dataclass_fields__}
            | {"signals": Signals(operator.market.signals, source="files")}
        )


def test_a_signal_is_late_once_the_session_of_its_entry_has_opened():
    session, opens = pd.Timestamp("2024-07-03"), pd.Timestamp("2024-07-05 13:30", tz="UTC")
    assert is_before_entry(session, now=opens - pd.Timedelta(seconds=1), source="live") is True
    assert is_before_entry(session, now=opens, source="live") is False
    assert is_before_entry(session, now=opens, source="simulated") is None


def test_why_there_is_no_order_is_said_in_one_sentence(tmp_path):
    operator = operator_of(tmp_path)
    signals = operator.market.signals.assign(position_size=0.0)
    market = type(operator.market)(**{**vars(operator.market), "signals": signals})
    _, verdicts = Operator(market, operator.settings).work(operator.market.sessions[2])
    assert why_no_order(verdicts) == "no order: 1 × no edge shown"
    assert verdicts[0].reason == "no edge shown: bull_put_spread has no size (no_edge; TRADING_DAG_SIGNALS__GATE)"
    assert why_no_order([]).startswith("no order: no signals are stored")


def test_a_split_leaves_what_a_position_is_worth_as_it_was(tmp_path):
    operator = operator_of(tmp_path, sessions=7)
    sessions = operator.market.sessions
    for session in sessions[:4]:
        operator.work(session)
    before = positions_frame(Account(operator.journal.events)).set_index(["position_id", "session"])["mark_usd"]
    # Two for one before the fifth session: prices of before are halved, as a vendor restates them.
    prices = operator.market.prices.copy()
    prices[["open", "high", "low", "close", "adj_close"]] /= 2.0
    prices.loc[4, "split_factor"] = 2.0
    split = Operator(
        type(operator.market)(**{**vars(operator.market), "prices": prices}), operator.settings,
        operator.journal, operator.books,
    )  # fmt: skip
    whole = operator_of(tmp_path, sessions=7)
    for session in sessions[:4]:
        whole.work(session)
    split.work(sessions[4])
    whole.work(sessions[4])
    halved, plain = (positions_frame(Account(one.journal.events)) for one in (split, whole))
    first = before.index[0][0]
    marks = [frame.loc[frame["position_id"] == first, "mark_usd"].to_numpy() for frame in (halved, plain)]
    np.testing.assert_allclose(marks[0], marks[1], rtol=0.02, atol=2.0)
    unexplained = prices.assign(split_factor=1.0)
    wrong = Operator(
        type(operator.market)(**{**vars(operator.market), "prices": unexplained}), operator.settings,
        operator.journal, operator.books,
    )  # fmt: skip
    with pytest.raises(PriceBaseError, match="a split that is not among the prices would explain it"):
        wrong.work(sessions[5])


def test_the_ledger_is_found_out_where_a_cent_is_missing(tmp_path):
    operator = operator_of(tmp_path)
    for session in operator.market.sessions:
        operator.work(session)
    account = Account(operator.journal.events)
    ledger = ledger_frame(account)
    assert ledger["kind"].iloc[0] == "deposit"
    assert {"premium", "fees", "exit"} <= set(ledger["kind"])
    assert ledger_objection(ledger, cash_cents=account.cash_cents) is None
    wrong = ledger.assign(balance_usd=ledger["balance_usd"].where(ledger["entry"] != 4, ledger["balance_usd"] + 0.01))
    assert ledger_objection(wrong, cash_cents=account.cash_cents) == (
        "entry 4: the balance is not the sum of the movements until it"
    )
    assert "the account's cash" in str(ledger_objection(ledger, cash_cents=account.cash_cents + 1))


def test_settings_of_the_account_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRADING_DAG_PAPER__DAY_LIMIT", "0.3")
    assert Settings(_env_file=None).paper.day_limit == 0.3
