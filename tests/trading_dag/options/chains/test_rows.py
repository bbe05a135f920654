"""Chains of many layouts become rows of one table, and no row is lost without its reason."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.options.chains.rows import CHAIN_KEY, marks, normalise_chain, repeated_rows
from trading_dag.schemas import OPTION_CHAIN


def vendor_rows(**columns: object) -> pd.DataFrame:
    """Two contracts in the table's own names; columns may be replaced."""
    rows = {
        "quote_date": [dt.date(2024, 11, 15)] * 2,
        "ticker": "SPY",
        "underlying_price": 585.75,
        "expiration": [dt.date(2024, 12, 20)] * 2,
        "strike": [580.0, 590.0],
        "option_right": ["C", "P"],
        "bid": [12.0, 9.0],
        "ask": [12.1, 9.2],
        "last": [12.05, 9.1],
        "volume": [10, 20],
        "open_interest": [100, 200],
        "implied_volatility": [0.14, 0.13],
    }
    return pd.DataFrame({**rows, **columns})


def test_rows_in_the_tables_own_names_come_out_typed_and_in_order() -> None:
    chain = normalise_chain(vendor_rows())
    assert list(chain.kept.columns) == list(OPTION_CHAIN.column_names)
    assert chain.kept.dtypes.astype(str).to_dict() == {
        "quote_date": "datetime64[us]",
        "ticker": "str",
        "underlying_price": "float64",
        "expiration": "datetime64[us]",
        "strike": "float64",
        "option_right": "str",
        **dict.fromkeys(("bid", "ask", "last", "volume", "open_interest", "implied_volatility"), "float64"),
    }
    assert chain.kept["expiration"].tolist() == [pd.Timestamp("2024-12-20")] * 2
    assert chain.counts == {}


@pytest.mark.parametrize(
    ("column", "alias", "values"),
    [
        ("quote_date", "date", ["2024-11-15", " 2024-11-15 "]),
        ("quote_date", "[QUOTE_DATE]", pd.DatetimeIndex(["2024-11-15"] * 2)),
        ("ticker", "symbol", ["spy", " SPY"]),
        ("underlying_price", " [UNDERLYING_LAST]", ["585.75", " 585.750 "]),
        ("expiration", "expire_date", ["2024-12-20", "2024-12-20"]),
        ("strike", "Strike_Price", [580, 590]),
        ("option_right", "type", ["call", "PUT "]),
        ("option_right", "right", pd.Categorical(["C", "P"])),
        ("last", "lastPrice", ["12.05", "9.1"]),
        ("open_interest", "oi", pd.array([100, 200], dtype="Int64")),
        ("implied_volatility", "iv", [0.14, 0.13]),
    ],
)
def test_every_name_and_type_that_vendors_use_gives_the_same_rows(column: str, alias: str, values: object) -> None:
    other = vendor_rows().drop(columns=column)
    other[alias] = values
    chain = normalise_chain(other)
    pd.testing.assert_frame_equal(chain.kept, normalise_chain(vendor_rows()).kept)
    assert chain.counts == {}


def test_what_a_layout_does_not_give_is_null() -> None:
    bare = vendor_rows().drop(columns=["bid", "ask", "volume", "underlying_price"])
    kept = normalise_chain(bare).kept
    assert kept[["bid", "ask", "volume", "underlying_price"]].isna().all(axis=None)
    assert kept["last"].tolist() == [12.05, 9.1]


def test_a_volatility_or_an_underlying_price_of_zero_is_the_vendors_word_for_none() -> None:
    kept = normalise_chain(vendor_rows(implied_volatility=[0.0, -1.0], underlying_price=[0.0, 585.75])).kept
    assert kept["implied_volatility"].isna().all()
    assert kept["underlying_price"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("quote_date", ["2024-11-15", "someday"], "missing_key"),
        ("expiration", ["2024-12-20", None], "missing_key"),
        ("strike", [580.0, np.nan], "missing_key"),
        ("strike", [580.0, 0.0], "missing_key"),
        ("ticker", ["SPY", " "], "missing_key"),
        ("option_right", ["C", "X"], "missing_key"),
        ("bid", ["12.0", "n/q"], "unreadable"),
        ("ask", [12.1, np.inf], "unreadable"),
        ("last", [12.05, -9.1], "negative"),
        ("volume", [10, -1], "negative"),
        ("underlying_price", [585.75, -5.0], "negative"),
    ],
)
def test_a_row_that_cannot_be_one_is_refused_with_its_reason(column: str, values: list[object], reason: str) -> None:
    chain = normalise_chain(vendor_rows(**{column: values}))
    assert chain.kept["strike"].tolist() == [580.0]
    assert chain.refused["reason"].tolist() == [reason]
    assert chain.counts == {reason: 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strike": None}, "no column for strike"),
        ({"right": ["C", "P"]}, "several columns mean the same"),
        ({"quote_date": pd.DatetimeIndex(["2024-11-15"] * 2, tz="UTC")}, "time zone"),
        ({"quote_date": pd.DatetimeIndex(["2024-11-15 16:00"] * 2)}, "times of day"),
        ({"expiration": [20241220, 20241220]}, "expected dates"),
        ({"option_right": [1, 0]}, "expected C or P"),
        ({"bid": [True, False]}, "expected a number"),
        ({"ticker": [1, 2]}, "expected text"),
    ],
)
def test_a_layout_that_fits_nothing_is_a_typed_error_that_names_the_rule(
    change: dict[str, object], message: str
) -> None:
    frame = vendor_rows()
    for name, values in change.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    with pytest.raises(SchemaError, match=rf"raw\.option_chain.*{message}"):
        normalise_chain(frame)


