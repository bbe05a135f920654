"""The surface of sessions with a chain: its slices at their own times, joined without arbitrage between them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.options.surfaces.of_chain import FittedSurface, fitted_surface
from trading_dag.options.surfaces.svi import SviParameters

SESSION = pd.Timestamp("2026-06-01")
SPOT, RATE = 500.0, 0.04
YEARS = (10 / 365, 40 / 365, 80 / 365)
SLICES = (
    SviParameters(0.0008, 0.012, -0.5, 0.01, 0.06),
    SviParameters(0.0030, 0.030, -0.6, 0.02, 0.10),
    SviParameters(0.0065, 0.050, -0.6, 0.02, 0.15),
)
CARRIES = (0.03, 0.025, 0.028)


def smiles(session: pd.Timestamp = SESSION, **changes: object) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "session": session,
            "years": YEARS,
            "spot": SPOT,
            "forward": [SPOT * np.exp(carry * years) for carry, years in zip(CARRIES, YEARS, strict=True)],
            "rate": RATE,
            **{f"svi_{name}": [getattr(each, name) for each in SLICES] for name in ("a", "b", "rho", "m", "s")},
            "least_durrleman": 0.1,
        }
    )
    return rows.assign(**changes)


def surface(years: float = 21 / 365, **changes: object) -> FittedSurface:
    sessions = pd.DatetimeIndex([SESSION])
    return fitted_surface(smiles(**changes), sessions, quoted_close=np.array([SPOT]), years=np.array([years]))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_at_a_slice_s_own_time_it_is_that_slice_around_its_own_forward(place: int) -> None:
    years, strike = np.array([YEARS[place]]), np.array([470.0])
    forward = SPOT * np.exp(CARRIES[place] * YEARS[place])
    expected = np.sqrt(SLICES[place].total_variance(np.log(470.0 / forward)) / YEARS[place])
    np.testing.assert_allclose(surface().forward(np.array([SPOT]), years), forward, rtol=1e-14)
    np.testing.assert_allclose(surface().implied_volatility(np.array([SPOT]), strike, years), expected, rtol=1e-12)


def test_between_two_slices_total_variance_is_linear_in_time_at_equal_moneyness() -> None:
    years = 25 / 365  # the middle of 10 and 40 days
    k = -0.05
    forward = SPOT * np.exp((CARRIES[0] + CARRIES[1]) / 2 * years)
    variance = (SLICES[0].total_variance(k) + SLICES[1].total_variance(k)) / 2
    found = surface().implied_volatility(np.array([SPOT]), np.array([forward * np.exp(k)]), np.array([years]))
    np.testing.assert_allclose(found, np.sqrt(variance / years), rtol=1e-12)


@pytest.mark.parametrize(("days", "place"), [(3, 0), (200, 2)])
def test_before_the_first_and_beyond_the_last_slice_the_volatility_is_held(days: int, place: int) -> None:
    found = surface().atm_volatility(np.array([days / 365]))
    np.testing.assert_allclose(found, np.sqrt(SLICES[place].total_variance(0.0) / YEARS[place]), rtol=1e-12)


def test_total_variance_grows_with_time_at_every_moneyness_where_the_slices_do() -> None:
    days = np.arange(10, 81) / 365
    for k in np.linspace(-0.2, 0.2, 9):
        joined = surface().columns()
        forward = joined.forward(SPOT, days[np.newaxis])
        volatility = joined.implied_volatility(SPOT, forward * np.exp(k), days[np.newaxis])
        assert (np.diff(volatility[0] ** 2 * days) > 0).all()


def test_the_probability_is_minus_the_slope_of_the_surface_s_own_call_prices() -> None:
    strikes, years, step = np.array([[450.0, 490.0, 510.0, 540.0]]), np.array([[21 / 365]]), 0.01
    own = surface().columns()
    calls = [own.price(SPOT, strikes + shift, years=years, is_call=True) for shift in (-step, step)]
    expected = (calls[0] - calls[1]) / (2 * step) * np.exp(RATE * 21 / 365)
    np.testing.assert_allclose(own.probability_above(SPOT, strikes, years), expected, atol=1e-5)


def test_put_call_parity_holds_with_the_chain_s_forward() -> None:
    own, years, strikes = surface().columns(), np.array([[21 / 365]]), np.array([[480.0, 520.0]])
    call, put = (own.price(SPOT, strikes, years=years, is_call=flag) for flag in (True, False))
    expected = np.exp(-RATE * years) * (own.forward(SPOT, years) - strikes)
    np.testing.assert_allclose(call - put, expected, atol=1e-10)


def test_sessions_of_different_numbers_of_slices_stand_side_by_side() -> None:
    other = pd.Timestamp("2026-06-02")
    both = pd.concat([smiles(), smiles(other).iloc[1:]], ignore_index=True)
    days = pd.DatetimeIndex([SESSION, other])
    joined = fitted_surface(both, days, quoted_close=np.array([SPOT, SPOT]), years=np.full(2, 50 / 365))
    assert joined.is_fitted.all()
    alone = surface(50 / 365).rows(np.array([0]))
    years = np.array([50 / 365])
    np.testing.assert_allclose(joined.atm_volatility(np.full(2, 50 / 365)), alone.atm_volatility(years)[0])


@pytest.mark.parametrize(
    ("years", "changes"),
    [
        (5 / 365, {}),
        (90 / 365, {}),
        (21 / 365, {"spot": 506.0}),
        (21 / 365, {"least_durrleman": -0.2}),
        (21 / 365, {"svi_a": np.nan}),
        (21 / 365, {"session": pd.Timestamp("2026-05-29")}),
    ],
    ids=["before the slices", "beyond them", "another spot", "butterfly arbitrage", "no fit", "another session"],
)
def test_a_session_without_good_slices_around_the_wanted_time_is_not_fitted(
    years: float, changes: dict[str, object]
) -> None:
    assert not surface(years, **changes).is_fitted[0]


def test_missing_columns_are_named() -> None:
    with pytest.raises(SchemaError, match=r"options\.chain_analytics.*svi_rho"):
        fitted_surface(
            smiles().drop(columns="svi_rho"),
            pd.DatetimeIndex([SESSION]),
            quoted_close=np.array([SPOT]),
            years=np.array([0.1]),
        )


def crossing(*levels: float, years: tuple[float, ...] = (10 / 365, 20 / 365, 40 / 365)) -> FittedSurface:
    """Flat slices of these total variances."""
    rows = smiles().assign(years=years, svi_a=levels, svi_b=0.0, svi_rho=0.0, svi_m=0.0, svi_s=0.1)
    return fitted_surface(rows, pd.DatetimeIndex([SESSION]), quoted_close=np.array([SPOT]), years=np.array([15 / 365]))


def test_a_slice_that_crosses_an_earlier_one_is_left_out() -> None:
    # The second has less variance than the first; the third has more than both, although it grew from the second.
    found = crossing(0.0020, 0.0015, 0.0050)
    assert found.is_fitted[0]
    assert found.years[np.isfinite(found.years)].tolist() == [10 / 365, 40 / 365]
    term = np.linspace(10, 40, 31) / 365
    total = found.rows(np.zeros(31, dtype=np.int64)).atm_volatility(term) ** 2 * term
    np.testing.assert_allclose(total, np.interp(term, [10 / 365, 40 / 365], [0.0020, 0.0050]))


def test_what_crosses_the_last_slice_kept_is_left_out_even_where_it_grew_from_the_one_before_it() -> None:
    found = crossing(0.0020, 0.0015, 0.0018)
    assert found.years[np.isfinite(found.years)].tolist() == [10 / 365]
    assert not found.is_fitted[0]


def test_a_second_slice_of_the_same_time_is_left_out() -> None:
    found = crossing(0.0020, 0.0021, 0.0050, years=(10 / 365, 10 / 365, 40 / 365))
    assert found.years[np.isfinite(found.years)].tolist() == [10 / 365, 40 / 365]


def test_slices_cross_also_in_a_wing_alone() -> None:
    rows = smiles().assign(svi_a=[0.0010, 0.0040, 0.0100], svi_b=[0.10, 0.0, 0.0], svi_m=0.0, svi_rho=0.0, svi_s=1e-4)
    sessions = pd.DatetimeIndex([SESSION])
    found = fitted_surface(rows, sessions, quoted_close=np.array([SPOT]), years=np.array([15 / 365]))
    # Two deviations of the second are ln 0.126: there the first has 0.0010 + 0.1 × 0.126 of variance, above 0.0100.
    assert found.years[np.isfinite(found.years)].tolist() == [YEARS[0]]
