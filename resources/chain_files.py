"""Importers of option chains: the formats people have, recognised by their columns, read piece by piece.

==============  ==============================================================================================
layout          columns (others are ignored)
==============  ==============================================================================================
files           ticker, quote_date, underlying_price, expiration, strike, right or option_right
                [, bid, ask, last, volume, open_interest, implied_volatility]
optionsdx       [QUOTE_DATE], [UNDERLYING_LAST], [EXPIRE_DATE], [STRIKE], [C_BID], [C_ASK], [P_BID], [P_ASK]
                [, [QUOTE_TIME_HOURS], [C_LAST], [C_VOLUME], [C_IV], [P_LAST], [P_VOLUME], [P_IV]]; text, one row a
                strike; the ticker is the first word of the file name (spy_eod_202301.txt) or is given
contract_id     contract_id, symbol, date, expiration, strike, type
                [, bid, ask, last, volume, open_interest, implied_volatility]; the underlying's close comes from
                underlying.parquet beside it (symbol, date, close), otherwise from closes that are given
==============  ==============================================================================================

Finding files, recognising and streaming them belong here. What rows mean is decided in ``trading_dag.options.chain``;
what is stored, in ``chain_store``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from trading_dag.errors import SchemaError, SourceFormatError
from trading_dag.options.chain import REASON, SiftedChain, normalise_chain
from trading_dag.sessions import REGULAR_CLOSE_HOUR, TIME_UNIT, close_hours
from trading_dag.slices import validate_ticker

SOURCE: Final = "import-chains"
LayoutName = Literal["files", "optionsdx", "contract_id"]
BATCH_ROWS: Final = 500_000
UNDERLYING_FILE: Final = "underlying.parquet"
CLOSES_COLUMNS: Final = ("ticker", "session", "close")
NOT_END_OF_DAY: Final = "not_end_of_day"
_SUFFIXES: Final = (".parquet", ".txt", ".csv")
_TICKER_IN_NAME: Final = re.compile(r"([a-z][a-z0-9.]*)_eod_\d{6}", re.IGNORECASE)
_SIDES: Final = {"C": "c_", "P": "p_"}


@dataclass(frozen=True)
class Layout:
    """How a format is told from others.

    Attributes
    ----------
    name : of the format.
    required : plain column names (lower case, no brackets) that must be there; a tuple of alternatives each.
    optional : read where they are there.
    """

    name: LayoutName
    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...]

    def fits(self, plain: list[str]) -> bool:
        """Whether a file of these columns is in the layout."""
        return all(any(name in plain for name in names) for names in self.required)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that may be read."""
        return (*(name for names in self.required for name in names), *self.optional)


