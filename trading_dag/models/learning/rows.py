"""The rows a model may learn from or forecast: checked, aligned by session, as one float matrix.

Here belongs what turns a feature frame and a label frame of one slice into arrays. Nothing here
drops a row because of what a fold knows; that happens in ``training`` and ``forecasting``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.frames import require_sessions, ticker_of
from trading_dag.sessions import TIME_UNIT
from trading_dag.simulation.bootstrap import IS_AUGMENTED
from trading_dag.slices import Horizon

# Labels, one a row → position of each among the classes, −1 for none.
Coding = Callable[[pd.Series], IntArray]
FEATURES_TABLE = "features.feature_table"
TARGETS_TABLE = "labels.targets"


@dataclass(frozen=True)
class LabelledRows:
    """Rows a model may learn from, in session order.

    Attributes
    ----------
    ticker : the underlying.
    sessions, target_sessions : when each row was known, and when its label was.
    names, values : candidate features, rows × names, NaN where not known.
    codes : position of the label in the class list; −1 for one outside it (ambiguous).
    inputs : content hash of each input frame.
    is_augmented : which rows were drawn from others (``simulation.bootstrap``) and never happened: those of a feature
        frame that says so in a column of this name.
    outcomes : a number that happened, beside the class; NaN where none was asked for.
    """

    ticker: str
    sessions: pd.DatetimeIndex
    target_sessions: pd.DatetimeIndex
    names: tuple[str, ...]
    values: FloatArray
    codes: IntArray
    inputs: dict[str, str]
    is_augmented: BoolArray
    outcomes: FloatArray

    def since(self, first: date | None) -> LabelledRows:
        """Returns the rows from a date on; all for None."""
        if first is None:
            return self
        begins = int(self.sessions.searchsorted(pd.Timestamp(first)))
        return replace(
            self,
            sessions=self.sessions[begins:],
            target_sessions=self.target_sessions[begins:],
            values=self.values[begins:],
            codes=self.codes[begins:],
            is_augmented=self.is_augmented[begins:],
            outcomes=self.outcomes[begins:],
        )


def feature_values(features: pd.DataFrame, names: tuple[str, ...]) -> tuple[pd.DatetimeIndex, FloatArray]:
    """Sessions and float matrix of the named features.

    Raises
    ------
    SchemaError : for a missing column, sessions out of order, or an infinite value.
    """
    sessions = require_sessions(features, names, table=FEATURES_TABLE)
    values = features[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise SchemaError(
            table=FEATURES_TABLE, key=f"session={sessions[row]:%Y-%m-%d}", rule=f"{names[column]} is infinite"
        )
    return sessions, values


def require_ticker(frame: pd.DataFrame, ticker: str, *, table: str) -> None:
    """Demand that a frame with rows is the ticker's.

    Raises
    ------
    SchemaError : naming the ticker that was found.
    """
    if len(frame) and ticker_of(frame) != ticker:
        raise SchemaError(table=table, key=f"ticker={ticker_of(frame)}", rule=f"rows of {ticker} expected")


def labels_by_session(
    targets: pd.DataFrame, *, sessions: pd.DatetimeIndex, columns: tuple[str, ...], horizon: Horizon, ticker: str
) -> pd.DataFrame:
    """Label columns on the given sessions, NULL where there is no label yet; index: the sessions.

    Raises
    ------
    SchemaError : for a missing column, sessions out of order, or labels of another ticker or horizon.
    """
    require_ticker(targets, ticker, table=TARGETS_TABLE)
    known = require_sessions(targets, columns, table=TARGETS_TABLE)
    strangers = sorted(set(map(str, pd.unique(targets["horizon"]) if "horizon" in targets else ())) - {horizon.key})
    if strangers:
        raise SchemaError(table=TARGETS_TABLE, key=f"horizon={strangers[0]}", rule=f"labels of {horizon.key} expected")
    return targets[list(columns)].set_axis(known, axis=0).reindex(sessions)


def label_codes(
    targets: pd.DataFrame,
    *,
    sessions: pd.DatetimeIndex,
    label: str,
    classes: tuple[str, ...],
    horizon: Horizon,
    ticker: str,
    coded: Coding | None = None,
) -> IntArray:
    """Return the position of each session's label among the classes, (sessions,); −1 without one, or for another.

    Parameters
    ----------
    coded : how a label that is no class name becomes a class, as ``collect_rows`` takes it.

    Raises
    ------
    SchemaError : as for ``labels_by_session``.
    """
    labels = labels_by_session(targets, sessions=sessions, columns=(label,), horizon=horizon, ticker=ticker)
    return _codes(labels[label], classes, coded)


def sign_codes(returns: pd.Series) -> IntArray:
    """Return 1 for a rise, 0 for no rise (a return of exactly 0 is none), −1 where the return is not known."""
    values = returns.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), -1, (values > 0).astype(np.int64))


def _codes(labels: pd.Series, classes: tuple[str, ...], coded: Coding | None) -> IntArray:
    if coded is not None:
        return coded(labels)
    return pd.Index(classes, dtype="object").get_indexer(pd.Index(labels, dtype="object")).astype(np.int64)


def collect_rows(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    names: tuple[str, ...],
    label: str,
    classes: tuple[str, ...],
    horizon: Horizon,
    ticker: str | None = None,
    required: str | None = None,
    outcome: str | None = None,
    coded: Coding | None = None,
    hashed: tuple[str, ...] = (),
) -> LabelledRows:
    """Rows with a label and something to read.

    Parameters
    ----------
    features, targets : features.feature_table and labels.targets of one slice.
    names, label, classes : what is read, what is learnt, and its values; other labels get code −1.
    ticker : the underlying; by default that of the feature rows.
    required : feature without which a row is none; by default any one of ``names``.
    outcome : column of ``targets`` with a number that is learnt beside the label.
    coded : labels, one a row → position of each among the classes, −1 for none; by default the label is a class name.
    hashed : label columns that the content hash of the labels counts; by default the label.

    Raises
    ------
    SchemaError : for frames that are not of this slice or not in the shape of their tables.
    """
    read = names if required is None else tuple(dict.fromkeys((*names, required)))
    sessions, values = feature_values(features, read)
    owner = ticker_of(features) if ticker is None else ticker
    require_ticker(features, owner, table=FEATURES_TABLE)
    learnt = ("target_session", label, *(() if outcome is None else (outcome,)))
    labels = labels_by_session(targets, sessions=sessions, columns=learnt, horizon=horizon, ticker=owner)
    readable = ~np.isnan(values[:, read.index(required)]) if required else ~np.isnan(values).all(axis=1)
    taken = readable & labels[label].notna().to_numpy()
    target_sessions = pd.DatetimeIndex(labels["target_session"]).as_unit(TIME_UNIT)
    happened = np.full(len(sessions), np.nan)
    if outcome is not None:
        happened = labels[outcome].to_numpy(dtype=np.float64, na_value=np.nan)
    return LabelledRows(
        ticker=owner,
        sessions=sessions[taken],
        target_sessions=target_sessions[taken],
        names=names,
        values=values[taken, : len(names)],
        codes=_codes(labels[label], classes, coded)[taken],
        inputs={
            "features": hash_of_columns(features, ("session", *read)),
            "targets": hash_of_columns(targets, ("session", *(("target_session", *hashed) if hashed else learnt))),
        },
        is_augmented=_marked_as_augmented(features)[taken],
        outcomes=happened[taken],
    )


def stack_rows(parts: Sequence[LabelledRows]) -> LabelledRows:
    """The rows of several frames of one slice, one after the other; ``inputs`` are those of the first."""
    first = parts[0]
    return replace(
        first,
        sessions=pd.DatetimeIndex(np.concatenate([part.sessions for part in parts])),
        target_sessions=pd.DatetimeIndex(np.concatenate([part.target_sessions for part in parts])),
        values=np.concatenate([part.values for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        is_augmented=np.concatenate([part.is_augmented for part in parts]),
        outcomes=np.concatenate([part.outcomes for part in parts]),
    )


def _marked_as_augmented(features: pd.DataFrame) -> BoolArray:
    """Which rows say that they are augmented; tables as stored have no such column, and none of theirs is."""
    if IS_AUGMENTED not in features.columns:
        return np.zeros(len(features), dtype=np.bool_)
    return features[IS_AUGMENTED].to_numpy(dtype=np.bool_)


def hash_of_columns(frame: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """SHA-256 of the named columns' content, row by row."""
    rows = pd.util.hash_pandas_object(frame[list(columns)], index=False)
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()
