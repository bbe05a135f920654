"""An acceptance is of one bar as it was looked at: a later split leaves it, another bar on that day does not."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.quality.acceptance import accepted_bar, still_accepted
from trading_dag.sessions import sessions_between

DAYS = sessions_between("2010-05-03", "2010-05-14")
CRASH = pd.Timestamp("2010-05-06").as_unit("us")
NOW = pd.Timestamp("2026-01-02 12:00", tz="UTC")


def bars() -> pd.DataFrame:
    frame = pd.DataFrame({"ticker": "SPY", "session": DAYS, "open": 116.0, "high": 117.0, "low": 115.0})
    frame["close"] = [116.0 + 0.1 * row for row in range(len(DAYS))]
    frame.loc[3, ["low", "close"]] = [105.0, 112.9]
    return frame


def test_the_bar_that_was_accepted_stays_so_with_its_reason() -> None:
    entry = accepted_bar(bars(), CRASH, reason="the flash crash", now=NOW)
    assert entry is not None
    assert (entry.session, entry.low, entry.previous_close) == ("2010-05-06", 105.0, pytest.approx(116.2))
    assert still_accepted([entry], bars()) == {CRASH: "the flash crash"}


def test_a_later_split_of_the_whole_history_leaves_it_accepted() -> None:
    entry = accepted_bar(bars(), CRASH, reason="true", now=NOW)
    assert entry is not None
    halved = bars()
    halved[["open", "high", "low", "close"]] /= 2
    assert still_accepted([entry], halved) == {CRASH: "true"}


@pytest.mark.parametrize(
    ("column", "row"), [("open", 3), ("high", 3), ("low", 3), ("close", 3), ("close", 2)], ids=lambda value: str(value)
)
def test_another_bar_on_that_day_or_another_close_before_it_is_not_accepted(column: str, row: int) -> None:
    entry = accepted_bar(bars(), CRASH, reason="true", now=NOW)
    assert entry is not None
    changed = bars()
    changed.loc[row, column] *= 1.001
    assert still_accepted([entry], changed) == {}


def test_an_acceptance_is_of_one_ticker_and_of_a_session_that_is_there() -> None:
    entry = accepted_bar(bars(), CRASH, reason="true", now=NOW)
    assert entry is not None
    assert still_accepted([entry], bars().assign(ticker="QQQ")) == {}
    assert still_accepted([entry], bars().drop(index=3)) == {}
    assert accepted_bar(bars(), pd.Timestamp("2010-05-08"), reason="a Saturday", now=NOW) is None
    assert accepted_bar(bars().assign(close=0.0), CRASH, reason="no price", now=NOW) is None


def test_the_first_bar_of_a_history_has_no_close_before_it() -> None:
    entry = accepted_bar(bars(), DAYS[0], reason="true", now=NOW)
    assert entry is not None
    assert entry.previous_close is None
    assert still_accepted([entry], bars()) == {DAYS[0]: "true"}