def test_an_empty_frame_with_the_columns_gives_no_rows() -> None:
    chain = normalise_chain(vendor_rows().iloc[:0])
    assert len(chain.kept) == 0
    assert list(chain.kept.columns) == list(OPTION_CHAIN.column_names)


def test_a_layout_without_a_ticker_takes_the_given_one() -> None:
    assert normalise_chain(vendor_rows().drop(columns="ticker"), ticker="QQQ").kept["ticker"].tolist() == ["QQQ"] * 2


def test_adjusted_contracts_and_closing_settled_twins_stand_under_their_own_root() -> None:
    frame = pd.DataFrame(
        {
            "contract_id": [
                "SPX241220C06000000", "SPXW241220C06000000", "SPXW241213C06000000",
                "TSLA1241220C00100000", "TSLA241220C00100000",
            ],
            "symbol": ["SPX", "SPX", "SPX", "TSLA", "TSLA"],
            "date": "2024-11-15",
            "expiration": ["2024-12-20", "2024-12-20", "2024-12-13", "2024-12-20", "2024-12-20"],
            "strike": [6000.0, 6000.0, 6000.0, 100.0, 100.0],
            "type": "call",
        }
    )  # fmt: skip
    kept = normalise_chain(frame).kept
    # The third-Friday SPXW would otherwise repeat the key of the opening-settled SPX contract.
    assert kept["ticker"].tolist() == ["SPX", "SPXW", "SPX", "TSLA1", "TSLA"]
    assert not kept.duplicated(CHAIN_KEY).any()


def test_equal_copies_leave_one_row_and_differing_ones_none() -> None:
    chain = normalise_chain(vendor_rows()).kept
    copies = pd.concat([chain, chain.iloc[[0]], chain.iloc[[1]].assign(bid=8.0)], ignore_index=True)
    later, differing = repeated_rows(copies)
    assert later.tolist() == [False, False, True, False]
    assert differing.tolist() == [False, True, False, True]


def test_copies_among_differing_rows_of_a_key_do_not_make_one_of_them_right() -> None:
    row = normalise_chain(vendor_rows()).kept.iloc[[0]]
    later, differing = repeated_rows(pd.concat([row, row, row.assign(bid=1.0)], ignore_index=True))
    assert differing.all()
    assert not later.any()


def test_the_mark_is_the_middle_where_both_sides_are_there_and_the_last_trade_otherwise() -> None:
    chain = normalise_chain(vendor_rows(bid=[12.0, np.nan])).kept
    priced = marks(chain)
    np.testing.assert_allclose(priced.price, [12.05, 9.1])
    np.testing.assert_allclose(priced.half_spread, [0.05, np.nan])
    assert priced.is_two_sided.tolist() == [True, False]


_ANY_NUMBER = st.one_of(st.floats(), st.none(), st.sampled_from(["", "x", "1.5"]))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["2024-11-15", "2024-11-18", "", "never"]),
            st.sampled_from(["C", "put", "?", None]),
            st.floats(allow_nan=True, allow_infinity=True),
            _ANY_NUMBER,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_row_that_comes_in_goes_out_kept_or_refused(rows) -> None:
    frame = pd.DataFrame(rows, columns=["date", "type", "strike", "bid"]).assign(
        symbol="SPY", expiration="2024-12-20", bid=pd.Series([row[3] for row in rows], dtype="object")
    )
    chain = normalise_chain(frame)
    assert len(chain.kept) + len(chain.refused) == len(frame)
    assert sum(chain.counts.values()) == len(chain.refused)
    assert chain.kept[CHAIN_KEY].notna().all(axis=None)
    numbers = chain.kept.select_dtypes("number").to_numpy()
    assert not (numbers < 0).any()
    assert not np.isinf(numbers).any()


@pytest.mark.parametrize("column", ["root", "option_root", "ROOT_SYMBOL"])
def test_a_column_of_roots_keeps_twins_apart_as_identifiers_do(column: str) -> None:
    # 2024-01-19 is a third Friday, on which SPX settles at the open and SPXW at the close; 2024-01-12 is none.
    frame = pd.DataFrame(
        {
            "quote_date": "2024-01-05", "ticker": "SPX", "underlying_price": 4697.24,
            "expiration": ["2024-01-19", "2024-01-19", "2024-01-12"], "strike": 4700.0, "right": "C",
            "bid": [59.0, 59.5, 40.0], "ask": [61.0, 61.5, 42.0], column: ["SPX", "spxw", "SPXW"],
        }
    )  # fmt: skip
    chain = normalise_chain(frame)
    assert chain.kept["ticker"].tolist() == ["SPX", "SPXW", "SPX"]
    assert not any(mask.any() for mask in repeated_rows(chain.kept))


def test_the_first_row_of_each_reason_is_told_with_its_column_and_value() -> None:
    frame = pd.DataFrame(
        {
            "quote_date": ["2024-01-05"] * 4 + ["", "2024-01-05"], "ticker": "SPY", "underlying_price": 467.92,
            "expiration": "2024-01-12", "strike": [430.0, 435.0, 0.0, 440.0, 445.0, 450.0],
            "right": ["C", "X", "C", "P", "C", "C"], "bid": [1.0, 1.0, 1.0, -2.0, 1.0, np.inf], "ask": 3.0,
        }
    )  # fmt: skip
    chain = normalise_chain(frame, unreadable=np.array([True, False, False, False, False, False]))
    assert chain.counts == {"missing_key": 3, "unreadable": 2, "negative": 1}
    assert {reason: (fault.position, fault.column, fault.value) for reason, fault in chain.faults.items()} == {
        "unreadable": (0, "", ""),  # whoever read it knows
        "missing_key": (1, "option_right", "X"),
        "negative": (3, "bid", "-2.0"),
    }
    assert chain.kept_at.tolist() == []
