"""Raw SVI recovers smiles it is given, and the arbitrage that the literature says is there is found."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from research.surface_fit import smile_points
from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.options.pricing import black_scholes
from trading_dag.options.surfaces.svi import FittedSmile, SviParameters, calendar_slack
from trading_dag.options.surfaces.svi_fit import SmileQuotes, fit_smile, fit_smiles
from trading_dag.options.surfaces.svi_start import bounded_least_squares, quasi_explicit
from trading_dag.options.surfaces.svi_wings import (
    densities,
    density_gradient,
    smile_of,
    variance_and_gradient,
)

# Gatheral & Jacquier 2014, example 3.1 (from Axel Vogt): a, b, m, rho, sigma at T = 1.
VOGT = SviParameters(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, s=0.4153)


def from_jump_wings(
    *, variance: float, skew: float, put_slope: float, call_slope: float, least_variance: float
) -> SviParameters:
    """Raw parameters at T = 1 of the jump-wing ones; Gatheral & Jacquier 2014, section 3.3."""
    root = math.sqrt(variance)
    b = 0.5 * root * (call_slope + put_slope)
    rho = 1.0 - put_slope * root / b
    beta = rho - 2.0 * skew * root / b
    alpha = math.copysign(math.sqrt(1.0 / beta**2 - 1.0), beta)
    m = (variance - least_variance) / (
        b * (-rho + math.copysign(math.sqrt(1.0 + alpha**2), alpha) - alpha * math.sqrt(1.0 - rho**2))
    )
    s = alpha * m
    return SviParameters(a=least_variance - b * s * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=m, s=s)


def test_the_published_vogt_smile_is_found_to_be_arbitrageable():
    k = np.linspace(-1.5, 1.5, 301)
    assert VOGT.least_durrleman(k) < 0.0
    # The paper's figure 1 shows g below zero on the right of the money only.
    negative = k[VOGT.durrleman(k) < 0.0]
    assert 0.5 < negative.min() < negative.max() < 1.5


def test_the_jump_wing_form_of_the_vogt_smile_is_the_published_one():
    """The paper gives (v, psi, p, c, least v) = (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249)."""
    ours = from_jump_wings(
        variance=0.01742625, skew=-0.1752111, put_slope=0.6997381, call_slope=1.316798, least_variance=0.0116249
    )
    for name in ("a", "b", "rho", "m", "s"):
        assert getattr(ours, name) == pytest.approx(getattr(VOGT, name), abs=2e-4)
    assert float(VOGT.total_variance(0.0)) == pytest.approx(0.01742625, abs=2e-7)
    assert VOGT.least_variance == pytest.approx(0.0116249, abs=2e-7)


def test_the_published_cure_of_the_vogt_smile_is_free_of_arbitrage():
    """Example 5.1 keeps v, psi and p and takes c' = p + 2·psi and v' = v·4pc'/(p + c')²."""
    call_slope, least = 0.3493158, 0.01548182
    assert call_slope == pytest.approx(0.6997381 + 2 * -0.1752111, abs=1e-6)
    assert least == pytest.approx(0.01742625 * 4 * 0.6997381 * call_slope / (0.6997381 + call_slope) ** 2, abs=1e-7)
    cured = from_jump_wings(
        variance=0.01742625, skew=-0.1752111, put_slope=0.6997381, call_slope=call_slope, least_variance=least
    )
    assert cured.least_durrleman(np.linspace(-1.5, 1.5, 301)) >= 0.0


@pytest.mark.parametrize("smile", [VOGT, SviParameters(0.01, 0.1, -0.6, 0.02, 0.12)])
def test_durrlemans_function_is_the_density_that_black_scholes_prices_imply(smile):
    """d²C/dK² = g(k)·φ(d2)/(K·√w), worked here by differencing prices at the smile's own volatilities."""
    step = 1e-3
    for k in (-0.4, -0.1, 0.0, 0.2, 0.9):
        strike = 100.0 * math.exp(k)
        strikes = np.array([strike - 0.1, strike, strike + 0.1])
        variance = smile.total_variance(np.log(strikes / 100.0))
        calls = black_scholes.price(
            spot=100.0, strike=strikes, years=1.0, rate=0.0, dividend_yield=0.0,
            volatility=np.sqrt(variance), is_call=True,
        )  # fmt: skip
        density = (calls[0] - 2 * calls[1] + calls[2]) / 0.1**2
        w = float(variance[1])
        d2 = -k / math.sqrt(w) - 0.5 * math.sqrt(w)
        implied = math.exp(-0.5 * d2 * d2) / math.sqrt(2 * math.pi) / (strike * math.sqrt(w))
        assert float(smile.durrleman(k)) == pytest.approx(density / implied, rel=step, abs=step)


