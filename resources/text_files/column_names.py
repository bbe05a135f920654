"""Which column of a user's file is which column of a table: by its name, as vendors write it, or as a setting says.

Names only. Files are ``text_files.column_file``'; what columns mean is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

COLUMNS_VARIABLE: Final = "TRADING_DAG_FILES_COLUMNS"
# What vendors call a column, beside its own name; in small letters and digits only, as ``plain_name`` makes them.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "ticker": ("symbol",),
    "symbol": ("ticker",),
    "session": ("date", "datetime", "timestamp", "time", "tradedate", "tradingday"),
    "open": ("openprice",),
    "high": ("highprice",),
    "low": ("lowprice",),
    "close": ("closeprice", "closelast", "last"),
    "adj_close": ("adjustedclose", "closeadj", "closeadjusted", "adjcloseprice"),
    "volume": ("vol", "tradingvolume"),
    "split_factor": ("stocksplits", "splitcoefficient"),
    "dividend": ("dividends", "dividendamount", "divcash"),
    "series_id": ("series",),
    "observation_date": ("date",),
    "ex_dividend_date": ("exdate", "date"),
    "cash_amount": ("amount", "dividend", "dividends"),
    "ts": ("timestamp", "datetime", "time", "date"),
    "headline": ("title",),
    "publisher": ("source",),
    "url": ("link",),
    "date": ("reportdate",),
}


def plain_name(name: str) -> str:
    """Return the name in small letters and digits, so that ``Adj Close`` is ``adj_close``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def matching_columns(
    names: Sequence[str], wanted: Sequence[str], *, said: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the file's own name of each wanted column that it has; nothing for those that it has not.

    What the setting says goes first, then the exact name, then the same name in another spelling, then a vendor's. One
    column of the file is never taken for two, unless the setting says so.

    Parameters
    ----------
    names : of the file's columns.
    said : own name by wanted name, from the setting.

    Raises
    ------
    ValueError : for a name of the setting that the file does not have, or two columns that may be the wanted one.
    """
    matched: dict[str, str] = {}
    for column, own in (said or {}).items():
        if column in wanted:
            if own not in names:
                raise ValueError(f"{COLUMNS_VARIABLE} says {own!r} for {column}; the file has {', '.join(names)}")
            matched[column] = own
    matched |= {column: column for column in wanted if column not in matched and column in names}
    for is_vendors in (False, True):
        taken = set(matched.values())
        for column in wanted:
            if column in matched:
                continue
            spellings = ALIASES.get(column, ()) if is_vendors else (plain_name(column),)
            fitting = [name for name in names if plain_name(name) in spellings and name not in taken]
            if len(fitting) > 1:
                raise ValueError(
                    f"{column} may be {' or '.join(fitting)}: say which in {COLUMNS_VARIABLE}, or remove one"
                )
            if fitting:
                matched[column] = fitting[0]
                taken.add(fitting[0])
    return matched
