"""Warnings recorded in the provenance of the stored slices: what commands and ``doctor`` show, with counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import StorageError
from trading_dag.schemas import TABLES


@dataclass(frozen=True)
class StoredWarning:
    """Describes one warning rule of one table that stored slices break.

    Attributes
    ----------
    table, rule : which rule.
    count : how many violations there are, over all slices.
    slices : the slices that break it, as text.
    detail : the message of the first of them.
    examples : the first keys that the first of them names.
    """

    table: str
    rule: str
    count: int
    slices: tuple[str, ...]
    detail: str
    examples: tuple[str, ...]

    def __str__(self) -> str:
        where = ", ".join(self.slices[:4]) + (f" and {len(self.slices) - 4} more" if len(self.slices) > 4 else "")
        named = f" ({'; '.join(self.examples[:3])})" if self.examples else ""
        return f"{self.table} {self.rule}: {self.count} in {where}: {self.detail}{named}"


def stored_warnings(store: ParquetStore, *, tickers: Collection[str], horizons: Collection[str]) -> list[StoredWarning]:
    """Return the warnings of the slices of some tickers and horizons, one entry per rule. A file that cannot be read is
    skipped: whoever reads it reports that."""
    warnings: dict[tuple[str, str], list[tuple[SliceKey, dict[str, object]]]] = {}
    for table in TABLES.values():
        if table.slice == "ticker_year":
            continue
        for key in store.slices(table):
            if (key.ticker or "") not in {"", *tickers} or (key.horizon or "") not in {"", *horizons}:
                continue
            try:
                recorded = store.provenance(table, key)
            except StorageError:
                continue
            for entry in recorded.warnings if recorded else []:
                warnings.setdefault((table.qualified_name, str(entry["rule"])), []).append((key, entry))
    return [
        StoredWarning(
            table=table_name,
            rule=rule,
            count=sum(int(str(entry["count"])) for _, entry in entries),
            slices=tuple(" ".join(filter(None, (key.ticker, key.horizon))) or "all" for key, _ in entries),
            detail=str(entries[0][1]["detail"]),
            examples=tuple(str(entries[0][1]["examples"]).split(" | ")) if entries[0][1]["examples"] else (),
        )
        for (table_name, rule), entries in warnings.items()
    ]