@settings(deadline=None, max_examples=25)
@given(
    level=st.floats(0.001, 0.03),
    b=st.floats(0.03, 0.3),
    rho=st.floats(-0.85, 0.4),
    m=st.floats(-0.05, 0.05),
    s=st.floats(0.05, 0.25),
)
def test_a_smile_that_is_svi_is_recovered_from_its_quotes(level, b, rho, m, s):
    truth, k = SviParameters(level, b, rho, m, s), np.linspace(-0.5, 0.4, 46)
    fitted = fit_smile(k, np.sqrt(truth.total_variance(k) / 0.25), years=0.25)
    if truth.least_durrleman(k) >= 0.0:
        assert fitted.rmse < 1e-6
        assert fitted.implied_volatility(k) == pytest.approx(np.sqrt(truth.total_variance(k) / 0.25), abs=1e-5)
        assert fitted.least_durrleman >= -1e-9


def test_the_parameters_themselves_are_recovered():
    truth, k = SviParameters(0.01, 0.1, -0.6, 0.02, 0.12), np.linspace(-0.35, 0.25, 40)
    found = fit_smile(k, np.sqrt(truth.total_variance(k) / 0.25), years=0.25).parameters
    for name in ("a", "b", "rho", "m", "s"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=1e-6)


def start_of(k: np.ndarray, variance: np.ndarray, weight: np.ndarray) -> SviParameters:
    """The start of a fit; what fills the row up to a multiple of 64 has no weight."""
    row = np.zeros((3, 1, 64))
    row[:, 0, : len(k)] = k, variance, weight
    start = quasi_explicit(row[0], row[1], weight=row[2], steepest=1.95)[0]
    return smile_of(np.maximum(start, [0.0, 1e-12, 1e-12, -9.0, 0.0]))


@pytest.mark.parametrize(("rho", "m", "s"), [(-0.6, 0.2, 0.1), (-0.3, -0.3, 0.03), (0.5, 0.1, 0.3), (0.0, 0.0, 1.0)])
def test_the_start_of_a_fit_is_the_smile_itself_where_its_centre_and_curvature_are_tried(rho, m, s):
    truth, k = SviParameters(0.01, 0.1, rho, m, s), np.linspace(-0.3, 0.3, 41)  # centres are tried in steps of 0.1
    found = start_of(k, truth.total_variance(k), np.linspace(1.0, 2.0, 41))
    for name in ("a", "b", "rho", "m", "s"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=1e-6)


def test_the_start_of_a_fit_to_a_flat_smile_is_flat():
    k = np.linspace(-0.3, 0.3, 41)
    found = start_of(k, np.full(41, 0.04), np.ones(41))
    assert found.total_variance(k) == pytest.approx(np.full(41, 0.04), abs=1e-6)
    assert abs(found.rho) <= 1.0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_the_start_solves_its_bounded_problem_as_scipy_does(seed):
    generator = np.random.default_rng(seed)
    basis, wanted, upper = generator.normal(size=(5, 12, 3)), generator.normal(size=(5, 12)), np.full((5, 3), 0.3)
    gram, moment = basis.transpose(0, 2, 1) @ basis, np.einsum("pni,pn->pi", basis, wanted)
    solved, _ = bounded_least_squares(gram, moment, upper)
    for row in range(5):
        theirs = lsq_linear(basis[row], wanted[row], (0.0, upper[row]), tol=1e-14)
        assert solved[row] == pytest.approx(theirs.x, abs=1e-6)


