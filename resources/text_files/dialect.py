"""How a text file is written: compression, encoding, delimiter and header, found from its first bytes.

What is found is a value, ``Dialect``; the rows are read by ``text_files.reader``. Bytes are opened here too, so that
whoever reads gets UTF-8 and knows how many lines went by.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SAMPLE_BYTES: Final = 1 << 20
_DELIMITERS: Final = (",", ";", "\t", "|")
_SPLIT_LINES: Final = 50
_SAMPLE_LINES: Final = 500
_GZIP: Final = b"\x1f\x8b"
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive or a workbook of Excel; unpack it, or save the sheet as CSV",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"\xfd7zXZ": "compressed with xz; unpack it or use gzip",
    b"BZh": "compressed with bzip2; unpack it or use gzip",
    b"(\xb5/\xfd": "compressed with zstd; unpack it or use gzip",
    b"\xd0\xcf\x11\xe0": "a workbook of Excel; save the sheet as CSV",
}  # fmt: skip
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Dialect:
    """Says how a text file is written.

    Attributes
    ----------
    names : of the columns as the header gives them, without blanks around them.
    header_lines : lines of the file up to the end of the header.
    delimiter, encoding, is_gzip : the character between fields; the codec; whether it is compressed.
    rows : the fields of the first lines after the header, those with as many as the header has.
    has_rows : whether anything stands after the header.
    """

    names: tuple[str, ...]
    header_lines: int
    delimiter: str
    encoding: str
    is_gzip: bool
    rows: tuple[tuple[str, ...], ...]
    has_rows: bool


def find_dialect(path: Path) -> Dialect:
    """Return the dialect of a file.

    Gzip is known by its first bytes whatever the name. The encoding is UTF-8, UTF-16 with its mark, or, where the first
    megabyte is not UTF-8, Windows-1252. The delimiter is the comma, semicolon, tab or bar that splits the header and
    the lines after it alike; Excel's line ``sep=;`` settles it. Empty lines before the header are passed over.

    Raises
    ------
    ValueError, OSError, EOFError : for a file that is absent, empty or no text, or whose header two delimiters split
        alike; says what is wrong.
    """
    with path.open("rb") as file:
        start = file.read(8)
    other = next((format_name for magic, format_name in _OTHER_FORMATS.items() if start.startswith(magic)), None)
    if other is not None:
        raise ValueError(f"it is {other}")
    is_gzip = start.startswith(_GZIP)
    with _raw(path, is_gzip=is_gzip) as raw:
        content = raw.read(SAMPLE_BYTES)
    is_whole = len(content) < SAMPLE_BYTES
    encoding = _encoding_of(content, is_whole=is_whole)
    text = codecs.getincrementaldecoder(encoding)().decode(content)
    if not text.strip():
        raise ValueError("it is empty")
    if "\x00" in text:
        raise ValueError("it is no text: it holds zero bytes")
    if "\n" not in text and "\r" in text:
        raise ValueError("its lines end in carriage returns alone; save it with usual line ends")
    # Without what may be the first half of a line.
    lines = text if is_whole else text[: text.rfind("\n") + 1]
    if not lines:
        raise ValueError(f"its first line is longer than {SAMPLE_BYTES:,} bytes")
    try:
        delimiter, skipped, rest = _split_alike(lines)
        (names, end), *following = _records(rest, delimiter, most=_SAMPLE_LINES) or [([], 0)]
    except csv.Error as error:
        raise ValueError(f"its first lines cannot be split: {error}") from error
    return Dialect(
        names=tuple(name.strip() for name in names),
        header_lines=skipped + end,
        delimiter=delimiter,
        encoding=encoding,
        is_gzip=is_gzip,
        rows=tuple(tuple(fields) for fields, _ in following if len(fields) == len(names)),
        has_rows=bool(following) or not is_whole,
    )


class CountedLines(io.RawIOBase):
    """Reads the bytes of a file as UTF-8 and counts the lines.

    Attributes
    ----------
    lines : that have been read, an unfinished last one included.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._raw = _raw(path, is_gzip=dialect.is_gzip)
        is_utf8 = dialect.encoding in ("utf-8", "utf-8-sig")
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(dialect.encoding)()
        self._ends = 0
        self._is_open_line = False

    @property
    def lines(self) -> int:
        """Return the number of lines read so far."""
        return self._ends + self._is_open_line

    def readable(self) -> bool:
        """Return True: the lines can always be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes of the file, as UTF-8; none at its end."""
        content = self._raw.read(size)
        while self._decoder is not None:
            is_end = not content
            content = self._decoder.decode(content, final=is_end).encode()
            if content or is_end:
                break
            content = self._raw.read(size)  # the bytes so far were part of a character
        if content:
            self._ends += content.count(b"\n")
            self._is_open_line = not content.endswith(b"\n")
        return content

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()


