"""Chain files of three public layouts are recognised by their columns and read piece by piece."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.chains.importing.files import find_chain_files, open_chain_file
from trading_dag.errors import SourceFormatError, UnknownTickerError
from trading_dag.schemas import OPTION_CHAIN

OPTIONSDX_HEADER = ", ".join(
    f"[{name}]"
    for name in (
        "QUOTE_UNIXTIME QUOTE_READTIME QUOTE_DATE QUOTE_TIME_HOURS UNDERLYING_LAST EXPIRE_DATE EXPIRE_UNIX DTE "
        "C_DELTA C_GAMMA C_VEGA C_THETA C_RHO C_IV C_VOLUME C_LAST C_SIZE C_BID C_ASK STRIKE "
        "P_BID P_ASK P_SIZE P_LAST P_DELTA P_GAMMA P_VEGA P_THETA P_RHO P_IV P_VOLUME "
        "STRIKE_DISTANCE STRIKE_DISTANCE_PCT"
    ).split()
)


def optionsdx_line(
    strike: float, *, quote_date: str = "2023-12-01", hours: str = "16.000000", call_iv: str = "0.121000"
) -> str:
    """One line with values padded by a blank after each comma, as the vendor writes them."""
    return ", ".join(
        [
            "1701464400", f"{quote_date} {hours[:2]}:00", quote_date, hours, "459.100000", "2024-01-19", "1705698000",
            "49.00", "0.52", "0.02", "0.6", "-0.1", "0.3", call_iv, "120.000000", "9.510000", "30 x 21", "9.450000",
            "9.550000", f"{strike:.6f}", "7.100000", "7.200000", "12 x 340", "7.150000", "-0.47", "0.02", "0.6",
            "-0.1", "-0.3", "0.118000", "", "0.900000", "0.002000",
        ]
    )  # fmt: skip


def write_optionsdx(folder: Path, *lines: str, name: str = "spy_eod_202312.txt") -> Path:
    path = folder / name
    path.write_text("\n".join([OPTIONSDX_HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def contract_rows(**columns: object) -> pd.DataFrame:
    rows = {
        "contract_id": ["SPY240119C00460000", "SPY240119P00460000"],
        "symbol": "SPY",
        "expiration": "2024-01-19",
        "strike": 460.0,
        "type": ["call", "put"],
        "bid": [9.45, 7.10],
        "ask": [9.55, 7.20],
        "volume": [120, 0],
        "open_interest": [1000, 2000],
        "date": "2023-12-01",
        "implied_volatility": [0.121, 0.0],
        "delta": [0.52, -0.47],
    }
    return pd.DataFrame({**rows, **columns})


def files_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "quote_date": [dt.date(2023, 12, 1)] * 2,
            "ticker": "SPY",
            "underlying_price": 459.10,
            "expiration": [dt.date(2024, 1, 19)] * 2,
            "strike": 460.0,
            "right": ["C", "P"],
            "last": [9.51, 7.15],
            "volume": np.array([120, 0], dtype="int32"),
        }
    )


def read(path: Path, *, rows: int = 500_000, **options: object) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every kept row, and refused rows by reason."""
    pieces = list(open_chain_file(path, **options).batches(rows=rows))  # type: ignore[arg-type]
    refused = pd.concat([piece.refused for piece in pieces])
    return pd.concat([piece.kept for piece in pieces], ignore_index=True), refused["reason"].value_counts().to_dict()


@pytest.mark.parametrize("right", ["right", "option_right"])
def test_the_files_layout_is_read_with_or_without_bid_and_ask(tmp_path: Path, right: str) -> None:
    path = tmp_path / "option_chain.parquet"
    files_rows().rename(columns={"right": right}).to_parquet(path)
    chain, refused = read(path)
    assert list(chain.columns) == list(OPTION_CHAIN.column_names)
    assert chain["last"].tolist() == [9.51, 7.15]
    assert chain[["bid", "ask"]].isna().all(axis=None)
    files_rows().rename(columns={"right": right}).assign(bid=9.0, ask=[9.1, 9.2]).to_parquet(path)
    assert read(path)[0]["ask"].tolist() == [9.1, 9.2]
    assert refused == {}
    assert open_chain_file(path).layout.name == "files"


def test_the_files_layout_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "option_chain.csv"
    files_rows().to_csv(path, index=False)
    chain, _ = read(path)
    assert chain["quote_date"].tolist() == [pd.Timestamp("2023-12-01")] * 2
    assert chain["option_right"].tolist() == ["C", "P"]


