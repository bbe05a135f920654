"""Dagster's instance of the home, opened for one command, with errors that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trading_dag.cli.context import DAGSTER_CONFIGURATION, CommandContext, configuration_folder
from trading_dag.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    import dagster as dg


@contextmanager
def run_history(context: CommandContext) -> Iterator[None]:
    """Turn errors of Dagster's SQLite files, whose disk can be full, read-only or damaged, into an error of the
    project."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise StorageError(
            f"the run history in {context.state} cannot be read or written: {error.orig}. It holds no data: where it "
            "is damaged, move the folder away and run the same command again"
        ) from error


@contextmanager
def opened_instance(context: CommandContext) -> Iterator[dg.DagsterInstance]:
    """Yield the Dagster instance of the home.

    Raises
    ------
    ConfigurationError : where ``dagster.yaml`` cannot be read, or does not say what Dagster expects.
    StorageError : where the run history cannot be read or written.
    """
    import dagster as dg
    from yaml import YAMLError

    from resources.runs.dagster_private import CheckError

    with run_history(context):
        try:
            instance = dg.DagsterInstance.get()
            _ = instance.run_launcher, instance.run_coordinator  # made when they are first asked for
        except (dg.DagsterError, CheckError, YAMLError, UnicodeDecodeError) as error:
            given = configuration_folder(context.settings) / DAGSTER_CONFIGURATION
            raise ConfigurationError(f"{given} is not what Dagster expects: {' '.join(str(error).split())}") from error
        with instance:
            yield instance
