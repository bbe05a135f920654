"""What was stored before new sessions came, where nothing but new sessions has come since.

A slice records the content hash of each of its inputs, and where its asset asks for it the hash of what counts of them.
Cut after the slice's last session, an input that only grew has that hash again; then what is stored is what the same
code made of the inputs as they were known then. Whatever else has changed, a revised bar, a setting, the code, a model,
the answer is that nothing is known, and everything is computed. So it is where nothing has come: then somebody wants it
computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Slice
from resources.io_managers.tables import StoredModel
from resources.storage.parquet_store import Provenance, content_hash
from trading_dag.errors import StorageError

# What happened after a session is told in its row, once it is known: at the close of the target.
_OUTCOMES: Final = ("y_true", "forward_return")
_TARGET: Final = "target_session"


def rows_before(
    declaration: Declaration, at: Slice, inputs: Mapping[str, Any], *, names: Iterable[str]
) -> pd.DataFrame | None:
    """Return the stored slice of the declaration's first table if its inputs have got rows of later sessions since it
    was made, and have not changed otherwise. None where all is to be computed.

    Parameters
    ----------
    inputs : as the asset function gets them.
    names : of the inputs that count; the caller knows that the others change no row of the past.
    """
    table = declaration.tables[0]
    try:
        provenance = _of_same_code(declaration, at)
        if provenance is None:
            return None
        grown = [name for name in names if not _is_as_recorded(declaration.reads[name], inputs[name], provenance)]
        if grown and all(_only_grew(declaration.reads[name], inputs[name], at, provenance) for name in grown):
            return at.store.read(table, at.key)
    except StorageError:
        return None  # what cannot be read is about to be replaced
    return None


def rows_before_new_sessions(
    declaration: Declaration, at: Slice, inputs: Mapping[str, Any], *, counted: Mapping[str, pd.DataFrame]
) -> pd.DataFrame | None:
    """Return the same by the ``known_inputs`` that the slice has recorded.

    Parameters
    ----------
    counted : the rows and columns of the inputs that rows are made of, each with its session.
    """
    try:
        provenance = _of_same_code(declaration, at)
        if provenance is None:
            return None
        if all(_is_as_recorded(declaration.reads[name], value, provenance) for name, value in inputs.items()):
            return None
        if provenance.known_inputs == known_inputs(counted, _last_session(provenance)):
            return at.store.read(declaration.tables[0], at.key)
    except StorageError:
        return None
    return None


def known_inputs(counted: Mapping[str, pd.DataFrame], through: pd.Timestamp) -> str:
    """Return the hash of what was known of some frames at the close of a session."""
    parts = (f"{name}: {content_hash(as_known_at(frame, through))}" for name, frame in sorted(counted.items()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def as_known_at(frame: pd.DataFrame, through: pd.Timestamp, session_column: str = "session") -> pd.DataFrame:
    """Return the rows up to a session, without the outcomes that became known after it."""
    kept = frame[(frame[session_column] <= through).to_numpy(dtype=bool)].reset_index(drop=True)
    if _TARGET not in kept.columns:
        return kept
    is_known = (kept[_TARGET] <= through).to_numpy(dtype=bool, na_value=False)
    return kept.assign(**{name: kept[name].where(is_known) for name in _OUTCOMES if name in kept.columns})


def hash_of(value: Any) -> str:
    """Return the hash of an input's contents by which it is recorded; of a model what it learnt, not when, so that the
    same fitted again makes nothing stale."""
    return value.fitted.model_version if isinstance(value, StoredModel) else str(value.attrs["content_hash"])


def _of_same_code(declaration: Declaration, at: Slice) -> Provenance | None:
    """Return what is recorded of the stored slice; None where it has no rows, where other code or settings made it, and
    where everything is to be computed again."""
    if at.is_forced:
        return None
    provenance = at.store.provenance(declaration.tables[0], at.key)
    if provenance is None or provenance.last_session is None:
        return None
    now = declaration.fingerprint(at.settings)
    return provenance if all(provenance.inputs.get(name) == value for name, value in now.items()) else None


def _is_as_recorded(read: Read, value: Any, provenance: Provenance) -> bool:
    """Return whether an input is the very one that the slice was made of."""
    recorded = provenance.inputs.get(".".join(read.asset_key.path))
    return recorded is not None and hash_of(value) == recorded


def _only_grew(read: Read, value: Any, at: Slice, provenance: Provenance) -> bool:
    """Return whether an input, cut after the slice's last session, is what the slice was made of."""
    table = read.table
    if table is None or table.session_column is None or read.is_chain or read.of_benchmarks or read.of_all_slices:
        return False
    whole = at.store.read(table, at.key.of_table(table)) if read.columns else value
    if whole.attrs.get("content_hash") != value.attrs.get("content_hash"):
        return False  # it was replaced while this run read it
    known = as_known_at(whole, _last_session(provenance), table.session_column)
    return content_hash(known) == provenance.inputs.get(table.qualified_name)


def _last_session(provenance: Provenance) -> pd.Timestamp:
    return pd.Timestamp(provenance.last_session)  # type: ignore[arg-type]
