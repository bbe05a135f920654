"""Which scores a forecast of a price gets, as a point and as a distribution, from rows of predictions.price.

Here belongs the list of metrics of the task. Baselines, intervals and verdicts stand in ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.schemas import FAR_SESSIONS, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.vocabulary import VOLATILITY_THIRDS
from trading_dag.slices import Horizon
from trading_dag.validation.scores import metrics
from trading_dag.validation.scores.scoring import ScoredRows
from trading_dag.validation.scores.task_parts import Part

BANDS_USD: Final = (2.0, 3.0, 5.0)
BAND_OF_HORIZON_USD: Final = {"24h": 2.0, "48h": 2.0, "72h": 3.0, "96h": 3.0, "168h": 5.0}
BAND_FRACTION: Final = 0.02
HIT_RATE_IN_USD_BAND: Final = "hit_rate_within_usd_band"
HIT_RATE_IN_PERCENT_BAND: Final = "hit_rate_within_2_percent"
MISS_RATE: Final = 0.1
COVERAGE: Final = "coverage_90"
_LEVELS: Final = np.array(QUANTILE_LEVELS)


def by_sessions_ahead(frame: pd.DataFrame, horizon: Horizon) -> Iterator[Part]:
    """Yield the rows that end where the slice's horizon does, then those further ahead, whose metrics say so."""
    for ahead in (horizon.target_offset, *FAR_SESSIONS):
        rows = frame[frame["sessions_ahead"] == ahead]
        if ahead == horizon.target_offset:
            yield Part("", horizon.gap_sessions, rows)
        elif len(rows):
            yield Part(f"_{ahead}_sessions", ahead, rows)


