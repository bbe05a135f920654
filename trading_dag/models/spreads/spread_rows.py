"""What the spread networks read and learn: sequences of one ticker's features, and the class of every horizon.

Here belongs which features they are, which sessions can be learnt from, and which of those a fold may see. The layers
stand in ``networks``, the fit of each fold in ``spread_trunk``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.frames import ticker_of
from trading_dag.models.deep.sequences import ends_of_sequences
from trading_dag.models.learning.rows import feature_values as values_of
from trading_dag.models.learning.rows import hash_of_columns, labels_by_session
from trading_dag.schemas import SPREAD_CLASSES
from trading_dag.sessions import TIME_UNIT
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import HORIZONS, Horizon
from trading_dag.training_start import TrainingStart
from trading_dag.validation.walk_forward import walk_forward_folds

STEPS: Final = 60
LEAST_YEARS: Final = 5
LONGEST: Final = max(HORIZONS.values(), key=lambda horizon: horizon.target_offset)
SPREAD_FEATURES: Final = (
    # market states, filtered
    "regime_probability_low_volatility_uptrend", "regime_probability_momentum_uptrend",
    "regime_probability_consolidation", "regime_probability_high_volatility_downtrend",
    "regime_probability_high_volatility_rally",
    # options: what they cost, and who buys them
    "iv_rank", "iv_percentile", "iv_hv_spread", "vix_change_1d_pct", "vix_change_5d_pct", "vix_zscore", "vix_trend",
    "vix_term_ratio", "put_call_volume_ratio", "put_call_oi_ratio", "option_volume_ratio", "iv_skew_25d",
    "term_structure_30_90",
    # momentum, and how wild it is
    "rsi_14", "macd_histogram_pct", "stoch_kd_spread", "roc_5", "roc_20", "mfi_14", "williams_r_14", "cci_20", "adx_14",
    "returns_1d", "returns_5d", "returns_20d", "price_to_sma_20", "price_to_sma_50", "bb_position",
    "distance_from_high_52w", "hv_20", "hv_ratio_5_20", "overnight_return",
    # volume
    "volume_ratio", "volume_zscore_20", "obv_slope_20",
    # calendar
    "days_to_cpi", "days_to_fomc", "cpi_release_day", "fomc_decision_day",
)  # fmt: skip


@dataclass(frozen=True)
class SpreadRows:
    """Sessions of one ticker that a network can learn from or forecast.

    Attributes
    ----------
    ticker, names : whose features, and which.
    sessions, values : all sessions of the feature table, sessions × names, NaN where not known.
    codes : by horizon, the class of each session among ``SPREAD_CLASSES``; −1 without one.
    ends : positions of the sessions whose outcome is known at every horizon, and before which a sequence fits.
    target_sessions : of the longest horizon, by session; missing where it is not known.
    inputs : content hash of each input frame.
    """

    ticker: str
    names: tuple[str, ...]
    sessions: pd.DatetimeIndex
    values: FloatArray
    codes: dict[str, IntArray]
    ends: IntArray
    target_sessions: pd.DatetimeIndex
    inputs: dict[str, str]


@dataclass(frozen=True)
class TrainingPart:
    """One fold's training part: positions of sessions, and the first session of its test part; None for the live
    model's.
    """

    number: int
    train: IntArray
    first_test: pd.Timestamp | None


def collect_spread_rows(
    features: pd.DataFrame,
    targets: Mapping[str, pd.DataFrame],
    *,
    names: tuple[str, ...],
    ticker: str | None = None,
) -> SpreadRows:
    """Return the rows of one ticker.

    Parameters
    ----------
    features : features.feature_table.
    targets : labels of every horizon by its key, as labels.targets has them.
    names : what is read.
    ticker : the underlying; by default that of the feature rows.

    Raises
    ------
    SchemaError : for frames that are not of this ticker or not in the shape of their tables.
    """
    sessions, values = values_of(features, names)
    ticker = ticker_of(features) if ticker is None else ticker
    codes = {}
    last = pd.DatetimeIndex([pd.NaT] * len(sessions))
    for key, frame in targets.items():
        labels = labels_by_session(
            frame, sessions=sessions, columns=("target_session", "spread_class"), horizon=HORIZONS[key], ticker=ticker
        )
        found = pd.Index(SPREAD_CLASSES, dtype="object").get_indexer(pd.Index(labels["spread_class"], dtype="object"))
        codes[key] = found.astype(np.int64)
        if key == LONGEST.key:
            last = pd.DatetimeIndex(labels["target_session"]).as_unit(TIME_UNIT)
    ends = ends_of_sequences(len(sessions), steps=STEPS)
    readable = ~np.isnan(values[ends]).all(axis=1)
    return SpreadRows(
        ticker=ticker,
        names=names,
        sessions=sessions,
        values=values,
        codes=codes,
        ends=ends[readable & (codes[LONGEST.key][ends] >= 0)],
        target_sessions=last,
        inputs={"features": hash_of_columns(features, ("session", *names))}
        | {f"targets {key}": hash_of_columns(frame, ("session", "spread_class")) for key, frame in targets.items()},
    )


def training_parts(rows: SpreadRows, settings: WalkForwardSettings, start: TrainingStart) -> Iterator[TrainingPart]:
    """Yield the training part of each fold, and last that of the live model; empty ones where there are too few rows.

    The gap is that of the longest horizon, so that no outcome of a training part lies in its test part.
    """
    ends = rows.ends
    if start.first is not None:
        ends = ends[int(rows.sessions[ends].searchsorted(pd.Timestamp(start.first))) :]
    folds = walk_forward_folds(len(ends), folds=settings.folds, gap=LONGEST.gap_sessions)
    nothing = ends[:0]
    for number in range(1, settings.folds + 2):
        if not folds:
            yield TrainingPart(number, nothing, None)
        elif number > len(folds):
            yield TrainingPart(number, ends[start.keeps(rows.sessions[ends])], None)
        else:
            train = ends[folds[number - 1].train]
            first_test = rows.sessions[ends[folds[number - 1].test[0]]]
            yield TrainingPart(number, train[start.keeps(rows.sessions[train])], first_test)


def start_with_enough(start: TrainingStart, sessions: pd.DatetimeIndex) -> TrainingStart:
    """Return the start, moved back where a date leaves less than five years before the last session."""
    if start.first is None or sessions.empty:
        return start
    five_years_ago: date = (sessions[-1] - pd.DateOffset(years=LEAST_YEARS)).date()
    return TrainingStart(first=min(start.first, five_years_ago))


def known_class_at(targets: pd.DataFrame, sessions: pd.DatetimeIndex) -> IntArray:
    """Return the class of the move that ended at each session, the last that is known at its close; −1 without one.

    It belongs to the session whose target is this one, and not to the row before.
    """
    ended = pd.Series(
        pd.Index(SPREAD_CLASSES, dtype="object").get_indexer(pd.Index(targets["spread_class"], dtype="object")),
        index=pd.DatetimeIndex(targets["target_session"]),
    )
    codes: IntArray = ended[ended >= 0].groupby(level=0).last().reindex(sessions, fill_value=-1).to_numpy(np.int64)
    return codes


def targets_of_every_horizon(
    prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return the labels of every horizon, as ``labels.build_targets`` gives them."""
    from trading_dag.labels import build_targets

    def of(horizon: Horizon) -> pd.DataFrame:
        return build_targets(prices, technical, implied_volatility, horizon=horizon)

    return {key: of(horizon) for key, horizon in HORIZONS.items()}
