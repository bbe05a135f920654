"""Where slices stand by what is stored of them: reads the reports and the last training, and asks the policy.

The sensor that acts on it stands in ``sensors``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.drift.policy import RetrainDecision
from trading_dag.drift.standing import Standing, decision_of, standing_of
from trading_dag.schemas import ACCURACY, DRIFT, REGISTRY, VERSIONS, Table
from trading_dag.setting_groups import DriftSettings

_READ: Final[tuple[Table, ...]] = (DRIFT, ACCURACY, REGISTRY, VERSIONS)
_OF_REPORTS: Final = ("as_of_session", "feature", "kind", "is_breached")
_OF_SCORES: Final = ("as_of_session", "task", "metric", "baseline", "gain", "band_low", "is_breached")

Stamps = tuple[tuple[int, int, int] | None, ...]


def reported_slices(store: ParquetStore) -> list[SliceKey]:
    """Return the slices that have a report of drift or accuracy, each once."""
    return list(dict.fromkeys([*store.slices(DRIFT), *store.slices(ACCURACY)]))


def last_retrained(store: ParquetStore, key: SliceKey) -> pd.Timestamp | None:
    """Return the last session that the newest version of any model of a slice has seen; None where there is none.

    A training counts also where its result does not serve: what was tried is not asked for again at once.
    """
    ends = [store.read_or_empty(table, key)["fitted_through"] for table in (REGISTRY, VERSIONS)]
    trained = pd.concat(ends).max()
    return None if pd.isna(trained) else pd.Timestamp(trained)


def stored_standing(store: ParquetStore, key: SliceKey, settings: DriftSettings) -> Standing:
    """Return where a slice stands by what is stored."""
    return standing_of(
        store.read_or_empty(DRIFT, key),
        store.read_or_empty(ACCURACY, key),
        last_retrained=last_retrained(store, key),
        settings=settings,
    )


@dataclass
class Decisions:
    """Decides for many slices, again and again: a slice none of whose files has changed is not read a second time.

    What is kept is lost with the process, and costs nothing but reading then.
    """

    _known: dict[SliceKey, tuple[Stamps, DriftSettings, RetrainDecision]] = field(default_factory=dict)

    def of(self, store: ParquetStore, key: SliceKey, settings: DriftSettings) -> RetrainDecision:
        """Return what the policy decides for a slice."""
        stamps = tuple(store.stamp(table, key) for table in _READ)
        known = self._known.get(key)
        if known is not None and known[:2] == (stamps, settings):
            return known[2]
        decision = decision_of(
            _columns_of(store, DRIFT, key, _OF_REPORTS),
            _columns_of(store, ACCURACY, key, _OF_SCORES),
            last_retrained=last_retrained(store, key),
            settings=settings,
        )
        self._known[key] = (stamps, settings, decision)
        return decision


def _columns_of(store: ParquetStore, table: Table, key: SliceKey, columns: tuple[str, ...]) -> pd.DataFrame:
    if not store.exists(table, key):
        return store.read_or_empty(table, key)[list(columns)]
    return store.read(table, key, columns=list(columns))
