"""Market states: a Gaussian hidden Markov model with five states and full covariances, a fit for each calendar year.

A year is served by the model fitted on all sessions before it; that model and the names of its states are frozen
once made. Probabilities are filtered: P(state at t | observations up to t). Smoothing would use the future and
is not offered. What is observed stands in ``features.regime_inputs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.frames import table_frame
from trading_dag.regime_observations import NAMING_REGIME_INPUTS, REGIME_INPUT_CHOICES, REGIME_INPUTS
from trading_dag.schemas import MARKET_STATES, PREDICTIONS_REGIME, REGIME_HMM

if TYPE_CHECKING:
    from hmmlearn.hmm import GaussianHMM


STATES: Final = len(MARKET_STATES)
LEAST_SESSIONS: Final = 756
"""Sessions, about three years, below which no model is fitted."""
WARM_UP_SESSIONS: Final = 252
"""Observations before a year with which its filter is started; more of them change nothing at 1e-9."""
SEED: Final = 42
_STARTS: Final = 8
_ITERATIONS: Final = 100
# Of the log likelihood of all sessions together, nats.
_TOLERANCE: Final = 0.1
_LEAST_VARIANCE: Final = 1e-3
_TREND, _VOLATILITY = NAMING_REGIME_INPUTS


@dataclass(frozen=True, eq=False)
class RegimeParameters:
    """One fit; states in the order of ``MARKET_STATES``, observations in that of ``REGIME_INPUT_CHOICES``.

    Attributes
    ----------
    serves_from : first session of the year it serves.
    start : (5,) probabilities before the first observation.
    transition : (5, 5) row: from, column: to.
    means, covariances : (5, n) and (5, n, n) of n observations, in their units.
    """

    serves_from: pd.Timestamp
    start: FloatArray
    transition: FloatArray
    means: FloatArray
    covariances: FloatArray


def observes(models: pd.DataFrame, inputs: pd.DataFrame) -> bool:
    """Whether ``models.regime_hmm`` was fitted on the observations of these inputs, from their first session on.

    Fits that were not are of other settings, and are made anew.
    """
    if models.empty or inputs.empty:
        return True
    is_first = bool((models["fitted_first_session"] == inputs.index[0]).all())
    return is_first and _observed(models) == tuple(inputs.columns)


def _observed(models: pd.DataFrame) -> tuple[str, ...]:
    """Return what the fits observe: that of which there are means."""
    return tuple(name for name in REGIME_INPUT_CHOICES if models[f"mean_{name}"].notna().all())


def fit_missing_years(inputs: pd.DataFrame, *, ticker: str, stored: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fit the years of the observations that have no model yet.

    Each fit starts from the one before (the first from seeded k-means), so that states keep their meaning.

    Parameters
    ----------
    inputs : from ``build_regime_inputs``.
    stored : ``models.regime_hmm`` so far, of the same observations; its years are kept as they are.

    Returns
    -------
    pd.DataFrame : ``models.regime_hmm``, five rows a year, from the first year with 756 sessions before it. Without
    so many, no rows.

    When it is known
    ----------------
    A year's rows at the close of ``fitted_through``, the last session before the year.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # The matrices are small: threads of the linear algebra would only wait for one another.
    with threadpool_limits(limits=1):
        return _fit_missing_years(inputs, ticker, stored)


def _fit_missing_years(inputs: pd.DataFrame, ticker: str, stored: pd.DataFrame | None) -> pd.DataFrame:
    sessions = pd.DatetimeIndex(inputs.index)
    values = inputs.to_numpy(dtype=np.float64)
    kept = {} if stored is None else {fit.serves_from: fit for fit in parameters_of(stored)}
    frames = [] if stored is None or stored.empty else [stored]
    before: RegimeParameters | None = None
    for first in map(int, np.flatnonzero(np.diff(sessions.year, prepend=0))):
        if first < LEAST_SESSIONS:
            continue
        serves_from = sessions[first]
        if serves_from not in kept:
            fitted = _fit(values[:first], before, tuple(inputs.columns))
            frames.append(_rows(fitted, inputs, first=first, ticker=ticker))
            kept[serves_from] = parameters_of(frames[-1])[0]
        before = kept[serves_from]
    if not frames:
        return table_frame(REGIME_HMM, {}, rows=0)
    return pd.concat(frames, ignore_index=True).sort_values(list(REGIME_HMM.key), ignore_index=True)


def parameters_of(models: pd.DataFrame) -> list[RegimeParameters]:
    """The fits of ``models.regime_hmm`` by year.

    Raises
    ------
    SchemaError : for a year that has not all five states.
    """
    serves_from = models["serves_from"].to_numpy()
    state = pd.Index(MARKET_STATES, dtype="object").get_indexer(pd.Index(models["state"], dtype="object"))
    order = np.lexsort((state, serves_from))
    years, rows = np.unique(serves_from, return_counts=True)
    begins = np.cumsum(rows) - rows
    for year, begin, count in zip(years, begins, rows, strict=True):
        if not np.array_equal(state[order[begin : begin + count]], np.arange(STATES)):
            key = f"serves_from={pd.Timestamp(year):%Y-%m-%d}"
            raise SchemaError(table=REGIME_HMM.qualified_name, key=key, rule="five states a year")

    def of_states(*names: str) -> FloatArray:
        values = models[list(names)].to_numpy(dtype=np.float64)[order]
        return values.reshape(len(years), STATES, len(names))

    names = _observed(models)
    pairs = list(combinations_with_replacement(range(len(names)), 2))
    covariances = np.empty((len(years), STATES, len(names), len(names)))
    between = of_states(*(_covariance_name(names[left], names[right]) for left, right in pairs))
    for place, (left, right) in enumerate(pairs):
        covariances[:, :, left, right] = covariances[:, :, right, left] = between[:, :, place]
    start = of_states("start_probability")[:, :, 0]
    transition = of_states(*(f"probability_to_{name}" for name in MARKET_STATES))
    means = of_states(*(f"mean_{name}" for name in names))
    # Column by column, as a frame holds them: the order of the sums, and so their last bit, depends on it.
    return [
        RegimeParameters(
            serves_from=pd.Timestamp(year),
            start=start[at],
            transition=np.asfortranarray(transition[at]),
            means=np.asfortranarray(means[at]),
            covariances=covariances[at],
        )
        for at, year in enumerate(years)
    ]


def predict(inputs: pd.DataFrame, models: pd.DataFrame, *, ticker: str) -> pd.DataFrame:
    """``predictions.regime``: the filtered probabilities of every session that a model serves.

    The filter of a year begins 252 observations before it, so that a row needs no more history than that.

    Parameters
    ----------
    inputs : from ``build_regime_inputs``.
    models : ``models.regime_hmm``.

    When it is known
    ----------------
    At the close of the session: a row is made of observations up to it and parameters of earlier years.

    NaN policy
    ----------
    No row for a session without an observation, or before the first model.
    """
    fits = parameters_of(models)
    sessions = pd.DatetimeIndex(inputs.index)
    if not fits or sessions.empty or sessions[-1] < fits[0].serves_from:
        return table_frame(PREDICTIONS_REGIME, {}, rows=0)
    begins = np.array([sessions.searchsorted(fit.serves_from) for fit in fits])
    ends = np.append(begins[1:], len(sessions))
    served = begins < ends
    fits = [fit for fit, has_rows in zip(fits, served, strict=True) if has_rows]
    begins, ends = begins[served], ends[served]
    probabilities = filtered_probabilities(inputs.to_numpy(dtype=np.float64), fits, begins=begins, ends=ends)
    through = models.drop_duplicates("serves_from").set_index("serves_from")["fitted_through"]
    rows = len(sessions) - begins[0]
    values: dict[str, Any] = {
        "ticker": ticker,
        "session": sessions[begins[0] :],
        "state": np.array(MARKET_STATES, dtype=object)[probabilities.argmax(axis=1)],
        "fitted_through": np.repeat(through[[fit.serves_from for fit in fits]].to_numpy(), ends - begins),
        **{f"probability_{state}": probabilities[:, place] for place, state in enumerate(MARKET_STATES)},
    }
    return table_frame(PREDICTIONS_REGIME, values, rows=int(rows))


def filtered_probabilities(
    values: FloatArray, fits: list[RegimeParameters], *, begins: IntArray, ends: IntArray
) -> FloatArray:
    """P(state | observations up to the row) of the rows from the first beginning on, (rows, 5).

    Parameters
    ----------
    values : (sessions, n) observations.
    fits : the model of each year.
    begins, ends : rows that each model serves, adjacent. All years go through the recursion side by side.

    References
    ----------
    Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE 77 (2), 1989, section III.A.
    """
    starts = np.maximum(begins - WARM_UP_SESSIONS, 0)
    steps = int((ends - starts).max())
    log_density = np.full((steps, len(fits), STATES), 0.0)
    for year, fit in enumerate(fits):
        log_density[: ends[year] - starts[year], year] = _log_densities(values[starts[year] : ends[year]], fit)
    weight = np.exp(log_density - log_density.max(axis=2, keepdims=True))
    transition = np.stack([fit.transition for fit in fits])
    alpha = np.stack([fit.start for fit in fits]) * weight[0]
    filtered = np.empty_like(weight)
    for step in range(steps):
        if step:
            alpha = np.einsum("ys,yst->yt", alpha, transition) * weight[step]
        alpha /= alpha.sum(axis=1, keepdims=True)
        filtered[step] = alpha
    return np.concatenate(
        [filtered[begins[year] - starts[year] : ends[year] - starts[year], year] for year in range(len(fits))]
    )


def _log_densities(values: FloatArray, fit: RegimeParameters) -> FloatArray:
    """ln of each state's density at each observation, up to a constant, (rows, 5)."""
    root = np.linalg.cholesky(fit.covariances)
    deviations = values[np.newaxis] - fit.means[:, np.newaxis]
    whitened = np.linalg.solve(root, deviations.transpose(0, 2, 1))
    half_log_determinant = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    density: FloatArray = (-0.5 * (whitened**2).sum(axis=1) - half_log_determinant[:, np.newaxis]).T
    return density


