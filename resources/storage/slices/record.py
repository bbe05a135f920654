"""What is recorded of a slice: its key, where its rows come from, and the hash of its values. No file is opened
here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.schemas import Table
from trading_dag.slices import horizon_of, validate_ticker


@dataclass(frozen=True, order=True)
class SliceKey:
    """Names a part of a table: all of it, a ticker, or a ticker and a horizon. It is validated, so it is safe in a
    path."""

    ticker: str | None = None
    horizon: str | None = None

    def __post_init__(self) -> None:
        if self.ticker is not None:
            validate_ticker(self.ticker)
        if self.horizon is not None:
            horizon_of(self.horizon)

    def __str__(self) -> str:
        parts = [f"ticker={self.ticker}" if self.ticker else "", f"horizon={self.horizon}" if self.horizon else ""]
        return "/".join(part for part in parts if part) or "all"

    def of_table(self, table: Table) -> SliceKey:
        """Return the key of the table's slice that belongs to this one: without what the table is not sliced by."""
        if table.slice == "none":
            return SliceKey()
        return self if table.slice == "ticker_horizon" else SliceKey(self.ticker)


@dataclass(frozen=True)
class Provenance:
    """Records where a stored slice comes from.

    Attributes
    ----------
    content_hash : SHA-256 of the values; it does not depend on when and by whom they were fetched.
    source : name of the source, several joined by ``+``; None where nothing was fetched.
    source_off : why the source gave nothing; None where it gave something.
    fetched_at : ISO time of the write, UTC.
    code_version : code version of the asset that wrote the slice.
    rows, first_session, last_session : extent.
    data_through : of a table whose rows have no session, the newest session that all it was computed from reach.
    inputs : content hash of each input slice by table name.
    asked_at : when the source was last asked for these rows, UTC, where that is not the time of the write.
    warnings : broken rules that only warn: ``rule``, ``count``, ``detail`` and ``examples`` of each.
    accepted : sessions whose bars a user has accepted, with the reason.
    known_inputs : hash of what the rows were made of, as far as it was known at the last session; None where the asset
        records none.
    """

    content_hash: str
    source: str | None
    source_off: str | None
    fetched_at: str
    code_version: str | None
    rows: int
    first_session: str | None
    last_session: str | None
    inputs: dict[str, str]
    asked_at: str | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    data_through: str | None = None
    known_inputs: str | None = None

    @property
    def newest_session(self) -> pd.Timestamp | None:
        """Return the session that the rows reach, or that those reach which they were computed from; None for
        neither."""
        day = self.last_session or self.data_through
        return None if day is None else pd.Timestamp(day)


@dataclass(frozen=True)
class PreparedSlice:
    """Holds a frame that fits its schema, with what will be recorded of it: ready to be stored.

    Attributes
    ----------
    table, key : where it belongs.
    frame : conformed rows.
    provenance : as it will stand in the file.
    """

    table: Table
    key: SliceKey
    frame: pd.DataFrame
    provenance: Provenance


def content_hash(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a conformed frame's column names and values, in row order."""
    return hashlib.sha256(hash_head(frame) + row_hashes(frame).tobytes()).hexdigest()


def hash_head(frame: pd.DataFrame) -> bytes:
    """Return what the hash of a frame begins with: its column names."""
    return "\x1f".join(map(str, frame.columns)).encode()


def row_hashes(frame: pd.DataFrame) -> npt.NDArray[Any]:
    """Return a number for the values of each row, which depends on no other row."""
    if frame.empty:
        return np.zeros(0, dtype="uint64")
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()
