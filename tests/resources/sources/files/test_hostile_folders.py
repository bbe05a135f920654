"""Folders as people have them, and as they are when something went wrong: read right, or refused by place."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.raw_frames import notes_of
from resources.sources.files.source import FilesSource
from resources.text_files.column_file import ReadingRules
from trading_dag.errors import ConfigurationError, EmptySourceError, SourceError, SourceFormatError

DAYS = ("2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29")
HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
ROW = "100,102,98,101,99.5,1000"
YAHOO = "\n".join([HEADER, *(f"{day},{ROW}" for day in DAYS)]) + "\n"


def folder(path: Path, **files: str | bytes) -> FilesSource:
    """A folder with these files; a double underscore in a name is a point."""
    for name, content in files.items():
        target = path / name.replace("__", ".")
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FilesSource(path)


def sessions(frame: pd.DataFrame) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in frame["session"]]


READ: dict[str, tuple[str, str | bytes]] = {
    "as Yahoo exports it": ("GLD__csv", YAHOO),
    "quoted header and fields": ("GLD__csv", "\n".join(
        ",".join(f'"{part}"' for part in line.split(",")) for line in YAHOO.splitlines())),
    "semicolons and decimal commas": ("GLD__csv", YAHOO.replace(",", ";").replace("99.5", "99,5")),
    "tabs in a .tsv": ("GLD__tsv", YAHOO.replace(",", "\t")),
    "gzip": ("GLD__csv__gz", gzip.compress(YAHOO.encode())),
    "byte order mark": ("GLD__csv", b"\xef\xbb\xbf" + YAHOO.encode()),
    "UTF-16 of Excel": ("GLD__csv", YAHOO.replace(",", "\t").encode("utf-16")),
    "Windows line ends": ("GLD__csv", YAHOO.replace("\n", "\r\n")),
    "no last line end": ("GLD__csv", YAHOO.rstrip("\n")),
    "blank lines at the end": ("GLD__csv", YAHOO + "\n\n\n"),
    "blanks around names": ("GLD__csv", YAHOO.replace(HEADER, HEADER.replace(",", ", "))),
    "midnights of New York": ("GLD__csv", YAHOO.replace("2024-11-25", "2024-11-25 00:00:00-05:00")),
    "newest first": ("GLD__csv", "\n".join([HEADER, *reversed(YAHOO.splitlines()[1:])])),
    "thousands in the volume": ("GLD__csv", YAHOO.replace(",1000", ',"1,000"')),
    "dollar signs": ("GLD__csv", YAHOO.replace(",100,", ",$100,")),
    "month first, proved by another date": ("GLD__csv", "\n".join(
        [HEADER, *(f"{pd.Timestamp(day):%m/%d/%Y},{ROW}" for day in DAYS)])),
    "a name in camel case": ("GLD__csv", YAHOO.replace("Adj Close", "adjClose")),
    "its own ticker column": ("GLD__csv", "\n".join(
        [f"Symbol,{HEADER}", *(f"gld,{line}" for line in YAHOO.splitlines()[1:])])),
    "a holiday among the rows": ("GLD__csv", YAHOO + f"2024-11-28,{ROW}\n"),
    "a line broken off": ("GLD__csv", YAHOO + "2024-11-29,100,10"),
    "a second header of yfinance": ("GLD__csv", "Price" + YAHOO[4:].replace(
        "Volume\n", "Volume\nTicker,GLD,GLD,GLD,GLD,GLD,GLD\nDate,,,,,,\n", 1)),
    "a null volume": ("GLD__csv", YAHOO.replace(",1000", ",null", 1)),
    "Parquet called by its ticker": ("GLD__csv", YAHOO),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(READ))
def test_a_history_as_people_have_it_is_read_whole(tmp_path: Path, kind: str) -> None:
    source = folder(tmp_path, **dict([READ[kind]]))
    if kind.startswith("Parquet"):
        pd.read_csv(tmp_path / "GLD.csv").assign(Date=pd.DatetimeIndex(DAYS).tz_localize("UTC")).to_parquet(
            tmp_path / "GLD.parquet"
        )
        (tmp_path / "GLD.csv").unlink()
    bars = source.prices_daily("GLD")
    assert sessions(bars) == list(DAYS)
    np.testing.assert_array_equal(bars[["open", "high", "low", "close", "adj_close"]].to_numpy(),
                                  [[100.0, 102.0, 98.0, 101.0, 99.5]] * 4)  # fmt: skip
    volumes = bars["volume"].fillna(-1.0).tolist()
    assert volumes == ([-1.0, *[1000.0] * 3] if kind == "a null volume" else [1000.0] * 4)
    assert bars["ticker"].unique().tolist() == ["GLD"]
    assert {status.state for status in source.describe() if status.kind == "prices_daily"} == {"on"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("thousands in the volume", "column Volume: 4 assumed (a thousands separator), first on line 2"),
        ("a holiday among the rows", "1 rows of GLD in GLD.csv are on days that are no exchange session"),
        ("a line broken off", "1 fewer fields (not the header's 7), first on line 6"),
        ("its own ticker column", "4 rows of 'gld' are taken as GLD"),
        ("a null volume", "column Volume: 1 assumed (missing), first on line 2: null"),
        ("a second header of yfinance", "2 further lines of the header are no rows"),
    ],
)
def test_what_is_left_out_or_assumed_is_counted_with_its_place(tmp_path: Path, kind: str, said: str) -> None:
    notes = notes_of(folder(tmp_path, **dict([READ[kind]])).prices_daily("GLD"))
    assert any(said in note for note in notes), notes


LATER_NOT_TEXT = (YAHOO + f"2024-11-29,{ROW}\n" * 60_000).encode() + b"2024-11-29,\xff" + ROW[3:].encode() + b"\n"
REFUSED: dict[str, tuple[dict[str, str | bytes], str]] = {
    "empty file": ({"GLD__csv": ""}, "it is empty"),
    "header only": ({"GLD__csv": HEADER + "\n"}, "no such rows"),
    "binary": ({"GLD__csv": b"\x00\x01\xff\xfe" * 50}, "it is no text"),
    "a web page": ({"prices_daily__csv": "<html><body>404</body></html>"}, "column ticker: is missing"),
    "a workbook called .csv": ({"prices_daily__csv": b"PK\x03\x04" + b"0" * 99}, "zip archive or a workbook"),
    "Parquet called .csv": ({"prices_daily__csv": b"PAR1" + b"0" * 99}, "a Parquet file"),
    "text called .parquet": ({"prices_daily__parquet": YAHOO}, "cannot be read"),
    "truncated gzip": ({"prices_daily__csv__gz": gzip.compress(YAHOO.encode() * 99)[:60]}, "cannot be read"),
    "no adjusted close": ({"GLD__csv": YAHOO.replace("Adj Close", "Rest")}, 'FILES_COLUMNS=.*"adj_close": "Close"'),
    "text for a price": ({"GLD__csv": YAHOO.replace("2024-11-26,100", "2024-11-26,n.m.")}, "'n.m.' on line 3"),
    "a percentage for a price": ({"GLD__csv": YAHOO.replace(",100,", ",1%,", 1)}, "'1%' on line 2 is a percentage"),
    "infinity": ({"GLD__csv": YAHOO.replace(",100,", ",inf,", 1)}, "'inf' on line 2"),
    "a time of day": ({"GLD__csv": YAHOO.replace("2024-11-25", "2024-11-25 16:00")}, "on line 2 has a time of day"),
    "no day of the calendar": ({"GLD__csv": YAHOO.replace("2024-11-25", "2024-11-31")}, "no day of the calendar"),
    "a missing date": ({"GLD__csv": YAHOO.replace("2024-11-25", "")}, "session: is missing in 1 rows, .* line 2"),
    "month or day first": (
        {"GLD__csv": f"{HEADER}\n11/05/2024,{ROW}\n11/06/2024,{ROW}\n"}, "month/day or day/month"),
    "a day twice": ({"GLD__csv": YAHOO + YAHOO.splitlines()[1] + "\n"}, "1 rows repeat .* 2024-11-25 on line"),
    "the future": ({"GLD__csv": YAHOO + f"2999-01-02,{ROW}\n"}, "in the future, the first on 2999-01-02 on line 6"),
    "another ticker within": (
        {"GLD__csv": "\n".join([f"Ticker,{HEADER}", *(f"SLV,{line}" for line in YAHOO.splitlines()[1:])])},
        "the file's name says GLD, its rows say SLV"),
    "two columns for one": ({"GLD__csv": YAHOO.replace("Volume", "Adjusted Close").replace("Adj Close", "Close Adj")},
                            "adj_close may be Close Adj or Adjusted Close"),
    "one column twice": ({"GLD__csv": YAHOO.replace("Low", "High")}, "high may be High or High"),
    "a file of its own and one of all": (
        {"GLD__csv": YAHOO,
         "prices_daily__csv": "ticker,session,open,high,low,close,adj_close,volume\nGLD,2024-11-25,1,1,1,1,1,1\n"},
        "GLD.csv and prices_daily.csv both have GLD"),
    "two files of one ticker": ({"GLD__csv": YAHOO, "GLD__tsv": YAHOO.replace(",", "\t")}, "two files of one kind"),
    "splits of 0": ({"prices_daily__csv": "ticker,session,open,high,low,close,adj_close,volume,split_factor\n"
                     "GLD,2024-11-25,1,1,1,1,1,1,1\nGLD,2024-11-26,1,1,1,1,1,1,0\n"},
                    "split_factor: 1 values, the first 0.0 on line 3: expected new shares per old one, 1 for none"),
    "another ticker only": ({"prices_daily__csv": "ticker,session,open,high,low,close,adj_close,volume\n"
                             "TLT,2024-11-25,1,1,1,1,1,1\n"}, "it has TLT.*TRADING_DAG_UNIVERSE=TLT"),
    "prices without a ticker": ({"prices_daily__csv": YAHOO}, "name the file after its ticker, such as GLD.csv"),
    "a quote that does not close": ({"GLD__csv": YAHOO.replace("2024-11-26", '"2024-11-26')}, "line 3"),
    "not UTF-8 beyond the start": ({"GLD__csv": LATER_NOT_TEXT}, "is not text in utf-8|cannot be read"),
    "small letters": ({"gld__csv": YAHOO}, "is not in .*such as GLD.csv"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_cannot_be_read_is_refused_by_file_and_place_and_doctor_says_so(tmp_path: Path, kind: str) -> None:
    files, said = REFUSED[kind]
    source = folder(tmp_path, **files)
    found = source.describe()
    if said.startswith("is not in"):
        bars = source.prices_daily("GLD")
        assert bars.empty
        assert "is not in" in bars.attrs["source_off"]
        assert "such as GLD.csv" in bars.attrs["source_off"]
        assert {status.state for status in found if status.kind == "prices_daily"} == {"missing"}
        return
    with pytest.raises(SourceError, match=said) as caught:
        source.prices_daily("GLD")
    assert isinstance(caught.value, SourceFormatError | EmptySourceError)


@pytest.mark.parametrize(
    "kind",
    ["a web page", "text called .parquet", "no adjusted close", "text for a price", "a time of day", "header only"],
)
def test_doctor_reads_the_first_rows_and_calls_a_file_wrong(tmp_path: Path, kind: str) -> None:
    statuses = [one for one in folder(tmp_path, **REFUSED[kind][0]).describe() if one.kind == "prices_daily"]
    assert [status.state for status in statuses] == ["wrong"]
    assert "prices_daily" in statuses[0].detail or "GLD.csv" in statuses[0].detail


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prices_dayly": {"close": "Last"}}, "names 'prices_dayly', which is not one of prices_daily"),
        ({"prices_daily": {"closing": "Last"}}, "names 'closing' of prices_daily, which has ticker"),
    ],
)
def test_a_setting_about_columns_that_are_never_read_is_refused(
    tmp_path: Path, columns: dict[str, dict[str, str]], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FilesSource(tmp_path, rules=ReadingRules(columns))


def test_a_setting_says_what_a_file_calls_its_columns(tmp_path: Path) -> None:
    (tmp_path / "GLD.csv").write_text(YAHOO.replace("Close,Adj Close", "Schluss,Rest"))
    rules = ReadingRules({"prices_daily": {"close": "Schluss", "adj_close": "Schluss"}})
    bars = FilesSource(tmp_path, rules=rules).prices_daily("GLD")
    assert bars["close"].tolist() == bars["adj_close"].tolist() == [101.0] * 4
    wrong = ReadingRules({"prices_daily": {"close": "Kurs"}})
    with pytest.raises(SourceFormatError, match="says 'Kurs' for close; the file has Date"):
        FilesSource(tmp_path, rules=wrong).prices_daily("GLD")


def test_the_order_of_day_and_month_is_read_as_the_setting_says(tmp_path: Path) -> None:
    (tmp_path / "GLD.csv").write_text(f"{HEADER}\n05/11/2024,{ROW}\n06/11/2024,{ROW}\n")
    bars = FilesSource(tmp_path, rules=ReadingRules(date_order="day_first")).prices_daily("GLD")
    assert sessions(bars) == ["2024-11-05", "2024-11-06"]


def test_zeros_of_yfinances_stock_splits_mean_none(tmp_path: Path) -> None:
    content = YAHOO.replace("Volume\n", "Volume,Stock Splits\n").replace(",1000\n", ",1000,0.0\n")
    bars = folder(tmp_path, GLD__csv=content.replace(",1000,0.0", ",1000,2.0", 1)).prices_daily("GLD")
    assert bars["split_factor"].tolist() == [2.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["VIX__csv", "^VIX__csv", "VIX_History__csv"])
def test_a_volatility_index_has_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    content = YAHOO.replace(HEADER, HEADER.upper()) if "History" in name else YAHOO
    source = folder(tmp_path, **{name: content, "SPY__csv": YAHOO})
    rows = source.volatility_index("QQQ")
    assert (rows["symbol"].unique().tolist(), sessions(rows)) == (["VIX"], list(DAYS))
    assert any("VXN, the index of QQQ, is in no file: VIX stands in" in note for note in notes_of(rows))
    assert source.tickers() == {"SPY"}


Content = Callable[[], str]
EVENTS: dict[str, tuple[str, str, str]] = {
    "headline of the future": ("news_headlines__csv", "ts,headline\n2999-01-01T00:00Z,x\n", "in the future"),
    "headline over two lines": ("news_headlines__csv", 'ts,headline\n2024-01-02T15:00Z,"a\nb"\n', ""),
    "headline without text": ("news_headlines__csv", "ts,headline\n2024-01-02T15:00Z,\n", ""),
    "moments as numbers": ("news_headlines__csv", "ts,headline\n1704207600,x\n", "says no time zone"),
    "rank of a half": ("apewisdom__csv", "generated_at,ticker,rank,mentions\n2024-01-02T15:00Z,SPY,1.5,3\n",
                       "rank: 1 values, the first 1.5 on line 2: expected whole numbers"),
    "a ticker twice in a snapshot": (
        "apewisdom__csv", "generated_at,ticker,rank,mentions\n" + "2024-01-02T15:00Z,SPY,1,3\n" * 2, "SPY twice"),
    "articles of a half": (
        "news_sentiment__csv",
        "ticker,known_at,company_score,sector_score,buzz,articles_last_week\nSPY,2024-01-02T15:00Z,1,1,1,0.5\n",
        "expected whole numbers"),
    "timing unknown": ("earnings__csv", "date,ticker,timing\n2024-01-31,SPY,noon\n",
                       "first noon on line 2: is none of"),
    "date of earnings in words": ("earnings__csv", "date,ticker\nsoon,SPY\n", "'soon' on line 2"),
    "an hourly bar of text": (
        "prices_hourly__csv", "ticker,ts,open,high,low,close,volume\nSPY,2024-01-02T15:30Z,a,1,1,1,1\n",
        "'a' on line 2"),
    "no event of the Federal Reserve": ("fomc_dates__csv", "date,event\n2024-01-31,Jobs\n", ""),
}  # fmt: skip
METHODS = {
    "news_headlines": "news", "apewisdom": "social_mentions", "news_sentiment": "news_sentiment",
    "earnings": "earnings", "prices_hourly": "prices_hourly",
}  # fmt: skip


@pytest.mark.parametrize("kind", list(EVENTS))
def test_a_hostile_file_of_events_is_read_or_refused_by_place(tmp_path: Path, kind: str) -> None:
    name, content, said = EVENTS[kind]
    source = folder(tmp_path, **{name: content})
    ask = METHODS.get(name.removesuffix("__csv"))
    fetch = source.economic_calendar if ask is None else lambda: getattr(source, ask)("SPY")
    if said:
        with pytest.raises(SourceFormatError, match=said):
            fetch()
        return
    rows = fetch()
    assert len(rows) == (1 if "two lines" in kind else 0)
    assert "two lines" in kind or "left out" in notes_of(rows)[0]
