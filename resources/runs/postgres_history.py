"""Dagster's storage on Postgres, whose runs belong to processes as those on SQLite do.

``deploy/dagster.postgres.yaml`` names it. The marks of processes lie in the state folder all the same, where every
process that works on the home sees them. A launcher that starts runs on other machines has a health check of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import StringSource
from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage

from resources.runs.owned_runs import OwnedRuns
from resources.runs.process_marks import ProcessMarks

if TYPE_CHECKING:
    from resources.runs.dagster_private import ConfigurableClassData


class OwnedPostgresRunStorage(OwnedRuns, PostgresRunStorage):
    """Keeps Dagster's runs in Postgres, each tagged with the mark of its process."""


class PostgresHistory(DagsterPostgresStorage):
    """Keeps runs, events and schedules in one Postgres database.

    Parameters
    ----------
    postgres_url : such as ``postgresql+psycopg2://user:password@127.0.0.1:5432/dagster``, from the environment.
    base_dir : the state folder, for the marks of processes.
    """

    def __init__(self, postgres_url: str, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = OwnedPostgresRunStorage(postgres_url)
        self._run_storage.marks = ProcessMarks(Path(base_dir) / "processes")
        self._run_storage.marks.own()  # so that a restore sees that the history is open

    @classmethod
    def config_type(cls) -> Any:
        """Return what ``dagster.yaml`` configures."""
        return {"postgres_url": StringSource, "base_dir": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> PostgresHistory:
        """Return the history as ``dagster.yaml`` configures it."""
        return cls(inst_data=inst_data, **config_value)
