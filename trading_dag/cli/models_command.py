"""``trading-dag models``: which versions of a model are stored, which one serves and why, and who else shall.

What a person decides here is recorded beside the versions, with time and reason. What reads the model follows with the
next ``run``, which the answer names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trading_dag.cli.arguments import AsJson, Horizons, Tickers
from trading_dag.cli.context import CommandContext
from trading_dag.cli.dagster_instance import opened_instance
from trading_dag.cli.exits import WORK_FAILED
from trading_dag.cli.printing import print_json
from trading_dag.errors import ConfigurationError, SliceBusyError, StorageError, UnknownModelError, UnknownVersionError

if TYPE_CHECKING:
    import pandas as pd

    from assets.declare.declaration import Declaration
    from resources.storage.models.store import ModelStore
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.validation.gates.champion import Comparison

models = typer.Typer(
    name="models",
    help="Versions of the fitted models: list them, compare two, and say which one serves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
LONGEST_REASON: Final = 300
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A family of models, such as volatility_forecaster.")]
Ticker = Annotated[str, typer.Argument(metavar="TICKER", help="Whose model, such as SPY.")]
OneHorizon = Annotated[str, typer.Argument(metavar="HORIZON", help="One of 12h, 24h, 48h, 72h, 96h, 168h.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one line; it is kept for good.")]


@models.command("list")
def list_versions(
    model: Annotated[str, typer.Argument(metavar="[MODEL]", help="A family of models. Default: all.")] = "",
    tickers: Tickers = "",
    horizons: Horizons = "",
    as_json: AsJson = False,
) -> None:
    """List the stored versions with their data window, which one serves, and what was decided when each was fitted."""
    from resources.storage.models.serving import version_records
    from trading_dag.models.learning.versions import versions_table
    from trading_dag.reporting import tables

    context = CommandContext("", tickers, horizons)
    store = _store(context)
    families = [_declaration(model)] if model else _families()
    records = [
        record
        for family in families
        for ticker in context.tickers
        for horizon in (("",) if family.slice == "ticker" else context.horizons)
        for record in version_records(store, family.name, ticker=ticker, horizon=horizon)
    ]
    frame = versions_table(records)
    if as_json:
        print_json(tables.records(frame))
    elif records:
        context.console.print(tables.versions_table(frame))
        context.console.print("Why each was decided, in words: --json, or models.versions")
    else:
        context.console.print("No version is stored for these slices yet: trading-dag train fits one.")
    if not records:
        raise typer.Exit(WORK_FAILED)


@models.command()
def compare(
    model: Model,
    ticker: Ticker,
    horizon: OneHorizon,
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Default: the newest.")] = "",
    other: Annotated[str, typer.Argument(metavar="[OTHER]", help="Default: the one that serves.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare two versions on the sessions that the folds of both forecast out of sample, from the data of today.

    Nothing is stored. The gain is positive where VERSION is better than OTHER.
    """
    place = _Place(model, ticker, horizon)
    chosen = place.version(version) if version else place.versions[-1]
    against = place.version(other) if other else place.serving
    comparison = place.compare(against, chosen)
    if as_json:
        print_json({**place.named, "version": chosen, "other": against, **asdict(comparison)})
    else:
        place.context.console.print(f"{chosen} against {against}: {comparison}")