def test_a_smile_fitted_among_others_is_the_one_fitted_alone_to_the_last_bit():
    generator = np.random.default_rng(11)
    quotes = []
    for count in (7, 30, 64, 65, 200, 6):
        k = np.sort(generator.uniform(-0.4, 0.3, count))
        sigma = np.sqrt(SviParameters(0.004, 0.06, -0.5, 0.01, 0.08).total_variance(k) / 0.1)
        noise = 0.03 if count == 200 else 0.002  # of the noisiest the plain fit admits an arbitrage
        quotes.append(SmileQuotes(k, sigma + generator.normal(scale=noise, size=count), 0.1))
    together = fit_smiles(quotes)
    assert together == [fit_smiles([one])[0] for one in quotes]
    assert together == fit_smiles(quotes[::-1])[::-1]


def test_expirations_with_too_few_strikes_have_no_smile_and_disturb_no_other():
    k = np.linspace(-0.2, 0.2, 11)
    few, enough = SmileQuotes(k[:5], np.full(5, 0.2), 0.1), SmileQuotes(k, np.full(11, 0.2), 0.1)
    found = fit_smiles([few, enough, few])
    assert found[0] is None
    assert found[2] is None
    assert found[1] == fit_smile(k, np.full(11, 0.2), years=0.1)
    assert fit_smiles([]) == []


def test_quotes_of_an_arbitrageable_smile_are_missed_by_as_much_as_its_cure_needs():
    k = np.linspace(-1.5, 1.5, 61)
    fitted = fit_smile(k, np.sqrt(VOGT.total_variance(k)), years=1.0)
    assert fitted.least_durrleman >= -1e-9
    assert 0.001 < fitted.rmse < 0.01


def test_the_wing_slopes_are_those_of_the_smile_far_out():
    smile, far = SviParameters(0.01, 0.3, -0.4, 0.02, 0.1), np.array([-2e6, -1e6, 1e6, 2e6])
    variance = smile.total_variance(far)
    slopes = (variance[0] - variance[1]) / 1e6, (variance[3] - variance[2]) / 1e6
    assert smile.wing_slopes == pytest.approx(slopes, rel=1e-8)


def test_a_wing_steeper_than_lees_bound_is_an_arbitrage():
    assert SviParameters(0.01, 1.5, 0.5, 0.0, 0.1).least_durrleman(np.array([-0.1, 0.1])) == -math.inf


def test_missing_and_unweighted_quotes_do_not_count_and_order_does_not_matter():
    truth, k = SviParameters(0.004, 0.05, -0.5, 0.0, 0.1), np.linspace(-0.3, 0.2, 30)
    sigma = np.sqrt(truth.total_variance(k) / 0.1)
    dirty_k, dirty = np.concatenate([k, [0.0, 0.1, 0.2, np.nan]]), np.concatenate([sigma, [np.nan, 0.0, 3.0, 0.2]])
    weights = np.concatenate([np.ones(30), [1.0, 1.0, 0.0, 1.0]])
    shuffled = np.random.default_rng(5).permutation(len(dirty))
    fitted = fit_smile(dirty_k[shuffled], dirty[shuffled], years=0.1, weights=weights[shuffled])
    assert fitted.n == 30
    assert fitted.rmse < 1e-6


@settings(deadline=None, max_examples=30)
@given(
    least=st.floats(0.001, 0.03), left=st.floats(0.02, 0.5), right=st.floats(0.02, 0.5), m=st.floats(-0.1, 0.1),
    s=st.floats(0.05, 0.3),
)  # fmt: skip
def test_the_gradients_of_the_fit_are_central_differences_of_the_smile(least, left, right, m, s):
    box, k = np.array([least, left, right, m, s]), np.linspace(-0.5, 0.4, 19)
    steps = np.diag([1e-7, 1e-6, 1e-6, 1e-6, 1e-6])
    by_variance = np.empty((1, 5, 19))
    variance = variance_and_gradient(box[np.newaxis], k[np.newaxis], out=by_variance)
    assert variance[0] == pytest.approx(smile_of(box).total_variance(k), rel=1e-12)
    assert densities(box[np.newaxis], k[np.newaxis])[0] == pytest.approx(smile_of(box).durrleman(k), rel=1e-9, abs=1e-9)
    where = k[np.newaxis] < 0.2
    by_density = density_gradient(box[np.newaxis], k[np.newaxis], where=where)
    assert (by_density[0, :, ~where[0]] == 0.0).all()
    for value, gradient, asked in (
        (lambda at: smile_of(at).total_variance(k), by_variance[0].T, k < 9.0),
        (lambda at: smile_of(at).durrleman(k), by_density[0].T, where[0]),
    ):
        differences = [(value(box + step) - value(box - step)) / (2.0 * step.sum()) for step in steps]
        expected = np.column_stack(differences)
        assert np.abs(gradient - expected)[asked].max() <= 1e-5 * max(np.abs(expected).max(), 1.0)


