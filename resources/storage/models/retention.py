"""Which versions of fitted models may be removed: neither in use, nor recent, nor named by anything that is stored."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from resources.storage.models.serving import fitted_at, history_of, version_before
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore
from resources.storage.slices.format import open_parquet, readable
from trading_dag.schemas import TABLES, Table

# A version is named by the 8 digits of its content hash, alone or at the end of its full name.
_DIGITS: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])")
_NAMING_GROUPS: Final = frozenset({"predictions", "evaluation", "signals", "backtests", "monitoring"})
SETTLED: Final = dt.timedelta(hours=1)


@dataclass(frozen=True)
class ModelVersion:
    """Names one stored version of a model."""

    name: str
    ticker: str
    horizon: str
    version: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.name} of {self.ticker} {self.horizon}, version {self.version}"


def named_digits(store: ParquetStore) -> set[str]:
    """Return the digits by which stored forecasts, scores, signals, backtests and reports may name a model; rather too
    many.

    Raises
    ------
    StorageError : for a slice that cannot be read, because nobody knows which models it names.
    """
    named: set[str] = set()
    for table in TABLES.values():
        if table.slice == "ticker_year":
            continue
        for key, path in store.files(table):
            record = store.provenance(table, key)
            named.update(*(_DIGITS.findall(value) for value in (record.inputs.values() if record else ())))
            if table.group in _NAMING_GROUPS:
                with readable(table, key, path):
                    texts = open_parquet(path).read(columns=_text_columns(table))
                for column in texts.columns:
                    named.update(*(_DIGITS.findall(value or "") for value in column.unique().to_pylist()))
    return named


def superfluous_versions(models: ModelStore, store: ParquetStore, *, keep: int, now: dt.datetime) -> list[ModelVersion]:
    """Return the versions that may be removed, oldest first in each slice.

    The version in use, the one that a rollback goes back to, the ``keep`` newest, and all that anything stored names
    are kept; so is what is newer than the version in use, but for those that were refused. If a slice's version in use
    changed, or a version came, within the last hour, all its versions are kept: a run may still work with them.

    Raises
    ------
    StorageError : where a slice or a pointer cannot be read.
    """
    named = named_digits(store)
    versions = []
    for name, ticker, horizon in models.slices():
        at = {"ticker": ticker, "horizon": horizon}
        latest, changed = models.latest_version(name, **at), models.latest_changed_at(name, **at)
        stored = models.versions(name, **at)
        if latest is None or changed is None or now - max(changed, fitted_at(stored[-1])) < SETTLED:
            continue
        refused = {event.version for event in history_of(models, name, **at) if event.kind == "worse"}
        kept = {latest, version_before(models, name, **at)}
        for version in stored[:-keep]:
            is_past = version < latest or version in refused
            if is_past and version not in kept and version.rpartition("-")[2] not in named:
                size = models.size(name, version=version, **at)
                versions.append(ModelVersion(name, ticker, horizon, version, size))
    return versions


def remove_versions(models: ModelStore, versions: list[ModelVersion]) -> None:
    """Remove the versions, one after the other.

    Raises
    ------
    SliceBusyError : where another process is saving the same slice.
    StorageError : for a version that has come into use since.
    """
    for entry in versions:
        models.remove(entry.name, ticker=entry.ticker, horizon=entry.horizon, version=entry.version)


def _text_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.type == "string"]
