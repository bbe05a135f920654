"""What ``doctor`` reports about the user's folder: each kind's file, whether it can be read, and which files are not
read.

The header and the first rows of every file are read; a wrong value further down shows up when the whole file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resources.raw_frames import IMPORT_CHAINS
from resources.sources.files.events import FILE_OF_KIND
from resources.sources.files.folder import FOLDER_VARIABLE, PRICES
from resources.sources.hull_file import NAMES_IN_FOLDER
from resources.sources.status import SourceStatus
from resources.text_files.column_file import ColumnFile
from trading_dag.errors import SourceError
from trading_dag.schemas import MACRO, OPTION_CHAIN, VOLATILITY_INDEX

if TYPE_CHECKING:
    from resources.sources.files.by_kind import FilesByKind

_NAMES_SHOWN: Final = 8
_NOT_DATA: Final = (
    ".md",
    ".py",
    ".ipynb",
    ".json",
    ".log",
    ".pdf",
    ".png",
    ".zip",
    ".env",
    ".duckdb",
    ".yaml",
    ".toml",
)


def folder_statuses(kinds: FilesByKind, *, chains: str) -> Iterator[SourceStatus]:
    """Yield one status for each kind that is given, and one for files that are not read.

    Parameters
    ----------
    chains : pattern of the files of option chains.
    """
    folder = kinds.folder
    if folder is None or not folder.is_dir():
        detail = "no folder is configured" if folder is None else f"{folder} is no folder"
        for kind in (PRICES, VOLATILITY_INDEX.name, MACRO.name, OPTION_CHAIN.name, *FILE_OF_KIND):
            yield SourceStatus(kind, "missing", detail, f"set {FOLDER_VARIABLE} to your data folder")
        return
    yield from _price_statuses(kinds)
    yield from _kind_statuses(kinds, VOLATILITY_INDEX.name, VOLATILITY_INDEX.name)
    yield from _kind_statuses(kinds, MACRO.name, MACRO.name)
    yield _chain_status(folder, chains)
    for kind, file in FILE_OF_KIND.items():
        yield from _kind_statuses(kinds, kind, file)
    if kinds.file_exists("dividends"):
        yield from _kind_statuses(kinds, "dividends", "dividends")
    yield from _strangers(kinds, chains)


def _price_statuses(kinds: FilesByKind) -> Iterator[SourceStatus]:
    own = kinds.files.tickers
    if kinds.file_exists(PRICES):
        yield from _kind_statuses(kinds, PRICES, PRICES)
    elif not own:
        remedy = f"add {PRICES}.parquet or {PRICES}.csv, or a file a ticker, such as GLD.csv"
        yield SourceStatus(PRICES, "missing", f"no prices in {kinds.folder}", remedy)
    if own:
        checked = [(ticker, _checked(kinds, ticker)) for ticker in own]
        bad = [status for _, status in checked if status.state == "wrong"]
        yield from bad
        good = [status.detail for _, status in checked if status.state == "on"]
        if good:
            more = f" and {len(good) - 1:,} more tickers" if len(good) > 1 else ""
            yield SourceStatus(PRICES, "on", f"{good[0]}{more}")


def _checked(kinds: FilesByKind, ticker: str) -> SourceStatus:
    try:
        file = kinds.file_of_ticker(ticker)
        return SourceStatus(PRICES, "on", "" if file is None else file.check())
    except SourceError as error:
        return _wrong(PRICES, error)


def _kind_statuses(kinds: FilesByKind, kind: str, file: str) -> Iterator[SourceStatus]:
    try:
        present = [one for one in (kinds.file_of(file), *_singles(kinds, kind)) if one is not None]
        if present:
            yield SourceStatus(kind, "on", ", ".join(one.check() for one in present))
            return
    except SourceError as error:
        yield _wrong(kind, error)
        return
    yield SourceStatus(kind, "off", kinds.absence(kind, file), f"add {file}.parquet or {file}.csv")


def _singles(kinds: FilesByKind, kind: str) -> list[ColumnFile]:
    return kinds.index_files() if kind == VOLATILITY_INDEX.name else []


def _wrong(kind: str, error: SourceError) -> SourceStatus:
    return SourceStatus(kind, "wrong", f"{error.request}: {error.problem}", error.remedy)


def _chain_status(folder: Path, pattern: str) -> SourceStatus:
    paths = sorted(folder.glob(pattern))
    if not paths:
        return SourceStatus(OPTION_CHAIN.name, "off", f"no {pattern} in {folder}", IMPORT_CHAINS)
    from resources.chains.importing.files import open_chain_file

    try:
        for path in paths:
            open_chain_file(path)
    except SourceError as error:
        return _wrong(OPTION_CHAIN.name, error)
    return SourceStatus(OPTION_CHAIN.name, "on", ", ".join(str(path) for path in paths))


def _strangers(kinds: FilesByKind, chains: str) -> Iterator[SourceStatus]:
    """Yield files that look like data but are not read, such as ``gld.csv``, which should be ``GLD.csv``."""
    folder = kinds.files.existing
    known = {path for name in kinds.known_names for path in kinds.files.paths.get(name, ())}
    known |= {folder / name for name in NAMES_IN_FOLDER} | set(folder.glob(chains))
    known |= set(kinds.files.tickers.values()) | {file.path for file in kinds.index_files()}
    names = [
        path.name
        for path in sorted(folder.iterdir())
        if path.is_file() and path not in known and not path.name.startswith(".") and path.suffix not in _NOT_DATA
    ]
    if names:
        more = len(names) - _NAMES_SHOWN
        text = ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        remedy = (
            "a ticker's prices are read from a file in capital letters, GLD.csv, with a header; see docs/sources.md"
        )
        yield SourceStatus("files that are not read", "off", text, remedy)
