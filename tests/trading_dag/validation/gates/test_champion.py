"""Whether a new version serves: what is compared, by which score, and every way in which it is decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.schemas import PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY
from trading_dag.served_models import SERVED_DIRECTION, SERVED_VOLATILITY
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BootstrapSettings, ChampionSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.gates.champion import (
    Candidacy,
    Comparison,
    compare_forecasts,
    decide,
    decisive,
    of_folds,
    restated_share,
    score_of,
)
from trading_dag.validation.scores.tasks import task_of

H = horizon_of("24h")
ROWS = 600
SESSIONS = sessions_between("2015-01-02", "2020-12-31")[:ROWS]
RETURNS = np.random.default_rng(7).normal(0, 0.01, ROWS)
SETTINGS = ChampionSettings()
DRAWS = BootstrapSettings(draws=200)
OLD = "20250101T210000000000Z-a1b2c3d4"


def forecasts(probability_up: object, *, version: str = "a1b2c3d4", known: int = ROWS) -> pd.DataFrame:
    """A year and more of direction forecasts by fold 1 and, in the last 100 sessions, by the live model, fold 6."""
    happened = np.where(RETURNS > 0, "UP", "DOWN").astype(object)
    happened[known:] = None
    return table_frame(
        PREDICTIONS_DIRECTION,
        {
            "ticker": "SPY", "horizon": "24h", "session": SESSIONS, "target_session": target_sessions(SESSIONS, H),
            "model": SERVED_DIRECTION, "fold": np.where(np.arange(ROWS) < ROWS - 100, 1, 6), "is_baseline": False,
            "fitted_through": SESSIONS[0], "is_out_of_sample": True, "model_version": version,
            "y_true": happened, "forward_return": np.where(np.arange(ROWS) < known, RETURNS, np.nan), "y_pred": "UP",
            "probability_up": probability_up, "probability_event": "rise", "threshold": 0.5, "confidence": 0.6,
        },
        rows=ROWS,
    )  # fmt: skip


def compared(champion: pd.DataFrame, challenger: pd.DataFrame) -> Comparison:
    return compare_forecasts(champion, challenger, task=task_of("direction"), horizon=H, settings=DRAWS)


def test_the_difference_is_that_of_the_brier_scores_on_common_sessions_and_positive_where_the_new_is_better() -> None:
    told = compared(forecasts(0.5), forecasts(np.where(RETURNS > 0, 0.6, 0.4))[100:])
    assert told.metric == "brier_sign"
    assert told.sessions == ROWS - 100
    assert told.first_session == f"{SESSIONS[100]:%Y-%m-%d}"
    assert told.last_session == f"{SESSIONS[-1]:%Y-%m-%d}"
    assert told.champion_score == pytest.approx(0.25)
    assert told.challenger_score == pytest.approx(0.16)
    assert told.difference == pytest.approx(0.09)
    assert told.difference_ci_low == pytest.approx(0.09)
    assert told.difference_ci_high == pytest.approx(0.09)


def noisy(seed: int) -> pd.DataFrame:
    return forecasts(0.5 + np.random.default_rng(seed).uniform(-0.1, 0.1, ROWS))


def test_intervals_between_two_that_know_nothing_nearly_all_hold_zero_and_that_of_a_real_gain_does_not() -> None:
    held = 0
    for seed in range(1, 41):
        told = compared(noisy(seed), noisy(-seed % 1000))
        assert told.difference_ci_low is not None
        assert told.difference_ci_high is not None
        held += told.difference_ci_low <= 0 <= told.difference_ci_high
    assert held >= 32, "of 40, at 95 % nominal with ten blocks"
    better = compared(noisy(1), forecasts(np.where(RETURNS > 0, 0.55, 0.45)))
    assert better.difference_ci_low is not None
    assert better.difference_ci_low > 0


def test_sessions_without_an_outcome_and_those_of_a_live_model_do_not_count() -> None:
    told = compared(forecasts(0.5, known=550), forecasts(0.6))
    assert told.sessions == 550
    frame = of_folds(forecasts(0.5), live_fold=6)
    assert len(frame) == ROWS - 100
    assert compared(frame, forecasts(0.6)).sessions == ROWS - 100
    assert compared(forecasts(0.5)[:10], forecasts(0.5)[10:]).sessions == 0


def test_the_regime_is_judged_by_the_ranked_probability_score() -> None:
    assert score_of(task_of("volatility")) == "rps"
    common = {
        "ticker": "SPY", "horizon": "24h", "session": SESSIONS, "target_session": target_sessions(SESSIONS, H),
        "model": SERVED_VOLATILITY, "fold": 1, "is_baseline": False, "fitted_through": SESSIONS[0],
        "is_out_of_sample": True, "y_true": "LOW", "y_pred": "LOW", "current_regime": "LOW", "confidence": 0.5,
        "expected_change": "STABLE",
    }  # fmt: skip
    near = {"probability_low": 0.5, "probability_normal": 0.5, "probability_high": 0.0}
    far = {"probability_low": 0.5, "probability_normal": 0.0, "probability_high": 0.5}
    frames = [table_frame(PREDICTIONS_VOLATILITY, common | each, rows=ROWS) for each in (near, far)]
    task = task_of("volatility")
    told = compare_forecasts(*frames, task=task, horizon=H, settings=DRAWS)
    # by hand, over two: ((.5 − 1)² + (1 − 1)²) / 2 = .125 and ((.5 − 1)² + (.5 − 1)²) / 2 = .25
    assert told.champion_score == pytest.approx(0.125)
    assert told.challenger_score == pytest.approx(0.25)
    assert told.difference == pytest.approx(-0.125)


GOOD = Comparison("brier_sign", 500, "2015-01-02", "2016-12-30", 0.25, 0.24, 0.01, 0.002, 0.02)


@pytest.mark.parametrize(
    ("candidacy", "kind", "serves"),
    [
        (Candidacy(None), "first", True),
        (Candidacy(OLD, is_same_model=True), "same_model", True),
        (Candidacy(OLD, changed=("code_version",)), "other_code", True),
        (Candidacy(OLD, changed=("settings",), comparison=replace(GOOD, difference=-0.1)), "other_settings", True),
        (Candidacy(OLD, why_not="it holds a type that nobody allowed"), "not_comparable", True),
        (Candidacy(OLD, restated_share=0.02, comparison=replace(GOOD, difference=-0.1)), "restated", True),
        (Candidacy(OLD, restated_share=0.009, comparison=replace(GOOD, difference=-0.1)), "worse", False),
        (Candidacy(OLD, comparison=Comparison("brier_sign", 0)), "too_few_sessions", True),
        (Candidacy(OLD, comparison=replace(GOOD, sessions=249, difference=-0.1)), "too_few_sessions", True),
        (Candidacy(OLD, comparison=replace(GOOD, sessions=250)), "no_worse", True),
        (Candidacy(OLD, comparison=replace(GOOD, difference=0.0)), "no_worse", True),
        (Candidacy(OLD, comparison=replace(GOOD, difference=-0.00025)), "no_worse", True),
        (Candidacy(OLD, comparison=replace(GOOD, difference=-0.00026)), "worse", False),
    ],
)
def test_a_new_version_serves_unless_it_is_worse_and_that_could_be_judged(
    candidacy: Candidacy, kind: str, *, serves: bool
) -> None:
    decision = decide(candidacy, SETTINGS)
    assert (decision.kind, decision.serves) == (kind, serves)
    assert decision.reason


def test_by_the_setting_every_new_version_serves() -> None:
    worse = Candidacy(OLD, comparison=replace(GOOD, difference=-0.1))
    decision = decide(worse, ChampionSettings(rule="newest"))
    assert (decision.kind, decision.serves) == ("newest", True)
    assert "on 500 common sessions" in decision.reason, "what is known of it is told all the same"


def test_without_tolerance_the_smallest_loss_refuses() -> None:
    strict = ChampionSettings(tolerance=0)
    assert not decide(Candidacy(OLD, comparison=replace(GOOD, difference=-1e-9)), strict).serves
    assert decide(Candidacy(OLD, comparison=replace(GOOD, difference=0.0)), strict).serves


def test_the_reason_says_on_how_many_sessions_by_how_much_and_against_whom() -> None:
    reason = decide(Candidacy(OLD, comparison=replace(GOOD, difference=-0.01)), SETTINGS).reason
    for part in (OLD, "brier_sign 0.24000 against 0.25000", "-0.010000 [+0.002000, +0.020000]", "500 common sessions"):
        assert part in reason


def test_restated_are_forecasts_that_the_same_version_would_not_make_again() -> None:
    stored = forecasts(0.5)
    assert restated_share(stored, stored, model=SERVED_DIRECTION, model_version="a1b2c3d4") == 0.0
    today = forecasts(np.where(np.arange(ROWS) < 60, 0.51, 0.5))
    assert restated_share(stored, today, model=SERVED_DIRECTION, model_version="a1b2c3d4") == pytest.approx(0.1)
    assert restated_share(stored, today, model=SERVED_DIRECTION, model_version="deadbeef") is None
    later = forecasts(0.5, known=300)
    assert restated_share(later, stored, model=SERVED_DIRECTION, model_version="a1b2c3d4") == 0.0, "an outcome came"


def test_of_several_tasks_the_first_in_which_a_version_is_worse_decides() -> None:
    settings = ChampionSettings(tolerance=0.01, minimum_sessions=100)
    good, bad = (
        Comparison(name, 500, champion_score=1.0, challenger_score=1.0 - gain, difference=gain)
        for name, gain in (("rps", 0.02), ("pinball", -0.05))
    )
    tolerated = Comparison("pinball", 500, champion_score=1.0, challenger_score=1.005, difference=-0.005)
    few = Comparison("pinball", 50, champion_score=1.0, challenger_score=2.0, difference=-1.0)
    assert decisive([good, bad], settings) is bad
    assert decisive([good, tolerated], settings) is good
    assert decisive([good, few], settings) is good
