"""Rows of a user's frame or file as the quotes that a market is made of, and how many were left out for which reason.

The rows' names and types are ``options.chains.rows``' work, what a row is worth ``chain_market``'s. Here the two meet:
sorted columns without what cannot be a quote, and the counts that a reader must see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading_dag.arrays import BoolArray, IntArray
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market, packed_key
from trading_dag.backtest.markets.corporate_actions import NO_ACTIONS, CorporateActions
from trading_dag.backtest.markets.quote_columns import TABLE, days_of, is_call_of, require_days, require_strikes
from trading_dag.errors import SchemaError
from trading_dag.options.chains.sifting import REASON

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.backtest.plans.trade_plan import FillAssumptions
    from trading_dag.options.chains.forward import RateCurve

_OPTIONAL: Final = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility", "delta")
UNNAMED: Final = "UNNAMED"
NO_QUOTE_REASONS: Final = ("crossed", "zero", "no_volume", "below_intrinsic")


@dataclass(frozen=True)
class QuoteCounts:
    """Says what became of the rows of a frame or a file.

    Attributes
    ----------
    rows : of the underlying.
    refused : rows that are left out, by reason: those of ``normalise_chain``, copies and conflicts of
        ``repeated_rows``, quotes of adjusted contracts, of days without a session and of sessions that are not over.
    no_quote : rows of contracts that can be neither bought nor sold at their session, by reason: ``crossed`` (the bid
        above the ask), ``zero`` (neither bid and ask nor a last trade), ``no_volume`` (a last trade of a day without
        any), ``below_intrinsic`` (a last trade below what exercise pays by more than half a spread).
    no_delta : quotes without a delta, which no choice by delta takes.
    """

    rows: int
    refused: Mapping[str, int] = field(default_factory=dict)
    no_quote: Mapping[str, int] = field(default_factory=dict)
    no_delta: int = 0

    @property
    def used(self) -> int:
        """Return how many rows are quotes."""
        return self.rows - sum(self.refused.values()) - sum(self.no_quote.values())

    def in_words(self) -> str:
        """Return the counts in one sentence."""
        reasons = [f"{name} {count:,}" for name, count in (*self.refused.items(), *self.no_quote.items())]
        left_out = f"; left out: {', '.join(reasons)}" if reasons else "; none left out"
        without = f"; without a delta: {self.no_delta:,}" if self.no_delta else ""
        return f"{self.used:,} quotes of {self.rows:,} rows{left_out}{without}"


@dataclass(frozen=True)
class CountedMarket:
    """Holds a market, and what became of the rows that it was made of."""

    market: ChainMarket
    counts: QuoteCounts


def quoted_market(
    kept: pd.DataFrame,
    *,
    refused: Mapping[str, int],
    ticker: str,
    fills: FillAssumptions,
    rate: float | RateCurve,
    splits: CorporateActions = NO_ACTIONS,
) -> CountedMarket:
    """Return the market of one underlying's rows, in any order.

    Parameters
    ----------
    kept, refused : rows of ``raw.option_chain`` as ``normalise_chain`` keeps them, with a delta where the vendor has
        one, and the numbers of those it refused by reason.
    ticker : the underlying; all rows are its.
    rate : continuously compounded, with which volatilities are fitted where the vendor has neither delta nor
        volatility.

    Raises
    ------
    SchemaError : where no row is left, a strike or a date is out of bounds, a session has two underlying prices, or a
        column is missing on which a limit is set.
    """
    keys = _keys(kept)
    hits = _refusals(kept, keys)
    is_refused = np.logical_or.reduce(list(hits.values()))
    rows, keys = (kept[~is_refused], keys[~is_refused]) if is_refused.any() else (kept, keys)
    counted = Counter({reason: count for reason, count in refused.items() if count})
    counted.update({reason: int(mask.sum()) for reason, mask in hits.items() if mask.any()})
    if not len(rows):
        raise SchemaError(table=TABLE, key=ticker, rule=f"at least one row is left ({_in_words(counted)})")
    quotes = _sorted_columns(_with_volatilities(rows, rate), np.argsort(keys, kind="stable"), fills=fills)
    market = chain_market(quotes, ticker=ticker, fills=fills, splits=splits)
    counts = QuoteCounts(
        rows=len(kept) + sum(refused.values()),
        refused=dict(counted),
        no_quote=_no_quotes(market, quotes),
        no_delta=int((np.isnan(market.delta) & np.isfinite(market.ask)).sum()),
    )
    return CountedMarket(market, counts)


def quotes_of_frame(frame: pd.DataFrame, *, ticker: str | None) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return the rows of one underlying in the columns of ``raw.option_chain``, numbers refused, and the underlying.

    Parameters
    ----------
    frame : one row a contract and quote date, under the table's names or common ones of vendors
        (``options.chains.rows.ALIASES``); may have no ticker.
    ticker : which underlying; None where the frame has but one, or says none.

    Raises
    ------
    SchemaError : for an empty frame, a missing column (named), or several underlyings of which none is chosen.
    """
    from trading_dag.options.chains.rows import normalise_chain

    if not len(frame):
        raise SchemaError(table=TABLE, key="quotes", rule="at least one row")
    sifted = normalise_chain(frame, ticker=ticker or UNNAMED, with_delta=True)
    kept, refused = one_underlying(sifted.kept, sifted.refused, ticker=ticker)
    require_prices(kept, list(frame.columns))
    return kept, counts_by_reason(refused), str(kept["ticker"].iloc[0])


