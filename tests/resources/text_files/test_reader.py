"""Text files of any dialect give typed columns, and say what they left out and where."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.text_files import reader as text_files
from resources.text_files.columns import merged_remarks
from resources.text_files.reader import TextRows, open_text_file
from trading_dag.errors import SourceFormatError

COLUMNS = {"ticker": "text", "session": "date", "close": "number"}
GOOD = "ticker,session,close\nSPY,2024-01-05,467.92\nNA,2024-01-08,474.60\n"


def read(path: Path, content: str | bytes, **options: object) -> TextRows:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_text_file(path, source="test", remedy="Mend it.", **options).read(COLUMNS)  # type: ignore[arg-type]


def told(rows: TextRows) -> list[tuple[str, str | None, int, int, str]]:
    return [(one.reason, one.column, one.count, one.line, one.value) for one in rows.remarks]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def is_good(rows: TextRows) -> bool:
    return (
        rows.frame["ticker"].tolist() == ["SPY", "NA"]
        and rows.frame["session"].tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-08")]
        and rows.frame["close"].tolist() == [467.92, 474.60]
        and not rows.unreadable.any()
    )


@pytest.mark.parametrize(
    ("content", "first_line"),
    [
        pytest.param(GOOD, 2, id="plain"),
        pytest.param(GOOD.rstrip(), 2, id="no line end after the last line"),
        pytest.param(GOOD.replace("\n", "\r\n"), 2, id="Windows line ends"),
        pytest.param("\n\n" + GOOD, 4, id="empty lines before the header"),
        pytest.param(GOOD.replace("\n", "\n\n"), 3, id="empty lines between"),
        pytest.param(GOOD.replace(",", ";"), 2, id="semicolons"),
        pytest.param(GOOD.replace(",", "\t"), 2, id="tabs"),
        pytest.param(GOOD.replace(",", "|"), 2, id="bars"),
        pytest.param("sep=;\n" + GOOD.replace(",", ";"), 3, id="the delimiter that Excel writes down"),
        pytest.param(GOOD.replace(",", ", "), 2, id="blanks after the commas"),
        pytest.param("\ufeff" + GOOD, 2, id="byte order mark"),
        pytest.param(GOOD.encode("utf-16"), 2, id="UTF-16"),
        pytest.param(gzip.compress(GOOD.encode()), 2, id="gzip, whatever the name"),
        pytest.param(gzip.compress(GOOD[:30].encode()) + gzip.compress(GOOD[30:].encode()), 2, id="gzip of two parts"),
        pytest.param('"ticker","session","close"\n"SPY","2024-01-05",467.92\n"NA","2024-01-08",474.6\n', 2,
                     id="quoted"),
        pytest.param('"ticker", "session", "close"\n"SPY", "2024-01-05", "467.92"\n"NA", "2024-01-08", "474.60"\n', 2,
                     id="quoted after blanks"),
        pytest.param("close,more,ticker,more,session\n467.92,,SPY,x,2024-01-05\n474.60,1,NA,y,2024-01-08\n", 2,
                     id="another order, and others' columns of one name"),
    ],
)  # fmt: skip
def test_the_same_rows_come_out_of_every_dialect(path: Path, content: str | bytes, first_line: int) -> None:
    rows = read(path, content)
    assert is_good(rows)
    assert rows.remarks == ()
    assert rows.lines[0] == first_line


def test_types_are_those_asked_for_also_where_there_is_no_row(path: Path) -> None:
    for content in (GOOD, "ticker,session,close\n", "ticker,session,close"):
        frame = read(path, content).frame
        assert [str(kind) for kind in frame.dtypes] == ["str", "datetime64[us]", "float64"]


def test_lines_with_fewer_or_more_fields_than_the_header_are_left_out_and_counted(path: Path) -> None:
    rows = read(path, GOOD + "QQQ,2024-01-05\n\nQQQ,2024-01-05,1,2\nIWM,2024-01-05,193.1\nQQQ\nIWM,2024-01-08,19")
    assert rows.frame["ticker"].tolist() == ["SPY", "NA", "IWM", "IWM"]
    assert rows.lines.tolist() == [2, 3, 7, 9]
    assert told(rows) == [
        ("fewer_fields", None, 2, 4, "2 fields: QQQ,2024-01-05"),
        ("more_fields", None, 1, 6, "4 fields: QQQ,2024-01-05,1,2"),
    ]


def test_a_value_that_cannot_be_read_is_missing_and_named_with_column_line_and_value(path: Path) -> None:
    rows = read(path, GOOD + "QQQ,2024-02-30,many\nQQQ,2024-01-09,some\n")
    assert rows.unreadable.tolist() == [False, False, True, True]
    assert rows.frame["session"].isna().tolist() == [False, False, True, False]
    assert rows.frame["close"].isna().tolist() == [False, False, True, True]
    assert told(rows) == [
        ("unreadable", "close", 2, 4, "many"),
        ("unreadable", "session", 1, 4, "2024-02-30"),
    ]
    assert "column close: 2 unreadable (is no number), first on line 4: many" in [str(one) for one in rows.remarks]


def test_a_value_read_by_an_assumption_is_counted(path: Path) -> None:
    rows = read(path, 'ticker,session,close\nSPY,01/05/2024,"1,234.5"\nSPY,01/19/2024,--\nSPY,2024-01-22,"2,345"\n')
    assert rows.frame["close"].tolist()[::2] == [1234.5, 2345.0]
    assert rows.frame["session"].tolist()[0] == pd.Timestamp("2024-01-05")
    assert told(rows) == [
        ("assumed", "close", 2, 2, "1,234.5"),
        ("assumed", "session", 2, 2, "01/05/2024"),
        ("assumed", "close", 1, 3, "--"),
    ]


def test_number_types_do_not_come_from_the_first_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 512)
    many = "".join(f"SPY,2024-01-05,{value}\n" for value in ["", "0", "7"] * 100)
    rows = read(path, "ticker,session,close\n" + many + 'SPY,2024-01-05,1.906\nSPY,2024-01-05,"51,071,985.5"\n')
    assert rows.frame["close"].tolist()[-2:] == [1.906, 51071985.5]
    assert rows.lines[-1] == 303
    assert told(rows) == [("assumed", "close", 1, 303, "51,071,985.5")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size_are_the_same_rows_on_the_same_lines(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 64)
    lines = [f"SPY,2024-01-05,{number}" for number in range(5)] + ["SPY", "", "QQQ,2024-01-05,--", "A,B,C,D"] * 2
    whole = read(path, "\n".join(["ticker,session,close", *lines]))
    pieces = list(open_text_file(path, source="test", remedy="").pieces(COLUMNS, rows=size))
    assert max(len(piece.frame) for piece in pieces) <= size
    pd.testing.assert_frame_equal(pd.concat([piece.frame for piece in pieces], ignore_index=True), whole.frame)
    assert np.concatenate([piece.lines for piece in pieces]).tolist() == [2, 3, 4, 5, 6, 9, 13]
    assert whole.lines.tolist() == [2, 3, 4, 5, 6, 9, 13]
    assert merged_remarks(remark for piece in pieces for remark in piece.remarks) == whole.remarks


def test_the_order_of_day_and_month_is_looked_for_in_the_whole_file_before_it_is_given_up(path: Path) -> None:
    ambiguous = "".join(f"SPY,01/{1 + number % 12:02d}/2024,1\n" for number in range(2000))
    header = "ticker,session,close\n"
    rows = read(path, header + ambiguous + "SPY,01/31/2024,1\n")
    assert rows.frame["session"].iloc[0] == pd.Timestamp("2024-01-01")
    with pytest.raises(SourceFormatError, match="01/31/2024 begins with the month and 31/01/2024 with the day"):
        read(path, header + "SPY,01/31/2024,1\n" + ambiguous + "SPY,31/01/2024,1\n")
    rows = read(path, header + ambiguous)
    assert rows.unreadable.all()
    assert told(rows) == [("unreadable", "session", 2000, 2, "01/01/2024")]
    assert not read(path, header + ambiguous, date_order="day_first").unreadable.any()


def test_windows_1252_is_read_where_it_is_not_utf_8_and_said_to_be_assumed(path: Path) -> None:
    rows = read(path, "ticker,session,close\nCAF\u00c9,2024-01-05,1\n".encode("cp1252"))
    assert rows.frame["ticker"].tolist() == ["CAF\u00c9"]
    assert [one.detail for one in rows.remarks] == ["the encoding Windows-1252, since it is not UTF-8"]


def test_quoted_line_breaks_are_values_only_where_they_may_be(path: Path) -> None:
    content = 'ticker,session,close\n"SPY\nETF",2024-01-05,1\n'
    with pytest.raises(SourceFormatError, match="line 2: a quote does not close on its line"):
        read(path, content)
    assert read(path, content, is_multiline=True).frame["ticker"].tolist() == ["SPY\nETF"]


LARGE = GOOD + "SPY,2024-01-09,1\n" * 80_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "empty", id="an empty file"),
        pytest.param(b" \n\n", "empty", id="blanks only"),
        pytest.param(b"\x00\x01\x02\x03", "zero bytes", id="binary"),
        pytest.param(b"\xff\x00\xfe\x01", "zero bytes", id="binary that is not UTF-8"),
        pytest.param(b"PK\x03\x04rest", "zip archive", id="a zip archive"),
        pytest.param(b"BZh91AY", "bzip2", id="bzip2"),
        pytest.param(b"\xfd7zXZ\x00", "xz", id="xz"),
        pytest.param(b"PAR1....PAR1", "Parquet", id="a Parquet file"),
        pytest.param(b"\xd0\xcf\x11\xe0rest", "Excel", id="an old workbook"),
        pytest.param(gzip.compress(GOOD.encode())[:-8], "end-of-stream", id="a gzip file that is cut"),
        pytest.param(gzip.compress(LARGE.encode())[:-20], "end-of-stream", id="a large gzip file that is cut"),
        pytest.param(b"\x1f\x8bno gzip at all", "cannot be read", id="a gzip mark and nothing behind it"),
        pytest.param(GOOD.replace("\n", "\r"), "carriage returns", id="line ends of the old Macintosh"),
        pytest.param("ticker,session\n", "column close: is missing", id="no such column"),
        pytest.param("ticker,session,close,close\nSPY,2024-01-05,1,2\n", "is there 2 times", id="a column twice"),
        pytest.param("ticker,session;close\nSPY,2024-01-05;1\n", "may be split at", id="a header of two delimiters"),
        pytest.param('ticker,session,close\nSPY,"2024-01-05,1\nSPY,2024-01-08,2\n', "line 2: a quote", id="open quote"),
        pytest.param('ticker,session,close\n"SPY,2024-01-05,1\nQQQ",2024-01-08,2\n', "line 2: a quote", id="quotes"),
        pytest.param(LARGE + '"SPY,2024-01-09,1\n' + GOOD * 9, "line 80004: a quote", id="an open quote far below"),
        pytest.param(LARGE.encode() + b"SP\xffY,2024-01-09,1\n", "UTF-?8", id="a byte that is no UTF-8 far below"),
        pytest.param("ticker,session,close\nSPY,2024-01-05," + "9" * 9_000_000, "straddl", id="a line without an end"),
        pytest.param("x" * 1_200_000, "longer than", id="a header without an end"),
        pytest.param('"' + "x" * 200_000 + '",b\n1,2\n', "cannot be split", id="a name beyond all measure"),
        pytest.param("ticker,session,close\nSPY,01/19/2024,1\nSPY,19/01/2024,1\n", "begins with the month",
                     id="dates of both orders"),
        pytest.param("ticker;session;close\nSPY;2024-01-05;1,5\nSPY;2024-01-08;1.5\n", "decimals are written",
                     id="points and commas as decimal marks"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_typed_error_that_says_why(
    path: Path, content: str | bytes, problem: str
) -> None:
    with pytest.raises(SourceFormatError, match=problem) as caught:
        read(path, content)
    assert str(path) in str(caught.value)
    assert "Mend it." in str(caught.value)


def test_no_file_and_a_folder_are_typed_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(SourceFormatError, match="cannot be read"):
            open_text_file(path, source="test", remedy="")


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters='\r\n\x00"', exclude_categories=("Z", "Cc", "Cs")), min_size=1
)


@given(
    rows=st.lists(
        st.tuples(TEXTS, st.dates(), st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))),
        max_size=30,
    ),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_what_a_csv_writer_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, object, float | None]], delimiter: str, quoting: int
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(COLUMNS)
    writer.writerows((text, f"{day:%Y-%m-%d}".rjust(10, "0"), value) for text, day, value in rows)
    found = read(tmp_path_factory.mktemp("written") / "x.csv", out.getvalue())
    assert found.frame["ticker"].tolist() == [text for text, _, _ in rows]
    assert found.frame["session"].dt.date.tolist() == [day for _, day, _ in rows]
    np.testing.assert_array_equal(
        found.frame["close"].to_numpy(),
        np.array([np.nan if value is None else value for _, _, value in rows], dtype=float),
    )
    assert not found.unreadable.any()