_QUOTES: Final = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility")
LAYOUTS: Final = (
    Layout(
        "optionsdx",
        (("quote_date",), ("underlying_last",), ("expire_date",), ("strike",), ("c_bid",), ("c_ask",), ("p_bid",),
         ("p_ask",)),
        ("quote_time_hours", "c_last", "c_volume", "c_iv", "p_last", "p_volume", "p_iv"),
    ),
    Layout(
        "contract_id",
        (("contract_id",), ("symbol",), ("date",), ("expiration",), ("strike",), ("type",)),
        (*_QUOTES, "underlying_price"),
    ),
    Layout(
        "files",
        (("ticker",), ("quote_date",), ("underlying_price",), ("expiration",), ("strike",), ("right", "option_right")),
        _QUOTES,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ChainFile:
    """A file of a recognised layout.

    Attributes
    ----------
    path, layout : where and what.
    columns : the file's own names of the columns to read, by plain name.
    ticker : the underlying where no column says it.
    closes : ``CLOSES_COLUMNS``; fill the underlying's price where the file has none.
    """

    path: Path
    layout: Layout
    columns: dict[str, str]
    ticker: str | None = None
    closes: pd.DataFrame | None = None

    @property
    def rows(self) -> int | None:
        """Rows of the file, where that is known before it is read."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(self.path).num_rows) if self.path.suffix == ".parquet" else None

    def batches(self, *, rows: int = BATCH_ROWS) -> Iterator[SiftedChain]:
        """Rows of ``raw.option_chain`` with what was refused, about ``rows`` rows of the file at a time.

        Raises
        ------
        SourceFormatError : for a file that cannot be read, or a column of a type that fits nothing.
        """
        try:
            for piece in self._pieces(rows):
                yield self._normalised(piece)
        except SchemaError as error:
            raise format_error(self.path, str(error), expected=self.layout) from error
        except (OSError, UnicodeDecodeError, pd.errors.ParserError, ValueError) as error:
            # Arrow's own errors are ValueError or OSError.
            raise format_error(self.path, f"cannot be read: {error}", expected=self.layout) from error

    def _pieces(self, rows: int) -> Iterator[pd.DataFrame]:
        plain = {own: name for name, own in self.columns.items()}
        if self.path.suffix == ".parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(self.path).iter_batches(batch_size=rows, columns=list(plain)):
                yield batch.to_pandas(date_as_object=False).rename(columns=plain)
            return
        # The names are padded after the commas, as are the values; positions need neither.
        positions = [index for index, own in enumerate(_text_header(self.path)) if own in plain]
        with pd.read_csv(
            self.path, chunksize=rows, usecols=positions, skipinitialspace=True, low_memory=False
        ) as reader:
            for piece in reader:
                yield piece.rename(columns=lambda own: plain[str(own).strip()])

    def _normalised(self, piece: pd.DataFrame) -> SiftedChain:
        if self.layout.name != "optionsdx":
            sifted = normalise_chain(piece, ticker=self.ticker)
        else:
            in_time, late = _end_of_day(piece)
            sides = normalise_chain(_call_and_put_rows(in_time), ticker=self.ticker)
            off = normalise_chain(_call_and_put_rows(late), ticker=self.ticker).kept.assign(**{REASON: NOT_END_OF_DAY})
            sifted = SiftedChain(sides.kept, pd.concat([sides.refused, off], ignore_index=True))
        return SiftedChain(_with_closes(sifted.kept, self.closes), sifted.refused)


def open_chain_file(path: Path, *, ticker: str | None = None, closes: pd.DataFrame | None = None) -> ChainFile:
    """Recognise a file by its columns.

    Parameters
    ----------
    path : Parquet or text.
    ticker : the underlying, for layouts without one; it does not overrule a column.
    closes : ``CLOSES_COLUMNS`` as traded, adjusted neither for dividends nor for later splits, one row a ticker and
        session; for layouts without the underlying's price. ``underlying.parquet`` beside the file comes first.

    Raises
    ------
    SourceFormatError : naming the file, the columns found and the columns expected; or where nothing says the ticker.
    UnknownTickerError : for a given ticker that is none.
    """
    header = _header(path)
    plain = {_plain(own): own for own in header}
    layout = next((layout for layout in LAYOUTS if layout.fits(list(plain))), None)
    if layout is None:
        raise format_error(path, f"no known layout: the columns are {', '.join(header) or 'none'}")
    columns = {name: plain[name] for name in dict.fromkeys(layout.columns) if name in plain}
    if layout.name == "optionsdx":
        return ChainFile(path, layout, columns, ticker=_ticker_of(path, ticker))
    if layout.name == "contract_id":
        beside = _closes_beside(path)
        return ChainFile(path, layout, columns, closes=closes if beside is None else beside)
    return ChainFile(path, layout, columns)


def find_chain_files(path: Path) -> tuple[list[Path], dict[Path, str]]:
    """The chain files at a path, sorted, and the data files there that are none, with the reason.

    Hidden files and folders are passed over. A path that is a file is one chain file, whatever its columns, so that
    opening it says what is wrong.

    Raises
    ------
    SourceFormatError : where there is nothing at the path, or no chain file below it.
    """
    if path.is_file():
        return [path], {}
    found, others = [], {}
    for candidate in sorted(path.rglob("*")) if path.is_dir() else ():
        is_hidden = any(part.startswith(".") for part in candidate.relative_to(path).parts)
        is_data = candidate.suffix.lower() in _SUFFIXES and candidate.name != UNDERLYING_FILE
        if is_hidden or not is_data or not candidate.is_file():
            continue
        try:
            plain = [_plain(own) for own in _header(candidate)]
        except SourceFormatError as error:
            others[candidate] = error.problem
            continue
        if any(layout.fits(plain) for layout in LAYOUTS):
            found.append(candidate)
        else:
            others[candidate] = f"no known layout: the columns are {', '.join(plain)}"
    if not found:
        raise format_error(path, "no option chains are there" if path.exists() else "there is no such file or folder")
    return found, others


def format_error(path: Path, problem: str, *, expected: Layout | None = None) -> SourceFormatError:
    """The error that names the file, what was found and what is expected."""
    layouts = LAYOUTS if expected is None else (expected,)
    shapes = "; ".join(
        f"{layout.name}: {', '.join('|'.join(names) for names in layout.required)}" for layout in layouts
    )
    return SourceFormatError(
        source=SOURCE, request=str(path), problem=" ".join(problem.split()), remedy=f"Expected columns of {shapes}."
    )


def _plain(name: str) -> str:
    return name.strip().strip("[]").strip().lower()


def _header(path: Path) -> list[str]:
    if path.suffix != ".parquet":
        try:
            return _text_header(path)
        except (OSError, UnicodeDecodeError) as error:
            raise format_error(path, f"cannot be read: {error}") from error
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise format_error(path, f"cannot be read: {error}") from error


def _text_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as file:
        return [name.strip() for name in file.readline().strip().split(",")]


def _ticker_of(path: Path, given: str | None) -> str:
    if given is not None:
        return validate_ticker(given)
    named = _TICKER_IN_NAME.match(path.stem)
    if named is None:
        raise format_error(path, "neither a column nor the file name (such as spy_eod_202301.txt) says the ticker")
    return validate_ticker(named.group(1).upper())


def _end_of_day(piece: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows quoted at 16:00, or at the close of a half day, and the others. Without a time all are taken as such."""
    if "quote_time_hours" not in piece:
        return piece, piece.iloc[:0]
    hours = pd.to_numeric(piece["quote_time_hours"], errors="coerce")
    early = hours != REGULAR_CLOSE_HOUR
    days = pd.to_datetime(piece.loc[early, "quote_date"].astype("str").str.strip(), errors="coerce")
    early.loc[early] = hours[early].to_numpy() != close_hours(pd.DatetimeIndex(days))
    return piece[~early], piece[early]


def _call_and_put_rows(piece: pd.DataFrame) -> pd.DataFrame:
    """Two rows for each row that has call and put side by side."""
    shared = [name for name in piece.columns if not name.startswith(tuple(_SIDES.values()))]
    sides = []
    for right, prefix in _SIDES.items():
        own = {name: name.removeprefix(prefix) for name in piece.columns if name.startswith(prefix)}
        sides.append(piece[[*shared, *own]].rename(columns=own).assign(option_right=right))
    return pd.concat(sides, ignore_index=True)


def _closes_beside(path: Path) -> pd.DataFrame | None:
    """Closes of ``underlying.parquet`` in the same folder; None where it is not there or has no rows."""
    beside = path.with_name(UNDERLYING_FILE)
    if not beside.is_file():
        return None
    names = {_plain(own): own for own in _header(beside)}
    missing = [name for name in ("symbol", "date", "close") if name not in names]
    if missing:
        raise format_error(beside, f"columns are missing: {', '.join(missing)} (of symbol, date, close)")
    frame = pd.read_parquet(beside, columns=[names[name] for name in ("symbol", "date", "close")])
    if frame.empty:
        return None
    frame.columns = pd.Index(CLOSES_COLUMNS)
    return frame.assign(
        ticker=frame["ticker"].astype("str"), session=pd.to_datetime(frame["session"]).dt.as_unit(TIME_UNIT)
    )


def _with_closes(chain: pd.DataFrame, closes: pd.DataFrame | None) -> pd.DataFrame:
    """Underlying prices where they are missing, by ticker and quote date; still NULL where no close is known."""
    missing = chain["underlying_price"].isna()
    if closes is None or not missing.any():
        return chain
    known = closes.drop_duplicates(["ticker", "session"]).set_index(["ticker", "session"])["close"].astype("float64")
    wanted = pd.MultiIndex.from_frame(chain.loc[missing, ["ticker", "quote_date"]])
    prices = chain["underlying_price"].to_numpy(dtype=np.float64, copy=True)
    prices[missing.to_numpy()] = known.reindex(wanted).to_numpy()
    return chain.assign(underlying_price=prices)
