"""One call from a frame of quotes: the example of its docstring, vendors' names, what is left out, and refusals."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import fair_chain
from trading_dag.backtest import ExitRules, FillAssumptions, QuotesBacktest, StrikeTerms, backtest
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.plans.structure_plans import exit_rules, plan_of
from trading_dag.backtest.runs import quotes_backtest
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.errors import ConfigurationError, InsufficientDataError, SchemaError
from trading_dag.options.structures.structure import structure_of
from trading_dag.setting_groups import BacktestSettings

FIRST = "2024-02-20"  # from here, twenty business days are twenty sessions
SPREAD: dict[str, Any] = {"strikes": StrikeTerms(delta=0.3, width=20), "expiration": 14}


@pytest.fixture(scope="module")
def quotes() -> pd.DataFrame:
    """Twenty sessions of a quiet market; nothing is rounded, and no bid is below zero."""
    chain = fair_chain(500.0 + np.linspace(0.0, 12.0, 20), first=FIRST)
    return chain[chain["bid"] > 0.0].reset_index(drop=True)


def test_the_example_of_the_docstring_is_true(quotes: pd.DataFrame) -> None:
    found = doctest.DocTestFinder(recurse=False).find(backtest, "backtest", globs={"quotes": quotes})
    assert len(found[0].examples) == 4
    assert doctest.DocTestRunner().run(found[0]).failed == 0


def test_the_result_is_that_of_the_engine_on_the_same_quotes(quotes: pd.DataFrame) -> None:
    result = backtest(
        quotes.sample(frac=1.0, random_state=3), "bull_put_spread", exits={"profit_target": 0.5}, **SPREAD
    )
    market = chain_market(
        quotes.sort_values(["quote_date", "expiration", "option_right", "strike"]), ticker="", fills=FillAssumptions()
    )
    plan = plan_of(
        structure_of("bull_put_spread"), exits=exit_rules({"profit_target": 0.5}), days_to_expiration=14,
        settings=BacktestSettings(), strikes=SPREAD["strikes"],
    )  # fmt: skip
    own = run_plan(market, plan, entries=entries_weekly(market), rate=result.rate)
    pd.testing.assert_frame_equal(result.trades, own.trades())
    pd.testing.assert_frame_equal(result.equity, own.equity())
    assert result.summary["total_pnl_usd"].item() == pytest.approx(own.total_profit_usd)


def test_names_of_vendors_and_their_types_are_understood(quotes: pd.DataFrame) -> None:
    vendors = quotes.rename(
        columns={
            "quote_date": "Date", "underlying_price": "[UNDERLYING_LAST]", "expiration": "Expiry",
            "option_right": "type", "bid": "best_bid", "ask": "best_offer",
        }
    )  # fmt: skip
    vendors = vendors.assign(
        type=vendors["type"].map({"C": "call", "P": "put"}), Date=vendors["Date"].dt.strftime("%Y-%m-%d"), symbol="spy",
        best_bid=vendors["best_bid"].astype(str),
    )  # fmt: skip
    plain = backtest(quotes, "iron_condor", ticker="SPY", expiration=14)
    theirs = backtest(vendors, "iron_condor", expiration=14)
    pd.testing.assert_frame_equal(plain.trades, theirs.trades)
    assert theirs.result.market.ticker == "SPY"


def test_without_a_delta_it_comes_from_the_volatility_that_the_quotes_imply(quotes: pd.DataFrame) -> None:
    result = backtest(quotes.drop(columns="delta"), "bull_put_spread", rate=0.0, **SPREAD)
    with_theirs = backtest(quotes, "bull_put_spread", rate=0.0, **SPREAD)
    # The middles are Black–Scholes prices at a volatility of 0.2, from which the deltas of the chain are, too.
    assert result.trades["strikes"].tolist() == with_theirs.trades["strikes"].tolist()
    assert result.counts.no_delta < 0.5 * result.counts.used


@pytest.mark.parametrize("name", ["quote_date", "expiration", "strike", "option_right", "underlying_price"])
def test_a_missing_column_is_named(quotes: pd.DataFrame, name: str) -> None:
    with pytest.raises(SchemaError, match=name):
        backtest(quotes.drop(columns=name), "long_call")


def test_quotes_without_a_price_are_refused_with_the_columns_that_are_there(quotes: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match=r"bid, ask.*last.*underlying_price"):
        backtest(quotes.drop(columns=["bid", "ask"]), "long_call")
    with pytest.raises(SchemaError, match="at least one row"):
        backtest(quotes.iloc[:0], "long_call")


def test_several_underlyings_need_a_choice_and_the_others_are_not_counted(quotes: pd.DataFrame) -> None:
    both = pd.concat([quotes.assign(ticker="SPY"), quotes.assign(ticker="QQQ", strike=quotes["strike"] + 1.0)])
    with pytest.raises(SchemaError, match="QQQ, SPY"):
        backtest(both, "long_call")
    with pytest.raises(SchemaError, match="rows of IWM"):
        backtest(both, "long_call", ticker="IWM")
    chosen = backtest(both, "bull_put_spread", ticker="SPY", **SPREAD)
    assert chosen.counts.rows == len(quotes)
    pd.testing.assert_frame_equal(chosen.trades, backtest(quotes, "bull_put_spread", ticker="SPY", **SPREAD).trades)


def test_what_is_no_quote_is_counted_by_its_reason(quotes: pd.DataFrame) -> None:
    spoilt = quotes.assign(last=np.nan, volume=5.0)
    spoilt.loc[0, ["bid", "ask"]] = 9.0, 8.0  # crossed
    spoilt.loc[1, ["bid", "ask"]] = np.nan  # nothing at all
    spoilt.loc[2, ["bid", "ask", "last", "volume"]] = np.nan, np.nan, 3.0, 0.0
    spoilt.loc[3, ["bid", "ask", "last"]] = np.nan, np.nan, 0.01  # the deepest call in the money
    spoilt.loc[4, "strike"] = -1.0
    copy = spoilt.iloc[[5]]
    other = spoilt.iloc[[6]].assign(bid=0.5)
    saturday = spoilt.iloc[[7]].assign(quote_date=pd.Timestamp("2024-02-24"))
    rows = pd.concat([spoilt, copy, other, saturday])
    counts = backtest(rows, "bull_put_spread", **SPREAD).counts
    assert counts.no_quote == {"crossed": 1, "zero": 1, "no_volume": 1, "below_intrinsic": 1}
    assert counts.refused == {"negative": 1, "duplicate": 1, "conflicting_duplicate": 2, "not_a_session": 1}
    assert counts.used == len(rows) - 9
    assert "below_intrinsic 1" in counts.in_words()


def test_entries_after_sessions_are_at_the_quotes_of_the_next_one(quotes: pd.DataFrame) -> None:
    known = pd.Series(pd.to_datetime(["2024-02-23", "2024-03-01", "2024-02-23", "2020-01-02"]))
    trades = backtest(quotes, "bull_put_spread", entries=known, **SPREAD).trades
    assert trades["signal_session"].dt.strftime("%Y-%m-%d").tolist() == ["2024-02-23", "2024-03-01"]
    assert trades["entry_session"].dt.strftime("%Y-%m-%d").tolist() == ["2024-02-26", "2024-03-04"]
    with pytest.raises(InsufficientDataError):
        backtest(quotes, "bull_put_spread", entries=["2020-01-02"], **SPREAD)
    for wrong in (["soon"], [None], ["2024-02-23 15:59"], "monthly"):
        with pytest.raises(ConfigurationError):
            backtest(quotes, "bull_put_spread", entries=wrong, **SPREAD)


def test_the_table_by_days_and_delta_has_the_runs_within_each_bucket(quotes: pd.DataFrame) -> None:
    result = backtest(quotes, "long_put", entries="daily", exits=ExitRules(horizon_sessions=2))
    table = result.by_days_and_delta(days=(0, 10, 20), deltas=(0.2, 0.4, 0.6))
    assert table["days"].tolist() == ["1–10", "1–10", "11–20", "11–20"]
    assert table["delta"].tolist() == ["0.20–0.40", "0.40–0.60"] * 2
    for row, (days, bounds) in zip(
        table.itertuples(),
        [((1, 10), (0.2, 0.4)), ((1, 10), (0.4, 0.6)), ((11, 20), (0.2, 0.4)), ((11, 20), (0.4, 0.6))],
        strict=True,
    ):
        expiration = quotes_backtest.ExpirationChoice(sum(days) // 2, *days)
        alone = backtest(
            quotes, "long_put", entries="daily", exits=ExitRules(horizon_sessions=2), expiration=expiration,
            strikes=StrikeTerms(delta_range=bounds),
        )  # fmt: skip
        taken = alone.trades[alone.trades["status"] != "skipped"]
        assert row.trades == len(taken) > row.open == (taken["status"] == "open").sum() > 0
        # Without interest, what the account has gained is the profit of its trades, open ones at their marks.
        assert row.total_pnl_usd == pytest.approx(alone.equity["equity_usd"].iloc[-1] - 100_000.0)
        life = (taken["expiration"] - taken["entry_session"]).dt.days
        assert life.between(*days).all()
    with pytest.raises(ConfigurationError, match="ascending"):
        result.by_days_and_delta(days=(10, 5))


def test_random_entry_is_asked_for_on_its_own(quotes: pd.DataFrame) -> None:
    result = backtest(quotes, "bull_put_spread", **SPREAD)
    assert 0.0 < result.against_random_entry(runs=100).p_value <= 1.0


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, trading_dag.backtest as b; assert 'backtest' in dir(b) or b.__all__; print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import trading_dag.backtest as package

    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = package.nothing_of_the_kind
    assert set(package.__all__) == set(package._HOMES)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.files_data
def test_of_a_real_chain_the_stale_last_trades_are_counted_and_not_traded(real_data: Path) -> None:
    chain = pd.read_parquet(real_data / "option_chain_eod.parquet", filters=[("ticker", "=", "SPY")])
    result: QuotesBacktest = backtest(chain, "bull_put_spread", strikes=StrikeTerms(delta=0.3, width=5), expiration=21)
    counts = result.counts
    # 41 % of the rows of SPY have a volume of 0 and a stale last trade.
    assert counts.no_quote["no_volume"] / counts.rows == pytest.approx(0.41, abs=0.01)
    assert counts.used == counts.rows - sum(counts.no_quote.values())
    assert len(result.trades) == 7
