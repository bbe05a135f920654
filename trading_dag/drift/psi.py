"""The population stability index of features and the limit it is held against. What to do about it is ``policy``.

A fixed limit such as 0.2 is of no use for market data: features are so persistent that an ordinary window of 60
sessions never looks like twenty years. The limit is therefore the 95 % quantile of the same statistic over windows
of the same length out of the training window itself.

References
----------
Siddiqi, N. (2006), Credit Risk Scorecards, Wiley, p. 136: the index, Σ (p − q) ln(p / q) over bins.
Yurdakul, B. (2018), Statistical properties of population stability index, Western Michigan University: its bias
grows with bins / rows, so that a fixed limit means something else for every window length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.schemas import SAFE_FEATURES
from trading_dag.setting_groups import DriftSettings

Bins = npt.NDArray[np.intp]

_MINIMUM_PRESENCE: Final = 0.8
_MINIMUM_BLOCKS: Final = 4
_STRIDES_PER_BLOCK: Final = 4
_PSEUDO_COUNT: Final = 0.5
_ROUNDING: Final = 1e-9


def population_stability_index(reference: npt.ArrayLike, recent: npt.ArrayLike, *, bins: int = 10) -> float:
    """Return how differently two samples are distributed over the quantile bins of the first.

    Parameters
    ----------
    reference, recent : one-dimensional samples in the units of the feature; NaN are left out.
    bins : quantile bins of the reference. A sample of at most that many distinct values, such as a flag, gets a bin
        per value, and one more for values above all of them.

    Returns
    -------
    0 for equal shares, without upper limit. NaN where either sample is empty. Each bin counts half an observation
    more than it holds, so that an empty bin weighs about as much as one observation less would, and never infinity.
    """
    known, seen = _present(reference), _present(recent)
    if len(known) == 0 or len(seen) == 0:
        return float("nan")
    edges = bin_edges(known, bins=bins)
    counts = (_counts(np.searchsorted(edges, sample), len(edges) + 1) for sample in (known, seen))
    return float(_psi(*counts))


def bin_edges(reference: FloatArray, *, bins: int) -> FloatArray:
    """Return the upper edges of the bins of a sample without NaN; the last bin has none.

    A value that fills several quantiles (ties) is one edge; where it is the largest value, the edge below it is the
    largest smaller value, so that the tie has its own bin.
    """
    ordered = np.sort(reference)
    distinct: FloatArray = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if len(distinct) <= bins:
        return distinct
    # The quantile that inverts the empirical distribution function: the smallest value with that share at or below it.
    ranks = np.ceil(len(ordered) * np.arange(1, bins) / bins).astype("int64") - 1
    edges: FloatArray = np.unique(ordered[ranks])
    if edges[-1] == distinct[-1]:
        edges = np.unique(np.append(edges[:-1], distinct[-2]))
    return edges


def drift_report(
    features: pd.DataFrame,
    *,
    fitted_through: pd.Timestamp,
    settings: DriftSettings,
    feature_names: Sequence[str] = SAFE_FEATURES,
) -> pd.DataFrame:
    """Return how far each feature has moved from the window on which a model was trained.

    Parameters
    ----------
    features : ``features.feature_table`` of one ticker, ascending sessions; NaN where a feature is not known.
    fitted_through : last session the model has seen.
    settings : window length, bins and quantile.
    feature_names : features to look at; those that are not columns are left out.

    Returns
    -------
    Rows of ``monitoring.drift`` without ticker and horizon. ``as_of_session`` is the last session of ``features``;
    the report is known at its close. The recent window is the last ``window_sessions`` sessions; the training window
    is every session up to ``fitted_through`` that is not in the recent one. The limit compares windows of the
    training window, a quarter of their length apart, with the rest of it, counted as if it were as long as the whole,
    in the bins of the whole. A feature that is
    present in less than 80 % of either window is left out. No rows where the training window is shorter than four
    recent ones: then nothing can be said. Nothing here is random.
    """
    window = settings.window_sessions
    sessions = features["session"].to_numpy()
    recent = np.zeros(len(features), dtype=bool)
    recent[-window:] = True
    reference = ~recent & (sessions <= fitted_through.to_datetime64())
    rows = []
    if reference.sum() >= _MINIMUM_BLOCKS * window:
        for name in feature_names:
            if name not in features.columns:
                continue
            values = features[name].to_numpy(dtype="float64")
            measured = _measure(values[reference], values[recent], settings)
            if measured is not None:
                rows.append((name, *measured))
    report = pd.DataFrame(rows, columns=["feature", "psi", "psi_limit"])
    return pd.DataFrame(
        {
            "as_of_session": pd.Series(features["session"].max(), index=report.index, dtype="datetime64[us]"),
            "feature": report["feature"].astype("str"),
            "kind": pd.Series("feature", index=report.index, dtype="str"),
            "psi": report["psi"].astype("float64"),
            "psi_limit": report["psi_limit"].astype("float64"),
            "is_breached": (report["psi"] > report["psi_limit"] * (1.0 + _ROUNDING)).astype("bool"),
            "n_recent": pd.Series(int(recent.sum()), index=report.index, dtype="int64"),
            "n_reference": pd.Series(int(reference.sum()), index=report.index, dtype="int64"),
        }
    )


def _measure(reference: FloatArray, recent: FloatArray, settings: DriftSettings) -> tuple[float, float] | None:
    """The index of the recent window and its limit; None where the feature is present too rarely."""
    known, seen = _present(reference), _present(recent)
    if min(len(known) / len(reference), len(seen) / len(recent)) < _MINIMUM_PRESENCE:
        return None
    edges = bin_edges(known, bins=settings.bins)
    total = _counts(np.searchsorted(edges, known), len(edges) + 1)
    psi = float(_psi(total, _counts(np.searchsorted(edges, seen), len(edges) + 1)))

    blocks = _block_counts(reference, edges, window=settings.window_sessions)
    blocks = blocks[blocks.sum(axis=1) >= _MINIMUM_PRESENCE * settings.window_sessions]
    # Half an observation a bin weighs the less the larger a sample is, so the rest of the training window counts as
    # many as the whole: otherwise what never changes would be a little beyond the limit of itself.
    rest = total - blocks
    rest *= total.sum() / rest.sum(axis=1, keepdims=True)
    return psi, float(np.quantile(_psi(rest, blocks), settings.quantile))


def _block_counts(reference: FloatArray, edges: FloatArray, *, window: int) -> FloatArray:
    """Observations per bin (columns) in windows of the training window (rows), the last one ending at its end."""
    size = len(edges) + 1
    bins = np.where(np.isnan(reference), size, np.searchsorted(edges, reference))  # column `size` collects NaN
    ends = np.arange(len(reference), window - 1, -max(window // _STRIDES_PER_BLOCK, 1))
    # Counts between the borders of windows, then differences of their running sums: far fewer rows than sessions.
    borders = np.unique(np.concatenate([[0], ends - window, ends]))
    between = np.searchsorted(borders, np.arange(len(reference)), side="right")
    tallies = np.bincount(between * (size + 1) + bins, minlength=(len(borders) + 1) * (size + 1))
    running = tallies.reshape(len(borders) + 1, size + 1).cumsum(axis=0)
    counts = running[np.searchsorted(borders, ends)] - running[np.searchsorted(borders, ends - window)]
    return np.asarray(counts, dtype="float64")[:, :size]


def _psi(reference: FloatArray, recent: FloatArray) -> FloatArray:
    """The index from counts per bin, bins along the last axis."""
    expected, actual = _shares(reference), _shares(recent)
    return np.asarray(((actual - expected) * np.log(actual / expected)).sum(axis=-1), dtype="float64")


def _shares(counts: FloatArray) -> FloatArray:
    smoothed = counts + _PSEUDO_COUNT
    return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True), dtype="float64")


def _counts(bins: Bins, size: int) -> FloatArray:
    return np.bincount(bins, minlength=size).astype("float64")


def _present(sample: npt.ArrayLike) -> FloatArray:
    values: FloatArray = np.asarray(sample, dtype="float64")
    return values[~np.isnan(values)]
