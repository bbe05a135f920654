"""What a deployment gives its assets: a typed Dagster resource for each thing, whose configuration the UI shows.

The settings are the one place where it is configured. What stands here repeats of them what a reader of the UI wants to
know (where data lives, who is asked), never a key, and a run that was launched with something else there is refused:
half of a graph on another home or source would be worse than an error. Each hands over what it always was (a store, a
source), so a test replaces one by name with an object of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from resources.io_managers.tables import ModelIOManager, ParquetIOManager
from resources.storage.parquet_store import ParquetStore
from resources.storage.slices.lock import held_slice
from trading_dag.errors import ConfigurationError
from trading_dag.settings import ChainVendorName, Settings, SourceName

_HOME: Any = Field(description="TRADING_DAG_HOME: where data/, models/ and warehouse.duckdb live")


class DeploymentSettings(dg.ConfigurableResource[Settings]):
    """Every setting of the project, frozen, from the environment or `.env`; of them these are shown."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME
    source: SourceName = Field(description="TRADING_DAG_SOURCE: which source gives raw data")
    tickers: list[str] = Field(description="what commands, schedules and automation work on")
    horizons: list[str] = Field(description="TRADING_DAG_HORIZONS: how far ahead is forecast")

    def create_resource(self, context: dg.InitResourceContext) -> Settings:
        """Returns the settings, as whoever built the definitions has read them."""
        _refuse_changes(self, self.settings)
        return self.settings


class SliceStore(dg.ConfigurableResource[ParquetStore]):
    """Every table as Parquet slices below `home`/data; a reader sees the old slice or the new one."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME

    def create_resource(self, context: dg.InitResourceContext) -> ParquetStore:
        """Returns the store."""
        _refuse_changes(self, self.settings)
        return ParquetStore(self.settings.home)


class MarketSource(dg.ConfigurableResource[Any]):
    """Where raw data comes from. No other source takes its place where it fails; keys come from the environment."""

    settings: dg.ResourceDependency[Settings]
    source: SourceName = Field(description="TRADING_DAG_SOURCE: sample, files, live or simulated")
    chain_vendor: ChainVendorName = Field(description="TRADING_DAG_CHAIN_VENDOR: whom the live source asks for chains")
    files: str | None = Field(description="TRADING_DAG_FILES: the folder of the files source")

    def create_resource(self, context: dg.InitResourceContext) -> Any:
        """Returns the source, which has asked nobody yet."""
        from resources.sources.choose import build_source

        _refuse_changes(self, self.settings)
        return build_source(self.settings)


class TableSlices(dg.ConfigurableIOManagerFactory[ParquetIOManager]):
    """Loads and stores tables, one Parquet file a slice, which is judged before it replaces the last good one."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME

    def create_io_manager(self, context: dg.InitResourceContext) -> ParquetIOManager:
        """Returns the IO manager of one run."""
        _refuse_changes(self, self.settings)
        return ParquetIOManager(ParquetStore(self.settings.home))


class ModelVersions(dg.ConfigurableIOManagerFactory[ModelIOManager]):
    """Loads and stores fitted models below `home`/models, each version once and without pickle."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME

    def create_io_manager(self, context: dg.InitResourceContext) -> ModelIOManager:
        """Returns the IO manager of one run."""
        from resources.storage.models.store import ModelStore

        _refuse_changes(self, self.settings)
        return ModelIOManager(ModelStore(self.settings.home / "models"))


class ChainYears(dg.ConfigurableIOManagerFactory[dg.IOManager]):
    """Loads and stores option chains, one Parquet file a ticker and year."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME
    chain_keep_days: int | None = Field(description="TRADING_DAG_CHAIN_KEEP_DAYS: days for which chains stay stored")

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.IOManager:
        """Returns the IO manager of one run."""
        from resources.io_managers.chains import ChainIOManager

        _refuse_changes(self, self.settings)
        return ChainIOManager(self.settings.home, keep_days=self.settings.chain_keep_days)


class SliceLock(dg.ConfigurableResource[None]):
    """Held by a run for as long as it lasts, so that no other run works on its slice."""

    settings: dg.ResourceDependency[Settings]
    home: str = _HOME

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[None]:
        """Hold the slice of the run."""
        _refuse_changes(self, self.settings)
        yield from held_slice(context, self.settings.home / ".dagster")


def deployed_resources(settings: Settings) -> dict[str, Any]:
    """Returns every resource of the graph by name, each with what it shows of the settings."""
    # A plain resource: where one that has a configuration is nested, Dagster 1.13 warns of a name of its own.
    given = dg.ResourceDefinition.hardcoded_resource(settings, "The settings as they were read, keys and all.")
    kinds: dict[str, type[Any]] = {
        "settings": DeploymentSettings,
        "store": SliceStore,
        "source": MarketSource,
        "parquet_io": TableSlices,
        "model_io": ModelVersions,
        "chain_io": ChainYears,
        "slice_lock": SliceLock,
    }
    return {name: kind(settings=given, **_shown(kind, settings)) for name, kind in kinds.items()}


def _shown(kind: type[Any], settings: Settings) -> dict[str, Any]:
    """What a resource shows of the settings, by the names of its fields."""
    values = {
        **settings.model_dump(mode="json", include={"home", "source", "chain_vendor", "files", "chain_keep_days"}),
        "tickers": list(settings.active_tickers),
        "horizons": list(settings.horizons),
    }
    return {name: values[name] for name in kind.model_fields if name in values}


def _refuse_changes(resource: Any, settings: Settings) -> None:
    for name, value in _shown(type(resource), settings).items():
        asked = getattr(resource, name)
        if asked != value:
            raise ConfigurationError(
                f"the run asks for {name} {asked!r} and this deployment has {value!r}: what resources show is set in "
                "the environment or in .env, not for a single run; change it there and reload the code location"
            )
