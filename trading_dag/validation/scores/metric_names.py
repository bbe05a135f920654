"""What each metric and baseline is, in words; docs/metrics.md, ``trading-dag explain`` and the dashboard read it here.

A name is a stem with parts around it: ``diebold_mariano_p_winkler_90_10_sessions`` is a p-value of the Winkler score of
forecasts ten sessions ahead. Stems stand in ``METRICS``, parts in ``PREFIXES`` and ``SUFFIXES``. Which way is better is
``metric_meaning``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Metric:
    """Says what one metric is.

    Attributes
    ----------
    meaning : what is computed.
    unit : of its values.
    reference : where the definition comes from; empty for a plain mean or share.
    """

    meaning: str
    unit: str
    reference: str = ""


_BRIER: Final = "Brier, Monthly Weather Review 78, 1950"
_PINBALL: Final = "Koenker and Bassett, Econometrica 46, 1978"
_WINKLER: Final = "Winkler, Journal of the American Statistical Association 67, 1972"
_POWERS: Final = "Powers, Journal of Machine Learning Technologies 2, 2011"

METRICS: Final[Mapping[str, Metric]] = {
    "accuracy": Metric("share of rows whose class was called", "share"),
    "adjusted_sharpe": Metric(
        "Sharpe ratio, divided for volatility above 1.2 times the market's and for a return below the market's",
        "ratio a year",
        "Kaggle, Hull Tactical – Market Prediction, 2025, evaluation page",
    ),
    "auc": Metric(
        "share of pairs of a rise and a fall in which the rise had the higher probability; one half is chance",
        "share",
        "Hanley and McNeil, Radiology 143, 1982",
    ),
    "balanced_accuracy": Metric("mean of the classes' recalls", "share"),
    "brier": Metric(
        "squared distance of the probabilities from the outcome; of three classes summed over them, 0 to 2",
        "probability squared",
        _BRIER,
    ),
    "brier_rise": Metric("squared error of the probability that the index rises", "probability squared", _BRIER),
    "brier_sign": Metric(
        "squared distance of P(rise) from 1 where the price rose, from 0 elsewhere, on all rows; 0.25 is what one half "
        "scores",
        "probability squared",
        _BRIER,
    ),
    "calibration_error": Metric(
        "distance of the probability from the share that came, over ten equally wide bins weighted by rows; of a "
        "distribution, over its quantiles",
        "probability",
    ),
    "calibration_error_sign": Metric(
        "distance of P(rise) from the share of rises, over ten equally wide bins weighted by rows", "probability"
    ),
    "coverage_90": Metric("share of outcomes within the 90 % interval; the nearer to 0.90, the better", "share"),
    "f1": Metric("harmonic mean of precision and recall of the class; 0 where it was never called", "share", _POWERS),
    "hit_rate": Metric("share of calls with the sign of the return; a return of exactly 0 is a miss", "share"),
    "hit_rate_within_2_percent": Metric("share of outcomes within 2 % of the point forecast", "share"),
    "hit_rate_within_2_usd": Metric("share of outcomes within 2 USD of the point forecast", "share"),
    "hit_rate_within_3_usd": Metric("share of outcomes within 3 USD of the point forecast", "share"),
    "hit_rate_within_5_usd": Metric("share of outcomes within 5 USD of the point forecast", "share"),
    "hit_rate_within_usd_band": Metric(
        "share of outcomes within the horizon's band: 2 USD for 24h and 48h, 3 for 72h and 96h, 5 for 168h", "share"
    ),
    "log_loss": Metric("minus the logarithm of the probability that the outcome's class had", "nats"),
    "lost_growth": Metric(
        "minus the mean logarithm of what the account earned above cash; negative where it earned more", "log growth"
    ),
    "macro_f1": Metric("mean of the classes' F1", "share", _POWERS),
    "macro_precision": Metric("mean of the classes' precisions", "share", _POWERS),
    "macro_recall": Metric("mean of the classes' recalls", "share", _POWERS),
    "mae": Metric(
        "mean distance of the outcome from the point forecast, the median where there is a distribution",
        "USD; percent points for an index",
    ),
    "mae_percent": Metric("mean distance of the outcome from the point forecast", "percent of the session's close"),
    "mean_position": Metric("mean share of the account in the market; no merit by itself", "share"),
    "pinball": Metric(
        "mean pinball loss of the 19 quantiles, nearly half the continuous ranked probability score",
        "percent of the session's close or index",
        _PINBALL,
    ),
    "precision": Metric("share of the class's calls that were right; 0 where it was never called", "share", _POWERS),
    "probability_of_overfitting": Metric(
        "share of halvings of the sessions in which the best of one half ends below the median in the other; one half "
        "is a coin",
        "share",
        "Bailey, Borwein, López de Prado and Zhu, Journal of Computational Finance 20, 2017",
    ),
    "qlike": Metric(
        "outcome / forecast − ln(outcome / forecast) − 1 of the mean of the volatility index",
        "no unit",
        "Patton, Journal of Econometrics 160, 2011",
    ),
    "recall": Metric("share of the class's rows that were called so", "share", _POWERS),
    "rmse": Metric("root of the mean squared distance of the outcome from the point forecast", "USD"),
    "rps": Metric(
        "ranked probability score: squared distance of the summed probabilities from the outcome's, which knows that "
        "LOW is farther from HIGH than NORMAL is, 0 to 1",
        "probability squared",
        "Epstein, Journal of Applied Meteorology 8, 1969",
    ),
    "sharpe": Metric("mean return above cash over its standard deviation", "ratio a year"),
    "width_90": Metric(
        "mean width of the 90 % interval; no merit by itself, narrow is easy", "percent of the session's close or index"
    ),
    "winkler_90": Metric(
        "width of the 90 % interval plus 20 times what the outcome lies outside it: width and coverage in one",
        "percent of the session's close or index",
        _WINKLER,
    ),
}

PREFIXES: Final[Mapping[str, str]] = {
    "clark_west_p_": "one-sided p-value of Clark and West (Journal of Econometrics 138, 2007), small where the model "
    "adds information before what estimating it costs, of the",
    "diebold_mariano_p_": "one-sided p-value of Diebold and Mariano (Journal of Business and Economic Statistics 13, "
    "1995), small where the model is better than the baseline, by the",
}

SUFFIXES: Final[Mapping[str, str]] = {
    "_conditional": "on clear rows only, whose move left the dead band: no trader knows which those will be",
    "_low_volatility": "on sessions whose volatility lay in the lowest third of its own past",
    "_middle_volatility": "on sessions whose volatility lay in the middle third of its own past",
    "_high_volatility": "on sessions whose volatility lay in the highest third of its own past",
    "_10_sessions": "of forecasts ten sessions ahead",
    "_21_sessions": "of forecasts 21 sessions ahead",
}
_OF_A_CLASS: Final = re.compile(r"(f1|precision|recall)_(up|down|low|normal|high|put_credit|call_credit|hold)")

BASELINES: Final[Mapping[str, str]] = {
    "buy_and_hold": "all of the account in the market, always",
    "class_prior": "the shares of the classes among the rows that the serving fold learnt from",
    "climatology": "the share of rises among all training rows of the serving fold: the strongest naive forecast of a "
    "direction",
    "markov": "how often each regime followed each other over the horizon in the training rows: the strongest naive "
    "forecast of a regime",
    "none": "no baseline: the row is a baseline's own",
    "persistence": "what is stays, with probability 1; of spreads, the class of the move that ended at the session",
    "previous_direction": "the sign of the return over the same span that ended at the session",
    "random_walk": "today's price is the forecast; of the volatility index, today's level moved as it has moved over "
    "the horizon before",
    "random_walk_drift": "today's price moved by the median outcome of the training part",
    "rolling_quantile_250": "quantiles of the last 250 known returns",
    "running_climatology": "the share of rises among all outcomes known at the session",
    "spread_logistic": "a logistic regression on the last row of what the network reads",
    "volatility_managed": "the allocation's formula with nothing forecast beyond the mean",
}


def meaning_of_metric(name: str) -> Metric | None:
    """Return what a metric of ``evaluation.metrics`` is, put together from its parts; None where no such metric
    exists.
    """
    for prefix, text in PREFIXES.items():
        if name.startswith(prefix):
            of = meaning_of_metric(name.removeprefix(prefix))
            return of and Metric(f"{text} following: {of.meaning}", "probability", of.reference)
    if name in METRICS:
        return METRICS[name]
    for suffix, text in SUFFIXES.items():
        if name.endswith(suffix):
            of = meaning_of_metric(name.removesuffix(suffix))
            return of and Metric(f"{of.meaning}; {text}", of.unit, of.reference)
    of_class = _OF_A_CLASS.fullmatch(name)
    if of_class is None:
        return None
    stem = METRICS[of_class[1]]
    return Metric(f"{stem.meaning}; of {of_class[2].upper()}", stem.unit, stem.reference)