@dataclass(frozen=True, eq=False)
class _Fit:
    """What expectation maximisation came to, in the units of the observations and the order of ``MARKET_STATES``."""

    start: FloatArray
    transition: FloatArray
    means: FloatArray
    covariances: FloatArray
    iterations: int
    is_converged: bool
    mean_log_likelihood: float


def _fit(values: FloatArray, before: RegimeParameters | None, names: tuple[str, ...]) -> _Fit:
    """Fit on standardised observations, which the result is freed of again.

    It starts from the fit of the year before. The first year has none: of several seeded starts the likeliest is taken,
    for k-means alone may end with two states in one.
    """
    centre, scale = values.mean(axis=0), values.std(axis=0)
    standardised = (values - centre) / scale
    if before is None:
        models = [_new_model(SEED + start).fit(standardised) for start in range(_STARTS)]
    else:
        model = _new_model(SEED)
        model.init_params = ""
        model.startprob_, model.transmat_ = before.start, before.transition
        model.means_ = (before.means - centre) / scale
        model.covars_ = before.covariances / np.outer(scale, scale)
        models = [model.fit(standardised)]
    likelihoods = [float(model.score(standardised)) for model in models]
    best = int(np.argmax(likelihoods))
    model = models[best]
    means = model.means_ * scale + centre
    covariances = np.asarray(model.covars_) * np.outer(scale, scale)
    order = named_order(means, names)
    return _Fit(
        start=model.startprob_[order],
        transition=model.transmat_[np.ix_(order, order)],
        means=means[order],
        covariances=covariances[order],
        iterations=int(model.monitor_.iter),
        is_converged=bool(model.monitor_.converged),
        mean_log_likelihood=likelihoods[best] / len(values) - float(np.log(scale).sum()),
    )


