"""Which features a training part may use: recent presence, constancy, mutual information with the label.

Here belongs what chooses columns from one training part. Nothing here knows folds, sessions or
estimators, and nothing here computes a feature. Whoever calls this hands over training rows only:
a selection made on more rows than that leaks through the choice itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray

QUANTILE_BINS: Final = 10
SELECTION_COLUMNS: Final = (
    "feature", "selected", "reason", "score", "presence_fraction", "known_fraction", "begins_late",
)  # fmt: skip


@dataclass(frozen=True)
class PresenceRule:
    """When a column is present enough, judged on the end of the rows that are learnt from.

    What a model reads is to be there when it serves, which is after the training part: its last rows say more about
    that than its first.

    Attributes
    ----------
    minimum : least share of rows in which a column is present.
    recent_rows : over how many of the last rows that is judged; None for all.
    late_rows : a column that begins within those is judged from its first value on, once it is so many rows old.
    """

    minimum: float
    recent_rows: int | None = None
    late_rows: int = 252


@dataclass(frozen=True)
class Presence:
    """What a rule says of each column.

    Attributes
    ----------
    judged : share of the rows over which it was judged.
    known : share of all rows.
    is_present : whether it is present enough.
    begins_late : whether it is so now, and has not been over the whole.
    """

    judged: FloatArray
    known: FloatArray
    is_present: BoolArray
    begins_late: BoolArray

    @property
    def is_steady(self) -> BoolArray:
        """Columns that are present enough, recently and over the whole: what a row can be expected to have."""
        steady: BoolArray = self.is_present & ~self.begins_late
        return steady


def judge_presence(values: FloatArray, rule: PresenceRule) -> Presence:
    """Judge each column by a rule.

    Parameters
    ----------
    values : training rows × columns in session order, NaN where not known.
    """
    known = presence_fractions(values)
    recent = values if rule.recent_rows is None else values[-rule.recent_rows :]
    judged = presence_fractions(recent)
    if rule.recent_rows is not None and len(recent):
        # Rows since the first value, of columns without one in the rows before.
        is_there = ~np.isnan(recent)
        since = np.where(is_there.any(axis=0), len(recent) - is_there.argmax(axis=0), 0)
        is_new = np.isnan(values[: len(values) - len(recent)]).all(axis=0) & (since >= rule.late_rows)
        judged = np.where(is_new, is_there.sum(axis=0) / np.maximum(since, 1), judged)
    is_present = judged >= rule.minimum
    return Presence(judged, known, is_present, is_present & (known < rule.minimum))


def presence_fractions(values: FloatArray) -> FloatArray:
    """Share of rows in which each column is present.

    Parameters
    ----------
    values : rows × columns, NaN where not known.

    Returns
    -------
    One fraction per column; 0 for a column without rows.
    """
    if not len(values):
        return np.zeros(values.shape[1])
    fractions: FloatArray = 1.0 - np.isnan(values).mean(axis=0)
    return fractions


def rows_with_presence(values: FloatArray, *, minimum_presence: float) -> BoolArray:
    """Rows in which at least ``minimum_presence`` of the columns are present.

    Without columns no row qualifies.
    """
    if not values.shape[1]:
        return np.zeros(len(values), dtype=bool)
    mask: BoolArray = (1.0 - np.isnan(values).mean(axis=1)) >= minimum_presence
    return mask


def mutual_information(values: FloatArray, codes: IntArray, *, bins: int = QUANTILE_BINS) -> FloatArray:
    """Mutual information of each column with a class label, in nats.

    The column is cut at its own quantiles: a value belongs to the bin that its middle rank falls into, as a share
    of the present rows. Equal values have one rank and share a bin, and a flag has two bins however seldom it
    is set, for the middle ranks of two values that fill a column are half of it apart. The plug-in estimate over
    the resulting table is corrected for its bias with Miller and Madow's term and floored at 0. Neither an
    increasing nor a decreasing transformation of a column changes its score.

    Parameters
    ----------
    values : rows × columns. NaN entries are left out column by column.
    codes : class of each row, 0, 1, ….
    bins : quantile bins per column.

    Returns
    -------
    One number ≥ 0 per column; 0 where fewer than two rows are present.

    References
    ----------
    Miller, "Note on the bias of information estimates", Information Theory in Psychology (1955), 95–100.
    Cover and Thomas, Elements of Information Theory, 2nd ed., section 2.3, p. 19.
    """
    n_columns = values.shape[1]
    n_classes = int(codes.max()) + 1 if len(codes) else 1
    # One row a column: sorting runs along memory.
    columns = np.ascontiguousarray(values.T)
    order = np.argsort(columns, axis=1)
    ordered = np.take_along_axis(columns, order, axis=1)
    known = ~np.isnan(ordered)
    cells = _quantile_cells(ordered, known.sum(axis=1, keepdims=True), bins=bins)
    # A value of middle rank exactly one half lies between two bins where their number is even; it has one of its own.
    width = bins + 1
    flat = (np.arange(n_columns)[:, None] * width + cells) * n_classes + codes[order]
    counts = np.bincount(flat[known], minlength=n_columns * width * n_classes)
    joint = counts.reshape(n_columns, width, n_classes).astype(np.float64)
    total = np.maximum(joint.sum(axis=(1, 2)), 1.0)
    of_bin, of_class = joint.sum(axis=2, keepdims=True), joint.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log(joint * total[:, None, None] / (of_bin * of_class)), 0.0)
    plug_in = terms.sum(axis=(1, 2)) / total
    filled_bins = np.maximum((of_bin > 0).sum(axis=(1, 2)), 1)
    filled_classes = np.maximum((of_class > 0).sum(axis=(1, 2)), 1)
    corrected: FloatArray = np.maximum(plug_in - (filled_bins - 1) * (filled_classes - 1) / (2.0 * total), 0.0)
    return corrected


def _quantile_cells(ordered: FloatArray, present: IntArray, *, bins: int) -> IntArray:
    """Bin of each entry, 0 … bins − 1, or ``bins`` for a middle rank of one half; columns × rows, ascending, NaN last.

    Ranks are whole numbers here (twice the middle rank, out of twice the rows), so that nothing depends on the last
    bit, and a rank on the border of two bins goes to the one that is nearer to the middle, from either side.
    """
    n_rows = ordered.shape[1]
    place = np.arange(n_rows, dtype=np.int32)
    is_new = ordered[:, 1:] != ordered[:, :-1]
    # Twice a rank times the bins is whole in 32 bits for a hundred million rows, and divides in half the time.
    below, up_to = np.zeros(ordered.shape, dtype=np.int32), np.full(ordered.shape, n_rows, dtype=np.int32)
    below[:, 1:] = np.maximum.accumulate(np.where(is_new, place[1:], 0), axis=1)
    up_to[:, :-1] = np.minimum.accumulate(np.where(is_new, place[1:], n_rows)[:, ::-1], axis=1)[:, ::-1]
    twice_rank = below + up_to
    scaled, whole = twice_rank * bins, np.maximum(2 * present, 1).astype(np.int32)
    cells: IntArray = np.where(twice_rank < present, scaled // whole, (scaled - 1) // whole)
    if bins % 2 == 0:
        cells[twice_rank == present] = bins
    return cells


def select_features(
    values: FloatArray,
    codes: IntArray,
    *,
    names: tuple[str, ...],
    presence: PresenceRule,
    top_features: int | None,
) -> pd.DataFrame:
    """Choose the columns that a model of this training part reads.

    Constancy and mutual information are measured on the rows whose code is not negative and that have
    ``presence.minimum`` of the columns which are present enough over the whole part.

    What a column tells that begins late, it tells in a share of the rows: its score is the mutual information over the
    rows where it is known times that share, the information about the label of an average row. An estimate from few
    rows scatters more, in inverse proportion to their number, so without the share the columns with the shortest past
    would be chosen for their noise.

    Parameters
    ----------
    values : training rows × candidate columns in session order, NaN where not known.
    codes : class of each row, −1 for a row that is not learnt from (an ambiguous one).
    names : the columns' names.
    presence : which columns are present enough.
    top_features : how many to keep by their score; None keeps all that are left.

    Returns
    -------
    One row per candidate, in the order given: feature, selected, reason (``selected``,
    ``below_top_k``, ``below_presence``, ``constant``), score (nats, NaN where it was not
    measured), presence_fraction (of the rows over which it was judged), known_fraction (of all rows), begins_late.
    Ties go to the column that stands first.
    """
    found = judge_presence(values, presence)
    usable = (codes >= 0) & rows_with_presence(values[:, found.is_steady], minimum_presence=presence.minimum)
    learnt = values[usable]
    varies = np.zeros(len(names), dtype=bool)
    if len(learnt):
        varies = np.fmax.reduce(learnt, axis=0) > np.fmin.reduce(learnt, axis=0)  # they pass over NaN
    candidates = np.flatnonzero(found.is_present & varies)
    score = np.full(len(names), np.nan)
    score[candidates] = mutual_information(learnt[:, candidates], codes[usable])
    late = candidates[found.begins_late[candidates]]
    score[late] *= presence_fractions(learnt[:, late])
    ranked = candidates[np.argsort(-score[candidates], kind="stable")]
    reason = np.where(found.is_present, "constant", "below_presence").astype(object)
    reason[ranked] = "selected"
    if top_features is not None:
        reason[ranked[top_features:]] = "below_top_k"
    return pd.DataFrame(
        {
            "feature": pd.array(names, dtype="str"),
            "selected": reason == "selected",
            "reason": pd.array(reason, dtype="str"),
            "score": score,
            "presence_fraction": found.judged,
            "known_fraction": found.known,
            "begins_late": found.begins_late,
        }
    )
