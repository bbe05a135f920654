"""The look-ahead prober: does a row at t change when everything after t is cut off, or is different?

It knows nothing of features: it recomputes whatever pure builder it is given and compares rows. Which builders
are probed, on which data and when, is decided where the checks are defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import pandas as pd

from trading_dag.errors import ConfigurationError
from trading_dag.sessions import TIME_UNIT, session_close

Kind = Literal["truncated", "perturbed"]
Builder = Callable[..., pd.DataFrame]
Cell = float | str | None

RELATIVE_TOLERANCE: Final = 1e-9
ABSOLUTE_TOLERANCE: Final = 1e-12
DROPPED_FRACTION: Final = 0.3
LARGEST_FACTOR: Final = 3.0


@dataclass(frozen=True)
class LookaheadViolation:
    """One feature of one row that depends on what came later.

    Attributes
    ----------
    table, feature : what was probed. A row that appears or disappears is reported under its row column.
    session : the row.
    kind : whether later data were cut off (``truncated``) or changed (``perturbed``).
    expected : the value computed from all data.
    got : the value computed without the later data; None where there is none.
    """

    table: str
    feature: str
    session: pd.Timestamp
    kind: Kind
    expected: Cell
    got: Cell


def probe_lookahead(
    build: Builder,
    inputs: dict[str, pd.DataFrame],
    *,
    time_columns: dict[str, str],
    table: str,
    cuts: int = 3,
    seed: int = 42,
    row_column: str = "session",
    also_by: Sequence[str] = (),
    outcomes: Sequence[str] = (),
    late_columns: Mapping[str, Mapping[str, str]] | None = None,
    made: pd.DataFrame | None = None,
    before: pd.DataFrame | None = None,
) -> list[LookaheadViolation]:
    """Recompute a table without, and with different, later data, and report every row that changes.

    At each cut t the builder runs on the inputs up to t, and on inputs whose later rows are partly dropped
    and otherwise multiplied by random factors. All rows up to t must be the same as those computed from all data:
    equal within 1e-9 relative and 1e-12 absolute, NaN where it was NaN, equal strings, no row more or less.

    Parameters
    ----------
    build : pure function of the inputs as keyword arguments. It must not reject merely unlikely values, for
        later prices are perturbed.
    inputs : the frames by argument name.
    time_columns : for every input, the column that says when a row became known: ``session`` for bars,
        ``known_on`` for macro. Timezone-aware columns are compared with the close of the session t; whole numbers
        are days by number, with t counted from 1970-01-01.
    table : name for the reports.
    cuts : how many t. The first is the first row (a warm-up filled from behind shows there), the last is the last
        row but one, the others are spread between, on a session where an input has a gap if there is one nearby
        (a gap filled from behind shows only there). One cut is the last of these.
    seed : of the random factors and drops.
    row_column : the column of the result that says which session a row belongs to.
    also_by : columns of the result that tell rows of one session apart, such as the model.
    outcomes : columns of the result that say what happened later; they are not compared.
    late_columns : by input, columns of numbers that become known later than their row, as figures of an announcement
        do, each with the column that says when. Until then they are missing, or different.
    made : what ``build`` makes of all inputs, where the caller has it already.
    before : what ``build`` made when the inputs ended at the last session of its rows, and were otherwise what they are
        now. It stands for the truncated inputs, and that session is the only cut: the earlier ones were probed when
        these rows were made.

    Returns
    -------
    list[LookaheadViolation] : at most one per feature, kind and cut: the earliest row. Empty is good.

    Raises
    ------
    ConfigurationError : for an input without a time column, a time column or row column that is not there,
        rows of the result that share a session and ``also_by``, or less than one cut.
    """
    late = late_columns or {}
    _check_arguments(inputs, time_columns, cuts, late)
    shape = partial(_rows, row_column=row_column, also_by=list(also_by), outcomes=list(outcomes))
    expected = shape(build(**inputs) if made is None else made)
    violations: list[LookaheadViolation] = []
    earlier = None if before is None else shape(before)
    sessions = pd.DatetimeIndex(expected.index)
    at = _cuts(sessions, inputs, time_columns, cuts) if earlier is None else [earlier.index.max()]
    for number, cut in enumerate(at):
        known = {name: _known_at(frame[time_columns[name]], cut) for name, frame in inputs.items()}
        truncated = {
            name: _without_late(frame[known[name]].reset_index(drop=True), late.get(name, {}), cut)
            for name, frame in inputs.items()
        }
        generator = np.random.default_rng([seed, number])
        perturbed = {
            name: _perturb(
                _with_other_late(frame, known[name], late.get(name, {}), cut, generator),
                known[name],
                generator,
                time_columns[name],
            )
            for name, frame in inputs.items()
        }
        last_input = _last_known(truncated, time_columns)
        for kind, changed in _both_kinds(truncated, perturbed):
            got = earlier if earlier is not None and kind == "truncated" else shape(build(**changed))
            violations += [
                LookaheadViolation(table, feature, session, kind, left, right)
                for feature, session, left, right in _differences(
                    expected, got, cut=cut, must_exist_to=last_input, row_column=row_column
                )
            ]
    return violations


def _check_arguments(
    inputs: dict[str, pd.DataFrame], time_columns: dict[str, str], cuts: int, late: Mapping[str, Mapping[str, str]]
) -> None:
    if cuts < 1:
        raise ConfigurationError(f"a probe needs at least one cut, not {cuts}")
    for name, frame in inputs.items():
        column = time_columns.get(name)
        if column is None:
            raise ConfigurationError(f"input {name!r} has no time column: name the column that says when it was known")
        for needed in (column, *late.get(name, {}), *late.get(name, {}).values()):
            if needed not in frame.columns:
                raise ConfigurationError(f"input {name!r} has no column {needed!r}")


def _both_kinds(
    truncated: dict[str, pd.DataFrame], perturbed: dict[str, pd.DataFrame]
) -> Iterator[tuple[Kind, dict[str, pd.DataFrame]]]:
    yield "truncated", truncated
    yield "perturbed", perturbed


def _rows(result: pd.DataFrame, *, row_column: str, also_by: list[str], outcomes: list[str]) -> pd.DataFrame:
    """Return the result with one row a session, the rows of ``also_by`` beside each other as columns."""
    missing = [name for name in (row_column, *also_by, *outcomes) if name not in result.columns]
    if missing:
        raise ConfigurationError(f"the result has no column {', '.join(map(repr, missing))}")
    index = pd.DatetimeIndex(_times(result[row_column])).as_unit(TIME_UNIT)
    rows = result.drop(columns=[row_column, *outcomes]).set_axis(index, axis=0)
    if rows.set_index(also_by, append=True).index.has_duplicates if also_by else not index.is_unique:
        raise ConfigurationError(f"the result has several rows of one {', '.join((row_column, *also_by))}")
    if not also_by:
        return rows
    parts = {" ".join(map(str, name)): part.drop(columns=also_by) for name, part in rows.groupby(also_by)}
    return pd.concat([part.add_suffix(f" of {name}") for name, part in parts.items()], axis=1, sort=True)


def _times(values: pd.Series) -> pd.Series:
    """Return a column as moments; whole numbers are days."""
    return pd.to_datetime(values, unit="D" if pd.api.types.is_integer_dtype(values) else None)


def _moment(cut: pd.Timestamp, times: pd.Series) -> pd.Timestamp:
    """Return what t means for a column: the date itself, or the session's close where times carry a timezone."""
    return session_close(cut) if isinstance(times.dtype, pd.DatetimeTZDtype) else cut


