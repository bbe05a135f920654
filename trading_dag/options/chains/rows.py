"""An option chain as a frame: the vendors' many names and types made into the rows of ``raw.option_chain``.

Names, types, twins and repeated rows belong here, and what a row is worth (its mark). Which quotes are to be believed
is ``chains.cleaning``'s work; forwards and volatilities are fitted in ``forward`` and ``chains.volatilities``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.options.chains.contracts import is_adjusted_root, is_monthly, terms_of
from trading_dag.options.chains.sifting import SiftedChain, sift
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.sessions import TIME_UNIT

CHAIN_KEY: Final = list(OPTION_CHAIN.key)
CHAIN_TABLE: Final = OPTION_CHAIN.qualified_name
# Not in the table: by the OCC identifier, or by a column of its own, is said which root a contract belongs to.
CONTRACT_ID: Final = "contract_id"
ROOT: Final = "root"
# Not in the table either: a vendor's own, which a backtest of a file may choose strikes by.
DELTA: Final = "delta"
_OCC_TAIL: Final = 15  # yymmdd, C or P, strike in thousandths of a dollar on eight digits
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "quote_date": ("date", "quotedate", "quote_day", "trade_date", "as_of"),
    "ticker": ("symbol", "underlying_symbol", "underlying"),
    "underlying_price": ("underlying_last", "underlyinglast", "spot", "stock_price"),
    "expiration": ("expiration_date", "expiry", "expire_date", "expirationdate"),
    "strike": ("strike_price", "strikeprice"),
    "option_right": ("right", "type", "option_type", "optiontype", "call_put", "put_call", "cp", "cp_flag"),
    "bid": ("best_bid", "bid_price"),
    "ask": ("best_offer", "ask_price", "offer"),
    "last": ("last_price", "lastprice", "last_trade_price"),
    "volume": ("trade_volume",),
    "open_interest": ("openinterest", "oi"),
    "implied_volatility": ("iv", "impliedvol", "implied_vol", "impliedvolatility"),
    CONTRACT_ID: ("contractid", "contract_symbol", "contractsymbol", "option_symbol", "optionsymbol", "occ_symbol"),
    ROOT: ("option_root", "root_symbol", "optionroot", "rootsymbol"),
    DELTA: ("option_delta",),
}
_RIGHTS: Final = {"c": "C", "call": "C", "calls": "C", "p": "P", "put": "P", "puts": "P"}
_NUMBERS: Final = tuple(column.name for column in OPTION_CHAIN.columns if column.type == "float64")
_ZERO_IS_MISSING: Final = ("underlying_price", "implied_volatility")


def normalise_chain(
    frame: pd.DataFrame, *, ticker: str | None = None, unreadable: BoolArray | None = None, with_delta: bool = False
) -> SiftedChain:
    """Return rows of any common layout as rows of ``raw.option_chain``.

    Parameters
    ----------
    frame : one row a contract and quote date. Column names are compared without case, brackets and surrounding
        blanks, and may be any of ``ALIASES``; other columns are dropped. Dates may be dates, timestamps at midnight
        or ISO text; rights C, P, call, put; numbers may be text, blank for missing.
    ticker : the underlying where no column says it.
    unreadable : rows of which whoever read the file could not read a value, (n,); None for none.
    with_delta : keep the vendor's delta as one more column, where there is one; what is no number from -1 to 1 is NULL.

    Returns
    -------
    SiftedChain : the table's columns and types. What the layout does not give is NULL, as are a volatility and an
        underlying price of zero, by which vendors say that they have none. Refused are rows with ``missing_key``
        (date, ticker, right or a positive strike), ``unreadable`` or infinite numbers, and ``negative`` ones.
        Where a column of OCC identifiers or of roots says so, contracts of an adjusted root (SPY1), and the
        closing-settled twins that expire with an opening-settled contract (SPXW on a third Friday), stand under their
        root as ticker, so that nothing mixes them with the standard contract.

    Raises
    ------
    SchemaError : for a missing required column, two columns of one meaning, or a column of a type that fits nothing.
    """
    named = _named(frame, ticker)
    columns: dict[str, pd.Series] = {
        name: _converted_by_value(named[name], _as_dates, name) for name in ("quote_date", "expiration")
    }
    columns["ticker"] = _converted_by_value(named["ticker"], _as_tickers, "ticker")
    columns["option_right"] = _converted_by_value(named["option_right"], _as_rights, "option_right")
    bad_of: dict[str, BoolArray] = {}
    for name in _NUMBERS:
        columns[name], bad_of[name] = _numbers(named, name)
    bad = np.logical_or.reduce(list(bad_of.values()))
    result = pd.DataFrame({name: columns[name] for name in OPTION_CHAIN.column_names}, index=named.index)
    if with_delta and DELTA in named:
        delta, _ = _numbers(named, DELTA)
        result[DELTA] = delta.where(delta.abs() <= 1.0)
    for name in _ZERO_IS_MISSING:
        result[name] = result[name].where(result[name] != 0.0)
    result["implied_volatility"] = result["implied_volatility"].where(~(result["implied_volatility"] < 0.0))
    if CONTRACT_ID in named or ROOT in named:
        result["ticker"] = _by_root(result, _roots(named))
    missing = result[CHAIN_KEY].isna().any(axis=1).to_numpy() | (result["strike"] == 0.0).to_numpy()
    negative = (result[list(_NUMBERS)] < 0.0).any(axis=1).to_numpy()

    def blame(reason: str, row: int) -> tuple[str, object]:
        """Return the column that is wrong with a row, and what the file says there."""
        values = result.iloc[row]
        wrong = {
            "unreadable": [name for name in _NUMBERS if bad_of[name][row]],
            "missing_key": [name for name in CHAIN_KEY if pd.isna(values[name]) or values[name] == 0.0],
            "negative": [name for name in _NUMBERS if values[name] < 0.0],
        }[reason]
        column = wrong[0] if wrong else ""
        return column, named[column].iloc[row] if column in named else ""

    rules = [
        ("unreadable", bad if unreadable is None else bad | unreadable),
        ("missing_key", missing),
        ("negative", negative),
    ]
    return sift(result, rules, blame=blame)


def combined_codes(columns: Sequence[pd.Series]) -> IntArray:
    """Return one number for each row that is equal where all of the columns are, (n,), in the order of the columns'
    values; a missing value comes first and equals another."""
    return combined([row_codes(column) for column in columns])


def row_codes(column: pd.Series) -> tuple[IntArray, int]:
    """Return one number for each row, (n,), in the order of the values and 0 where there is none, and how many there
    may be; for ``combined``."""
    codes, distinct = pd.factorize(column if column.dtype == "str" else column.to_numpy(), sort=True)
    return np.asarray(codes, dtype=np.int64) + 1, len(distinct) + 1


def combined(codes: Sequence[tuple[IntArray, int]]) -> IntArray:
    """Return the codes of several columns as one number for each row, (n,), in the order of the columns."""
    code: IntArray = np.zeros(len(codes[0][0]), dtype=np.int64)
    for its_code, count in codes:
        code *= count
        code += its_code
    return code


def repeated_rows(frame: pd.DataFrame) -> tuple[BoolArray, BoolArray]:
    """Return which rows repeat a key: the later copies of equal rows, and every row of a key whose rows differ, (n,)
    each.

    Nobody can know which of two different quotes of one contract is right, so none of them is.
    """
    in_group = np.zeros(len(frame), dtype=np.bool_)
    key = combined_codes([frame[name] for name in CHAIN_KEY])
    order = np.argsort(key, kind="stable")
    repeats = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    in_group[order[repeats]] = in_group[order[repeats + 1]] = True
    later, differing = np.zeros(len(frame), dtype=np.bool_), np.zeros(len(frame), dtype=np.bool_)
    if in_group.any():
        rows = frame.loc[in_group]
        values = [name for name in OPTION_CHAIN.column_names if name in rows.columns]
        copies = rows.duplicated(values, keep="first").to_numpy()
        distinct = (~pd.Series(copies, index=rows.index)).groupby([rows[name] for name in CHAIN_KEY]).transform("sum")
        later[in_group] = copies
        differing[in_group] = distinct.to_numpy() > 1
    return later & ~differing, differing


@dataclass(frozen=True)
class Marks:
    """Holds what each row of a chain is worth; arrays of one length, USD a share.

    Attributes
    ----------
    price : the middle of bid and ask, otherwise the last trade; NaN where there is neither.
    half_spread : half of ask − bid; NaN for a last trade.
    is_two_sided : both bid and ask are there.
    """

    price: FloatArray
    half_spread: FloatArray
    is_two_sided: BoolArray


def marks(chain: pd.DataFrame) -> Marks:
    """Return the middle of bid and ask where both are there, otherwise the last trade."""
    bid, ask, last = (chain[name].to_numpy(dtype=np.float64) for name in ("bid", "ask", "last"))
    is_two_sided: BoolArray = np.isfinite(bid) & np.isfinite(ask)
    return Marks(
        price=np.where(is_two_sided, 0.5 * (bid + ask), last),
        half_spread=np.where(is_two_sided, 0.5 * (ask - bid), np.nan),
        is_two_sided=is_two_sided,
    )


def _named(frame: pd.DataFrame, ticker: str | None) -> pd.DataFrame:
    """Return the frame's columns under the table's names."""
    plain = [str(name).strip().strip("[]").strip().lower() for name in frame.columns]
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(plain):
        target = next((own for own, others in ALIASES.items() if name == own or name in others), None)
        if target is not None:
            positions.setdefault(target, []).append(position)
    doubled = {name: [str(frame.columns[i]) for i in places] for name, places in positions.items() if len(places) > 1}
    if doubled:
        raise _layout_error(f"several columns mean the same: {doubled}")
    named = pd.DataFrame({name: frame.iloc[:, places[0]] for name, places in positions.items()}, index=frame.index)
    if ticker is not None and "ticker" not in named:
        named["ticker"] = ticker
    missing = [name for name in CHAIN_KEY if name not in named]
    if missing:
        raise _layout_error(f"no column for {', '.join(missing)} among {', '.join(plain)}")
    return named


def _layout_error(rule: str) -> SchemaError:
    return SchemaError(table=CHAIN_TABLE, key="columns", rule=rule)


def _converted_by_value(values: pd.Series, convert: Callable[[pd.Series, str], pd.Series], name: str) -> pd.Series:
    """Convert each distinct value once: a chain repeats its few dates and rights in millions of rows."""
    codes, distinct = pd.factorize(values)
    converted = convert(pd.Series(distinct), name)
    missing = len(converted)
    taken = converted.reindex(np.where(codes < 0, missing, codes))
    return pd.Series(taken.array, index=values.index)


def _as_dates(values: pd.Series, name: str) -> pd.Series:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        raise _layout_error(f"{name} holds moments with a time zone, expected dates")
    if values.dtype.kind in "iufb":
        raise _layout_error(f"{name} is {values.dtype}, expected dates")
    if values.dtype.kind != "M":
        values = pd.to_datetime(values.astype("str").str.strip(), errors="coerce", format="ISO8601")
    dates: pd.Series = values.dt.as_unit(TIME_UNIT)
    if (dates.notna() & (dates != dates.dt.normalize())).any():
        raise _layout_error(f"{name} holds times of day, expected dates")
    return dates


def _as_tickers(values: pd.Series, name: str) -> pd.Series:
    if values.dtype.kind in "iufbM":
        raise _layout_error(f"{name} is {values.dtype}, expected text")
    tickers: pd.Series = values.astype("str").str.strip().str.upper()
    return tickers.where(tickers != "")


def _as_rights(values: pd.Series, name: str) -> pd.Series:
    if values.dtype.kind in "iufbM":
        raise _layout_error(f"{name} is {values.dtype}, expected C or P")
    rights: pd.Series = values.astype("str").str.strip().str.lower().map(_RIGHTS).astype("str")
    return rights


def _numbers(named: pd.DataFrame, name: str) -> tuple[pd.Series, BoolArray]:
    """Return a number column, NaN where it is absent or blank, and the rows whose value is no finite number."""
    if name not in named:
        return pd.Series(np.nan, index=named.index, dtype="float64"), np.zeros(len(named), dtype=np.bool_)
    values = named[name]
    if values.dtype.kind in "mMbc":
        raise _layout_error(f"{name} is {values.dtype}, expected a number")
    if not pd.api.types.is_numeric_dtype(values.dtype):
        text = values.astype("str").str.strip()
        numbers = pd.to_numeric(text, errors="coerce").astype("float64")
        unparsed = numbers.isna() & text.notna() & ~text.str.lower().isin(["", "nan", "none", "null", "na"])
    else:
        numbers = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan), index=values.index)
        unparsed = pd.Series(False, index=values.index)
    infinite = np.isinf(numbers.to_numpy())
    return numbers, np.asarray(unparsed, dtype=np.bool_) | infinite


def _roots(named: pd.DataFrame) -> pd.Series:
    """Return the root of each contract by its OCC identifier or, without such a column, by that of roots."""
    if CONTRACT_ID not in named:
        return named[ROOT].astype("str").str.strip().str.upper()
    return named[CONTRACT_ID].astype("str").str.strip().str.slice(stop=-_OCC_TAIL).str.strip()


def _by_root(chain: pd.DataFrame, roots: pd.Series) -> pd.Series:
    """Return the tickers, replaced by the root where the contract must be kept apart."""
    other = (roots != chain["ticker"]) & roots.notna() & (roots != "")
    if not other.any():
        return chain["ticker"]
    apart = other & is_adjusted_root(roots)
    for name in chain.loc[other, "ticker"].dropna().unique():
        if terms_of(name).morning_settled == "monthly":
            rows = other & (chain["ticker"] == name) & chain["expiration"].notna()
            apart.loc[rows] |= is_monthly(pd.DatetimeIndex(chain.loc[rows, "expiration"]))
    tickers: pd.Series = chain["ticker"].where(~apart, roots)
    return tickers
