"""Columns of ``raw.option_chain`` as checked arrays. What the rows are worth is ``chain_market``'s business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import SchemaError

TABLE: Final = "raw.option_chain"
REQUIRED_COLUMNS: Final = ("quote_date", "expiration", "strike", "option_right", "underlying_price")
DAY_LIMIT: Final = 1 << 16
STRIKE_LIMIT_USD: Final = 1_073_741.0


def days_of(values: Any) -> NDArray[np.integer[Any]]:
    """Return days since 1970-01-01 of dates, time stamps or such integers."""
    array = np.asarray(values)
    if array.dtype.kind == "i":
        return array
    return array.astype("datetime64[D]").astype(np.int64)


def is_call_of(values: Any) -> BoolArray:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    is_call, is_put = array == "C", array == "P"
    if not (is_call | is_put).all():
        raise SchemaError(table=TABLE, key="option_right", rule="must be C or P")
    return np.asarray(is_call, dtype=np.bool_)


def floats_of(quotes: Mapping[str, Any], name: str) -> FloatArray:
    return np.asarray(quotes[name], dtype=np.float64)


def optional_floats(quotes: Mapping[str, Any], name: str) -> FloatArray | None:
    return np.asarray(quotes[name], dtype=np.float64) if name in quotes else None


def require_quote_columns(quotes: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in quotes]
    if "last" not in quotes:
        missing += [name for name in ("bid", "ask") if name not in quotes]
    if missing:
        raise SchemaError(table=TABLE, key=", ".join(missing), rule="columns are missing")


def require_days(days: NDArray[np.integer[Any]], name: str) -> None:
    if len(days) and not (days.min() >= 0 and days.max() < DAY_LIMIT):
        raise SchemaError(table=TABLE, key=name, rule="a date from 1970 to 2149")


def require_strikes(strike: FloatArray) -> None:
    if not ((strike > 0.0) & (strike < STRIKE_LIMIT_USD)).all():
        raise SchemaError(table=TABLE, key="strike", rule="must be positive and below 1,073,741 USD")


def require_ascending(key: IntArray) -> None:
    if (key[1:] <= key[:-1]).any():
        row = int(np.argmax(key[1:] <= key[:-1])) + 1
        raise SchemaError(
            table=TABLE, key=f"row {row}", rule="sorted by quote_date, expiration, option_right, strike; no key twice"
        )


def require_one_price(
    underlying: FloatArray, spot: FloatArray, *, starts: IntArray, quote_day: NDArray[Any], ticker: str
) -> None:
    rows = np.diff(np.append(starts, len(underlying)))
    differs = ~((underlying == np.repeat(spot, rows)) | np.isnan(underlying))
    if differs.any():
        day = np.datetime64(int(quote_day[int(np.argmax(differs))]), "D")
        raise SchemaError(table=TABLE, key=f"{ticker} {day}", rule="one underlying price a quote date")
