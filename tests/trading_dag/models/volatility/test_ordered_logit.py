"""The ordered logit is that of statsmodels, its spline that of a natural cubic interpolation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline

from trading_dag.models.volatility.level_inputs import LEVEL_INPUTS
from trading_dag.models.volatility.ordered_logit import KNOTS, OrderedLogit, fit_cumulative_logit, natural_spline

RANK = LEVEL_INPUTS.index("rank_today")


def ranks_and_codes(n: int = 3_000, *, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Ranks, and classes that lean on them by a curve."""
    generator = np.random.default_rng(seed)
    rank = generator.uniform(0, 100, n)
    latent = 0.08 * rank + 1.5 * np.sin(rank / 15) + generator.logistic(size=n)
    return rank, np.digitize(latent, [2.5, 5.0][: classes - 1])


def rows_of(rank: np.ndarray) -> np.ndarray:
    values = np.full((len(rank), len(LEVEL_INPUTS)), np.nan)
    values[:, RANK] = rank
    return values


def test_without_a_penalty_it_is_the_ordered_model_of_statsmodels() -> None:
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    rank, codes = ranks_and_codes()
    columns = natural_spline(rank)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    thresholds, coefficients = fit_cumulative_logit(columns, codes, ridge=0.0)
    endog = pd.Series(pd.Categorical(codes, ordered=True))
    model = OrderedModel(endog, columns, distr="logit")
    theirs = model.fit(method="bfgs", disp=False, maxiter=2_000, gtol=1e-8)
    np.testing.assert_allclose(coefficients, theirs.params.to_numpy()[:4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(thresholds, model.transform_threshold_params(theirs.params.to_numpy())[1:3], rtol=1e-4)


def test_its_probabilities_are_those_of_statsmodels_up_to_the_slight_penalty() -> None:
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    rank, codes = ranks_and_codes(seed=1)
    ours = OrderedLogit().fit(rows_of(rank), codes).predict_proba(rows_of(np.linspace(0, 100, 51)))
    columns = natural_spline(rank)
    center, scale = columns.mean(axis=0), columns.std(axis=0)
    asked = (natural_spline(np.linspace(0, 100, 51)) - center) / scale
    columns = (columns - center) / scale
    theirs = OrderedModel(pd.Series(pd.Categorical(codes, ordered=True)), columns, distr="logit").fit(
        method="bfgs", disp=False, maxiter=2_000
    )
    np.testing.assert_allclose(ours, theirs.predict(asked), atol=0.005)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, atol=1e-12)


def test_two_classes_are_the_logistic_regression_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rank, codes = ranks_and_codes(classes=2)
    ours = OrderedLogit().fit(rows_of(rank), codes)
    columns = (natural_spline(rank) - ours.center_) / ours.scale_
    theirs = LogisticRegression(C=1_000.0, tol=1e-10, max_iter=5_000).fit(columns, codes)
    np.testing.assert_allclose(ours.coef_, theirs.coef_[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(-ours.thresholds_, theirs.intercept_, rtol=1e-3, atol=1e-4)


def test_the_columns_span_every_natural_cubic_spline_on_the_knots() -> None:
    rank = np.linspace(KNOTS[0], KNOTS[-1], 400)
    design = np.column_stack([np.ones(len(rank)), natural_spline(rank)])
    generator = np.random.default_rng(0)
    for _ in range(5):
        curve = CubicSpline(KNOTS, generator.normal(size=len(KNOTS)), bc_type="natural")(rank)
        solution = np.linalg.lstsq(design, curve, rcond=None)[0]
        np.testing.assert_allclose(design @ solution, curve, atol=1e-8)


def test_a_class_that_never_occurred_is_none_of_its_classes() -> None:
    rank, codes = ranks_and_codes(classes=2)
    fitted = OrderedLogit().fit(rows_of(rank), codes * 2)
    assert fitted.classes_.tolist() == [0, 2]
    assert fitted.predict_proba(rows_of(rank)).shape == (len(rank), 2)


@pytest.mark.parametrize("kind", ["constant rank", "classes that the rank tells apart"])
def test_it_has_an_optimum_where_the_likelihood_alone_has_none(kind: str) -> None:
    rank, codes = ranks_and_codes(500)
    if kind == "constant rank":
        rank = np.full(500, 40.0)
    else:
        codes = np.digitize(rank, [30, 60])
    probabilities = OrderedLogit().fit(rows_of(rank), codes).predict_proba(rows_of(rank))
    assert np.isfinite(probabilities).all()
    if kind == "constant rank":
        np.testing.assert_allclose(probabilities[0], np.bincount(codes) / 500, atol=1e-6)
    else:
        assert (probabilities.argmax(axis=1) == codes).mean() > 0.98