def test_a_heavier_quote_is_met_more_closely():
    k = np.linspace(-0.3, 0.3, 25)
    sigma = 0.2 + 0.1 * k**2
    sigma[12] += 0.02
    heavy = np.ones(25)
    heavy[12] = 1_000.0
    plain, weighted = (fit_smile(k, sigma, years=0.2, weights=w) for w in (None, heavy))
    miss = [abs(float(smile.implied_volatility(0.0)) - sigma[12]) for smile in (plain, weighted)]
    assert miss[1] < 0.5 * miss[0]


def _smile(years: float, volatility: float) -> FittedSmile:
    k = np.linspace(-0.2, 0.2, 11)
    return fit_smile(k, np.full(11, volatility), years=years)


def test_total_variance_that_falls_with_time_is_a_calendar_arbitrage():
    # By hand: 0.20² · 0.5 = 0.02 and 0.15² · 0.75 = 0.016875, a fall of 0.003125; at 0.18 it grows by 0.0043.
    assert calendar_slack(_smile(0.5, 0.20), _smile(0.75, 0.15)) == pytest.approx(-0.003125, abs=1e-6)
    assert calendar_slack(_smile(0.5, 0.20), _smile(0.75, 0.18)) == pytest.approx(0.0043, abs=1e-6)
    with pytest.raises(OptionPricingError, match="is not after"):
        calendar_slack(_smile(0.75, 0.2), _smile(0.5, 0.2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"years": 0.0}, OptionPricingError, "not above 0"),
        ({"years": math.nan}, OptionPricingError, "not above 0"),
        ({"weights": -np.ones(8)}, OptionPricingError, "weight is negative"),
        ({"weights": np.ones(7)}, OptionPricingError, "shapes"),
        ({"implied_volatility": np.full(8, np.nan)}, InsufficientDataError, "needs 6 quotes"),
        ({"log_moneyness": np.zeros(8)}, InsufficientDataError, "needs 6 quotes"),
    ],
)
def test_what_is_no_smile_is_refused(change, error, message):
    given_ = {"log_moneyness": np.linspace(-0.1, 0.1, 8), "implied_volatility": np.full(8, 0.2), "years": 0.1, **change}
    with pytest.raises(error, match=message):
        fit_smile(given_.pop("log_moneyness"), given_.pop("implied_volatility"), **given_)


@pytest.mark.parametrize("values", [(0, -0.1, 0, 0, 1), (0, 0.1, 1, 0, 1), (0, 0.1, 0, 0, 0), (-1, 0.1, 0, 0, 0.1)])
def test_parameters_that_are_no_smile_are_refused(values):
    with pytest.raises(OptionPricingError, match="is no smile"):
        SviParameters(*values)


@pytest.mark.files_data
def test_the_smiles_of_a_real_session_are_met_within_half_a_point_and_without_butterflies(real_data):
    chain = pd.read_parquet(real_data / "option_chain_snapshots.parquet").rename(columns={"right": "option_right"})
    chain = chain[(chain["ticker"] == "SPY") & (chain["quote_date"].astype(str) == "2015-01-05")]
    points = smile_points(chain, rate=0.0003, dividend_yield=0.015)
    points = points[points["years"].between(7 / 365, 90 / 365) & points["call_delta"].between(0.01, 0.99)]
    fitted = [
        fit_smile(smile["log_moneyness"], smile["implied_volatility"], years=float(smile["years"].iloc[0]))
        for _, smile in points.groupby("expiration")
    ]
    assert len(fitted) == 8
    assert max(smile.rmse for smile in fitted) < 0.005
    assert all(smile.least_durrleman >= -1e-9 for smile in fitted)
