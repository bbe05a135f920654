"""What ``doctor`` says: which parts are set up, which are off, which are missing, and what to do about it."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from resources.doctor.stored_state import damaged_slices, strange_files
from resources.sources.choose import build_source
from resources.storage.accepted_bars import AcceptedBars
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.stored_warnings import stored_warnings
from resources.storage.warehouse import Warehouse
from trading_dag.errors import StorageError, TradingDagError
from trading_dag.freshness import data_age
from trading_dag.library_versions import library_version
from trading_dag.models.deep.torch_library import ADD_TORCH, why_deep_models_are_off
from trading_dag.reporting.input_ends import INPUT_ENDS_SQL, input_end_lines, input_ends
from trading_dag.schemas import PRICES_DAILY, TABLES
from trading_dag.settings import Settings

FETCH_INPUTS: Final = "bring that source up to date, then trading-dag refresh"
REMOVE_STRANGERS: Final = "it is read by nothing; move it out of the data folder, or delete it"
State = Literal["ok", "off", "missing", "wrong", "ended", "damaged", "strange", "warned", "open", "stale"]
# States with which ``doctor`` fails.
FAILING: Final = ("missing", "wrong", "damaged")


@dataclass(frozen=True)
class PartStatus:
    """Describes one part of the installation, its state, and what to do about it."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def diagnose_installation(settings: Settings, *, fast: bool = False) -> list[PartStatus]:
    """Look at the interpreter, the libraries, the home, the source and the stored slices. Nothing is changed.

    Parameters
    ----------
    fast : do not read every slice to compare its values with their hash.
    """
    return [
        _python(),
        _libraries(),
        _deep_models(settings),
        _home(settings),
        *_environment_file(),
        *_source(settings),
        *_stored(settings),
        *_slices(settings, fast=fast),
        *_accepted(settings),
    ]


def _python() -> PartStatus:
    return PartStatus("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _libraries() -> PartStatus:
    names = ("dagster", "duckdb", "pandas", "scikit-learn", "xgboost", "TA-Lib", "great-expectations")
    versions = [f"{name} {library_version(name)}" for name in names]
    return PartStatus("libraries", "ok", ", ".join(versions))


def _deep_models(settings: Settings) -> PartStatus:
    if not settings.deep.enabled:
        return PartStatus("deep models", "off", "switched off by TRADING_DAG_DEEP__ENABLED", "")
    if why_deep_models_are_off() is not None:
        return PartStatus("deep models", "off", "torch is not installed; everything else runs without it", ADD_TORCH)
    return PartStatus("deep models", "ok", f"torch {library_version('torch')}")


def _home(settings: Settings) -> PartStatus:
    if not settings.home.is_dir():
        return PartStatus("home", "missing", str(settings.home), "create it or set TRADING_DAG_HOME")
    return PartStatus("home", "ok", str(settings.home))


def _environment_file() -> list[PartStatus]:
    """Return one finding where ``.env``, in which keys may stand, is others' to read or to change, otherwise none."""
    path = Path(".env").absolute()
    if not path.is_file() or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    detail = f"{path}, which may hold keys, can be read or changed by other users of this machine"
    return [PartStatus("settings", "open", detail, f"chmod 600 {path}")]


def _source(settings: Settings) -> list[PartStatus]:
    try:
        statuses = build_source(settings).describe()
    except TradingDagError as error:
        return [PartStatus(f"source {settings.source}", "missing", str(error), "see README, section Your own data")]
    states: dict[str, State] = {"on": "ok", "off": "off", "missing": "missing", "wrong": "wrong"}
    return [
        PartStatus(f"source {settings.source}, {status.kind}", states[status.state], status.detail, status.remedy or "")
        for status in statuses
    ]


def _stored(settings: Settings) -> list[PartStatus]:
    store = ParquetStore(settings.home)
    counts = {table.qualified_name: len(store.slices(table)) for table in TABLES.values()}
    filled = {name: count for name, count in counts.items() if count}
    if not filled:
        return [PartStatus("tables", "off", "nothing is materialized yet", "trading-dag run")]
    path = Warehouse(store).ensure()
    slices = sum(filled.values())
    try:
        ended = [PartStatus("forecast inputs", "ended", line, FETCH_INPUTS) for line in _ended_inputs(settings, store)]
    except StorageError as error:
        ended = [PartStatus("forecast inputs", "damaged", str(error))]
    return [
        PartStatus("tables", "ok", f"{len(filled)} of {len(counts)} tables hold {slices} slices"),
        PartStatus("warehouse", "ok", str(path)),
        *ended,
        *_stale(settings, store),
        *_warned(settings, store),
    ]


def _stale(settings: Settings, store: ParquetStore) -> list[PartStatus]:
    """Return the active tickers whose prices are older than they may be; read from the footers of their files."""
    now, found = pd.Timestamp.now("UTC").to_pydatetime(), []
    for ticker in settings.active_tickers:
        try:
            record = store.provenance(PRICES_DAILY, SliceKey(ticker))
        except StorageError:
            continue  # which is told among the damaged slices
        if record is None or record.last_session is None:
            continue
        age = data_age(pd.Timestamp(record.last_session), now=now, settings=settings.alerts, source=record.source)
        if age.is_stale:
            told = f"raw.prices_daily of {ticker} {age.in_words}"
            found.append(PartStatus("age of data", "stale", told, f"trading-dag refresh --tickers {ticker}"))
    return found


def _warned(settings: Settings, store: ParquetStore) -> list[PartStatus]:
    """Return what the slices of the active universe are warned of, with counts."""
    warnings = stored_warnings(store, tickers=settings.active_tickers, horizons=settings.horizons)
    return [PartStatus("warning", "warned", str(warning)) for warning in warnings]


def _accepted(settings: Settings) -> list[PartStatus]:
    """Return the bars that the user has accepted."""
    accepted = AcceptedBars(ParquetStore(settings.home).data)
    try:
        bars = accepted.all()
    except StorageError as error:
        return [PartStatus("accepted bars", "missing", str(error), f"mend {accepted.path}")]
    return [PartStatus("accepted bar", "ok", f"{bar.ticker} {bar.session}: {bar.reason}") for bar in bars]


def _ended_inputs(settings: Settings, store: ParquetStore) -> list[str]:
    """Return which inputs of the active slices end before their prices, and what that costs."""
    chosen: list[object] = [list(settings.active_tickers), list(settings.horizons)]
    return input_end_lines(input_ends(Warehouse(store).query(INPUT_ENDS_SQL, chosen)))


def _slices(settings: Settings, *, fast: bool) -> list[PartStatus]:
    """Slices that are not what was stored, and what lies among them and is none, each by its path."""
    store = ParquetStore(settings.home)
    damaged = [PartStatus(str(path), "damaged", problem) for path, problem in damaged_slices(store, fast=fast)]
    unknown, aside = strange_files(store)
    named = [PartStatus(str(path), "strange", "is no slice of any table", REMOVE_STRANGERS) for path in unknown]
    named += [PartStatus(str(path), "strange", "was set aside by a repair", REMOVE_STRANGERS) for path in aside]
    return damaged + named
