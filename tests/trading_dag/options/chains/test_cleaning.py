"""Every rule of the cleaning on a chain made for it, and the counts on real chains against plain pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.options.chains.cleaning import REASONS, CleaningRules, clean_chain
from trading_dag.options.chains.rows import normalise_chain


def chain_of(rows: int = 1, **columns: object) -> pd.DataFrame:
    """Good two-sided quotes of SPY calls at 560, 561, ... ; columns may be replaced."""
    good = {
        "quote_date": pd.Timestamp("2024-11-15"),
        "ticker": "SPY",
        "underlying_price": 585.75,
        "expiration": pd.Timestamp("2024-12-20"),
        "strike": 560.0 + np.arange(rows),
        "option_right": "C",
        "bid": 30.0,
        "ask": 30.4,
        "last": 30.1,
        "volume": 10.0,
        "open_interest": 100.0,
        "implied_volatility": 0.14,
    }
    frame = pd.DataFrame({**good, **columns}, index=range(rows))
    return frame.astype({"quote_date": "datetime64[us]", "expiration": "datetime64[us]"})


LAST_ONLY = {"bid": np.nan, "ask": np.nan}


def test_a_good_chain_is_kept_whole() -> None:
    cleaned = clean_chain(chain_of(5))
    assert len(cleaned.kept) == 5
    assert cleaned.counts == {}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"bid": 30.5}, "crossed"),
        ({"bid": 0.0}, "zero"),
        ({"bid": 0.0, "ask": 0.0}, "zero"),
        ({"bid": np.nan}, "zero"),
        ({"ask": np.nan}, "zero"),
        ({"expiration": pd.Timestamp("2024-11-14")}, "expired"),
        ({"ticker": "SPX", "quote_date": pd.Timestamp("2024-12-20")}, "expired"),  # settled at the opening
        ({"ticker": "SPY1"}, "adjusted_contract"),
        ({"underlying_price": np.nan}, "no_underlying"),
        ({**LAST_ONLY, "volume": 0.0}, "no_volume"),
        ({**LAST_ONLY, "volume": np.nan}, "no_volume"),
        ({**LAST_ONLY, "last": 25.74}, "below_intrinsic"),  # 585.75 − 560 = 25.75
        ({**LAST_ONLY, "strike": 600.0, "option_right": "P", "last": 14.24}, "below_intrinsic"),
        ({**LAST_ONLY, "last": 0.0}, "zero"),
        ({**LAST_ONLY, "last": np.nan}, "zero"),
    ],
)
def test_a_quote_that_breaks_a_rule_is_refused_with_that_reason(columns: dict[str, object], reason: str) -> None:
    cleaned = clean_chain(chain_of(**columns))
    assert cleaned.counts == {reason: 1}
    assert len(cleaned.kept) == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"bid": 30.4},  # locked, not crossed
        {"volume": 0.0},  # a two-sided quote needs no trade
        {"last": np.nan},
        {"last": 1.0},
        {"quote_date": pd.Timestamp("2024-12-20")},  # the day of expiration itself, settled at the close
        {**LAST_ONLY, "last": 25.75},
        {"implied_volatility": np.nan},
    ],
)
def test_a_quote_at_the_edge_of_a_rule_is_kept(columns: dict[str, object]) -> None:
    assert len(clean_chain(chain_of(**columns)).kept) == 1


def test_equal_copies_leave_one_row_and_differing_copies_none() -> None:
    rows = chain_of(3)
    cleaned = clean_chain(pd.concat([rows, rows.iloc[[0]], rows.iloc[[1]].assign(bid=29.0)], ignore_index=True))
    assert cleaned.kept["strike"].tolist() == [560.0, 562.0]
    assert cleaned.counts == {"conflicting_duplicate": 2, "duplicate": 1}


def test_a_quote_that_stands_still_while_the_underlying_moves_is_stale() -> None:
    monday = pd.Timestamp("2024-11-18")
    friday_rows = chain_of(2)
    moved = chain_of(2, quote_date=monday, underlying_price=588.0).assign(ask=[30.4, 31.0])
    cleaned = clean_chain(pd.concat([friday_rows, moved], ignore_index=True))
    assert cleaned.counts == {"stale": 1}
    assert cleaned.refused[["strike", "quote_date"]].to_numpy().tolist() == [[560.0, monday]]


@pytest.mark.parametrize(
    "columns",
    [
        {"underlying_price": 585.80},  # the underlying hardly moved
        {"underlying_price": 588.0, "expiration": pd.Timestamp("2025-01-17")},  # another contract
    ],
)
def test_a_quote_that_had_no_reason_to_move_is_not_stale(columns: dict[str, object]) -> None:
    rows = pd.concat([chain_of(), chain_of(quote_date=pd.Timestamp("2024-11-18"), **columns)], ignore_index=True)
    assert clean_chain(rows).counts == {}


def test_a_cheap_option_may_stand_still_and_a_missing_date_between_two_quotes_breaks_the_comparison() -> None:
    cheap = {"bid": 0.01, "ask": 0.02, "strike": 700.0}
    later = {"quote_date": pd.Timestamp("2024-11-19"), "underlying_price": 600.0}
    between = chain_of(strike=565.0, quote_date=pd.Timestamp("2024-11-18"))
    assert clean_chain(pd.concat([chain_of(**cheap), chain_of(**cheap, **later)], ignore_index=True)).counts == {}
    assert clean_chain(pd.concat([chain_of(), between, chain_of(**later)], ignore_index=True)).counts == {}


def test_a_quote_is_never_judged_by_a_later_date() -> None:
    friday = chain_of(3)
    later = chain_of(3, quote_date=pd.Timestamp("2024-11-18"), underlying_price=700.0)
    alone = clean_chain(friday).kept
    both = clean_chain(pd.concat([friday, later], ignore_index=True)).kept
    pd.testing.assert_frame_equal(both[both["quote_date"] == "2024-11-15"].reset_index(drop=True), alone)


def test_rules_can_require_a_volatility_and_allow_a_zero_bid() -> None:
    rows = chain_of(2, implied_volatility=[0.14, np.nan], bid=[0.0, 30.0])
    assert clean_chain(rows, rules=CleaningRules(require_volatility=True)).counts == {
        "zero": 1,
        "missing_volatility": 1,
    }
    assert clean_chain(rows, rules=CleaningRules(refuse_zero_bid=False)).counts == {}


def test_of_several_rules_the_first_of_the_list_is_the_reason() -> None:
    bad = {"ticker": "SPY1", "expiration": pd.Timestamp("2024-11-14"), "underlying_price": np.nan, "bid": 0.0}
    assert clean_chain(chain_of(**bad)).counts == {"adjusted_contract": 1}
    assert REASONS.index("adjusted_contract") < REASONS.index("expired")


def test_cleaning_twice_changes_nothing_more_and_a_missing_column_is_named() -> None:
    rows = chain_of(4, bid=[30.0, 30.5, 0.0, 30.0])
    once = clean_chain(rows).kept
    pd.testing.assert_frame_equal(clean_chain(once).kept, once)
    with pytest.raises(SchemaError, match="ask"):
        clean_chain(rows.drop(columns="ask"))


def _reason_of(bid: float, ask: float, last: float, strike: float, volume: float, right: str) -> str:
    """The rules of one row in plain Python, spot 100, two dates that cannot expire."""
    if not math.isnan(bid) or not math.isnan(ask):
        if bid > ask:
            return "crossed"
        return "" if bid > 0 and ask > 0 else "zero"
    if not last > 0:
        return "zero"
    if not volume > 0:
        return "no_volume"
    return "below_intrinsic" if last < (100.0 - strike if right == "C" else strike - 100.0) else ""


_PRICE = st.sampled_from([float("nan"), 0.0, 0.05, 5.0, 5.1, 20.0])


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(
        st.tuples(_PRICE, _PRICE, _PRICE, st.sampled_from([90.0, 95.0, 100.0, 106.0]), st.sampled_from([0.0, 3.0]),
                  st.sampled_from("CP")),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_every_row_is_kept_or_refused_as_the_rules_of_one_row_say(rows) -> None:
    columns = ["bid", "ask", "last", "strike", "volume", "option_right"]
    frame = pd.DataFrame(rows, columns=columns)
    # A ticker for each row, so that no two are copies of one contract.
    tickers = [f"{chr(65 + i)}X" for i in range(len(rows))]
    chain = chain_of(len(rows), underlying_price=100.0, ticker=tickers).assign(
        **{name: frame[name] for name in columns}
    )
    cleaned = clean_chain(chain)
    expected = dict(zip(tickers, (_reason_of(*row) for row in rows), strict=True))
    assert dict(zip(cleaned.refused["ticker"], cleaned.refused["reason"], strict=True)) == {
        ticker: reason for ticker, reason in expected.items() if reason
    }
    assert cleaned.kept["ticker"].tolist() == [ticker for ticker, reason in expected.items() if not reason]


@pytest.mark.files_data
def test_counts_on_the_real_end_of_day_chain_are_those_of_plain_pandas(real_data) -> None:
    raw = pd.read_parquet(real_data / "option_chain_eod.parquet")
    cleaned = clean_chain(normalise_chain(raw).kept)
    spot, strike, last = raw["underlying_price"], raw["strike"], raw["last"]
    intrinsic = (spot - strike).where(raw["right"] == "C", strike - spot).clip(lower=0)
    untraded = raw["volume"] == 0
    assert cleaned.counts == {
        "no_volume": int(untraded.sum()),
        "below_intrinsic": int(((last < intrinsic) & ~untraded).sum()),
    }
    assert len(cleaned.kept) + len(cleaned.refused) == len(raw)


@pytest.mark.files_data
def test_counts_on_the_real_two_sided_chain_are_those_of_plain_pandas(real_data) -> None:
    raw = pd.read_parquet(real_data / "option_chain_snapshots.parquet")
    raw = raw[(raw["ticker"] == "SPY") & (raw["quote_date"] == pd.Timestamp("2020-10-05").date())]
    cleaned = clean_chain(normalise_chain(raw).kept)
    quoted = raw["bid"].notna() | raw["ask"].notna()
    crossed = raw["bid"] > raw["ask"]
    zero = quoted & ~crossed & ~((raw["bid"] > 0) & (raw["ask"] > 0))
    assert quoted.all()
    counts = cleaned.counts
    assert (counts["zero"], counts["crossed"]) == (int(zero.sum()), int(crossed.sum()))
    # 1e-5 is what the vendor's own solver gives up with, on quotes below the worth of exercise.
    refused = cleaned.refused[cleaned.refused["reason"] == "out_of_line"]
    gave_up = [(rows["implied_volatility"] < 1.1e-5).mean() for rows in (refused, cleaned.kept)]
    assert gave_up[0] > 0.4 > 0.06 > gave_up[1]
