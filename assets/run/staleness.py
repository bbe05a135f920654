"""What has to be computed again: slices whose inputs, code version or settings differ from what is recorded.

The record stands in the slice itself (Parquet footer, model spec), so it is right after a crash, and
in any process. Fetched tables are never stale here: only the vendor knows whether there is anything new.
Where a source can tell that without being asked for the rows, as a file can, that is compared too.
"""

from __future__ import annotations

from typing import Any, Final

from assets.catalog import DECLARATIONS
from assets.declare.declaration import SOURCE_STATE, Declaration, Read, Stage
from resources.chains.store import ChainStore
from resources.io_managers.chains import chain_digest
from resources.storage.models.serving import inputs_of_last_fit, model_version_of
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, Provenance, SliceKey
from resources.storage.peers import benchmark_records, digest_of, records_of_all_slices
from trading_dag.errors import SourceError, StorageError
from trading_dag.schemas import SliceKind, Table
from trading_dag.settings import Settings

_SLICING: Final[dict[str, SliceKind]] = {
    ".".join(key.path): declaration.slice for declaration in DECLARATIONS for key in declaration.asset_keys
}


class Staleness:
    """Compares what is recorded in slices with what is there now.

    Parameters
    ----------
    store, models : where slices and fitted models lie.
    settings : the settings that a slice would be computed with now.
    """

    def __init__(self, store: ParquetStore, models: ModelStore, settings: Settings) -> None:
        self.store = store
        self.models = models
        self.settings = settings

    def stale(
        self,
        kind: Stage,
        key: SliceKey,
        *,
        refit: bool,
        groups: frozenset[str] | None = None,
        needs_inputs: bool = False,
        forced: frozenset[str] = frozenset(),
    ) -> list[Declaration]:
        """Return the declarations of one slice that need computing, in order, each with all that depends on it.

        Parameters
        ----------
        refit : whether a fitted model, or the searches that fits use, count as stale when their inputs changed. A
            missing one always does.
        groups : asset groups, or qualified names of assets, to look at; None for all.
        needs_inputs : whether to leave out what reads a slice that was never made.
        forced : names of declarations that count as stale whatever is recorded.
        """
        stale: list[Declaration] = []
        names: set[str] = set()
        for declaration in DECLARATIONS:
            if declaration.stage != kind or declaration.is_fetched:
                continue
            if groups is not None and not groups & {declaration.group, *_names(declaration)}:
                continue
            if needs_inputs and not self._has_inputs(declaration, key, names):
                continue
            if declaration.name in forced or self._is_stale(declaration, key, names, refit=refit):
                stale.append(declaration)
                names.update(_names(declaration))
        return stale

    def is_as_stored(self, declaration: Declaration, key: SliceKey, source: Any) -> bool:
        """Return whether a source says that a fetch would find what is stored. False where only a fetch can tell."""
        if declaration.state_of is None:
            return False
        try:
            state = declaration.state_of(source)
        except SourceError:
            return False  # the fetch will say what is wrong
        return self._recorded(declaration, key) == {SOURCE_STATE: state} | declaration.fingerprint(self.settings)

    def _is_stale(self, declaration: Declaration, key: SliceKey, stale: set[str], *, refit: bool) -> bool:
        recorded = self._recorded(declaration, key)
        if recorded is None:
            return True
        if not refit and declaration.refits_only:
            return False
        reads = [read for read in declaration.reads.values() if self._passes_on(read, key)]
        if any(".".join(read.asset_key.path) in stale for read in reads):
            return True
        expected = {
            ".".join(read.asset_key.path): self._current(read, key) for read in declaration.reads.values()
        } | declaration.fingerprint(self.settings)
        return recorded != expected

    def _passes_on(self, read: Read, key: SliceKey) -> bool:
        """Return whether what reads a stale input is stale with it, as the read declares it."""
        if read.passes_on_empty or read.table is None:
            return True
        provenance = self._provenance(read.table, key)
        return provenance is None or provenance.rows > 0

    def _has_inputs(self, declaration: Declaration, key: SliceKey, stale: set[str]) -> bool:
        return all(
            ".".join(read.asset_key.path) in stale or self._current(read, key) is not None
            for read in declaration.reads.values()
        )

    def _recorded(self, declaration: Declaration, key: SliceKey) -> dict[str, str] | None:
        if declaration.is_model:
            return inputs_of_last_fit(self.models, declaration.name, ticker=key.ticker or "", horizon=key.horizon or "")
        records = [self._provenance(table, key) for table in declaration.tables]
        found = [record.inputs for record in records if record is not None]
        return found[0] if len(found) == len(records) and all(inputs == found[0] for inputs in found) else None

    def _current(self, read: Read, key: SliceKey) -> str | None:
        if read.table is None:
            kind = _SLICING[".".join(read.asset_key.path)]
            horizon = key.horizon or "" if kind == "ticker_horizon" else ""
            version = self.models.latest_version(read.model or "", ticker=key.ticker or "", horizon=horizon)
            return None if version is None else model_version_of(version)
        if read.is_chain:
            return chain_digest(ChainStore(self.store.root), key.ticker or "")
        if read.of_benchmarks or read.of_all_slices:
            return self._current_of_several(read, read.table)
        provenance = self._provenance(read.table, key.of_table(read.table))
        return None if provenance is None else provenance.content_hash

    def _current_of_several(self, read: Read, table: Table) -> str | None:
        """Return what a read of several slices would find. None where one is damaged, and where all that are stored are
        asked for and there is none."""
        source = self.settings.source
        try:
            if read.of_benchmarks:
                return digest_of(benchmark_records(self.store, table, self.settings.benchmark_tickers, source=source))
            records = records_of_all_slices(self.store, table, source=source)
        except StorageError:
            return None
        return digest_of(records) if records else None

    def _provenance(self, table: Table, key: SliceKey) -> Provenance | None:
        """Return what is recorded of a slice; None for one that cannot be read, so that it is computed again."""
        try:
            return self.store.provenance(table, key)
        except StorageError:
            return None


def _names(declaration: Declaration) -> list[str]:
    return [".".join(key.path) for key in declaration.asset_keys]
