"""A session that breaks a blocking rule is not stored by an import, and what is left out is told with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.chains.importing.importer import import_chains
from resources.chains.store import ChainStore
from resources.text_files.columns import Remark
from trading_dag.cli.import_report import remark_lines
from trading_dag.errors import SourceFormatError, TradingDagError
from trading_dag.options.pricing import black_scholes

DAYS = pd.DatetimeIndex(["2024-01-04", "2024-01-05", "2024-01-08"])
HEADER = (
    "ticker,quote_date,underlying_price,expiration,strike,right,bid,ask,last,volume,open_interest,implied_volatility"
)


def quotes(*days: pd.Timestamp, volatility: float = 0.2) -> pd.DataFrame:
    """European options of 20 % volatility with a spread of two cents; each day has its own spot and volumes."""
    expirations = pd.DatetimeIndex(["2024-01-12", "2024-01-19"])
    grid = pd.MultiIndex.from_product(
        [pd.DatetimeIndex(days), expirations, np.arange(450.0, 487.0, 2.0), ["C", "P"]],
        names=["quote_date", "expiration", "strike", "right"],
    ).to_frame(index=False)  # fmt: skip
    spot = 460.0 + grid["quote_date"].dt.day
    middle = black_scholes.price(
        spot=spot, strike=grid["strike"], years=(grid["expiration"] - grid["quote_date"]).dt.days / 365, rate=0.03,
        dividend_yield=0.01, volatility=0.2, is_call=grid["right"] == "C",
    )  # fmt: skip
    half = np.minimum(0.01, middle / 2)
    return grid.assign(
        ticker="SPY", underlying_price=spot, bid=middle - half, ask=middle + half, last=middle,
        volume=10 + grid["quote_date"].dt.day, open_interest=100, implied_volatility=volatility,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    return ChainStore(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "vendor"
    path.mkdir()
    return path


def spoilt(rows: pd.DataFrame, day: pd.Timestamp, **factors: float) -> pd.DataFrame:
    """The rows with some columns of one day multiplied."""
    changed = rows.copy()
    for name, factor in factors.items():
        changed[name] = changed[name].where(changed["quote_date"] != day, changed[name] * factor)
    return changed


@pytest.mark.parametrize(
    ("factors", "rule"),
    [
        ({"implied_volatility": 100.0}, "volatility_is_a_fraction"),
        ({"strike": 1000.0}, "parity_is_near_spot"),
        ({"underlying_price": 0.1}, "parity_is_near_spot"),
        ({"bid": 0.0, "ask": 0.0}, "quotes_are_not_all_zero"),
    ],
)
def test_a_session_that_breaks_a_blocking_rule_is_not_stored_and_the_others_are(
    store: ChainStore, folder: Path, factors: dict[str, float], rule: str
) -> None:
    spoilt(quotes(*DAYS), DAYS[1], **factors).to_parquet(folder / "chain.parquet")
    done = import_chains(store, folder)
    (file,) = done.files
    assert (file.state, done.is_complete) == ("imported in part", False)
    assert list(file.refused_sessions) == ["SPY/2024-01-05"]
    assert any(text.startswith(f"{rule}: ") for text in file.refused_sessions["SPY/2024-01-05"])
    assert file.refused == {"failed_check": 76}
    assert file.rows == 228 == file.stored + 76
    assert store.read("SPY")["quote_date"].unique().tolist() == [DAYS[0], DAYS[2]]
    again = import_chains(store, folder)  # nobody takes it for imported
    assert (again.is_complete, list(again.files[0].refused_sessions)) == (False, ["SPY/2024-01-05"])


def test_a_bad_session_never_replaces_a_good_one(store: ChainStore, folder: Path) -> None:
    quotes(*DAYS).to_parquet(folder / "a.parquet")
    assert import_chains(store, folder).is_complete
    before = store.read("SPY")
    quotes(DAYS[1], volatility=20.0).to_parquet(folder / "b.parquet")
    done = import_chains(store, folder / "b.parquet")
    assert [file.state for file in done.files] == ["nothing stored"]
    pd.testing.assert_frame_equal(store.read("SPY"), before)


def test_a_copy_of_the_session_before_is_refused_within_a_file_and_after_what_is_stored(
    store: ChainStore, folder: Path
) -> None:
    first = quotes(DAYS[0])
    first.to_parquet(folder / "a.parquet")
    assert import_chains(store, folder).is_complete
    pd.concat([first.assign(quote_date=day) for day in DAYS[1:]]).to_parquet(folder / "b.parquet")
    (file,) = import_chains(store, folder / "b.parquet").files
    assert list(file.refused_sessions) == ["SPY/2024-01-05", "SPY/2024-01-08"]
    assert store.read("SPY")["quote_date"].unique().tolist() == [DAYS[0]]


def test_a_file_that_is_mended_is_imported(store: ChainStore, folder: Path) -> None:
    spoilt(quotes(*DAYS), DAYS[1], strike=1000.0).to_parquet(folder / "chain.parquet")
    import_chains(store, folder)
    quotes(*DAYS).to_parquet(folder / "chain.parquet")
    done = import_chains(store, folder)
    assert (done.is_complete, done.files[0].appended, done.files[0].unchanged) == (True, 76, 152)


def test_what_only_warns_is_stored_and_told(store: ChainStore, folder: Path) -> None:
    rows = quotes(*DAYS)
    rows["implied_volatility"] = np.where(rows["right"] == "C", 0.2, 0.3)
    rows.to_parquet(folder / "chain.parquet")
    done = import_chains(store, folder)
    assert done.is_complete
    assert [(one.rule, one.sessions, one.first) for one in done.warnings] == [
        ("vendor_volatility_keeps_parity", 2, "SPY/2024-01-04")
    ]


def test_only_tickers_with_something_stored_count_as_held(store: ChainStore, folder: Path) -> None:
    quotes(DAYS[1]).assign(ticker="QQQ").to_parquet(folder / "a.parquet")
    quotes(DAYS[1], volatility=20.0).to_parquet(folder / "b.parquet")
    assert import_chains(store, folder).tickers == ["QQQ"]


def line(**values: object) -> str:
    good = dict(zip(HEADER.split(","), "SPY,2024-01-05,467.92,2024-01-12,430,C,37.59,38.76,38.17,12,15,0.17".split(","),
                    strict=True))  # fmt: skip
    return ",".join(str(value) for value in {**good, **values}.values())


def put_in(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "chain.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


GOOD = line(strike=440)


@pytest.mark.parametrize(
    ("bad", "reason", "column", "value"),
    [
        pytest.param(line(strike="abc"), "unreadable", "strike", "abc", id="a strike in words"),
        pytest.param(line(strike="inf"), "unreadable", "strike", "inf", id="an infinite strike"),
        pytest.param(line(strike="1e999"), "unreadable", "strike", "1e999", id="a strike beyond numbers"),
        pytest.param(line(strike="0x1ae"), "unreadable", "strike", "0x1ae", id="a strike in base 16"),
        pytest.param(line(strike=""), "missing_key", "strike", "", id="no strike"),
        pytest.param(line(strike="0"), "missing_key", "strike", "0.0", id="a strike of zero"),
        pytest.param(line(strike="--"), "missing_key", "strike", "", id="a dash for a strike"),
        pytest.param(line(strike="-430"), "negative", "strike", "-430.0", id="a negative strike"),
        pytest.param(line(bid="-0.01"), "negative", "bid", "-0.01", id="a negative bid"),
        pytest.param(line(bid="12 x 40"), "unreadable", "bid", "12 x 40", id="a bid with its size"),
        pytest.param(line(bid="37,59"), "more_fields", None,
                     "13 fields: SPY,2024-01-05,467.92,2024-01-12,430,C,37,59,38.76,38.17,12…",
                     id="a decimal comma among commas"),
        pytest.param(line(bid='"37,59"'), "unreadable", "bid", "37,59", id="a quoted decimal comma"),
        pytest.param(line(volume="16%"), "unreadable", "volume", "16%", id="a percentage for a volume"),
        pytest.param(line(right="X"), "missing_key", "option_right", "X", id="a right that is none"),
        pytest.param(line(right=""), "missing_key", "option_right", "", id="no right"),
        pytest.param(line(ticker=""), "missing_key", "ticker", "", id="no ticker"),
        pytest.param(line(ticker="../../X"), "not_a_ticker", "ticker", "../../X", id="a path for a ticker"),
        pytest.param(line(ticker="[bold]X"), "not_a_ticker", "ticker", "[BOLD]X", id="markup for a ticker"),
        pytest.param(line(ticker="SPY;drop"), "not_a_ticker", "ticker", "SPY;DROP", id="SQL for a ticker"),
        pytest.param(line(quote_date="2024-13-05"), "unreadable", "quote_date", "2024-13-05", id="a month of 13"),
        pytest.param(line(quote_date="2024-02-30"), "unreadable", "quote_date", "2024-02-30", id="a 30 February"),
        pytest.param(line(quote_date="0001-01-01"), "not_a_session", "quote_date", "1-01-01", id="the year 1"),
        pytest.param(line(quote_date="9999-12-31"), "future_session", "quote_date", "9999-12-31", id="the year 9999"),
        pytest.param(line(quote_date="2024-01-06"), "not_a_session", "quote_date", "2024-01-06", id="a Saturday"),
        pytest.param(line(quote_date="2024-01-05 15:45"), "unreadable", "quote_date", "2024-01-05 15:45",
                     id="a quote at a time of day"),
        pytest.param(line(quote_date="45296"), "unreadable", "quote_date", "45296", id="a day as Excel counts them"),
        pytest.param(line(expiration="01/12/2024"), "unreadable", "expiration", "01/12/2024", id="an ambiguous day"),
        pytest.param(line(expiration=""), "missing_key", "expiration", "", id="no expiration"),
        pytest.param(line(underlying_price="12 345"), "unreadable", "underlying_price", "12 345", id="a blank in it"),
        pytest.param(line(last="\x1b[31m9"), "unreadable", "last", "\\x1b[31m9", id="an escape sequence"),
        pytest.param(line(last="=1+1"), "unreadable", "last", "=1+1", id="a formula of a spreadsheet"),
        pytest.param(line().rsplit(",", 5)[0], "fewer_fields", None, "7 fields: " + line().rsplit(",", 5)[0],
                     id="a line that breaks off"),
        pytest.param(GOOD, "duplicate", None, "2024-01-12 440 C", id="the line again"),
        pytest.param("\x0c", "fewer_fields", None, "1 fields: ", id="a form feed"),
    ],
)  # fmt: skip
def test_a_bad_line_is_left_out_and_told_by_reason_column_line_and_value(
    store: ChainStore, folder: Path, bad: str, reason: str, column: str | None, value: str
) -> None:
    path = put_in(folder, GOOD, bad)
    (file,) = import_chains(store, path).files
    kept = file.stored
    assert kept == 1
    assert sum(file.refused.values()) == 1 == file.rows - kept
    found = [remark for remark in file.left_out if remark.reason == reason]
    assert [(remark.column, remark.count, remark.line, remark.value) for remark in found] == [(column, 1, 3, value)]


@pytest.mark.parametrize(
    ("lines", "column", "detail", "expected"),
    [
        pytest.param([line(open_interest='"15,000"')], "open_interest", "a thousands separator",
                     {"open_interest": 15000.0}, id="thousands"),
        pytest.param([line(last="--")], "last", "missing", {"last": np.nan, "bid": 37.59}, id="a dash"),
        pytest.param([line(last="N/A")], "last", "missing", {"last": np.nan}, id="N/A"),
        pytest.param([line(underlying_price="$467.92")], "underlying_price", "a currency sign",
                     {"underlying_price": 467.92}, id="dollars"),
        pytest.param([line(implied_volatility="17%")], "implied_volatility", "a percentage, as its hundredth",
                     {"implied_volatility": 0.17}, id="a percentage of volatility"),
        pytest.param([line(ticker="^SPX")], "ticker", "an index without its caret", {"ticker": "SPX"}, id="a caret"),
        pytest.param([line(quote_date="01/05/2024", expiration="01/19/2024")], "expiration", "month first",
                     {"quote_date": pd.Timestamp("2024-01-05"), "expiration": pd.Timestamp("2024-01-19")},
                     id="American dates that prove themselves"),
    ],
)  # fmt: skip
def test_an_assumption_about_a_value_is_made_counted_and_told(
    store: ChainStore, folder: Path, lines: list[str], column: str, detail: str, expected: dict[str, object]
) -> None:
    (file,) = import_chains(store, put_in(folder, *lines)).files
    assert file.refused == {}
    row = store.read(store.tickers()[0]).iloc[0]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, nan_ok=True) if isinstance(value, float) else row[name] == value
    told = [remark for remark in file.left_out if remark.column == column]
    assert [(remark.reason, remark.detail, remark.line) for remark in told] == [("assumed", detail, 2)]


def test_ambiguous_dates_are_read_as_the_user_says(store: ChainStore, folder: Path) -> None:
    path = put_in(folder, line(quote_date="01/05/2024"))
    assert import_chains(store, path).files[0].state == "nothing stored"
    assert import_chains(store, path, date_order="month_first").is_complete
    assert store.read("SPY")["quote_date"].tolist() == [pd.Timestamp("2024-01-05")]


def test_nothing_of_a_file_is_stored_under_another_ticker_than_its_name_says(store: ChainStore, folder: Path) -> None:
    from tests.resources.chains.importing.test_files import optionsdx_line, write_optionsdx

    write_optionsdx(folder, optionsdx_line(458.0), name="spy_eod_202312.txt")
    write_optionsdx(folder, optionsdx_line(120.0), name="aapl_eod_202312.txt")
    write_optionsdx(folder, optionsdx_line(460.0), name="options.txt")
    assert import_chains(store, folder, ticker="SPY").is_complete
    assert {name: sorted(store.read(name)["strike"].unique()) for name in store.tickers()} == {
        "AAPL": [120.0], "SPY": [458.0, 460.0],
    }  # fmt: skip


def test_packed_and_other_tables_are_read_whatever_writes_them(store: ChainStore, folder: Path) -> None:
    text = "\n".join([HEADER, line()]) + "\n"
    (folder / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "b.TSV").write_text(text.replace(",", "\t").replace("430", "431"), encoding="utf-8")
    (folder / "c.csv").write_text(text.replace(",", ";").replace("430", "432"), encoding="utf-16")
    names = HEADER.replace("ticker", "Symbol").replace("quote_date", "Date").replace("right", "Option Type")
    (folder / "d.csv").write_text(text.replace(HEADER, names.replace("_", " ")).replace("430", "433"), encoding="utf-8")
    frame = pd.DataFrame([line().split(",")], columns=HEADER.split(",")).assign(strike="434", open_interest="15,000")
    frame.to_parquet(folder / "e.parquet")
    done = import_chains(store, folder)
    assert done.is_complete
    assert store.read("SPY")["strike"].tolist() == [430.0, 431.0, 432.0, 433.0, 434.0]
    assert done.files[4].left_out == (
        Remark("assumed", 1, 1, "15,000", column="open_interest", detail="a thousands separator"),
    )


def test_a_folder_without_chains_says_what_each_file_is(folder: Path, store: ChainStore) -> None:
    (folder / "prices.csv").write_text("ticker,close\nSPY,1\n", encoding="utf-8")
    (folder / "spy_eod_2023.zip").write_bytes(b"PK")
    (folder / "empty.csv").write_bytes(b"")
    with pytest.raises(SourceFormatError) as caught:
        import_chains(store, folder)
    for told in (
        "prices.csv: no known layout: the columns are ticker, close",
        "spy_eod_2023.zip: is packed",
        "empty.csv: ",
    ):
        assert told in str(caught.value)


def test_several_columns_of_one_meaning_are_refused_unless_one_has_the_tables_own_name(
    store: ChainStore, folder: Path
) -> None:
    own = put_in(folder, line() + ",X", header=HEADER + ",symbol")
    assert import_chains(store, own).is_complete
    put_in(folder, line() + ",X", header=HEADER.replace("ticker", "underlying") + ",symbol")
    with pytest.raises(SourceFormatError, match="several columns mean the same: symbol, underlying"):
        import_chains(store, folder / "chain.csv")


def test_lines_of_a_report_add_up_over_files_and_name_the_first_place(store: ChainStore, folder: Path) -> None:
    for number in range(3):
        path = put_in(folder, line(strike=430 + number, last="--"), line(strike="x"))
        path.rename(folder / f"{number}.csv")
    files = import_chains(store, folder).files
    assert remark_lines(files) == [
        "assumed  column last: 3 in 3 files (missing), the first in 0.csv line 2: --",
        "unreadable  column strike: 3 in 3 files (is no number), the first in 0.csv line 3: x",
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 12),
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b'"', b"\n", b",", b";", b"\x00", b"\xff", b"--", b"1e999"])
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_file_with_any_bytes_changed_is_a_typed_error_or_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    content = "\n".join([HEADER, *(line(strike=430 + number) for number in range(4))]).encode() + b"\n"
    for at, length, put in cuts:
        content = content[:at] + put + content[at + length :]
    (folder / "chain.csv").write_bytes(content)
    store = ChainStore(folder / "home")
    refused: TradingDagError | None = None
    try:
        (file,) = import_chains(store, folder / "chain.csv").files
    except TradingDagError as error:
        refused = error
    if refused is not None:
        assert "chain.csv" in str(refused)
        return
    assert file.rows == file.stored + sum(file.refused.values())
    told = sum(one.count for one in file.left_out if one.reason not in ("assumed", "unreadable"))
    assert told + file.refused.get("unreadable", 0) + file.refused.get("failed_check", 0) == sum(file.refused.values())
