"""The training set of the Hull Tactical market prediction from the user's file: ``train.csv``, or the same as Parquet.

Finding it, reading it in the shape of ``raw.hull_market`` and refusing another shape belong here. Which columns a
model may see is said in ``trading_dag/features/hull_market.py``, what is done about missing values in
``features/missing_values.py``.

References
----------
"Hull Tactical - Market Prediction", Kaggle, 2025. The data come under the competition's rules; none is shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from resources.raw_frames import raw_frame, switched_off, with_notes
from resources.sources.status import SourceStatus
from resources.text_files.rows import Kind, RowsFile, open_rows
from trading_dag.errors import SourceError, SourceFormatError
from trading_dag.schemas import HULL_MARKET

SOURCE: Final = "files"
# What the provenance says of a file that the setting names, whatever the source of everything else.
NAMED_SOURCE: Final = "hull_file"
FILE_VARIABLE: Final = "TRADING_DAG_HULL_FILE"
NAMES_IN_FOLDER: Final = ("hull_train.parquet", "hull_train.csv", "train.csv")
_KEY: Final = "date_id"
_REMEDY: Final = "Give the competition's train.csv as it is published, or the same columns as Parquet."


class HullFile:
    """Reads the one file of the training set, if there is one.

    Parameters
    ----------
    named : the file of the setting ``hull_file``; it takes precedence over any folder.
    source : name of the source that reads the file.
    find : returns the file in the source's own folder; None for a source without a folder.
    """

    def __init__(self, named: Path | None, *, source: str, find: Callable[[], Path | None] | None = None) -> None:
        self._named = named
        self._source = source
        self._find = find

    def market(self) -> pd.DataFrame:
        """Return the rows of ``raw.hull_market``, or no rows and the reason; ``attrs["source"]`` tells a named file
        from the source's own.

        Raises
        ------
        SourceOffError : where the source's folder is not there.
        SourceFormatError : for a file in another shape, a named one that is not there, or two in the folder.
        """
        path = self._path()
        if path is None:
            return switched_off(HULL_MARKET, source=self._source, reason=self._reason)
        return read_hull_market(path, source=self._source if self._named is None else NAMED_SOURCE)

    def state(self) -> str:
        """Return what ``market`` would read, without reading it: path, size and time of change, or why it is off.

        Raises
        ------
        SourceError : as ``market``, save for the shape.
        """
        path = self._path()
        if path is None:
            return f"off: {self._reason}"
        try:
            status = path.stat()
        except OSError as error:
            raise _format_error(path, f"cannot be read: {error}") from error
        return f"{path}, {status.st_size} bytes, changed at {status.st_mtime_ns}"

    def describe(self) -> SourceStatus:
        """Return whether there is a file, for ``doctor``. A file that is named but not there counts as missing."""
        try:
            path = self._path()
            self.state()
        except SourceError as error:
            return SourceStatus(HULL_MARKET.name, "missing", error.problem, error.remedy)
        if path is None:
            return SourceStatus(HULL_MARKET.name, "off", self._reason, f"set {FILE_VARIABLE} to its train.csv")
        try:
            _require_columns(path)
        except SourceError as error:
            return SourceStatus(HULL_MARKET.name, "wrong", f"{path}: {error.problem}", error.remedy)
        return SourceStatus(HULL_MARKET.name, "on", f"{path}: a competition's data, of no ticker")

    @property
    def _reason(self) -> str:
        if self._find is None:
            return f"source {self._source} does not have the competition's data, and {FILE_VARIABLE} is not set"
        return f"none of {', '.join(NAMES_IN_FOLDER)} is in the folder, and {FILE_VARIABLE} is not set"

    def _path(self) -> Path | None:
        if self._named is not None:
            return self._named
        return None if self._find is None else self._find()


def read_hull_market(path: Path, *, source: str = SOURCE) -> pd.DataFrame:
    """Return every day of the file: date_id, 94 anonymous features, three labels. Other columns are left out.

    Parameters
    ----------
    path : ``.csv`` or ``.parquet`` with at least the columns of ``raw.hull_market``.
    source : the source that the frame names.

    Returns
    -------
    pd.DataFrame : columns and types of ``raw.hull_market``, ascending by ``date_id``; missing values stay missing.

    Raises
    ------
    SourceFormatError : for a file that is not there or unreadable, a missing column, text or infinity for a number, a
        repeated day, or no row at all.
    """
    frame = _read(path)
    if frame.empty:
        raise _format_error(path, "the file has no rows")
    days = frame[_KEY]
    if days.isna().any() or (days != days.round()).any() or (days < 0).any():
        raise _format_error(path, f"column {_KEY}: expected whole numbers from 0 on")
    repeated = days[days.duplicated()]
    if len(repeated):
        raise _format_error(path, f"column {_KEY}: {len(repeated)} days come twice, first {repeated.iloc[0]:.0f}")
    infinite = frame.columns[np.isinf(frame.to_numpy()).any(axis=0)]
    if len(infinite):
        raise _format_error(path, f"column {infinite[0]}: holds infinity")
    return raw_frame(frame, HULL_MARKET, source=source)


def _require_columns(path: Path) -> RowsFile:
    """Return the opened file, whose header has every column once."""
    file = open_rows(path, refuse=lambda problem, column: _format_error(path, problem, column), remedy=_REMEDY)
    for name in HULL_MARKET.column_names:
        if file.names.count(name) != 1:
            often = "is missing" if name not in file.names else f"is there {file.names.count(name)} times"
            raise _format_error(path, often, name)
    return file


def _read(path: Path) -> pd.DataFrame:
    file = _require_columns(path)
    kinds: dict[str, Kind] = dict.fromkeys(HULL_MARKET.column_names, "number")
    rows = file.read(kinds)
    if rows.unreadable.any():
        column, problem = file.problem(kinds, int(rows.lines[np.flatnonzero(rows.unreadable)[0]]))
        raise _format_error(path, problem, column)
    return with_notes(rows.frame, (f"{path.name}: {note}" for note in rows.notes))


def _format_error(path: Path, problem: str, column: str | None = None) -> SourceFormatError:
    text = f"column {column}: {problem}" if column else problem
    return SourceFormatError(source=SOURCE, request=str(path), problem=text, remedy=_REMEDY)
