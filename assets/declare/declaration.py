"""How an asset is declared here: its tables, what it reads, and one thin function.

``@table_asset`` turns a function into a declaration. ``materialization.py`` turns the declaration into a
Dagster asset once the universe is known. What the tables hold is not decided here.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import dagster as dg
import pandas as pd

from assets.automation import ConditionName
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import StorageError
from trading_dag.models.deep.torch_library import why_deep_models_are_off
from trading_dag.quality import Rule, rules_of
from trading_dag.schemas import OPTION_CHAIN, SliceKind, Table
from trading_dag.sessions import last_closed_session
from trading_dag.settings import Settings
from trading_dag.slices import Horizon, horizon_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What is worked on together. ``all_slices``: an unpartitioned asset that reads other assets' slices, so it comes last.
Stage = SliceKind | Literal["all_slices", "during_session"]
TimeColumn = str | Callable[[pd.DataFrame], pd.Series]
Describe = Callable[["Slice", pd.DataFrame], dict[str, Any]]
# Says in the tags of a run that it is to search hyperparameters within its budget, not only to read what was found.
TUNING_TAG: Final = {"trading_dag/tuning": "yes"}
# The name under which the state of the source is recorded beside the inputs.
SOURCE_STATE: Final = "source_state"
LOOKAHEAD_RULE: Final = Rule(
    name="no_lookahead",
    description="Cutting or perturbing the input after a session changes no row at or before it.",
)


@dataclass(frozen=True)
class LateValues:
    """Names columns of numbers that become known later than their row.

    Attributes
    ----------
    columns : their names.
    known_at : given the input, when each row's values of these columns were known.
    """

    columns: tuple[str, ...]
    known_at: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Slice:
    """Says where an asset function stands: its slice, the settings, the source, the store, and the time.

    Attributes
    ----------
    as_of : the last session that had closed when the computation began. Read once, so that the function and each
        recomputation by the look-ahead prober agree; what is computed here knows no other clock.
    is_tuning : whether the run was started to search hyperparameters, by a job or a schedule that says so in a tag.
    running : the session that is under way, where a function is asked about it; its prices are no outcomes.
    is_forced : whether everything is to be computed again, also what is stored and unchanged.
    """

    key: SliceKey
    settings: Settings
    source: Any
    store: ParquetStore
    as_of: pd.Timestamp = field(default_factory=last_closed_session)
    is_tuning: bool = False
    running: pd.Timestamp | None = None
    is_forced: bool = False

    @property
    def ticker(self) -> str:
        """Return the ticker of the slice."""
        if self.key.ticker is None:
            raise StorageError("an unpartitioned asset has no ticker")
        return self.key.ticker

    @property
    def horizon(self) -> Horizon:
        """Return the horizon of the slice."""
        if self.key.horizon is None:
            raise StorageError(f"{self.key} has no horizon")
        return horizon_of(self.key.horizon)


@dataclass(frozen=True)
class Read:
    """Describes one input: a table (all of it, or some columns), or a model by name.

    Attributes
    ----------
    same_source_as : name of another input; where the two come from different sources, this one is
        read as empty, so that a run on one source never mixes in rows of another.
    of_benchmarks : whether the table is read for the named benchmarks, in one frame, not for the slice's own ticker.
        A benchmark that is not stored, or comes from another source than the settings name, is left out.
    of_all_slices : whether every stored slice of the table is read, in one frame, active or not: what was tried once
        counts, also where it was left out later. Those of another source than the settings name are left out.
    passes_on_empty : whether what reads the input is stale with it also where its stored slice has no rows. Without it,
        computing an empty table again changes nothing for its readers; rows that it has got since are found by their
        content, in the next run at the latest.
    """

    table: Table | None = None
    columns: tuple[str, ...] = ()
    model: str | None = None
    same_source_as: str | None = None
    of_benchmarks: bool = False
    of_all_slices: bool = False
    passes_on_empty: bool = True

    @property
    def is_chain(self) -> bool:
        """Return whether the input is the handle on a ticker's stored option chains, which is no frame."""
        return self.table is OPTION_CHAIN

    @property
    def asset_key(self) -> dg.AssetKey:
        """Return the key of the upstream asset."""
        if self.table is not None:
            return dg.AssetKey([self.table.group, self.table.name])
        return dg.AssetKey(["models", self.model or ""])


@dataclass(frozen=True)
class Result:
    """Holds what an asset function may return instead of a bare frame.

    Attributes
    ----------
    frames : by table name.
    metadata : for the UI.
    source_off : why there are no rows.
    draw : draws the pictures by name. It is called once a version: where the stored materialization shows the same
        contents of inputs and result, its pictures are carried over.
    is_drawn_monthly : whether new sessions count as the same contents until their month is over: a picture of years of
        forecasts looks the same with a session more.
    """

    frames: dict[str, pd.DataFrame]
    metadata: dict[str, Any] = field(default_factory=dict)
    source_off: str | None = None
    draw: "Callable[[], Mapping[str, Figure]] | None" = None
    is_drawn_monthly: bool = False


