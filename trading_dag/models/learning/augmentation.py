"""Training rows from histories that were drawn from a training part's own sessions.

Here belongs how drawn bars become rows of features and labels, by the functions that make the real ones. Drawing
itself stands in ``simulation.bootstrap``; which sessions may be drawn, and that no drawn row is ever judged on, is
decided in ``training``. With ``paths`` 0 nothing here runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.features.formulas import look_back_sessions
from trading_dag.models.learning.rows import LabelledRows, stack_rows
from trading_dag.schemas import IMPLIED_VOLATILITY_FEATURES, IV_RANK_LAGS, TECHNICAL_FEATURES
from trading_dag.setting_groups import AugmentationSettings
from trading_dag.simulation.bootstrap import IS_AUGMENTED, bootstrap_bars, index_of_history
from trading_dag.slices import Horizon

_OF_INDEX: Final = (*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS)
_COMPUTED: Final = (*TECHNICAL_FEATURES, *_OF_INDEX)
LONGEST_LOOK_BACK: Final = max(look_back_sessions(name) for name in _COMPUTED)

Collect = Callable[[pd.DataFrame, pd.DataFrame], LabelledRows]


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What a fit draws further histories from, and how.

    Attributes
    ----------
    prices, volatility_index : ``raw.prices_daily`` and ``raw.volatility_index`` of the slice's ticker.
    settings : how many, how long their blocks, what weight.
    """

    prices: pd.DataFrame
    volatility_index: pd.DataFrame
    settings: AugmentationSettings


@dataclass(frozen=True, eq=False)
class DrawnRows:
    """Labelled rows of the histories of one training part.

    Attributes
    ----------
    rows : all histories one after the other; their sessions say nothing about when they happened. None where the
        part is too short to draw from.
    bars : what was drawn, as ``bootstrap_bars`` gives it; no rows where nothing was.
    record : paths, seed, weight, mean_block, drawn_from and drawn_through, in JSON types.
    """

    rows: LabelledRows | None
    bars: pd.DataFrame
    record: dict[str, Any]


Draw = Callable[[pd.Timestamp, pd.Timestamp], DrawnRows]


def drawing_of(
    augmentation: Augmentation | None, features: pd.DataFrame, *, horizon: Horizon, collect: Collect
) -> Draw | None:
    """The function that draws rows from the sessions between two, both included; None where none are wanted.

    Parameters
    ----------
    features : ``features.feature_table`` of the ticker, for what cannot be computed from drawn bars.
    horizon : of the labels.
    collect : feature and label frame → rows, the very function that made the real rows.
    """
    if augmentation is None or not augmentation.settings.paths:
        return None
    return partial(draw_rows, augmentation, features, horizon=horizon, collect=collect)


def draw_rows(
    augmentation: Augmentation,
    features: pd.DataFrame,
    first: pd.Timestamp,
    through: pd.Timestamp,
    *,
    horizon: Horizon,
    collect: Collect,
) -> DrawnRows:
    """Rows of histories drawn from the sessions ``first`` to ``through``.

    A history has about as many bars as the part has sessions. Its first 271 sessions, whose look-back would reach
    before its start, give no rows, and its last ones have no label.

    Parameters
    ----------
    augmentation, features, horizon, collect : see ``drawing_of``.
    first, through : the first and the last session that may serve.

    When it is known
    ----------------
    Everything in the rows, labels included, was known at the close of ``through``.

    Raises
    ------
    SchemaError : for frames that are not in the shape of their tables.
    """
    settings, prices = augmentation.settings, augmentation.prices
    record: dict[str, Any] = {"paths": settings.paths, "seed": settings.seed, "weight": settings.weight}
    sessions = int(prices["session"].between(first, through).sum())
    if sessions <= LONGEST_LOOK_BACK + horizon.gap_sessions:
        return DrawnRows(None, prices.iloc[:0], record)
    bars = bootstrap_bars(
        prices,
        first=first,
        through=through,
        paths=settings.paths,
        seed=settings.seed,
        mean_block=settings.mean_block,
    )
    parts = []
    for _, path in bars.groupby("path"):
        frame, targets = features_and_labels(
            path.reset_index(drop=True), augmentation.volatility_index, features, horizon=horizon
        )
        parts.append(collect(frame, targets))
    record |= {
        "mean_block": bars.attrs["mean_block"],
        "drawn_from": f"{bars['drawn_session'].min():%Y-%m-%d}",
        "drawn_through": f"{through:%Y-%m-%d}",
    }
    return DrawnRows(stack_rows(parts), bars, record)


def features_and_labels(
    path: pd.DataFrame, volatility_index: pd.DataFrame, features: pd.DataFrame, *, horizon: Horizon
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Feature table and labels of one drawn history.

    What follows from bars and index is computed from the drawn ones. Everything else (macro, events, hourly bars,
    chains, market states) is what was known at the close of the session that was drawn: it is part of that day, and a
    row without it would be too empty to be learnt from. Over the end of a block it jumps, as the index does.

    Parameters
    ----------
    path : one ``path`` of ``bootstrap_bars``.
    volatility_index, features : of the real history.

    Returns
    -------
    (features.feature_table with ``is_augmented``, labels.targets), the former from the session on whose longest
    look-back lies inside the history.

    NaN policy
    ----------
    A feature of the index is NaN on a drawn session at whose close no index was known.
    """
    from trading_dag.features.doubtful_closes import without_lone_closes
    from trading_dag.features.implied_volatility import build_implied_volatility
    from trading_dag.features.technical import build_technical
    from trading_dag.labels import build_targets

    true_index = without_lone_closes(volatility_index)
    index = index_of_history(path, true_index)
    technical = build_technical(path)
    of_index = build_implied_volatility(index, technical, judge_closes=False)
    of_index.loc[~path["session"].isin(index["session"]).to_numpy(), list(_OF_INDEX)] = np.nan
    # What was filled in on the day that was drawn is no outcome here either.
    published = true_index.loc[true_index["close"].notna(), "session"]
    of_index.loc[~path["drawn_session"].isin(published).to_numpy(), "vix_filled_sessions"] = 1.0
    targets = build_targets(path, technical, of_index, horizon=horizon, judge_closes=False)
    carried = [name for name in features.columns if name not in {"ticker", "session", *_COMPUTED}]
    of_day = features.set_index("session")[carried].reindex(path["drawn_session"]).reset_index(drop=True)
    frame = pd.concat(
        [technical[["ticker", "session", *TECHNICAL_FEATURES]], of_index[list(_OF_INDEX)], of_day], axis=1
    )
    frame[IS_AUGMENTED] = True
    return frame.iloc[LONGEST_LOOK_BACK - 1 :].reset_index(drop=True), targets
