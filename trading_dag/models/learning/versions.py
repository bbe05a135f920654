"""Versions of a model as values, and the table that lists them.

Here belongs what is told of a version without loading it. Where versions lie stands in ``resources.storage.models``;
whether a new one serves, in ``validation.gates.champion``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from trading_dag.frames import frame_of_records
from trading_dag.schemas import VERSIONS


@dataclass(frozen=True)
class ServingEvent:
    """Tells one change of what serves, or one new version that was not let to.

    Attributes
    ----------
    at : when, UTC, ISO.
    event : ``fitted``, ``promoted`` or ``rolled_back``.
    version : whose event it is.
    serves : the version that serves after it.
    served_before : the one that served until then; None where none did.
    kind : which rule decided, as ``validation.gates.champion`` names it; ``person`` for a promotion or a rollback.
    reason : in words.
    comparison : the figures of the comparison in JSON types; None without one.
    """

    at: str
    event: str
    version: str
    serves: str
    served_before: str | None
    kind: str
    reason: str
    comparison: dict[str, Any] | None = None

    @property
    def takes_over(self) -> bool:
        """Return whether the version serves by this event and did not before."""
        return self.serves == self.version != self.served_before


@dataclass(frozen=True)
class VersionRecord:
    """Describes a stored version of one model and slice.

    Attributes
    ----------
    name, ticker, horizon, version : which.
    model_version : what forecasts name it by.
    fitted_at : UTC.
    serves : whether it is the version in use.
    train_first_session, train_last_session, fitted_through : data window of its live model; None where it could not be
        fitted.
    training : what was chosen to be learnt from.
    libraries : versions of the libraries that fitted it.
    events : all that happened to it, oldest first.
    """

    name: str
    ticker: str
    horizon: str
    version: str
    model_version: str
    fitted_at: dt.datetime
    serves: bool
    train_first_session: str | None
    train_last_session: str | None
    fitted_through: str | None
    training: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    events: tuple[ServingEvent, ...] = ()

    @property
    def fitting(self) -> ServingEvent | None:
        """Return the event by which it came; None for one from before events were recorded, or cut off."""
        return next((event for event in self.events if event.event == "fitted"), None)

    def row(self) -> dict[str, Any]:
        """Return its row of models.versions."""
        fitting, last = self.fitting, self.events[-1] if self.events else None
        figures = (fitting.comparison if fitting else None) or {}
        return {
            "ticker": self.ticker,
            "horizon": self.horizon,
            "family": self.name,
            "version": self.version,
            "model_version": self.model_version,
            "fitted_at": pd.Timestamp(self.fitted_at),
            "serves": self.serves,
            "train_first_session": _day(self.train_first_session),
            "train_last_session": _day(self.train_last_session),
            "fitted_through": _day(self.fitted_through),
            "decision": fitting.kind if fitting else "not_recorded",
            "reason": fitting.reason if fitting else None,
            "compared_with": fitting.served_before if fitting and fitting.comparison else None,
            "metric": figures.get("metric"),
            "compared_sessions": figures.get("sessions", 0),
            "score": figures.get("challenger_score"),
            "score_of_other": figures.get("champion_score"),
            **{name: figures.get(name) for name in ("difference", "difference_ci_low", "difference_ci_high")},
            "last_event": last.event if last else None,
            "last_event_at": pd.Timestamp(last.at) if last else None,
            "last_reason": last.reason if last else None,
        }


def versions_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """Return models.versions: a row a stored version, by family, oldest first."""
    return frame_of_records(VERSIONS, [record.row() for record in records])


def challenges_since_first(events: Sequence[ServingEvent]) -> int:
    """Return how often two versions of a slice were compared and the better one went on.

    Each such choice is made on the same test sessions as the scores, so it flatters them.
    """
    return sum(event.kind in ("no_worse", "worse") for event in events)


def serving_order(events: Sequence[ServingEvent], *, serves: str | None) -> list[str]:
    """Return the versions that a rollback goes back through, the one in use last.

    A version that takes over comes on top; a rollback takes away what came after the version that it goes back to.
    What was cut off before the pointer followed it does not count: the next event tells what served then.
    """
    order: list[str] = []
    for position, event in enumerate(events, 1):
        after = events[position].served_before if position < len(events) else serves
        if event.served_before is not None and event.served_before not in order[-1:]:
            order.append(event.served_before)
        if event.serves == event.served_before or after not in (event.serves, None):
            continue
        if event.event == "rolled_back" and event.serves in order:
            del order[order.index(event.serves) + 1 :]
        else:
            order.append(event.serves)
    if serves is not None and serves not in order[-1:]:
        order.append(serves)
    return order


def _day(text: str | None) -> pd.Timestamp | None:
    return None if text is None else pd.Timestamp(text)
