"""Which recommendations become entries, and which dividends a chain's sessions know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.runs.plan_inputs import (
    SELECTED_STRUCTURES,
    entries_of_recommendations,
    known_dividends,
    signals_in_words,
)
from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.sessions import sessions_between, shift_sessions

# Twenty sessions without a holiday; the chain quotes each of them.
DAYS = sessions_between("2024-02-20", "2024-03-18")


@pytest.fixture(scope="module")
def market() -> ChainMarket:
    return small_market(fair_chain(np.full(len(DAYS), 100.0), first="2024-02-20"))


def signals(sessions: pd.DatetimeIndex, strategies: list[str], **columns: object) -> pd.DataFrame:
    """FULL signals upward over five sessions, unless said otherwise."""
    given = {"design_size": "FULL", "direction": "UP", "target_session": shift_sessions(sessions, 5), **columns}
    return pd.DataFrame({"ticker": "TEST", "horizon": "168h", "session": sessions, "strategy": strategies, **given})


def test_a_structure_that_the_selector_recommends_enters_only_where_it_is_recommended(market: ChainMarket) -> None:
    frame = signals(DAYS[[2, 4, 6]], ["bull_put_spread", "long_call", "bull_put_spread"])
    entries = entries_of_recommendations(market, frame, structure="bull_put_spread")
    assert entries.entry.tolist() == [3, 7]
    assert entries.horizon.tolist() == [7, 11]
    assert entries.skip_reason.tolist() == ["", ""]


def test_a_structure_that_no_signal_can_be_for_enters_at_every_design_size(market: ChainMarket) -> None:
    frame = signals(
        DAYS[[2, 4, 6]], ["bull_put_spread", "no_trade", "long_call"], design_size=["HALF", "NONE", "FULL"]
    )  # fmt: skip
    entries = entries_of_recommendations(market, frame, structure="short_strangle")
    assert entries.entry.tolist() == [3, 7]
    assert entries.size.tolist() == [0.5, 1.0]


def test_a_position_flips_with_an_opposite_signal_for_another_structure(market: ChainMarket) -> None:
    frame = signals(DAYS[[2, 4, 6]], ["long_call", "long_put", "no_trade"], direction=["UP", "DOWN", None],
                    design_size=["FULL", "FULL", "NONE"])  # fmt: skip
    entries = entries_of_recommendations(market, frame, structure="long_call")
    assert entries.flip.tolist() == [5]


def test_signals_from_the_session_before_the_chain_to_its_last_count(market: ChainMarket) -> None:
    around = sessions_between("2024-02-14", "2024-03-21")
    entries = entries_of_recommendations(market, signals(around, ["long_call"] * len(around)), structure="long_call")
    # 2024-02-16 is the session before the first quote; the signal of the last quote date has no quote after it.
    assert entries.signal.tolist() == around[2 : 2 + len(DAYS) + 1].date.tolist()
    assert entries.entry[0] == 0
    assert entries.skip_reason[-1] == "entry_after_data"


def test_without_a_common_session_the_periods_are_named(market: ChainMarket) -> None:
    frame = signals(sessions_between("2020-01-02", "2020-01-10"), ["long_call"] * 7)
    with pytest.raises(InsufficientDataError, match=r"2024-02-20 to 2024-03-18 \(signals: from 2020-01-02 to 2020-01"):
        entries_of_recommendations(market, frame, structure="long_call")
    with pytest.raises(InsufficientDataError, match="none"):
        entries_of_recommendations(market, frame.iloc[:0], structure="long_call")


def test_where_no_signal_is_for_the_structure_the_others_are_counted(market: ChainMarket) -> None:
    frame = signals(DAYS[:3], ["long_call", "long_put", "long_call"])
    with pytest.raises(InsufficientDataError, match=r"none of the 3 .* iron_condor.*long_call 2, long_put 1"):
        entries_of_recommendations(market, frame, structure="iron_condor")


def test_signals_out_of_order_or_without_a_column_are_refused(market: ChainMarket) -> None:
    frame = signals(DAYS[:3], ["long_call"] * 3)
    with pytest.raises(SchemaError):
        entries_of_recommendations(market, frame.iloc[::-1], structure="long_call")
    with pytest.raises(SchemaError):
        entries_of_recommendations(market, frame.drop(columns="target_session"), structure="long_call")


@given(chosen=st.sets(st.integers(0, len(DAYS) - 1), min_size=1))
def test_no_entry_is_at_its_signal_or_before(market: ChainMarket, chosen: set[int]) -> None:
    frame = signals(DAYS[sorted(chosen)], ["long_call"] * len(chosen))
    entries = entries_of_recommendations(market, frame, structure="long_call")
    tried = entries.entry >= 0
    assert (market.sessions[entries.entry[tried]] > entries.signal[tried]).all()


def test_the_words_say_which_signals_are_meant() -> None:
    assert "that recommend iron_condor" in signals_in_words("iron_condor", horizon="24h")
    assert "every signal of 24h" in signals_in_words("short_strangle", horizon="24h")
    # The contract's table, section 11.
    assert len(SELECTED_STRUCTURES) == 7


def prices(dividends: dict[str, float], unknown: tuple[str, ...] = ()) -> pd.DataFrame:
    frame = pd.DataFrame({"ticker": "TEST", "session": DAYS, "dividend": 0.0, "split_factor": 1.0})
    for day, amount in dividends.items():
        frame.loc[frame["session"] == day, "dividend"] = amount
    return frame.assign(dividend=frame["dividend"].where(~frame["session"].isin(pd.DatetimeIndex(unknown))))


def test_dividends_within_the_chain_are_taken_with_their_dates() -> None:
    found = known_dividends(prices({"2024-03-15": 1.595}), DAYS.to_numpy().astype("datetime64[D]"))
    assert found.dividends is not None
    assert found.dividends.ex_dates.tolist() == [pd.Timestamp("2024-03-15").date()]
    assert found.dividends.amounts.tolist() == [1.595]
    assert "1 with an ex-date in the period" in found.assumption


def test_an_ex_date_without_quotes_is_not_lost() -> None:
    holed = DAYS[DAYS != "2024-03-15"].to_numpy().astype("datetime64[D]")
    found = known_dividends(prices({"2024-03-15": 1.595}), holed)
    assert found.dividends is not None
    # Owed by who is short over the session before it.
    owed = found.dividends.owed_after(holed.astype(np.int64))
    assert holed[owed > 0].astype(str).tolist() == ["2024-03-14"]


def test_what_is_not_known_about_dividends_is_said() -> None:
    days = DAYS.to_numpy().astype("datetime64[D]")
    partly = known_dividends(prices({}, unknown=("2024-02-20", "2024-02-21")), days)
    assert "known for 18 of 20 sessions" in partly.assumption
    nothing = known_dividends(prices({}).iloc[:0], days)
    assert nothing.dividends is None
    assert "unknown" in nothing.assumption
