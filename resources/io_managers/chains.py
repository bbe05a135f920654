"""The Dagster IO manager of option chains: it stores one session of one ticker, and loads a handle on all its sessions.

A chain of years does not fit into one frame, so an input is a ``StoredChain`` that reads a session on request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import numpy as np
import pandas as pd

from resources.chains.merge import OUTCOMES
from resources.io_managers.tables import slice_of_partition
from trading_dag.errors import InsufficientDataError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from resources.chains.store import ChainStore
    from resources.storage.parquet_store import Provenance
    from trading_dag.options.chains.forward import RateCurve

QUOTES: Final = (
    "quote_date", "ticker", "underlying_price", "expiration", "strike", "option_right", "bid", "ask", "last", "volume",
    "open_interest", "implied_volatility",
)  # fmt: skip
NO_CHAIN: Final = "no option chain is stored: trading-dag import-chains PATH brings it in"


def chain_digest(store: ChainStore, ticker: str) -> str:
    """Return one hash of everything that is stored of a ticker's chains; without chains it is the hash of nothing."""
    return _digest_of({year: store.provenance(ticker, year) for year in store.years(ticker)})


def _digest_of(records: dict[int, Provenance | None]) -> str:
    digest = hashlib.sha256()
    for year, record in records.items():
        digest.update(f"{year}:{'' if record is None else record.content_hash}".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class StoredChain:
    """Gives access to the stored chains of one ticker.

    Attributes
    ----------
    store, ticker : where the chains lie, and their underlying.
    attrs : ``content_hash`` and ``source``, as in frames of other inputs, and ``source_off`` where there are no chains.
    """

    store: ChainStore
    ticker: str
    attrs: dict[str, Any]

    @classmethod
    def of(cls, store: ChainStore, ticker: str) -> StoredChain:
        """Return the handle, with what is recorded of the chains now."""
        records = {year: store.provenance(ticker, year) for year in store.years(ticker)}
        sources = "+".join(dict.fromkeys(record.source for record in records.values() if record and record.source))
        attrs = {"content_hash": _digest_of(records), "source": sources or None}
        return cls(store, ticker, attrs if records else {**attrs, "source_off": NO_CHAIN})

    def sessions(self) -> pd.DatetimeIndex:
        """Return the quote dates, ascending; an empty index where nothing is stored."""
        if not self.store.years(self.ticker):
            return pd.DatetimeIndex([], dtype="datetime64[us]")
        pieces = [piece["quote_date"].unique() for piece in self.store.batches(self.ticker, columns=["quote_date"])]
        return pd.DatetimeIndex(sorted({day for piece in pieces for day in piece})).as_unit("us")

    def read(self, session: pd.Timestamp) -> pd.DataFrame:
        """Return the rows of ``raw.option_chain`` of one quote date; an empty frame where there are none."""
        return self.store.read(self.ticker, first=session, last=session)

    def read_before(self, session: pd.Timestamp) -> pd.DataFrame | None:
        """Return the rows of the last quote date before a session; None where none of the ten days before is stored."""
        return self.store.read_before(self.ticker, session)

    def by_session(
        self, *, first: pd.Timestamp | None = None, last: pd.Timestamp | None = None
    ) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
        """Yield each quote date with its rows, ascending; every row group is read once, one after the other."""
        if not self.store.years(self.ticker):
            return
        left: pd.DataFrame | None = None
        for batch in self.store.batches(self.ticker, first=first, last=last):
            rows = batch if left is None else pd.concat([left, batch], ignore_index=True)
            days = rows["quote_date"].to_numpy()
            begins = np.flatnonzero(np.append(True, days[1:] != days[:-1])[: len(days)])
            for begin, end in pairwise(begins):
                yield pd.Timestamp(days[begin]), rows.iloc[begin:end].reset_index(drop=True)
            # The last date of a row group may go on in the next.
            left = rows.iloc[begins[-1] :].reset_index(drop=True) if len(begins) else None
        if left is not None:
            yield pd.Timestamp(left["quote_date"].iloc[0]), left

    def quotes(
        self,
        *,
        rate: float | RateCurve,
        first: pd.Timestamp | None = None,
        last: pd.Timestamp | None = None,
        maximum_days: int | None = None,
    ) -> dict[str, pd.Series]:
        """Return the columns that a backtest reads, with a fitted volatility where the vendor has none.

        Parameters
        ----------
        rate : rate that discounts forwards, continuously compounded fraction; one rate, or one per quote date.
        maximum_days : maximum calendar days to expiration; None for any.

        Raises
        ------
        InsufficientDataError : where nothing is stored between the dates.
        SliceNotFoundError : where nothing is stored at all.
        """
        from resources.chains.filter import ChainFilter
        from trading_dag.options.chains.volatilities import with_fitted_volatilities

        where = None if maximum_days is None else ChainFilter(maximum_days=maximum_days)
        chain = self.store.read(self.ticker, columns=QUOTES, first=first, last=last, where=where)
        if chain.empty:
            period = " to ".join("the end" if day is None else f"{day:%Y-%m-%d}" for day in (first, last))
            raise InsufficientDataError(f"no option chain of {self.ticker} is stored from {period}")
        quoted = with_fitted_volatilities(chain, rate=rate)
        return {name: quoted[name] for name in QUOTES}


class ChainIOManager(dg.IOManager):
    """Merges one session's rows into the file of its ticker and year; loads the handle.

    Parameters
    ----------
    root : below which the chains lie.
    keep_days : a merge drops sessions more than this many days before a ticker's last one; None drops none.
    """

    def __init__(self, root: Path, *, keep_days: int | None = None) -> None:
        from resources.chains.store import ChainStore

        self.store = ChainStore(root)
        self._keep_days = keep_days

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Merge the rows; an empty frame, from a source that is off, changes nothing.

        Raises
        ------
        SchemaError : where rows break the schema; what is stored stays.
        """
        if obj.empty:
            return
        ticker, dates = str(obj["ticker"].iloc[0]), obj["quote_date"].dt.year.unique()
        if len(dates) != 1:
            raise StorageError(f"raw.option_chain [{ticker}]: one session's chain has rows of the years {list(dates)}")
        counts = self.store.merge(ticker, int(dates[0]), obj, source=str(obj.attrs.get("source", "")))
        metadata: dict[str, Any] = {
            name: getattr(counts, name) for name in (*OUTCOMES, "duplicate", "conflicting_duplicate")
        }
        if self._keep_days is not None:
            metadata["sessions past their time"] = self.store.forget(ticker, keep_days=self._keep_days)
        context.add_output_metadata(
            {"dagster/row_count": len(obj), "source": obj.attrs.get("source") or "–", **metadata}
        )

    def load_input(self, context: dg.InputContext) -> StoredChain:
        """Return the handle on the chains of the ticker of the running slice."""
        ticker = slice_of_partition(context.partition_key).ticker
        if ticker is None:
            raise StorageError("an unpartitioned asset has no chain of its own")
        return StoredChain.of(self.store, ticker)
