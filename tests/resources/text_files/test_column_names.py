"""Vendors' names of columns, and what two candidates or a setting mean."""

from __future__ import annotations

import pytest

from resources.text_files.column_names import matching_columns, plain_name

PRICES = ("session", "open", "high", "low", "close", "adj_close", "volume", "split_factor", "dividend")
OHLC = {"open": "Open", "high": "High", "low": "Low", "close": "Close"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Date,Open,High,Low,Close,Adj Close,Volume",
         {"session": "Date", **OHLC, "adj_close": "Adj Close", "volume": "Volume"}),
        ("date,close,high,low,open,volume,adjClose,divCash,splitFactor",
         {"session": "date", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume",
          "adj_close": "adjClose", "dividend": "divCash", "split_factor": "splitFactor"}),
        ("timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
         {"session": "timestamp", "open": "open", "high": "high", "low": "low", "close": "close",
          "adj_close": "adjusted_close", "volume": "volume", "dividend": "dividend_amount",
          "split_factor": "split_coefficient"}),
        ("Date,Close/Last,Volume,Open,High,Low",
         {"session": "Date", "close": "Close/Last", "volume": "Volume", "open": "Open", "high": "High", "low": "Low"}),
        ("Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
         {"session": "Date", **OHLC, "volume": "Volume", "dividend": "Dividends", "split_factor": "Stock Splits"}),
    ],
    ids=["Yahoo", "Tiingo", "Alpha Vantage", "Nasdaq", "yfinance"],
)  # fmt: skip
def test_headers_of_vendors_are_understood(header: str, expected: dict[str, str]) -> None:
    assert matching_columns(header.split(","), PRICES) == expected


def test_the_exact_name_goes_before_a_spelling_and_a_spelling_before_a_vendors_name() -> None:
    assert matching_columns(["close", "Close", "Last"], ["close"]) == {"close": "close"}
    assert matching_columns(["Close", "Last"], ["close"]) == {"close": "Close"}


def test_two_candidates_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="session may be Date or Timestamp: say which"):
        matching_columns(["Date", "Timestamp"], ["session"])


def test_a_setting_may_take_one_column_for_two_and_goes_before_every_name() -> None:
    said = {"close": "Last", "adj_close": "Last"}
    found = matching_columns(["close", "Last"], ["close", "adj_close"], said=said)
    assert found == {"close": "Last", "adj_close": "Last"}
    with pytest.raises(ValueError, match="FILES_COLUMNS says 'Kurs' for close; the file has close, Last"):
        matching_columns(["close", "Last"], ["close"], said={"close": "Kurs"})


def test_one_column_is_never_taken_for_two_by_itself() -> None:
    assert matching_columns(["Symbol"], ["ticker", "symbol"]) == {"symbol": "Symbol"}


@pytest.mark.parametrize("name", ["Adj Close", "adj_close", "AdjClose", "ADJ. CLOSE", " adj-close "])
def test_spellings_of_one_name_are_plainly_the_same(name: str) -> None:
    assert plain_name(name) == "adjclose"