def test_optionsdx_lines_become_a_call_and_a_put_each(tmp_path: Path) -> None:
    path = write_optionsdx(tmp_path, optionsdx_line(458.5), optionsdx_line(460.0, call_iv=""))
    assert open_chain_file(path).layout.name == "optionsdx"
    chain, refused = read(path)
    assert refused == {}
    chain = chain.sort_values(["option_right", "strike"], ignore_index=True)
    assert (chain["ticker"] == "SPY").all()
    assert (chain["quote_date"] == pd.Timestamp("2023-12-01")).all()
    assert (chain["expiration"] == pd.Timestamp("2024-01-19")).all()
    assert (chain["underlying_price"] == 459.1).all()
    assert chain["option_right"].tolist() == ["C", "C", "P", "P"]
    assert chain["strike"].tolist() == [458.5, 460.0, 458.5, 460.0]
    assert chain[["bid", "ask", "last"]].to_numpy().tolist() == [[9.45, 9.55, 9.51]] * 2 + [[7.10, 7.20, 7.15]] * 2
    np.testing.assert_array_equal(chain["implied_volatility"], [0.121, np.nan, 0.118, 0.118])
    np.testing.assert_array_equal(chain["volume"], [120.0, 120.0, np.nan, np.nan])
    assert chain["open_interest"].isna().all()


def test_optionsdx_quotes_before_the_close_are_refused_and_half_days_close_early(tmp_path: Path) -> None:
    path = write_optionsdx(
        tmp_path,
        optionsdx_line(458.0, hours="15.500000"),
        optionsdx_line(458.0),
        optionsdx_line(459.0, quote_date="2023-11-24", hours="13.000000"),  # the day after Thanksgiving
        optionsdx_line(460.0, hours="13.000000"),
    )
    chain, refused = read(path)
    assert sorted(chain["strike"].unique()) == [458.0, 459.0]
    assert len(chain) == 4
    assert refused == {"not_end_of_day": 4}


@pytest.mark.parametrize(
    ("name", "ticker"),
    [
        ("qqq_eod_202312.txt", "QQQ"),
        ("spy_2020_2022.csv", "SPY"),
        ("SPY 2020-2022.csv", "SPY"),
        ("aapl_2016_2020.csv", "AAPL"),
        ("spy_15x_202301.txt", "SPY"),
        ("brk.b_eod_202301.txt", "BRK.B"),
        ("spx_eod_2010.txt", "SPX"),
    ],
)
def test_the_ticker_of_optionsdx_files_is_the_first_word_of_their_name(tmp_path: Path, name: str, ticker: str) -> None:
    path = write_optionsdx(tmp_path, optionsdx_line(458.0), name=name)
    assert set(read(path)[0]["ticker"]) == {ticker}


def test_a_ticker_that_is_given_counts_where_the_name_says_none_and_may_not_contradict_it(tmp_path: Path) -> None:
    for name in ("eod_202312.txt", "data_2023.csv", "options.txt", "202312.txt"):
        nameless = write_optionsdx(tmp_path, optionsdx_line(458.0), name=name)
        with pytest.raises(SourceFormatError, match=rf"says the ticker.*{name}"):
            open_chain_file(nameless)
        assert set(read(nameless, ticker="IWM")[0]["ticker"]) == {"IWM"}
    with pytest.raises(UnknownTickerError):
        open_chain_file(nameless, ticker="../x")
    named = write_optionsdx(tmp_path, optionsdx_line(458.0), name="qqq_eod_202312.txt")
    assert set(read(named, ticker="QQQ")[0]["ticker"]) == {"QQQ"}
    with pytest.raises(SourceFormatError, match=r"name says QQQ, --ticker says IWM.*qqq_eod_202312\.txt"):
        open_chain_file(named, ticker="IWM")


@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"date": pd.Timestamp("2023-12-01"), "expiration": pd.Timestamp("2024-01-19")},
        {"date": [dt.date(2023, 12, 1)] * 2, "expiration": [dt.date(2024, 1, 19)] * 2},
    ],
)
def test_contract_id_files_are_read_whatever_type_their_dates_have(tmp_path: Path, dates: dict[str, object]) -> None:
    path = tmp_path / "options.parquet"
    contract_rows(**dates).to_parquet(path)
    assert open_chain_file(path).layout.name == "contract_id"
    chain, refused = read(path)
    assert refused == {}
    assert chain["quote_date"].tolist() == [pd.Timestamp("2023-12-01")] * 2
    assert chain["expiration"].tolist() == [pd.Timestamp("2024-01-19")] * 2
    assert chain["option_right"].tolist() == ["C", "P"]
    np.testing.assert_array_equal(chain["implied_volatility"], [0.121, np.nan])
    assert chain["underlying_price"].isna().all()


