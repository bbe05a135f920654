"""A running share counts the outcomes that are known at a session, the last so many, and none that come later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.models.direction import direction_classifier
from trading_dag.models.direction.direction_learners import ONLINE, SHRUNK
from trading_dag.models.learning.calibration import moved_to
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.running_share import KnownOutcomes

pytestmark = pytest.mark.usefixtures("few_candidates")

DAYS = pd.date_range("2024-01-01", periods=8, freq="D").to_numpy()


def test_an_outcome_counts_from_the_session_at_which_it_is_known_and_until_so_many_newer_ones_are() -> None:
    happened = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    ends = DAYS[2:8]  # two sessions ahead
    counts = np.array([True, True, False, True, True, True])
    known = KnownOutcomes.of(happened, ends, counts=counts)
    share, through = known.running_share(DAYS[2:8], over=3)
    assert share.tolist() == [1.0, 0.5, 0.5, 2 / 3, 1 / 3, 1 / 3]
    assert through.tolist() == DAYS[[2, 3, 3, 5, 6, 7]].tolist()


def test_a_probability_keeps_its_odds_ratio_to_the_share_it_is_moved_to() -> None:
    moved = moved_to(np.array([0.6, 0.5, 0.5]), usual=0.5, other=np.array([0.5, 0.55, 0.25]))
    assert moved == pytest.approx([0.6, 0.55, 0.25])
    odds = moved_to(np.array([0.7]), usual=0.6, other=np.array([0.4]))[0]
    assert odds / (1 - odds) == pytest.approx((0.7 / 0.3) / (0.6 / 0.4) * (0.4 / 0.6))


def _said(model: FittedModel, research: Any, targets: pd.DataFrame) -> pd.DataFrame:
    frame = direction_classifier.predict(
        model, research.features, targets, horizon=research.horizon, prices=research.prices
    )
    return frame[frame["model"].isin((SHRUNK, ONLINE))]


def _following(model: FittedModel, *, follows: bool) -> FittedModel:
    folds = tuple(
        replace(fold, calibration={**fold.calibration, "follows_running_share": float(follows)})
        if fold.calibration else fold
        for fold in model.folds
    )  # fmt: skip
    return replace(model, folds=folds)


def test_a_fold_that_does_not_follow_the_running_share_says_what_the_frozen_one_says(
    direction_model: FittedModel, research: Any
) -> None:
    said = _said(_following(direction_model, follows=False), research, research.targets)
    by_model = said.pivot(index="session", columns="model", values="probability_up")
    assert (by_model[ONLINE] == by_model[SHRUNK]).all()


def test_a_model_that_was_stored_before_there_was_a_choice_says_what_it_said(
    direction_model: FittedModel, research: Any
) -> None:
    old = replace(
        direction_model,
        folds=tuple(
            replace(
                fold,
                calibration={name: fold.calibration[name] for name in ("climatology", "shrink") if fold.calibration},
            )
            for fold in direction_model.folds
        ),
    )
    by_model = _said(old, research, research.targets).pivot(index="session", columns="model", values="probability_up")
    assert (by_model[ONLINE] == by_model[SHRUNK]).all()


def test_an_online_forecast_follows_each_rise_that_is_known_by_then_and_no_later_one(
    direction_model: FittedModel, research: Any
) -> None:
    model = _following(direction_model, follows=True)
    online = _said(model, research, research.targets).query("model == @ONLINE").set_index("session")
    assert (online["fitted_through"] <= online.index).all()
    assert (online["fitted_through"].diff().dropna() >= pd.Timedelta(0)).all()
    last = online.index[-40]
    changed = research.targets.copy()
    late = pd.to_datetime(changed["target_session"]) > last
    changed.loc[late, "forward_return"] = -changed.loc[late, "forward_return"]
    again = _said(model, research, changed).query("model == @ONLINE").set_index("session")
    until = online.index <= last
    assert again.loc[until, "probability_up"].equals(online.loc[until, "probability_up"])
    assert not again.loc[~until, "probability_up"].equals(online.loc[~until, "probability_up"])
    # Read one session by hand: the odds of the frozen forecast, on the share of rises known at it.
    day = online.index[300]
    frozen = _said(model, research, research.targets).query("model == @SHRUNK").set_index("session").loc[day]
    fold = next(fold for fold in model.folds_of(SHRUNK) if fold.fold == frozen["fold"])
    targets = research.targets[
        (pd.to_datetime(research.targets["session"]) >= fold.train_first_session)
        & (pd.to_datetime(research.targets["target_session"]) <= day)
    ]
    share = (targets["forward_return"] > 0).mean()
    ratio = frozen["probability_up"] / (1 - frozen["probability_up"])
    usual = fold.calibration["climatology"]
    odds = ratio / (usual / (1 - usual)) * share / (1 - share)
    assert online.loc[day, "probability_up"] == pytest.approx(odds / (1 + odds), rel=1e-9)


def test_a_fold_follows_the_running_share_only_where_it_was_no_worse_on_the_rows_held_out(
    direction_model: FittedModel,
) -> None:
    for fold in direction_model.folds_of(SHRUNK):
        no_worse = fold.metrics["inner_brier_running_share"] <= fold.metrics["inner_brier_climatology"]
        assert fold.calibration["follows_running_share"] == float(no_worse)
        assert 0.0 < fold.calibration["running_share"] < 1.0
