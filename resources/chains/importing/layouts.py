"""Layouts of chain files: which columns tell a format from others, what each holds, and whose file a name says it is.

==============  ==============================================================================================
layout          columns (others are ignored)
==============  ==============================================================================================
optionsdx       [QUOTE_DATE], [UNDERLYING_LAST], [EXPIRE_DATE], [STRIKE], [C_BID], [C_ASK], [P_BID], [P_ASK]
                [, [QUOTE_TIME_HOURS], [C_LAST], [C_VOLUME], [C_IV], [P_LAST], [P_VOLUME], [P_IV]]; one row a strike;
                the ticker is the first word of the file name (spy_eod_202301.txt, spy_2020_2022.csv) or is given
contract_id     contract_id, symbol, date, expiration, strike, type
                [, bid, ask, last, volume, open_interest, implied_volatility, underlying_price]; the underlying's close
                comes from underlying.parquet beside it (symbol, date, close), otherwise from closes that are given
files           ticker, quote_date, underlying_price, expiration, strike, right
                [, bid, ask, last, volume, open_interest, implied_volatility, contract_id, root], or other common names
                of these (``ALIASES``)
==============  ==============================================================================================

Names are compared without case, brackets and surrounding blanks. Reading the columns is ``importing.files``'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from resources.text_files.columns import Kind
from trading_dag.errors import SourceFormatError, UnknownTickerError
from trading_dag.options.chains.rows import ALIASES, CONTRACT_ID, DELTA, ROOT
from trading_dag.slices import validate_ticker

SOURCE: Final = "import-chains"
LayoutName = Literal["files", "optionsdx", "contract_id"]
TIME_OF_QUOTE: Final = "quote_time_hours"
SIDES: Final = {"C": "c_", "P": "p_"}
_QUOTES: Final = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility")
# The first word of a file name is a ticker where a word for the sampling or digits of a date follow it.
_TICKER_IN_NAME: Final = re.compile(r"([a-z][a-z.]{0,5})[_\- ](?:eod|[0-9]+x|[0-9]{4,8})(?:[^0-9a-z]|$)", re.IGNORECASE)
_NO_TICKERS: Final = frozenset({"all", "chain", "chains", "data", "eod", "export", "option", "quotes"})


@dataclass(frozen=True)
class Layout:
    """Says how a format is told from others.

    Attributes
    ----------
    name : of the format.
    required : names of each column that must be there, lower case without brackets; the first comes before the others.
    optional : read where they are there.
    deltas : the vendor's, which the table of chains does not have; read only for who asks for them.
    """

    name: LayoutName
    required: tuple[tuple[str, ...], ...]
    optional: tuple[tuple[str, ...], ...]
    deltas: tuple[tuple[str, ...], ...]

    def fits(self, plain: list[str]) -> bool:
        """Return whether a file of these columns is in the layout."""
        return all(any(name in plain for name in names) for names in self.required)

    def columns(self, names: list[str], *, with_delta: bool = False) -> dict[str, str]:
        """Return the file's own names of the columns to read, by plain name.

        Raises
        ------
        ValueError : where a column is there under several names, none of which comes before the others.
        """
        own: dict[str, list[str]] = {}
        for name in names:
            own.setdefault(normalised_name(name), []).append(name)
        chosen: dict[str, str] = {}
        for group in (*self.required, *self.optional, *(self.deltas if with_delta else ())):
            present = [name for name in group if name in own][: 1 if group[0] in own else None]
            written = [each for name in present for each in own[name]]
            if len(written) > 1:
                raise ValueError(f"several columns mean the same: {', '.join(written)}; keep one of them")
            chosen |= dict(zip(present, written, strict=True))
        return chosen


def _any_name(*targets: str) -> tuple[tuple[str, ...], ...]:
    return tuple((target, *ALIASES[target]) for target in targets)


def _each(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


LAYOUTS: Final = (
    Layout(
        "optionsdx",
        _each("quote_date", "underlying_last", "expire_date", "strike", "c_bid", "c_ask", "p_bid", "p_ask"),
        _each(TIME_OF_QUOTE, "c_last", "c_volume", "c_iv", "p_last", "p_volume", "p_iv"),
        _each("c_delta", "p_delta"),
    ),
    Layout(
        "contract_id",
        _each("contract_id", "symbol", "date", "expiration", "strike", "type"),
        _each(*_QUOTES, "underlying_price"),
        _each(DELTA),
    ),
    Layout(
        "files",
        _any_name("ticker", "quote_date", "underlying_price", "expiration", "strike", "option_right"),
        _any_name(*_QUOTES, CONTRACT_ID, ROOT),
        _any_name(DELTA),
    ),
)  # fmt: skip


def normalised_name(name: str) -> str:
    """Return a column's name without case, brackets and blanks."""
    return re.sub(r"[\s_]+", "_", name.strip().strip("[]").strip()).lower()


def layout_of(names: list[str]) -> Layout | None:
    """Return the first layout that columns of these names fit; None where there is none."""
    plain = [normalised_name(name) for name in names]
    return next((layout for layout in LAYOUTS if layout.fits(plain)), None)


def kind_of(plain: str) -> Kind:
    """Return what a column of a plain name holds."""
    unsided = plain if plain == TIME_OF_QUOTE else plain.removeprefix("c_").removeprefix("p_")
    target = next((own for own, others in ALIASES.items() if unsided == own or unsided in others), unsided)
    if target in ("quote_date", "expiration"):
        return "date"
    if target in ("ticker", "option_right", CONTRACT_ID, ROOT):
        return "text"
    return "fraction" if target == "implied_volatility" else "number"


def ticker_in_name(path: Path) -> str | None:
    """Return the ticker that a file's name says, such as SPY of spy_eod_202301.txt; None where it says none."""
    named = _TICKER_IN_NAME.match(path.name)
    if named is None or named[1].lower() in _NO_TICKERS:
        return None
    try:
        return validate_ticker(named[1].upper())
    except UnknownTickerError:
        return None


def format_error(path: Path, problem: str, *, expected: Layout | None = None) -> SourceFormatError:
    """Return the error that names the file, what was found and what is expected."""
    return SourceFormatError(
        source=SOURCE, request=str(path), problem=" ".join(problem.split()), remedy=expected_columns(expected)
    )


def expected_columns(layout: Layout | None = None) -> str:
    """Return the columns that a file of a layout, or of any, must have."""
    layouts = LAYOUTS if layout is None else (layout,)
    shapes = "; ".join(f"{each.name}: {', '.join(names[0] for names in each.required)}" for each in layouts)
    return f"Expected columns of {shapes}."