def one_underlying(
    kept: pd.DataFrame, refused: pd.DataFrame, *, ticker: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of one underlying: the one that is named, or the only one.

    Raises
    ------
    SchemaError : where there are several and none is named, or none of the named one.
    """
    names = [str(name) for name in kept["ticker"].unique()]
    if ticker is None and len(names) > 1:
        raise SchemaError(table=TABLE, key="ticker", rule=f"one underlying: choose from {', '.join(sorted(names))}")
    chosen = ticker or (names[0] if names else "")
    if chosen not in names:
        has = ", ".join(sorted(names)) or "no readable row"
        raise SchemaError(table=TABLE, key="ticker", rule=f"rows of {chosen or 'an underlying'}; there are {has}")
    if len(names) == 1:
        return kept, refused
    # What was refused for its own ticker belongs to nobody, and is counted.
    is_others = refused["ticker"].notna() & (refused["ticker"] != chosen)
    return kept[kept["ticker"] == chosen].reset_index(drop=True), refused[~is_others]


def counts_by_reason(refused: pd.DataFrame) -> dict[str, int]:
    """Return the number of refused rows by reason."""
    return {str(reason): int(count) for reason, count in refused[REASON].value_counts().items()}


def require_prices(rows: pd.DataFrame, present: list[str]) -> None:
    """Raise ``SchemaError`` where no row has a price of the option, or none has one of the underlying."""
    has = ", ".join(map(str, present))
    if rows["underlying_price"].isna().all():
        raise SchemaError(table=TABLE, key="underlying_price", rule=f"the column is missing or empty; there are {has}")
    if rows["last"].isna().all() and (rows["bid"].isna() | rows["ask"].isna()).all():
        raise SchemaError(table=TABLE, key="bid, ask", rule=f"both columns, or last, are needed; there are {has}")


def _refusals(rows: pd.DataFrame, keys: IntArray) -> dict[str, BoolArray]:
    """Rows of a key that others have, of adjusted contracts, and of days without a session that is over."""
    from trading_dag.options.chains.contracts import is_adjusted_root
    from trading_dag.options.chains.rows import repeated_rows
    from trading_dag.sessions import all_sessions, last_closed_session

    copies = conflicts = np.zeros(len(rows), dtype=np.bool_)
    ordered = np.sort(keys)
    if (ordered[1:] == ordered[:-1]).any():
        copies, conflicts = repeated_rows(rows)
    days = rows["quote_date"].to_numpy().astype("datetime64[D]")
    distinct, place = np.unique(days, return_inverse=True)
    calendar = all_sessions().to_numpy().astype("datetime64[D]")
    is_future = distinct > last_closed_session().to_datetime64().astype("datetime64[D]")
    is_session = np.isin(distinct, calendar)
    return {
        "duplicate": copies,
        "conflicting_duplicate": conflicts,
        "adjusted_contract": np.asarray(is_adjusted_root(rows["ticker"]), dtype=np.bool_),
        "future_session": is_future[place],
        "not_a_session": (~is_session & ~is_future)[place],
    }


def _keys(rows: pd.DataFrame) -> IntArray:
    """The market's key of every row; sorting it is ten times as fast as comparing columns."""
    quote_day, expiration_day = days_of(rows["quote_date"]), days_of(rows["expiration"])
    strike = rows["strike"].to_numpy(dtype=np.float64)
    require_days(quote_day, "quote_date")
    require_days(expiration_day, "expiration")
    require_strikes(strike)
    return packed_key(
        quote_day.astype(np.int64), expiration_day.astype(np.int64), is_call=is_call_of(rows["option_right"]),
        strike=strike,
    )  # fmt: skip


def _with_volatilities(rows: pd.DataFrame, rate: float | RateCurve) -> pd.DataFrame:
    """The rows with fitted volatilities where the vendor has no delta at all and a volatility is missing."""
    if "delta" in rows and rows["delta"].notna().any():
        return rows
    from trading_dag.options.chains.volatilities import with_fitted_volatilities

    return with_fitted_volatilities(rows.reset_index(drop=True), rate=rate)


def _sorted_columns(rows: pd.DataFrame, order: IntArray, *, fills: FillAssumptions) -> dict[str, Any]:
    """Columns as ``chain_market`` takes them, in that order; without those of which nothing is known."""
    columns: dict[str, Any] = {
        "quote_date": days_of(rows["quote_date"])[order],
        "expiration": days_of(rows["expiration"])[order],
        "option_right": is_call_of(rows["option_right"])[order],
    }
    for name in ("strike", "underlying_price", *_OPTIONAL):
        if name in rows:
            values = rows[name].to_numpy(dtype=np.float64)[order]
            if np.isfinite(values).any() or name in ("strike", "underlying_price", "last"):
                columns[name] = values
    is_limited = fills.minimum_volume > 0.0 or fills.volume_share is not None or fills.spread_share < 1.0
    if "volume" not in columns and not is_limited:
        # A last trade of an unknown day is no quote of this one.
        columns["volume"] = np.full(len(order), np.nan)
    return columns


def _no_quotes(market: ChainMarket, quotes: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of the rows that the market takes for no quote, by the reason."""
    missing = np.flatnonzero(~np.isfinite(market.ask))
    nothing = np.full(len(missing), np.nan)
    bid, ask, last, volume = (
        quotes[name][missing] if name in quotes else nothing for name in ("bid", "ask", "last", "volume")
    )
    with np.errstate(invalid="ignore"):
        reason = np.select([bid > ask, ~(last > 0.0), ~(volume > 0.0)], NO_QUOTE_REASONS[:3], NO_QUOTE_REASONS[3])
    return {name: int((reason == name).sum()) for name in NO_QUOTE_REASONS if (reason == name).any()}


def _in_words(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counted.items()) or "there was none"