def line_of_open_quote(path: Path, dialect: Dialect) -> int | None:
    """Return the first line on which a quoted field does not end; None where there is none."""
    with CountedLines(path, dialect) as stream:
        buffered = io.TextIOWrapper(io.BufferedReader(cast("io.RawIOBase", _Readable(stream.read))), encoding="utf-8")
        records = csv.reader(buffered, delimiter=dialect.delimiter)
        before = 0
        try:
            for _ in records:
                if records.line_num > before + 1 and before >= dialect.header_lines:
                    return before + 1
                before = records.line_num
        except (csv.Error, UnicodeError):
            return None  # a field beyond all measure, or another encoding: no matter of quotes
    return None


class _Readable(io.RawIOBase):
    """A raw stream out of a function that reads."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._next = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        # Another encoding may need more bytes as UTF-8 than it had: a quarter never overflows.
        content = self._next(max(len(view) // 4, 1))
        view[: len(content)] = content
        return len(content)


def _raw(path: Path, *, is_gzip: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _encoding_of(content: bytes, *, is_whole: bool) -> str:
    if content.startswith(_UTF16):
        return "utf-16"
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=is_whole)
    except UnicodeDecodeError:
        if b"\x00" in content:
            raise ValueError("it is no text: it holds zero bytes") from None
        return "cp1252"
    return "utf-8"


def _split_alike(text: str) -> tuple[str, int, str]:
    """Delimiter, lines before the header, and the text from the header on."""
    body = text.lstrip("\r\n")
    skipped = text[: len(text) - len(body)].count("\n")
    first, _, after = body.partition("\n")
    settled = first.strip().strip('"').lower()
    if settled.startswith("sep=") and len(settled) == len("sep=") + 1:
        return settled[-1], skipped + 1, after
    scores = {delimiter: _score(body, delimiter) for delimiter in _DELIMITERS}
    best = max(scores.values())
    chosen = [delimiter for delimiter, score in scores.items() if score == best]
    if best[1] > 1 and len(chosen) > 1:
        raise ValueError(f"its header may be split at {' or at '.join(chosen)}; put sep= and the right one before it")
    return chosen[0], skipped, body


def _score(text: str, delimiter: str) -> tuple[float, int]:
    """Return the share of lines with as many fields as the header, and how many that is; nothing for a header of one
    field.
    """
    try:
        fields = [len(record) for record, _ in _records(text, delimiter, most=_SPLIT_LINES)]
    except csv.Error:
        return 0.0, 0
    if not fields or fields[0] < 2:
        return 0.0, 0
    return sum(count == fields[0] for count in fields) / len(fields), fields[0]


def _records(text: str, delimiter: str, *, most: int | None = None) -> list[tuple[list[str], int]]:
    """Return the fields of records, with the number of the line on which each ends; empty lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    records = []
    for record in reader:
        if record:
            records.append((record, reader.line_num))
        if most is not None and len(records) >= most:
            break
    return records