@dataclass(frozen=True)
class CrossRule:
    """States a rule between what an asset read and what it made, beside the rules that its table's schema generates.

    Attributes
    ----------
    table : the table whose check it is.
    rule : name, sentence and severity.
    objection : given the slice, the result and the inputs by name, what breaks the rule; None where it holds.
    """

    table: Table
    rule: Rule
    objection: Callable[[Slice, Result, Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Fetch:
    """Says how a table is fetched from a source. Its slice stays locked from read to write, and never counts as stale.

    Attributes
    ----------
    is_optional : whether downstream assets go on with the stored slice when a fetch fails.
    state_of : given the source, returns what a fetch would find, without fetching. It is recorded with the slice, and
        the command line does not fetch a slice whose record says the same. None where only a fetch can tell.
    """

    is_optional: bool = False
    state_of: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Probe:
    """Says what the look-ahead prober cuts and perturbs; inputs that are not named stay as they are.

    Attributes
    ----------
    times : time column of each input that is probed, or a function that says when each of its rows was known.
    late_values : columns of a probed input that become known later than their row, and when.
    outcomes : columns of the result that say what happened later, as forecasts carry them; they are not compared.
    part : what is recomputed in place of the whole asset, given the slice and the probed inputs; None for all of it.
        Rows of stored models, whose fits the prober cannot repeat, are left to the checks of their table.
    rows_of_part : given rows of the whole asset, returns those that the part makes.
    """

    times: Mapping[str, TimeColumn]
    late_values: Mapping[str, LateValues] = field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    part: Callable[..., pd.DataFrame] | None = None
    rows_of_part: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda rows: rows)


@dataclass(frozen=True)
class Forecasts:
    """Says how the versions of a model forecast, so that two of them can be held against each other.

    Attributes
    ----------
    task : of evaluation.metrics; it names the served model and the score.
    table : where the forecasts of the version that serves are stored.
    make : given a fitted model, the inputs by parameter name, the horizon and the settings, returns rows of that table.
    model : whose rows of the table are compared; None for the served model of the task.
    metric : the loss by which they are, smaller is better; None for the task's own.
    also : what the same model forecasts besides. A new version has to be no worse in each of them.
    """

    task: str
    table: Table
    make: Callable[[Any, Mapping[str, Any], Horizon, Settings], pd.DataFrame]
    model: str | None = None
    metric: str | None = None
    also: tuple[Self, ...] = ()


@dataclass(frozen=True)
class Declaration:
    """Describes an asset (or several that one computation makes) before the universe is known."""

    function: Callable[..., Any]
    name: str
    group: str
    slice: SliceKind
    tables: tuple[Table, ...]
    reads: Mapping[str, Read]
    code_version: str
    kinds: frozenset[str]
    automation: ConditionName
    uses: tuple[str, ...]
    fetch: Fetch | None = None
    probe: Probe | None = None
    cross_rules: tuple[CrossRule, ...] = ()
    describe: Describe | None = None
    forecasts: Forecasts | None = None
    refits_only: bool = False
    during_session: bool = False

    def fingerprint(self, settings: Settings) -> dict[str, str]:
        """Return the code version and a digest of the settings that are used: with the inputs, they decide what is
        stale."""
        values = settings.model_dump(mode="json", include={name.partition(".")[0] for name in self.uses})
        used: dict[str, Any] = {name: reduce(getitem, name.split("."), values) for name in self.uses}
        if "deep" in self.uses:  # what was switched off for want of torch is made once it is there
            used["torch"] = why_deep_models_are_off() is None
        digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
        return {"code_version": self.code_version, "settings": digest}

    def version(self, settings: Settings) -> str:
        """Return the fingerprint as Dagster's code version: ``4``, or ``4+1a2b3c4d`` where settings count."""
        fingerprint = self.fingerprint(settings)
        return f"{self.code_version}+{fingerprint['settings'][:8]}" if self.uses else self.code_version

    @property
    def asset_keys(self) -> tuple[dg.AssetKey, ...]:
        """Return the keys of the assets that this declaration makes."""
        if not self.tables:
            return (dg.AssetKey([self.group, self.name]),)
        return tuple(dg.AssetKey([table.group, table.name]) for table in self.tables)

    @property
    def stage(self) -> Stage:
        """Return what the declaration is worked on with: the slices of its kind, all slices once they are there, or
        what is about a session under way."""
        if self.during_session:
            return "during_session"
        return "all_slices" if any(read.of_all_slices for read in self.reads.values()) else self.slice

    @property
    def is_model(self) -> bool:
        """Return whether the declaration makes a fitted model and no table."""
        return not self.tables

    @property
    def is_fetched(self) -> bool:
        """Return whether the rows come from a source."""
        return self.fetch is not None

    @property
    def builds_on_what_is_stored(self) -> bool:
        """Return whether its slices stay locked from the reading of what is stored to the write."""
        return self.is_fetched or any(table.is_append_only for table in self.tables)

    @property
    def is_optional(self) -> bool:
        """Return whether downstream assets go on with the stored slice when a fetch fails."""
        return self.fetch is not None and self.fetch.is_optional

    @property
    def state_of(self) -> Callable[[Any], str] | None:
        """Return the function that asks a source what a fetch would find, without fetching; None where only a fetch can
        tell."""
        return self.fetch.state_of if self.fetch else None

    def checks(self, table: Table) -> dict[str, tuple[Rule, ...]]:
        """Return the asset checks of one of its tables by name, each with the rules that it reports."""
        own = tuple(entry.rule for entry in self.cross_rules if entry.table is table)
        return checks_of(table, (*((LOOKAHEAD_RULE,) if self.probe else ()), *own))


def checks_of(table: Table, further: tuple[Rule, ...] = ()) -> dict[str, tuple[Rule, ...]]:
    """Return the asset checks of a table by name, each with the rules that it reports."""
    checks: dict[str, tuple[Rule, ...]] = {}
    for rule in (*rules_of(table), *further):
        checks[rule.check_name] = (*checks.get(rule.check_name, ()), rule)
    return checks


def table_asset(
    *tables: Table,
    code_version: str,
    reads: Mapping[str, Table | Read] | None = None,
    kinds: Set[str] = frozenset({"pandas", "parquet"}),
    automation: ConditionName | None = None,
    fetch: Fetch | None = None,
    probe: Probe | None = None,
    uses: tuple[str, ...] = (),
    cross_rules: tuple[CrossRule, ...] = (),
    describe: Describe | None = None,
    refits_only: bool = False,
    during_session: bool = False,
) -> Callable[[Callable[..., Any]], Declaration]:
    """Return the decorator that declares the asset of one table, or of several that one computation makes.

    Parameters
    ----------
    tables : what the function returns: one frame, or a ``Result`` with a frame for each.
    code_version, kinds : as ``dg.asset`` takes them.
    reads : inputs by parameter name.
    automation : name of a condition of ``assets.automation``. By default, a computed table is requested
        after its inputs change (``eager``), and a fetched one when a schedule or a person asks for it (``none``).
    fetch : how rows are fetched; None for a table that is computed from others.
    probe : what the look-ahead prober cuts and perturbs; None for a table that is not probed.
    uses : groups of settings whose change makes a stored slice stale; a nested group is named ``training.NAME``.
    cross_rules : rules between inputs and results, reported as checks of the tables they name.
    describe : makes metadata for the UI from the first table, before it is stored. The look-ahead prober calls the
        asset function many times, so a probed function returns a bare frame and leaves its pictures to ``describe``.
    refits_only : whether new data make it stale only where models are fitted again, as they do a model.
    during_session : whether it is about a session under way. Only a request makes it; no command brings it up to date.
    """
    first = tables[0]

    def declare(function: Callable[..., Any]) -> Declaration:
        name = getattr(function, "__name__", first.name)
        return Declaration(
            function=function,
            name=first.name if len(tables) == 1 else name,
            group=first.group,
            slice=first.slice,
            tables=tables,
            reads=_as_reads(reads or {}),
            code_version=code_version,
            kinds=frozenset(kinds),
            automation=automation or ("none" if fetch or during_session else "eager"),
            uses=uses,
            fetch=fetch,
            probe=probe,
            cross_rules=cross_rules,
            describe=describe,
            refits_only=refits_only,
            during_session=during_session,
        )

    return declare


def model_asset(
    *,
    reads: Mapping[str, Table | Read],
    code_version: str,
    kinds: Set[str],
    uses: tuple[str, ...],
    forecasts: Forecasts | None = None,
    slicing: SliceKind = "ticker_horizon",
) -> Callable[[Callable[..., Any]], Declaration]:
    """Return the decorator that declares a fitted model per ticker and horizon, or per ticker; the decorated function
    returns the model.

    New data does not refit it: only a missing model, a request (``train``, drift) or a person does.

    Parameters
    ----------
    reads, code_version, kinds, uses : as ``table_asset`` takes them.
    forecasts : how a version forecasts. With it a new version serves only where it is no worse than the one that does;
        without it every new version serves, and the record says that nothing was compared.
    """

    def declare(function: Callable[..., Any]) -> Declaration:
        return Declaration(
            function=function,
            name=getattr(function, "__name__", ""),
            group="models",
            slice=slicing,
            tables=(),
            reads=_as_reads(reads),
            code_version=code_version,
            kinds=frozenset(kinds),
            automation="on_missing",
            uses=uses,
            forecasts=forecasts,
            refits_only=True,
        )

    return declare


def _as_reads(inputs: Mapping[str, Table | Read]) -> dict[str, Read]:
    return {name: read if isinstance(read, Read) else Read(read) for name, read in inputs.items()}