@models.command()
def promote(
    model: Model,
    ticker: Ticker,
    horizon: OneHorizon,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version, or the 8 digits it ends with.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let a stored version serve, whatever it scored. The next new version is held against it."""
    place = _Place(model, ticker, horizon)
    place.let_serve(place.version(version), reason=_checked(reason), event="promoted", as_json=as_json)


@models.command()
def rollback(model: Model, ticker: Ticker, horizon: OneHorizon, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let the version serve again that did before the present one."""
    from resources.storage.models.serving import version_before

    place = _Place(model, ticker, horizon)
    target = version_before(place.store, place.name, ticker=place.ticker, horizon=place.horizon)
    if target is None:
        raise UnknownVersionError(f"{place}: no other version served before {place.serving}, or none is still stored")
    place.let_serve(target, reason=_checked(reason), event="rolled_back", as_json=as_json)


@models.command()
def card(
    model: Model,
    ticker: Ticker,
    horizon: OneHorizon,
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Default: the one that serves.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the card of a model in Markdown: what it is, what it has learnt from, its scores beside each baseline, and
    how to make it again."""
    place = _Place(model, ticker, horizon)
    text = place.card(place.version(version) if version else place.serving)
    if as_json:
        print_json({**place.named, "card": text})
    else:
        typer.echo(text, nl=False)


class _Place:
    """One model of one ticker and horizon, with its stored versions."""

    def __init__(self, model: str, ticker: str, horizon: str) -> None:
        self.declaration = _declaration(model)
        self.context = CommandContext("", ticker, horizon)
        if len(self.context.tickers) != 1 or len(self.context.horizons) != 1:
            raise ConfigurationError("one ticker and one horizon are needed, such as SPY 24h")
        self.name, self.ticker = self.declaration.name, self.context.tickers[0]
        # A family of a ticker has one model for all horizons.
        self.horizon = "" if self.declaration.slice == "ticker" else self.context.horizons[0]
        self.store = _store(self.context)
        self.versions = self.store.versions(self.name, ticker=self.ticker, horizon=self.horizon)
        if not self.versions:
            raise UnknownVersionError(f"{self} has no stored version; trading-dag train fits one")

    def __str__(self) -> str:
        return f"{self.name} of {self.ticker} {self.horizon}".strip()

    @property
    def named(self) -> dict[str, str]:
        """Return which model it is, for JSON."""
        return {"family": self.name, "ticker": self.ticker, "horizon": self.horizon}

    @property
    def serving(self) -> str:
        """Return the version that serves."""
        version = self.store.latest_version(self.name, ticker=self.ticker, horizon=self.horizon)
        if version is None:
            raise UnknownVersionError(f"{self}: no version serves; trading-dag models promote names one")
        return version

    def version(self, text: str) -> str:
        """Return the stored version of a name, or the newest that ends with the 8 digits.

        Raises
        ------
        UnknownVersionError : where none has it.
        """
        found = [version for version in self.versions if text in (version, version[-8:])]
        if not found:
            raise UnknownVersionError(f"{self} has no version {text!r}; trading-dag models list {self.name} shows them")
        return found[-1]

    def load(self, version: str) -> FittedModel:
        """Return a version, checked file by file."""
        return self.store.load(self.name, ticker=self.ticker, horizon=self.horizon, version=version)

    def compare(self, champion: str, challenger: str) -> Comparison:
        """Return how two versions did on common sessions."""
        from assets.declare.succession import compared
        from resources.storage.parquet_store import ParquetStore
        from trading_dag.slices import horizon_of

        forecasts = self.declaration.forecasts
        if forecasts is None:
            raise ConfigurationError(f"how versions of {self.name} are compared is not declared")
        horizon = horizon_of(self.horizon)
        inputs = _StoredInputs(self.declaration, ParquetStore(self.context.settings.home), self.ticker, self.horizon)
        made = []
        for version in (champion, challenger):
            fitted = self.load(version)
            if fitted.inputs.get("code_version") not in (self.declaration.code_version, None):
                raise StorageError(
                    f"{self}: {version} was fitted by another definition of the model (code version "
                    f"{fitted.inputs['code_version']}, now {self.declaration.code_version}) and cannot be compared"
                )
            made.append((fitted, forecasts.make(fitted, inputs, horizon, self.context.settings)))
        return compared(forecasts, *made, horizon=horizon, settings=self.context.settings.bootstrap)

    def card(self, version: str) -> str:
        """Return the card of a version; with scores for the one that serves, whose forecasts are stored."""
        from resources.storage.models.serving import history_of
        from resources.storage.parquet_store import ParquetStore, SliceKey
        from trading_dag.reporting.model_card import model_card
        from trading_dag.schemas import METRICS
        from trading_dag.validation.scores.tasks import task_of

        scores = ParquetStore(self.context.settings.home).read_or_empty(METRICS, SliceKey(self.ticker, self.horizon))
        forecasts = self.declaration.forecasts
        return model_card(
            self.load(version),
            version=version,
            events=history_of(self.store, self.name, ticker=self.ticker, horizon=self.horizon),
            task=None if forecasts is None else task_of(forecasts.task),
            scores=scores if version == self.serving else None,
        )

    def let_serve(self, version: str, *, reason: str, event: Any, as_json: bool) -> None:
        """Point to a version and record it, while nobody works on the slice."""
        from resources.storage.parquet_store import SliceKey

        before = self.store.version_in_use(self.name, ticker=self.ticker, horizon=self.horizon)
        if version == before:
            raise ConfigurationError(f"{self}: {version} serves already")
        key = SliceKey(self.ticker, self.horizon or None)
        with _nobody_working(self.context, key):
            self.store.promote(
                self.name, ticker=self.ticker, horizon=self.horizon, version=version, reason=reason, event=event
            )
        following = f"trading-dag run --tickers {self.ticker}" + (f" --horizons {self.horizon}" if self.horizon else "")
        if as_json:
            print_json({**self.named, "event": event, "serves": version, "served_before": before, "reason": reason,
                        "next": following})  # fmt: skip
        else:
            self.context.console.print(f"{self}: {version} serves now; before it was {before}.")
            self.context.console.print(f"Forecasts and signals still are the other version's. Next: {following}")


class _StoredInputs(dict[str, "pd.DataFrame"]):
    """The inputs of a model by parameter name; each is read when it is asked for, and what is not needed never is."""

    def __init__(self, declaration: Declaration, store: ParquetStore, ticker: str, horizon: str) -> None:
        super().__init__()
        self.reads, self.store, self.ticker, self.horizon = declaration.reads, store, ticker, horizon

    def __missing__(self, name: str) -> pd.DataFrame:
        from resources.storage.parquet_store import SliceKey

        read = self.reads[name]
        if read.table is None:
            raise ConfigurationError(f"{name} is a model and no table")
        key = SliceKey(self.ticker, self.horizon).of_table(read.table)
        self[name] = self.store.read(read.table, key, columns=read.columns or None)
        return self[name]


@contextmanager
def _nobody_working(context: CommandContext, key: SliceKey) -> Iterator[None]:
    """Hold the slice: no command, and no run of the automation, works on it.

    Raises
    ------
    SliceBusyError : where one does.
    """
    from filelock import FileLock, Timeout

    from assets.partitions import partition_key
    from assets.run.claims import bury_dead_runs, claim, refuse_if_busy
    from resources.storage.slices.lock import lock_file

    with claim(context.state, context.tickers), opened_instance(context) as instance:
        bury_dead_runs(instance)
        refuse_if_busy(instance, [key])
        path = lock_file(context.state, str(partition_key(key)))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path, timeout=0):
                yield
        except Timeout:
            raise SliceBusyError(f"a run is working on {partition_key(key)}; wait for it, or end it") from None


def _checked(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > LONGEST_REASON or not text.isprintable():
        raise ConfigurationError(f"--reason is needed: why, in one line of at most {LONGEST_REASON} characters")
    return text


def _families() -> list[Declaration]:
    from assets.catalog import DECLARATIONS

    return [declaration for declaration in DECLARATIONS if declaration.is_model]


def _declaration(model: str) -> Declaration:
    families = {declaration.name: declaration for declaration in _families()}
    if model not in families:
        raise UnknownModelError(f"{model!r} is no model; choose from {', '.join(families)}")
    return families[model]


def _store(context: CommandContext) -> ModelStore:
    from resources.storage.models.store import ModelStore

    return ModelStore(context.settings.home / "models")
