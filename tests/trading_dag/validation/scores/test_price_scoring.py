"""Scores of price forecasts are those of a hand calculation and of scikit-learn, on the rows that they name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.schemas import PREDICTIONS_PRICE, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.vocabulary import VOLATILITY_THIRDS
from trading_dag.sessions import sessions_between, shift_sessions
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.scores.metrics import point_weights
from trading_dag.validation.scores.price_scoring import PriceRows, by_sessions_ahead, interval_scores, pinball_losses
from trading_dag.validation.verdicts.evaluation import evaluate

N = 400
SESSIONS = sessions_between("2015-01-02", "2020-12-31")[:N]


def forecasts(
    model: str, *, width: float = 1.0, ahead: int = 5, horizon: str = "168h", is_baseline: bool = False, seed: int = 1
) -> pd.DataFrame:
    """Normal forecasts of a standard normal move in percent, their width right where it is 1."""
    from scipy.stats import norm

    generator = np.random.default_rng(seed)
    moves = generator.standard_normal(N) / 100
    close = np.linspace(100, 200, N)
    quantiles = close[:, np.newaxis] * (1 + width * norm.ppf(QUANTILE_LEVELS) / 100)
    values = {
        "ticker": "SPY", "horizon": horizon, "session": SESSIONS, "target_session": shift_sessions(SESSIONS, ahead),
        "sessions_ahead": ahead, "model": model, "fold": 0, "fitted_through": SESSIONS, "close": close,
        "y_true": close * (1 + moves), "forward_return": moves, "y_pred": close,
        **dict(zip(QUANTILE_COLUMNS, quantiles.T, strict=True)), "interval_low": quantiles[:, 0],
        "interval_high": quantiles[:, -1], "scale_source": "unscaled",
        "volatility_third": np.array(VOLATILITY_THIRDS)[np.arange(N) // 50 % 3],
        "is_baseline": is_baseline, "is_out_of_sample": True,
    }  # fmt: skip
    return table_frame(PREDICTIONS_PRICE, values, rows=N)


def _scores(frame: pd.DataFrame) -> dict[str, float]:
    return {name: float(values[0]) for name, values in PriceRows.of(frame).scores(point_weights(len(frame))).items()}


def test_the_errors_and_losses_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

    frame = forecasts("a")
    scores = _scores(frame)
    assert scores["mae"] == pytest.approx(mean_absolute_error(frame["y_true"], frame["y_pred"]))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(frame["y_true"], frame["y_pred"]))
    losses = [
        mean_pinball_loss(frame["y_true"], frame[name], alpha=level, sample_weight=100 / frame["close"])
        * (100 / frame["close"]).mean()
        for name, level in zip(QUANTILE_COLUMNS, QUANTILE_LEVELS, strict=True)
    ]
    assert scores["pinball"] == pytest.approx(np.mean(losses))


def test_the_interval_score_is_its_width_and_twenty_times_what_it_missed_by() -> None:
    interval = np.array([[90.0, 110.0]] * 3)
    np.testing.assert_allclose(interval_scores(interval, np.array([100.0, 89.0, 112.0])), [20.0, 40.0, 60.0])


def test_twice_the_mean_pinball_loss_nears_the_crps_of_a_normal_forecast() -> None:
    from scipy.stats import norm

    quantiles = norm.ppf(QUANTILE_LEVELS)[np.newaxis, :]
    for outcome in (-1.5, 0.0, 0.7):
        crps = outcome * (2 * norm.cdf(outcome) - 1) + 2 * norm.pdf(outcome) - 1 / np.sqrt(np.pi)
        assert 2 * pinball_losses(quantiles, np.array([outcome])).mean() == pytest.approx(crps, rel=0.06)


def test_coverage_is_counted_on_all_rows_and_on_those_of_each_third() -> None:
    frame = forecasts("a", width=0.5)
    scores = _scores(frame)
    covered = (frame["y_true"] >= frame["interval_low"]) & (frame["y_true"] <= frame["interval_high"])
    assert scores["coverage_90"] == covered.mean()
    for name in VOLATILITY_THIRDS:
        rows = frame["volatility_third"] == name
        assert scores[f"coverage_90_{name}_volatility"] == pytest.approx(covered[rows].mean())
        assert PriceRows.of(frame).rows_of(f"coverage_90_{name}_volatility") == rows.sum()
    width = (frame["interval_high"] - frame["interval_low"]) / frame["close"] * 100
    assert scores["width_90"] == pytest.approx(width.mean())
    unknown = frame.assign(volatility_third=pd.Series(None, index=frame.index, dtype="str"))
    assert np.isnan(_scores(unknown)["coverage_90_low_volatility"])
    assert "fewer than 30 rows" in str(PriceRows.of(unknown).why_too_few("coverage_90_low_volatility", least=30))


@pytest.mark.parametrize(("horizon", "ahead", "band"), [("24h", 1, 2), ("48h", 2, 2), ("72h", 3, 3), ("168h", 5, 5)])
def test_the_band_of_a_horizon_is_the_one_that_the_contract_names(horizon: str, ahead: int, band: int) -> None:
    scores = _scores(forecasts("a", horizon=horizon, ahead=ahead))
    assert scores["hit_rate_within_usd_band"] == scores[f"hit_rate_within_{band}_usd"]
    assert 0 < scores["hit_rate_within_2_usd"] < scores["hit_rate_within_5_usd"] < 1


def test_the_overnight_and_the_far_forecasts_have_no_band_of_their_own() -> None:
    for frame in (forecasts("a", horizon="12h", ahead=1), forecasts("a", ahead=21)):
        assert "hit_rate_within_usd_band" not in _scores(frame)
        assert "hit_rate_within_2_percent" in _scores(frame)


def test_a_point_without_a_distribution_gets_errors_and_hit_rates_alone() -> None:
    point = forecasts("a").assign(**dict.fromkeys((*QUANTILE_COLUMNS, "interval_low", "interval_high"), np.nan))
    scores = _scores(point)
    assert {"mae", "rmse", "hit_rate_within_2_percent"} <= set(scores)
    assert not {"coverage_90", "winkler_90", "pinball", "calibration_error"} & set(scores)
    partly = forecasts("a")
    partly.loc[7, "interval_low"] = np.nan
    assert "coverage_90" not in _scores(partly)


def test_rows_further_ahead_are_scored_apart_and_say_so() -> None:
    frame = pd.concat([forecasts("a", ahead=ahead) for ahead in (5, 10, 21)], ignore_index=True)
    parts = list(by_sessions_ahead(frame, horizon_of("168h")))
    assert [(part.suffix, part.steps) for part in parts] == [("", 5), ("_10_sessions", 10), ("_21_sessions", 21)]
    assert [set(part.frame["sessions_ahead"]) for part in parts] == [{5}, {10}, {21}]


def test_the_right_width_beats_one_that_is_too_narrow_and_one_that_is_too_wide() -> None:
    frame = pd.concat(
        [
            forecasts("price_distribution"),
            forecasts("narrow", width=0.4, is_baseline=True),
            forecasts("wide", width=3.0, is_baseline=True),
        ],
        ignore_index=True,
    )
    scores = evaluate({"price": frame}, horizon=horizon_of("168h"), settings=BootstrapSettings(draws=200))
    for metric in ("winkler_90", "pinball", "coverage_90"):
        for baseline in ("narrow", "wide"):
            row = scores[(scores["metric"] == metric) & (scores["baseline"] == baseline)].iloc[0]
            assert row["verdict"] == "skilled"
            assert row["difference_ci_low"] > 0
    widths = scores[(scores["metric"] == "width_90") & (scores["baseline"] != "none")]
    assert set(widths["verdict"]) == {"no_verdict"}
    assert scores.loc[scores["is_served"], "model"].unique().tolist() == ["price_distribution"]