@dataclass(frozen=True)
class PriceRows(ScoredRows):
    """Forecasts of a price with outcomes, in session order.

    Attributes
    ----------
    close, outcome : of the session and at the target, USD.
    point : forecast price, USD; None where a row has none.
    interval : (rows, 2) ends of the 90 % interval, USD; None where a row has none.
    quantiles : (rows, 19), USD; None where a row has none.
    third : third of the past's volatility that each session's lies in; missing where nobody knows.
    band_usd : the band that the horizon is judged by; None where it has none.
    """

    close: FloatArray
    outcome: FloatArray
    point: FloatArray | None
    interval: FloatArray | None
    quantiles: FloatArray | None
    third: pd.Series
    band_usd: float | None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> PriceRows:
        """Return the forecasts from rows of predictions.price, of one model, whose outcome is known."""
        point = _if_complete(frame, ("y_pred",))
        is_far = len(frame) > 0 and frame["sessions_ahead"].iloc[0] in FAR_SESSIONS
        return cls(
            close=frame["close"].to_numpy(dtype=np.float64),
            outcome=frame["y_true"].to_numpy(dtype=np.float64),
            point=None if point is None else point[:, 0],
            interval=_if_complete(frame, ("interval_low", "interval_high")),
            quantiles=_if_complete(frame, QUANTILE_COLUMNS),
            third=frame["volatility_third"],
            band_usd=None if is_far or not len(frame) else BAND_OF_HORIZON_USD.get(str(frame["horizon"].iloc[0])),
        )

    @property
    def losses(self) -> dict[str, FloatArray]:
        """Absolute error in USD and in percent of the close, Winkler score and mean pinball loss in percent of it, as
        far as there is a point, an interval, a distribution.
        """
        found: dict[str, FloatArray] = {}
        if self.point is not None:
            error = np.abs(self.outcome - self.point)
            found |= {"mae": error, "mae_percent": self._percent(error)}
        if self.interval is not None:
            found["winkler_90"] = self._percent(interval_scores(self.interval, self.outcome))
        if self.quantiles is not None:
            found["pinball"] = self._percent(pinball_losses(self.quantiles, self.outcome).mean(axis=1))
        return found

    def rows_of(self, metric: str) -> int:
        """Return the number of rows in the third that a coverage is of, of all rows for the other metrics."""
        for name in VOLATILITY_THIRDS:
            if metric == f"{COVERAGE}_{name}_volatility":
                return int((self.third == name).sum())
        return len(self.outcome)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return errors and hit rates of the point, and coverage, width and scores of the distribution.

        ``mae``, ``rmse`` and bands are in USD, everything else of an interval or distribution in percent of the close.
        """
        weights = weights.astype(np.float64, copy=False)
        held = metrics.total_weights(weights)
        columns = {**self.losses, **self._hits(), **self._of_interval()}
        sums = metrics.weighted_sums(weights, np.column_stack(list(columns.values()))) if columns else np.empty((0, 0))
        scores = {name: sums[:, place] / held for place, name in enumerate(columns)}
        if "squared_error" in scores:
            scores["rmse"] = np.sqrt(scores.pop("squared_error"))
        if self.interval is not None:
            scores |= self._coverage_by_third(weights)
        if self.quantiles is not None:
            below = metrics.weighted_sums(weights, (self.outcome[:, np.newaxis] <= self.quantiles).astype(np.float64))
            scores["calibration_error"] = np.abs(below / held[:, np.newaxis] - _LEVELS).mean(axis=1)
        return scores

    def _percent(self, of_price: FloatArray) -> FloatArray:
        return 100.0 * of_price / self.close

    def _hits(self) -> dict[str, FloatArray]:
        """Return squared errors, and whether the point came within each band."""
        if self.point is None:
            return {}
        error = np.abs(self.outcome - self.point)
        bands = {f"hit_rate_within_{band:.0f}_usd": error <= band for band in BANDS_USD}
        if self.band_usd is not None:
            bands[HIT_RATE_IN_USD_BAND] = error <= self.band_usd
        bands[HIT_RATE_IN_PERCENT_BAND] = error <= BAND_FRACTION * self.outcome
        return {"squared_error": error**2, **{name: hit.astype(np.float64) for name, hit in bands.items()}}

    def _of_interval(self) -> dict[str, FloatArray]:
        if self.interval is None:
            return {}
        low, high = self.interval.T
        return {COVERAGE: self._is_covered.astype(np.float64), "width_90": self._percent(high - low)}

    @property
    def _is_covered(self) -> BoolArray:
        low, high = (np.full(len(self.outcome), np.nan),) * 2 if self.interval is None else self.interval.T
        covered: BoolArray = (self.outcome >= low) & (self.outcome <= high)
        return covered

    def _coverage_by_third(self, weights: FloatArray) -> dict[str, FloatArray]:
        members: FloatArray = np.stack([self.third == name for name in VOLATILITY_THIRDS], axis=1).astype(np.float64)
        held = metrics.weighted_sums(weights, members)
        covered = metrics.weighted_sums(weights, members * self._is_covered[:, np.newaxis])
        shares = np.divide(covered, held, out=np.full_like(covered, np.nan), where=held > 0)
        return {f"{COVERAGE}_{name}_volatility": shares[:, place] for place, name in enumerate(VOLATILITY_THIRDS)}


def interval_scores(interval: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return the score of a 90 % interval per row: its width, and 2 / 0.1 times the distance by which it missed.

    Parameters
    ----------
    interval : (rows, 2) lower and upper end.
    outcome : (rows,) in the same unit.

    References
    ----------
    Winkler, Journal of the American Statistical Association 67 (1972), p. 187; Gneiting and Raftery, the same 102
    (2007), equation 43.
    """
    low, high = interval.T
    missed = np.maximum(low - outcome, 0.0) + np.maximum(outcome - high, 0.0)
    scores: FloatArray = (high - low) + 2.0 / MISS_RATE * missed
    return scores


def pinball_losses(quantiles: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return the pinball loss of each quantile of each row, (rows, 19); twice its mean over levels nears the CRPS.

    References
    ----------
    Koenker and Bassett, Econometrica 46 (1978), p. 33; Gneiting and Raftery (2007), section 6.2.
    """
    above = outcome[:, np.newaxis] - quantiles
    losses: FloatArray = np.maximum(_LEVELS * above, (_LEVELS - 1.0) * above)
    return losses


def _if_complete(frame: pd.DataFrame, columns: tuple[str, ...]) -> FloatArray | None:
    """Return the columns where every row has all of them; a score over some of the rows would be of other rows."""
    values: FloatArray = frame[list(columns)].to_numpy(dtype=np.float64)
    return values if np.isfinite(values).all() else None