def _known_at(times: pd.Series, cut: pd.Timestamp) -> np.ndarray:
    """Return which rows of an input were known at the close of t."""
    moments = _times(times)
    return (moments <= _moment(cut, moments)).to_numpy()


def _last_known(inputs: dict[str, pd.DataFrame], time_columns: dict[str, str]) -> pd.Timestamp:
    """Return the latest date of the inputs; a builder that lays its rows on the inputs' range need not go beyond it."""
    latest = pd.Timestamp.min
    for name, frame in inputs.items():
        times = _times(frame[time_columns[name]])
        if isinstance(times.dtype, pd.DatetimeTZDtype):
            times = times.dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
        if times.notna().any():
            latest = max(latest, times.max())
    return latest


def _cuts(
    rows: pd.DatetimeIndex, inputs: dict[str, pd.DataFrame], time_columns: dict[str, str], cuts: int
) -> list[pd.Timestamp]:
    """Return the sessions at which to cut: the last row but one, the first, the others spread and drawn to gaps."""
    rows = rows.sort_values()
    last = len(rows) - 2
    if last < 0:
        return []
    wanted = [last] if cuts == 1 else [round(position) for position in np.linspace(0, last, cuts)]
    gaps = np.flatnonzero(_has_gap(rows, inputs, time_columns))
    reach = -(-last // max(cuts - 1, 1))
    chosen = []
    for position in wanted:
        nearest = gaps[np.abs(gaps - position).argmin()] if len(gaps) and 0 < position < last else position
        chosen.append(int(nearest) if abs(int(nearest) - position) <= reach else position)
    return [rows[position] for position in sorted(set(chosen))]


def _has_gap(rows: pd.DatetimeIndex, inputs: dict[str, pd.DataFrame], time_columns: dict[str, str]) -> np.ndarray:
    """Return the sessions, save the last, on which an input has no row or a missing number, and has one both before
    and after.
    """
    gap = np.zeros(len(rows), dtype=bool)
    for name, frame in inputs.items():
        times = _times(frame[time_columns[name]])
        if isinstance(times.dtype, pd.DatetimeTZDtype) or times.duplicated().any():
            continue
        index = pd.DatetimeIndex(times).as_unit(TIME_UNIT)
        numbers = frame.select_dtypes("number").set_axis(index, axis=0)
        present = numbers.notna().reindex(rows, fill_value=False).to_numpy(dtype=bool)
        before = np.maximum.accumulate(present, axis=0)
        after = np.maximum.accumulate(present[::-1], axis=0)[::-1]
        gap |= (~present & before & after).any(axis=1)
    gap[-1:] = False
    return gap


def _without_late(frame: pd.DataFrame, late: Mapping[str, str], cut: pd.Timestamp) -> pd.DataFrame:
    """Return the frame with values that were not known yet missing."""
    return frame.assign(**{name: frame[name].where(_known_at(frame[known_at], cut)) for name, known_at in late.items()})


def _with_other_late(
    frame: pd.DataFrame, known: np.ndarray, late: Mapping[str, str], cut: pd.Timestamp, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the frame with values that were not known yet in rows that were, multiplied by 1/3 to 3."""
    reach = np.log(LARGEST_FACTOR)
    others = {}
    for name, known_at in late.items():
        factors = np.exp(generator.uniform(-reach, reach, len(frame)))
        others[name] = frame[name].where(~known | _known_at(frame[known_at], cut), frame[name] * factors)
    return frame.assign(**others)


def _perturb(frame: pd.DataFrame, known: np.ndarray, generator: np.random.Generator, time_column: str) -> pd.DataFrame:
    """Return the frame with later rows partly dropped and their numbers, save their time, multiplied by 1/3 to 3."""
    later = np.flatnonzero(~known)
    kept = later[generator.random(len(later)) >= DROPPED_FRACTION]
    rows = np.concatenate([np.flatnonzero(known), kept])
    rows.sort()
    numbers = frame.drop(columns=time_column).select_dtypes("number")
    values = numbers.to_numpy(dtype="float64", na_value=np.nan)[rows]
    reach = np.log(LARGEST_FACTOR)
    factors = np.exp(generator.uniform(-reach, reach, (len(kept), len(numbers.columns))))
    values[np.isin(rows, kept, assume_unique=True)] *= factors
    moved = pd.DataFrame(values, columns=numbers.columns)
    for name in moved.columns[[pd.api.types.is_integer_dtype(dtype) for dtype in numbers.dtypes]]:
        moved[name] = moved[name].round().astype(frame[name].dtype)
    others = frame[frame.columns.difference(numbers.columns, sort=False)].take(rows).reset_index(drop=True)
    return pd.concat([others, moved], axis=1)[list(frame.columns)]


def _differences(
    expected: pd.DataFrame, got: pd.DataFrame, *, cut: pd.Timestamp, must_exist_to: pd.Timestamp, row_column: str
) -> Iterator[tuple[str, pd.Timestamp, Cell, Cell]]:
    """Return the earliest lost row, the earliest extra row and the earliest differing row of each feature, up to the
    cut.
    """
    before, after = expected[expected.index <= cut], got[got.index <= cut]
    for day in before.index[before.index <= must_exist_to].difference(after.index).sort_values()[:1]:
        yield row_column, day, f"{day:%Y-%m-%d}", None
    for day in after.index.difference(before.index).sort_values()[:1]:
        yield row_column, day, None, f"{day:%Y-%m-%d}"
    common = pd.DatetimeIndex(before.index.intersection(after.index)).sort_values()
    if not len(common):
        return
    features = expected.columns.union(got.columns, sort=False)
    left, right = (rows.reindex(index=common, columns=features) for rows in (before, after))
    same = _same(left, right)
    for position in np.flatnonzero(~same.all(axis=0)).tolist():
        row = int((~same[:, position]).argmax())
        values = left.iloc[row, position], right.iloc[row, position]
        yield str(features[position]), common[row], _plain(values[0]), _plain(values[1])


def _same(left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    """Return where values are equal: numbers within the tolerance, anything else exactly, missing only to missing."""
    is_number = np.array(
        [
            pd.api.types.is_numeric_dtype(mine) and pd.api.types.is_numeric_dtype(theirs)
            for mine, theirs in zip(left.dtypes, right.dtypes, strict=True)
        ],
        dtype=bool,
    )
    same = np.empty(left.shape, dtype=bool)
    same[:, is_number] = np.isclose(
        left.loc[:, is_number].to_numpy(dtype="float64", na_value=np.nan),
        right.loc[:, is_number].to_numpy(dtype="float64", na_value=np.nan),
        rtol=RELATIVE_TOLERANCE,
        atol=ABSOLUTE_TOLERANCE,
        equal_nan=True,
    )
    for position in np.flatnonzero(~is_number).tolist():
        mine, theirs = left.iloc[:, position], right.iloc[:, position]
        both_missing = (mine.isna() & theirs.isna()).to_numpy()
        # As objects every value is a Python object of its own, which costs more than the rest of the probe.
        comparable = (mine, theirs) if mine.dtype == theirs.dtype else (mine.astype(object), theirs.astype(object))
        same[:, position] = both_missing | (comparable[0] == comparable[1]).to_numpy(dtype=bool, na_value=False)
    return same


def _plain(value: object) -> Cell:
    """Return a value for a report."""
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return float(value)
    return None if value is None or value is pd.NaT else str(value)