def _new_model(seed: int) -> GaussianHMM:
    from hmmlearn.hmm import GaussianHMM

    return GaussianHMM(
        STATES, covariance_type="full", random_state=seed, n_iter=_ITERATIONS, tol=_TOLERANCE,
        min_covar=_LEAST_VARIANCE, implementation="scaling",
    )  # fmt: skip


def named_order(means: FloatArray, names: tuple[str, ...] = REGIME_INPUTS) -> IntArray:
    """The state that bears each name, in the order of ``MARKET_STATES``.

    The two states with the highest volatility are the high-volatility ones, rally the one whose 20-session return is
    higher. Of the three calmer ones the lowest 20-session return is consolidation, and of the last two the
    one with the lower volatility is the low-volatility uptrend, the other the momentum uptrend.

    Parameters
    ----------
    means : (5, n) mean observations of the states.
    names : what they are means of.
    """
    trend, volatility = means[:, names.index(_TREND)], means[:, names.index(_VOLATILITY)]
    by_volatility = np.argsort(volatility, kind="stable")
    calm, wild = by_volatility[:3], by_volatility[3:]
    consolidation = calm[trend[calm].argmin()]
    low, momentum = (state for state in calm if state != consolidation)
    down, rally = wild[np.argsort(trend[wild], kind="stable")]
    return np.array([low, momentum, consolidation, down, rally], dtype=np.int64)


def _rows(fit: _Fit, inputs: pd.DataFrame, *, first: int, ticker: str) -> pd.DataFrame:
    sessions, names = pd.DatetimeIndex(inputs.index), tuple(inputs.columns)
    pairs = combinations_with_replacement(enumerate(names), 2)
    values: dict[str, Any] = {
        "ticker": ticker,
        "serves_from": sessions[first],
        "state": np.array(MARKET_STATES, dtype=object),
        "fitted_first_session": sessions[0],
        "fitted_through": sessions[first - 1],
        "n_train": first,
        "iterations": fit.iterations,
        "is_converged": fit.is_converged,
        "mean_log_likelihood": fit.mean_log_likelihood,
        "start_probability": fit.start,
        **{f"probability_to_{state}": fit.transition[:, place] for place, state in enumerate(MARKET_STATES)},
        **{f"mean_{name}": fit.means[:, place] for place, name in enumerate(names)},
        **{_covariance_name(one, other): fit.covariances[:, left, right] for (left, one), (right, other) in pairs},
    }
    return table_frame(REGIME_HMM, values, rows=STATES)


def _covariance_name(left: str, right: str) -> str:
    return f"covariance_{left}_{right}"
