"""What is known of the versions of a slice together: what happened to them, which was tried last, which served before.

Here belongs what is read out of the record of events and the specs. How versions are stored and pointed to stands in
``models.store``; how the record is written, in ``models.history``.
"""

from __future__ import annotations

import datetime as dt

from resources.storage.models.files import read_description, read_inputs
from resources.storage.models.history import read_events
from resources.storage.models.store import ModelStore
from trading_dag.models.learning.versions import ServingEvent, VersionRecord, serving_order


def history_of(store: ModelStore, name: str, *, ticker: str, horizon: str) -> tuple[ServingEvent, ...]:
    """Return what happened to the versions of a slice, oldest first.

    Raises
    ------
    StorageError : where the record cannot be read.
    """
    folder = store.folder(name, ticker=ticker, horizon=horizon)
    store.home_files.refresh_folder(folder)
    return read_events(folder)


def version_before(store: ModelStore, name: str, *, ticker: str, horizon: str) -> str | None:
    """Return the version that a rollback goes back to: the newest that served before the one in use, is another model,
    and is still stored. None where there is none.

    In a slice from before events were recorded it is the newest that is older than the one in use.
    """
    latest = store.latest_version(name, ticker=ticker, horizon=horizon)
    history = history_of(store, name, ticker=ticker, horizon=horizon)
    stored = store.versions(name, ticker=ticker, horizon=horizon)
    order = serving_order(history, serves=latest)
    others = [
        version for version in stored if latest is not None and model_version_of(version) != model_version_of(latest)
    ]
    served = [version for version in order[:-1] if version in others]
    if served:
        return served[-1]
    older = [version for version in others if latest is not None and version < latest]
    return older[-1] if older and not history else None


def version_records(store: ModelStore, name: str, *, ticker: str, horizon: str) -> list[VersionRecord]:
    """Return what is told of each stored version, oldest first; no model is loaded.

    Raises
    ------
    StorageError : where a spec, the pointer or the record of events cannot be read.
    """
    folder = store.folder(name, ticker=ticker, horizon=horizon)
    latest = store.latest_version(name, ticker=ticker, horizon=horizon)  # which brings the folder up to date
    events = read_events(folder)
    return [
        VersionRecord(
            name=name,
            ticker=ticker,
            horizon=horizon,
            version=version,
            model_version=model_version_of(version),
            fitted_at=fitted_at(version),
            serves=version == latest,
            events=tuple(event for event in events if event.version == version),
            **read_description(folder / version),
        )
        for version in store.versions(name, ticker=ticker, horizon=horizon)
    ]


def inputs_of_last_fit(store: ModelStore, name: str, *, ticker: str, horizon: str) -> dict[str, str] | None:
    """Return the content hash of each input of the version that was fitted last, whether it serves or not.

    So what was tried and refused, or taken back by a person, is not fitted again on the same data. None where the
    model was never fitted. A fit that was cut off before it was recorded does not count.
    """
    latest = store.latest_version(name, ticker=ticker, horizon=horizon)
    if latest is None:
        return None
    folder = store.folder(name, ticker=ticker, horizon=horizon)
    events = read_events(folder)
    chosen = latest
    if events and events[-1].serves == latest:
        fits = (event.version for event in reversed(events) if event.event == "fitted")
        chosen = next((version for version in fits if (folder / version).is_dir()), latest)
    return read_inputs(folder / chosen)


def model_version_of(version: str) -> str:
    """Return what was learnt, out of the name of a version that also says when: two fits of the same agree."""
    return version.rpartition("-")[2]


def fitted_at(version: str) -> dt.datetime:
    """Return the UTC time in the name of a version."""
    return dt.datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=dt.UTC)