def test_the_underlying_price_comes_from_the_file_beside_it_then_from_given_closes(tmp_path: Path) -> None:
    path = tmp_path / "options.parquet"
    contract_rows().to_parquet(path)
    closes = pd.DataFrame({"ticker": ["SPY"], "session": [pd.Timestamp("2023-12-01").as_unit("us")], "close": [459.1]})
    assert read(path, closes=closes)[0]["underlying_price"].tolist() == [459.1, 459.1]
    beside = pd.DataFrame({"symbol": ["SPY"], "date": ["2023-12-01"], "open": [455.0], "close": [459.2]})
    beside.to_parquet(tmp_path / "underlying.parquet")
    assert read(path, closes=closes)[0]["underlying_price"].tolist() == [459.2, 459.2]
    # Files of funds come with an underlying file without rows.
    beside.iloc[:0].to_parquet(tmp_path / "underlying.parquet")
    assert read(path, closes=closes)[0]["underlying_price"].tolist() == [459.1, 459.1]
    beside.drop(columns="close").to_parquet(tmp_path / "underlying.parquet")
    with pytest.raises(SourceFormatError, match=r"close.*underlying\.parquet"):
        open_chain_file(path)


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_pieces_of_any_size_give_the_same_rows(tmp_path: Path, rows: int) -> None:
    text = write_optionsdx(tmp_path, *[optionsdx_line(450.0 + i) for i in range(7)])
    parquet = tmp_path / "options.parquet"
    contract_rows().to_parquet(parquet)
    key = ["strike", "option_right"]
    for path in (text, parquet):
        whole, pieces = (read(path, rows=size)[0].sort_values(key, ignore_index=True) for size in (500_000, rows))
        pd.testing.assert_frame_equal(pieces, whole)


def test_a_piece_is_never_larger_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "options.parquet"
    pd.concat([contract_rows(strike=400.0 + i) for i in range(10)]).to_parquet(path, row_group_size=20)
    sizes = [len(piece.kept) for piece in open_chain_file(path).batches(rows=6)]
    assert sum(sizes) == 20
    assert max(sizes) <= 6


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices.csv", b"ticker,session,close\nSPY,2024-01-02,470.0\n"),
        ("empty.txt", b""),
        ("torn.parquet", b"PAR1 no more"),
        ("binary.txt", b"\xff\xfe\x00\x01,\n"),
    ],
)
def test_a_file_of_no_known_layout_is_an_error_that_names_it_and_what_is_expected(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceFormatError) as caught:
        open_chain_file(path)
    assert name in str(caught.value)
    for expected in ("optionsdx: quote_date", "contract_id: contract_id", "files: ticker"):
        assert expected in str(caught.value)


def test_a_column_of_a_type_that_fits_nothing_is_an_error_that_names_file_and_column(tmp_path: Path) -> None:
    path = tmp_path / "options.parquet"
    contract_rows(expiration=20240119).to_parquet(path)
    with pytest.raises(SourceFormatError, match=r"expiration.*options\.parquet"):
        list(open_chain_file(path).batches())


