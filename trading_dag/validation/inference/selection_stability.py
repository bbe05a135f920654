"""How far the folds of a model agree on which features they chose. The choosing is ``features.selection``'s."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.frames import require_columns, table_frame
from trading_dag.schemas import INPUTS, SELECTION_STABILITY

# What a fold had no say in: settings or the model's own list left it out, or it follows from what was chosen.
NO_CANDIDATE: Final = ("not_chosen", "not_safe", "not_listed", "indicator")
_READ: Final = ("ticker", "horizon", "model", "fold", "feature", "is_used", "reason", "score")


def stability_index(chosen: BoolArray) -> float:
    """Return how far several choices out of the same candidates agree: 1 where all are the same, about 0 for choices
    at random.

    1 − mean over candidates of M/(M − 1)·p·(1 − p), over k/d·(1 − k/d), with p the share of the M choices
    that hold the candidate, k the mean number chosen and d the number of candidates.

    Parameters
    ----------
    chosen : (choices, candidates).

    Returns
    -------
    NaN for fewer than two choices, and where all or none of the candidates were always chosen.

    References
    ----------
    Nogueira, Sechidis & Brown, "On the Stability of Feature Selection Algorithms", Journal of Machine Learning Research
    18 (174), 2018, definition 4.
    """
    choices, candidates = chosen.shape
    if choices < 2 or not candidates:
        return float("nan")
    share = chosen.mean(axis=0)
    density = float(share.mean())
    if density in (0.0, 1.0):
        return float("nan")
    spread = float((choices / (choices - 1) * share * (1.0 - share)).mean())
    return 1.0 - spread / (density * (1.0 - density))


def selection_stability(selection: pd.DataFrame, *, live_fold: int) -> pd.DataFrame:
    """Return how often each candidate was chosen, for every model of one ticker and horizon.

    The training parts of an expanding walk-forward share most of their rows, so folds agree more than independent
    samples would: the index flatters.

    Parameters
    ----------
    selection : ``models.inputs`` of one slice.
    live_fold : number of the live model, which is no fold and is left out.

    Returns
    -------
    ``models.selection_stability``: one row a model and feature, the most often chosen first, then by score.

    Raises
    ------
    SchemaError : for missing columns.
    """
    require_columns(selection, INPUTS.qualified_name, columns=_READ)
    is_candidate = ~selection["reason"].isin(NO_CANDIDATE)
    folds = selection[(selection["fold"] < live_fold) & is_candidate]
    parts = []
    for model in folds["model"].unique():
        rows = folds[folds["model"] == model]
        chosen = rows.pivot(index="fold", columns="feature", values="is_used").fillna(False).astype(bool)
        score = rows.pivot(index="fold", columns="feature", values="score")[chosen.columns].astype("float64")
        values: dict[str, Any] = {
            "ticker": rows["ticker"].iloc[0],
            "horizon": rows["horizon"].iloc[0],
            "model": model,
            "feature": chosen.columns.to_numpy(),
            "folds": len(chosen),
            "selected_folds": chosen.sum(axis=0).to_numpy(),
            "mean_score": score.mean(axis=0).to_numpy(),
            "score_deviation": score.std(axis=0, ddof=1).to_numpy() if len(score) > 1 else np.nan,
            "stability": stability_index(chosen.to_numpy()),
        }
        parts.append(table_frame(SELECTION_STABILITY, values, rows=chosen.shape[1]))
    if not parts:
        return table_frame(SELECTION_STABILITY, {}, rows=0)
    return pd.concat(parts, ignore_index=True).sort_values(
        ["model", "selected_folds", "mean_score"], ascending=[True, False, False], kind="stable", ignore_index=True
    )
