"""The hidden Markov model of market states: filtered, named, frozen, and blind to the future."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import multivariate_normal

from trading_dag.errors import SchemaError
from trading_dag.features.regime_inputs import build_regime, build_regime_inputs
from trading_dag.features.technical import build_technical
from trading_dag.models.volatility.regime_hmm import (
    LEAST_SESSIONS,
    RegimeParameters,
    filtered_probabilities,
    fit_missing_years,
    named_order,
    observes,
    parameters_of,
    predict,
)
from trading_dag.schemas import MARKET_STATES, REGIME, REGIME_HMM, REGIME_INPUTS
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import RegimeSettings
from trading_dag.validation.lookahead import probe_lookahead

DRIFTS = (0.0015, 0.003, 0.0, -0.004, 0.004)
DEVIATIONS = (0.005, 0.008, 0.011, 0.025, 0.018)


def drawn_inputs(*, last: str = "2011-12-30", seed: int = 7) -> pd.DataFrame:
    """Observations of a market that stays in each of five states for 40 sessions on average."""
    sessions = sessions_between(pd.Timestamp("2006-01-03"), pd.Timestamp(last))
    generator = np.random.default_rng(seed)
    rows, state = [], 0
    for _ in sessions:
        if generator.random() < 0.025:
            state = int(generator.integers(5))
        drift, deviation = DRIFTS[state], DEVIATIONS[state]
        rows.append(
            (
                generator.normal(5 * drift, deviation * np.sqrt(5)),
                generator.normal(20 * drift, deviation * 2),
                generator.normal(np.log(deviation * np.sqrt(252) * 100), 0.08),
            )
        )
    return pd.DataFrame(rows, index=sessions, columns=list(REGIME_INPUTS))


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    return drawn_inputs()


@pytest.fixture(scope="module")
def models(inputs: pd.DataFrame) -> pd.DataFrame:
    return fit_missing_years(inputs, ticker="SPY")


def parameters(generator: np.random.Generator) -> RegimeParameters:
    roots = generator.normal(size=(5, 3, 3)) * 0.4 + np.eye(3)
    return RegimeParameters(
        serves_from=pd.Timestamp("2010-01-04"),
        start=generator.dirichlet(np.ones(5)),
        transition=generator.dirichlet(np.ones(5), size=5),
        means=generator.normal(size=(5, 3)),
        covariances=roots @ roots.transpose(0, 2, 1),
    )


def test_the_filter_equals_bayes_rule_summed_over_every_path_of_states() -> None:
    generator = np.random.default_rng(3)
    fit, values = parameters(generator), generator.normal(size=(4, 3))
    density = np.array(
        [[multivariate_normal.pdf(row, fit.means[s], fit.covariances[s]) for s in range(5)] for row in values]
    )
    for last in range(4):
        joint = np.zeros(5)
        for path in product(range(5), repeat=last + 1):
            weight = fit.start[path[0]] * density[0, path[0]]
            for step in range(1, last + 1):
                weight *= fit.transition[path[step - 1], path[step]] * density[step, path[step]]
            joint[path[-1]] += weight
        found = filtered_probabilities(values, [fit], begins=np.array([0]), ends=np.array([4]))
        np.testing.assert_allclose(found[last], joint / joint.sum(), rtol=1e-12, atol=1e-15)


def test_probabilities_do_not_change_when_later_sessions_arrive(inputs: pd.DataFrame) -> None:
    def through(last: str) -> pd.DataFrame:
        cut = inputs[:last]
        return predict(cut, fit_missing_years(cut, ticker="SPY"), ticker="SPY")

    later = through("2011-12-30")
    for last in ("2010-12-31", "2011-01-03", "2011-06-15"):
        earlier = through(last)
        pd.testing.assert_frame_equal(later[later["session"] <= last].reset_index(drop=True), earlier)


def test_a_smoothed_probability_would_be_caught_by_the_prober(inputs: pd.DataFrame, models: pd.DataFrame) -> None:
    def filtered(rows: pd.DataFrame) -> pd.DataFrame:
        return predict(rows.set_index("session"), models, ticker="SPY")

    def smoothed(rows: pd.DataFrame) -> pd.DataFrame:
        frame = filtered(rows)
        column = f"probability_{MARKET_STATES[0]}"
        return frame.assign(**{column: frame[column][::-1].ewm(alpha=0.5).mean()[::-1]})

    rows = inputs.rename_axis("session").reset_index()
    options = {"time_columns": {"rows": "session"}, "table": "predictions.regime"}
    assert probe_lookahead(filtered, {"rows": rows}, **options) == []
    assert probe_lookahead(smoothed, {"rows": rows}, **options)


def test_a_year_is_served_by_a_fit_that_ends_before_it_and_begins_with_three_years(models: pd.DataFrame) -> None:
    assert (models["fitted_through"] < models["serves_from"]).all()
    assert models["n_train"].min() >= LEAST_SESSIONS
    assert models.groupby("serves_from").size().eq(5).all()
    assert models["serves_from"].dt.year.unique().tolist() == [2010, 2011]  # 2009 would have had 734 sessions


def test_no_year_is_fitted_on_less_than_three_years_and_then_nothing_is_predicted(inputs: pd.DataFrame) -> None:
    short = inputs[:"2008-12-31"]
    fitted = fit_missing_years(short, ticker="SPY")
    assert fitted.empty
    assert list(fitted.columns) == list(REGIME_HMM.column_names)
    assert predict(short, fitted, ticker="SPY").empty


def test_a_stored_year_is_kept_to_the_bit_and_only_the_new_one_is_fitted(
    inputs: pd.DataFrame, models: pd.DataFrame
) -> None:
    first_year = models[models["serves_from"].dt.year == 2010].reset_index(drop=True)
    marked = first_year.assign(mean_log_likelihood=-99.0)
    again = fit_missing_years(inputs, ticker="SPY", stored=marked)
    pd.testing.assert_frame_equal(again[again["serves_from"].dt.year == 2010].reset_index(drop=True), marked)
    assert again["serves_from"].dt.year.unique().tolist() == [2010, 2011]
    kept = again["serves_from"].dt.year == 2011
    pd.testing.assert_frame_equal(again[kept], models[models["serves_from"].dt.year == 2011])


def test_known_states_are_found_again_under_their_names(models: pd.DataFrame) -> None:
    last = parameters_of(models)[-1]
    trend, volatility = last.means[:, 1], np.exp(last.means[:, 2])
    truth = [np.array(DEVIATIONS) * np.sqrt(252) * 100, np.array(DRIFTS) * 20]
    order = [0, 1, 2, 3, 4]  # the drawn states stand in the order of the names
    np.testing.assert_allclose(volatility, truth[0][order], rtol=0.05)
    np.testing.assert_allclose(trend, truth[1][order], atol=0.01)
    assert np.diag(last.transition).min() > 0.9


def test_names_follow_volatility_and_trend_however_the_states_are_numbered() -> None:
    means = np.array([[0, 0.01, 2.0], [0, 0.03, 2.2], [0, 0.0, 2.4], [0, -0.05, 3.5], [0, 0.02, 3.0]])
    for seed in range(10):
        shuffle = np.random.default_rng(seed).permutation(5)
        order = named_order(means[shuffle])
        np.testing.assert_array_equal(shuffle[order], [0, 1, 2, 3, 4])


def test_the_filter_forgets_what_lies_before_its_warm_up(inputs: pd.DataFrame, models: pd.DataFrame) -> None:
    whole = predict(inputs, models, ticker="SPY")
    begin = inputs.index.searchsorted(pd.Timestamp("2011-01-03"))
    changed = inputs.copy()
    changed.iloc[: begin - 252] = 0.01
    later = predict(changed, models, ticker="SPY")
    columns = [f"probability_{state}" for state in MARKET_STATES]
    of_2011 = whole["session"] >= "2011-01-03"
    pd.testing.assert_frame_equal(whole.loc[of_2011, columns], later.loc[of_2011, columns])


def test_a_year_without_all_five_states_is_refused(models: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match=r"models\.regime_hmm.*2010-01-04.*five states"):
        parameters_of(models.drop(index=models.index[0]))


def test_sessions_without_movement_are_left_out_and_not_filled(inputs: pd.DataFrame) -> None:
    technical = pd.DataFrame(
        {
            "session": inputs.index[:4],
            "log_return_5d": [np.nan, 0.01, 0.02, 0.0],
            "log_return_20d": [0.0, 0.01, 0.02, 0.0],
            "hv_20": [10.0, 12.0, 15.0, 0.0],
        }
    )
    found = build_regime_inputs(technical)
    assert found.index.tolist() == inputs.index[1:3].tolist()
    np.testing.assert_allclose(found["log_hv_20"], [np.log(12.0), np.log(15.0)])


WITH_VOLUME = (*REGIME_INPUTS, "price_to_sma_50", "log_volume_ratio")


@pytest.fixture(scope="module")
def wider_inputs(inputs: pd.DataFrame) -> pd.DataFrame:
    """The same market with volume and the price over its mean, which follow volatility and trend."""
    generator = np.random.default_rng(3)
    return inputs.assign(
        price_to_sma_50=inputs["log_return_20d"] + generator.normal(0.0, 0.01, len(inputs)),
        log_volume_ratio=0.3 * (inputs["log_hv_20"] - 2.5) + generator.normal(0.0, 0.1, len(inputs)),
    )


def test_volume_and_price_over_their_means_are_observed_where_they_are_named(inputs: pd.DataFrame) -> None:
    technical = pd.DataFrame(
        {
            "session": inputs.index[:4],
            "log_return_5d": 0.01,
            "log_return_20d": 0.02,
            "hv_20": [10.0, 12.0, 15.0, 20.0],
            "price_to_sma_50": [0.03, np.nan, 0.01, 0.02],
            "volume_ratio": [1.5, 1.0, 0.8, 0.0],
        }
    )
    found = build_regime_inputs(technical, names=WITH_VOLUME)
    assert found.index.tolist() == [inputs.index[0], inputs.index[2]]
    np.testing.assert_allclose(found["log_volume_ratio"], np.log([1.5, 0.8]))
    np.testing.assert_allclose(found["price_to_sma_50"], [0.03, 0.01])
    assert list(build_regime_inputs(technical).columns) == list(REGIME_INPUTS)
    assert len(build_regime_inputs(technical)) == 4  # what is not observed takes no session away


def test_sessions_before_the_start_are_not_observed(inputs: pd.DataFrame) -> None:
    technical = inputs.reset_index(names="session").assign(hv_20=np.exp(inputs["log_hv_20"].to_numpy()))
    found = build_regime_inputs(technical, start=inputs.index[500].date())
    assert found.index[0] == inputs.index[500]
    fitted = fit_missing_years(found, ticker="SPY")
    assert set(fitted["fitted_first_session"]) == {inputs.index[500]}


def test_more_observations_are_fitted_stored_and_filtered_and_the_states_keep_their_names(
    wider_inputs: pd.DataFrame, models: pd.DataFrame
) -> None:
    wider = fit_missing_years(wider_inputs, ticker="SPY")
    assert wider["covariance_price_to_sma_50_log_volume_ratio"].notna().all()
    assert models[["mean_price_to_sma_50", "covariance_log_hv_20_log_volume_ratio"]].isna().all(axis=None)
    last = parameters_of(wider)[-1]
    assert last.means.shape == (5, 5)
    assert last.covariances.shape == (5, 5, 5)
    np.testing.assert_allclose(last.covariances, last.covariances.transpose(0, 2, 1))
    wild = np.array(DEVIATIONS[3:]) * np.sqrt(252) * 100  # of the calm ones the noise of the new columns makes others
    np.testing.assert_allclose(np.exp(last.means[3:, 2]), wild, rtol=0.05)
    found = predict(wider_inputs, wider, ticker="SPY")
    columns = [f"probability_{state}" for state in MARKET_STATES]
    np.testing.assert_allclose(found[columns].sum(axis=1), 1.0)

    def build(observed: pd.DataFrame) -> pd.DataFrame:
        return predict(observed.set_index("session"), wider, ticker="SPY")

    inputs = {"observed": wider_inputs.reset_index(names="session")}
    assert probe_lookahead(build, inputs, time_columns={"observed": "session"}, table="predictions.regime") == []


def test_fits_of_other_observations_or_another_start_are_told_from_those_of_the_settings(
    inputs: pd.DataFrame, wider_inputs: pd.DataFrame, models: pd.DataFrame
) -> None:
    assert observes(models, inputs)
    assert observes(models.iloc[:0], wider_inputs)
    assert not observes(models, wider_inputs)
    assert not observes(models, inputs.iloc[1:])
    narrow = wider_inputs[["log_return_20d", "log_hv_20"]]
    assert not observes(models, narrow)
    assert observes(fit_missing_years(narrow, ticker="SPY"), narrow)


def test_settings_name_what_is_observed_and_what_the_names_need() -> None:
    assert RegimeSettings().inputs == REGIME_INPUTS
    chosen = RegimeSettings(inputs=("log_volume_ratio", "log_hv_20", "log_return_20d"))
    assert chosen.inputs == ("log_return_20d", "log_hv_20", "log_volume_ratio")
    with pytest.raises(ValidationError, match="without log_hv_20 the states cannot be named"):
        RegimeSettings(inputs=("log_return_20d", "log_volume_ratio"))
    with pytest.raises(ValidationError, match="rsi_14"):
        RegimeSettings(inputs=("log_return_20d", "log_hv_20", "rsi_14"))  # type: ignore[arg-type]


def test_the_feature_is_the_state_s_place_and_its_probabilities(inputs: pd.DataFrame, models: pd.DataFrame) -> None:
    prediction = predict(inputs, models, ticker="SPY")
    features = build_regime(prediction)
    assert list(features.columns) == list(REGIME.column_names)
    probabilities = features[[f"regime_probability_{state}" for state in MARKET_STATES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(features["regime_state"], probabilities.argmax(axis=1))
    assert [MARKET_STATES[int(place)] for place in features["regime_state"]] == prediction["state"].tolist()


def test_on_real_sessions_the_wild_states_are_the_wild_years(real_data: Path) -> None:
    until_2009 = [("ticker", "==", "SPY"), ("session", "<", pd.Timestamp("2010-01-01"))]
    prices = pd.read_parquet(real_data / "prices_daily.parquet", filters=until_2009).sort_values("session")
    technical = build_technical(prices.assign(split_factor=1.0, dividend=0.0).reset_index(drop=True))
    inputs = build_regime_inputs(technical)
    found = predict(inputs, fit_missing_years(inputs, ticker="SPY"), ticker="SPY")
    is_wild = found["state"].isin(["high_volatility_downtrend", "high_volatility_rally"])
    by_year = is_wild.groupby(found["session"].dt.year).mean()
    assert by_year[2008] > 0.5
    assert by_year[2005] < by_year[2008] / 3