def test_a_parquet_file_that_is_torn_in_its_data_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "options.parquet"
    contract_rows().to_parquet(path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(SourceFormatError, match="cannot be read"):
        list(open_chain_file(path).batches())


def test_a_folder_gives_its_chain_files_in_order_and_says_why_others_are_none(tmp_path: Path) -> None:
    (tmp_path / "spy").mkdir()
    contract_rows().to_parquet(tmp_path / "spy" / "options.parquet")
    contract_rows().to_parquet(tmp_path / "spy" / "underlying.parquet")
    text = write_optionsdx(tmp_path, optionsdx_line(458.0))
    (tmp_path / "prices.csv").write_text("ticker,session,close\n", encoding="utf-8")
    (tmp_path / "torn.parquet").write_bytes(b"no")
    (tmp_path / "notes.md").write_text("not data", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    contract_rows().to_parquet(tmp_path / ".cache" / "options.parquet")
    found, others = find_chain_files(tmp_path)
    assert found == [tmp_path / "spy" / "options.parquet", text]
    assert {path.name for path in others} == {"prices.csv", "torn.parquet"}
    assert "ticker, session, close" in others[tmp_path / "prices.csv"]


def test_nothing_at_the_path_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="no option chains"):
        find_chain_files(tmp_path)
    with pytest.raises(SourceFormatError, match="no such file"):
        find_chain_files(tmp_path / "absent")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        pytest.param({"date": pd.Timestamp("2023-12-01 16:00")}, "times of day", id="times of day"),
        pytest.param({"date": pd.Timestamp("2023-12-01", tz="UTC")}, "time zone", id="moments with a zone"),
        pytest.param({"expiration": 20240119}, "expected dates", id="dates as numbers"),
        pytest.param({"strike": True}, "expected a number", id="truth values for strikes"),
        pytest.param({"strike": pd.Timestamp("2023-12-01")}, "expected a number", id="dates for strikes"),
        pytest.param({"bid": pd.Timedelta("1s")}, "expected a number", id="spans of time for bids"),
        pytest.param({"symbol": 7}, "expected text", id="numbers for tickers"),
        pytest.param({"type": 1}, "expected C or P", id="numbers for rights"),
    ],
)
def test_a_parquet_column_of_a_wrong_type_is_a_typed_error(
    tmp_path: Path, columns: dict[str, object], problem: str
) -> None:
    path = tmp_path / "options.parquet"
    contract_rows(**columns).to_parquet(path)
    with pytest.raises(SourceFormatError, match=problem) as caught:
        list(open_chain_file(path).batches())
    assert "options.parquet" in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "reason", "value"),
    [
        pytest.param({"strike": ["460", "4x0"]}, "unreadable", "4x0", id="text that is no number"),
        pytest.param({"date": ["2023-12-01", "12/01/2023"]}, "unreadable", "12/01/2023", id="an ambiguous date"),
        pytest.param({"bid": [9.45, np.inf]}, "unreadable", "inf", id="an infinite bid"),
        pytest.param({"bid": [[9.45], [9.5]]}, "unreadable", "[9.45]", id="lists for numbers"),
        pytest.param({"strike": [460.0, np.nan]}, "missing_key", "", id="no strike"),
        pytest.param({"type": ["call", "straddle"]}, "missing_key", "straddle", id="a right that is none"),
        pytest.param({"ask": [9.55, -1.0]}, "negative", "-1.0", id="a negative ask"),
    ],
)
def test_a_bad_row_of_a_parquet_file_is_left_out_and_told_by_its_number(
    tmp_path: Path, columns: dict[str, object], reason: str, value: str
) -> None:
    path = tmp_path / "options.parquet"
    contract_rows(**columns).to_parquet(path)
    (piece,) = open_chain_file(path).batches()
    assert len(piece.kept) + len(piece.refused) == 2
    assert set(piece.refused["reason"]) == {reason}
    (remark,) = [remark for remark in piece.left_out if remark.reason == reason]
    assert (remark.value, remark.count, remark.line) == (value, len(piece.refused), 3 - len(piece.refused))


@pytest.mark.parametrize(
    ("beside", "problem"),
    [
        pytest.param({"date": ["someday"]}, "cannot be read as symbol, date and close", id="a date that is none"),
        pytest.param({"close": ["many"]}, "cannot be read as symbol, date and close", id="a close in words"),
        pytest.param({"symbol": ["SPY", "SPY"], "date": "2023-12-01", "close": [459.1, 460.0]}, "several closes of SPY",
                     id="two closes of a session"),
    ],
)  # fmt: skip
def test_closes_that_cannot_be_read_or_contradict_each_other_are_typed_errors(
    tmp_path: Path, beside: dict[str, object], problem: str
) -> None:
    contract_rows().to_parquet(tmp_path / "options.parquet")
    row = {"symbol": ["SPY"], "date": ["2023-12-01"], "close": [459.1]}
    pd.DataFrame({**row, **beside}).to_parquet(tmp_path / "underlying.parquet")
    with pytest.raises(SourceFormatError, match=problem):
        open_chain_file(tmp_path / "options.parquet")


def test_a_price_of_the_underlying_from_beside_the_file_is_told_as_an_assumption(tmp_path: Path) -> None:
    path = tmp_path / "options.parquet"
    contract_rows().to_parquet(path)
    beside = pd.DataFrame({"symbol": ["SPY"], "date": ["2023-12-01"], "close": [459.2]})
    beside.to_parquet(tmp_path / "underlying.parquet")
    (piece,) = open_chain_file(path).batches()
    assert [(one.reason, one.column, one.count, one.value) for one in piece.left_out] == [
        ("assumed", "underlying_price", 2, "459.2")
    ]


def test_late_quotes_that_cannot_be_read_are_counted_among_the_late_ones(tmp_path: Path) -> None:
    late = optionsdx_line(458.0, hours="15.500000").replace("9.450000", "some")
    path = write_optionsdx(tmp_path, optionsdx_line(459.0), late)
    (piece,) = open_chain_file(path).batches()
    assert len(piece.kept) == 2
    assert piece.refused["reason"].value_counts().to_dict() == {"not_end_of_day": 2}
