"""Which files of the user's folder are read: one per kind, per ticker, per volatility index, per macro series.

Only names and headers are read here, no rows. What the files hold is read by ``text_files.column_file``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from resources.raw_frames import THREE_MONTH_INDEX
from resources.text_files.column_file import SUFFIXES, canonical_key
from resources.text_files.column_names import matching_columns
from resources.text_files.rows import PARQUET
from trading_dag.errors import SourceFormatError, SourceOffError, UnknownTickerError
from trading_dag.schemas import MACRO_SERIES
from trading_dag.settings import Settings
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX, OWN_VOLATILITY_INDEX

NAME: Final = "files"
FOLDER_VARIABLE: Final = "TRADING_DAG_FILES"
PRICES: Final = "prices_daily"
# Cboe's indices of volatility, which are no tickers: nobody trades their shares.
INDEX_SYMBOLS: Final = frozenset((
    *OWN_VOLATILITY_INDEX.values(), FALLBACK_VOLATILITY_INDEX, THREE_MONTH_INDEX, "VIX1D", "VIX9D", "VIX6M", "VIX1Y",
    "VVIX", "SKEW", "GVZ", "OVX", "VXD", "VXEEM", "VXEFA", "VXSLV", "VXTLT", "VXFXI", "VXGDX",
))  # fmt: skip
# Cboe calls its downloads so.
_HISTORY: Final = "_HISTORY"
_HEAD_BYTES: Final = 4096
_DELIMITERS: Final = (",", ";", "\t", "|")
_OF_PRICES: Final = ("session", "open", "high", "low", "close")


@dataclass(frozen=True)
class FolderFiles:
    """Finds the files of a folder by their names.

    Attributes
    ----------
    folder : the user's folder; None where none is configured.
    """

    folder: Path | None

    @property
    def existing(self) -> Path:
        """Return the folder.

        Raises
        ------
        SourceOffError : where none is configured, or it is not there.
        """
        if self.folder is None or not self.folder.is_dir():
            raise SourceOffError(
                source=NAME,
                request="any file",
                problem="no data folder is configured" if self.folder is None else f"{self.folder} is no folder",
                remedy=f"Set {FOLDER_VARIABLE} to the folder with your Parquet or CSV files.",
            )
        return self.folder

    def only(self, names: Iterable[str], *, kind: str) -> Path | None:
        """Return the one file that has one of these names, without suffix; None where there is none.

        Raises
        ------
        SourceOffError : where there is no folder.
        SourceFormatError : where there are two.
        """
        return _the_one([path for name in names for path in self.paths.get(name, ())], kind)

    def exact(self, names: Iterable[str], *, kind: str) -> Path | None:
        """Return the one file that has one of these names, with suffix; None where there is none.

        Raises
        ------
        SourceOffError, SourceFormatError : as ``only``.
        """
        folder = self.existing
        return _the_one([path for path in (folder / name for name in names) if path.is_file()], kind)

    def of_ticker(self, ticker: str) -> Path | None:
        """Return the ticker's own file of daily prices, such as ``GLD.csv``; None where there is none.

        Raises
        ------
        SourceOffError, SourceFormatError : as ``only``.
        """
        wanted = canonical_key(ticker)
        return self.only((stem for stem in self.paths if _ticker_of(stem) == wanted), kind=f"prices of {ticker}")

    def of_symbol(self, symbol: str) -> Path | None:
        """Return the file of one volatility index, such as ``^VIX.csv``; None where there is none.

        Raises
        ------
        SourceOffError, SourceFormatError : as ``only``.
        """
        stems = (stem for stem in self.paths if canonical_key(stem.upper().removesuffix(_HISTORY)) == symbol)
        return self.only(stems, kind=f"index {symbol}")

    @cached_property
    def tickers(self) -> dict[str, Path]:
        """Return the files of one ticker's daily prices, by ticker: named in capital letters, with a header of
        prices."""
        if self.folder is None or not self.folder.is_dir():
            return {}
        by_ticker: dict[str, Path] = {}
        for stem, paths in self.paths.items():
            ticker = _ticker_of(stem)
            if ticker is not None and has_prices(paths[0]):
                # The name that the file has, since BRK-B and BRK.B may both be meant.
                by_ticker[_partition_name(stem)] = paths[0]
        return dict(sorted(by_ticker.items()))

    @cached_property
    def paths(self) -> dict[str, tuple[Path, ...]]:
        """Return the files whose suffix can be read, by name without it."""
        by_kind: dict[str, tuple[Path, ...]] = {}
        for path in sorted(self.existing.iterdir()):
            suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if path.name.endswith(one)), None)
            if suffix is not None and path.is_file():
                stem = path.name.removesuffix(suffix)
                by_kind[stem] = (*by_kind.get(stem, ()), path)
        return by_kind


def with_tickers_of_folder(settings: Settings) -> Settings:
    """Return the settings with a universe that includes the tickers that have a file of their own.

    If the folder has no file of all prices, commands also work on these tickers by default. Settings of another
    source, or of a folder without such files, are returned as they are.
    """
    if settings.source != NAME or settings.files is None or not settings.files.is_dir():
        return settings
    files = FolderFiles(settings.files)
    tickers = [ticker for ticker in files.tickers if ticker not in settings.volatility_indices.values()]
    if not tickers:
        return settings
    universe = tuple(dict.fromkeys((*settings.universe, *tickers)))
    works_on = settings.tickers or (() if PRICES in files.paths else tuple(tickers))
    return settings.model_copy(update={"universe": universe, "tickers": works_on})


def _the_one(found: list[Path], kind: str) -> Path | None:
    if len(found) > 1:
        raise SourceFormatError(
            source=NAME,
            request=kind,
            problem=f"there are two files of one kind: {found[0].name} and {found[1].name}",
            remedy="Keep one of them.",
        )
    return found[0] if found else None


def has_prices(path: Path) -> bool:
    """Return whether the header names a date and prices; False for a file that cannot be read."""
    try:
        names = _parquet_names(path) if path.name.endswith(PARQUET) else _text_names(path)
        return set(_OF_PRICES) - {"session"} <= set(matching_columns(names, _OF_PRICES))
    except (OSError, EOFError, ValueError):
        return False


def _text_names(path: Path) -> list[str]:
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as raw:
        content = raw.read(_HEAD_BYTES)
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    header = next((line for line in text.splitlines() if line.strip() and not line.startswith("sep=")), "")
    delimiter = max(_DELIMITERS, key=header.count)
    return [name.strip().strip('"') for name in header.split(delimiter)]


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _partition_name(stem: str) -> str:
    own = canonical_key(stem)
    return own if stem.startswith("^") else stem


def _ticker_of(stem: str) -> str | None:
    """Return the ticker whose prices a file of that name would hold; None for a volatility index, a series or another
    name."""
    canonical = canonical_key(stem)
    if stem != stem.upper() or canonical in INDEX_SYMBOLS or stem in MACRO_SERIES:
        return None
    try:
        return validate_ticker(canonical)
    except UnknownTickerError:
        return None
