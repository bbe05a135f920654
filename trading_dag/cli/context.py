"""What one command works with: its settings, the console, the warehouse and the Dagster home. No command stands
here."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from assets.run.log_output import log_to_stderr
from resources.storage.objects.marker import attach
from trading_dag.errors import ConfigurationError
from trading_dag.reporting.visible_text import visible
from trading_dag.settings import ENVIRONMENT_FILE_ENCODING, Settings, unknown_variables

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from resources.storage.parquet_store import SliceKey
    from resources.storage.warehouse import Warehouse

CHECKOUT: Final = Path(__file__).resolve().parents[2]
DAGSTER_CONFIGURATION: Final = "dagster.yaml"
PLAIN_WIDTH: Final = 180  # of what is not shown on a terminal
WIDEST: Final = 10_000


class CommandContext:
    """Holds the settings of one command and what it needs to work: console, warehouse, Dagster instance."""

    def __init__(
        self, source: str = "", tickers: str = "", horizons: str = "", *, given: Mapping[str, Any] | None = None
    ) -> None:
        of_source = {"source": source} if source else {}
        self.settings = _with_folder(read_settings({**of_source, **(given or {})}))
        _warn_of_typos()
        if self.settings.log_level is not None:
            log_to_stderr(self.settings.log_level)
        self.tickers, self.horizons = self.settings.select(_names(tickers), _names(horizons))
        _finish_restore(self.settings.home)
        attach(self.settings.home, self.settings.data_url)
        self.state = self.settings.home / ".dagster"
        self.state.mkdir(parents=True, exist_ok=True)
        self._configure_dagster()

    def _configure_dagster(self) -> None:
        """Copy the configuration into the state folder, which is Dagster's home and where Dagster may write freely."""
        given = configuration_folder(self.settings) / DAGSTER_CONFIGURATION
        own = self.state / DAGSTER_CONFIGURATION
        if not own.is_file() or own.read_bytes() != given.read_bytes():
            new = own.with_name(f".{own.name}.{os.getpid()}")
            new.write_bytes(given.read_bytes())
            new.replace(own)
        os.environ["TRADING_DAG_STATE"] = os.environ["DAGSTER_HOME"] = str(self.state)
        os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"  # the web server makes folders for it even where it is off
        # No process that this one starts takes a module from the current folder: a file gql.py there is a user's own.
        os.environ["PYTHONSAFEPATH"] = "1"

    @property
    def console(self) -> Console:
        """Return the console for progress and tables; with ``-q`` it prints nothing."""
        return self._console(is_quiet=self.is_quiet)

    @property
    def failure_console(self) -> Console:
        """Return the console for what went wrong, which prints with ``-q`` too."""
        return self._console(is_quiet=False)

    @property
    def is_quiet(self) -> bool:
        """Return whether only failures and JSON are to be printed."""
        return self.settings.log_level == "error"

    def _console(self, *, is_quiet: bool) -> Console:
        from trading_dag.cli.plain_console import PlainConsole

        columns = os.environ.get("COLUMNS", "")
        width = None if sys.stdout.isatty() else max(int(columns) if columns.isdecimal() else PLAIN_WIDTH, 80)
        return PlainConsole(width=min(width, WIDEST) if width else None, highlight=False, quiet=is_quiet)

    @property
    def warehouse(self) -> Warehouse:
        """Return the warehouse, for SQL over what is stored."""
        from resources.storage.parquet_store import ParquetStore
        from resources.storage.warehouse import Warehouse

        return Warehouse(ParquetStore(self.settings.home))

    @property
    def research_slices(self) -> list[SliceKey]:
        """Return the slices of the chosen tickers and horizons."""
        from resources.storage.parquet_store import SliceKey

        return [SliceKey(ticker, horizon) for ticker in self.tickers for horizon in self.horizons]

    def query(self, sql: str) -> pd.DataFrame:
        """Return the rows of a report's SQL for the chosen tickers and horizons."""
        chosen = [list(self.tickers), list(self.horizons)]
        return self.warehouse.query(sql, chosen, keys=self.research_slices)  # type: ignore[arg-type]


def _finish_restore(home: Path) -> None:
    """Finish a restore whose process was killed, before anything is read."""
    if any(home.glob(".restore-*")):
        from resources.backup.restore import finish_restore

        finish_restore(home)


def _with_folder(settings: Settings) -> Settings:
    """Return the settings with the tickers of the folder, if there is one."""
    if settings.source != "files":
        return settings
    from resources.sources.files.folder import with_tickers_of_folder

    return with_tickers_of_folder(settings)


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings from the environment and ``.env``; what the command line gives takes precedence.

    Raises
    ------
    ConfigurationError : for an ``.env`` that is no text, or a value that should be JSON and is not.
    ValidationError : for a value that a setting does not accept.
    """
    from pydantic_settings import SettingsError

    try:
        return Settings(**given)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{Path('.env').absolute()} is no UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"TRADING_DAG_{named[1].upper()}" if named else "a setting"
        raise ConfigurationError(f"{name} is no JSON ({error.__cause__}); .env.example shows its form") from None
    except RecursionError:
        raise ConfigurationError("a setting that is JSON is nested too deep to be read") from None


def _warn_of_typos() -> None:
    """Warn of misspelt variables, which would silently mean the default, such as the sample instead of live data."""
    from difflib import get_close_matches

    from dotenv import dotenv_values

    known = [f"TRADING_DAG_{name.upper()}" for name in Settings.model_fields]
    for name in unknown_variables({**dotenv_values(".env", encoding=ENVIRONMENT_FILE_ENCODING), **os.environ}):
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        typer.echo(visible(f"warning: {name} is no setting and changes nothing{hint}"), err=True)


def configuration_folder(settings: Settings) -> Path:
    """Return the folder that holds ``dagster.yaml``: the home itself, or the checkout.

    Raises
    ------
    ConfigurationError : where neither has one.
    """
    for folder in (settings.home, CHECKOUT):
        if (folder / DAGSTER_CONFIGURATION).is_file():
            return folder
    raise ConfigurationError(f"no dagster.yaml in {settings.home} or {CHECKOUT}; work from a checkout of the project")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
