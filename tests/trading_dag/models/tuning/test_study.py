"""Which rows a search sees, what makes it the same search, and how a trial is scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import InsufficientDataError, UnknownFamilyError
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS, WINDOWS
from trading_dag.models.learning.rows import LabelledRows
from trading_dag.models.tuning.classifiers import TaskRows, collect_task
from trading_dag.models.tuning.families import FAMILIES, UNPUBLISHED, require_families
from trading_dag.models.tuning.space import Dimension, Space
from trading_dag.models.tuning.study import rows_of_window
from trading_dag.schemas import SAFE_FEATURES
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.training_start import EVERYTHING, TrainingStart, parse_start
from trading_dag.validation.walk_forward import walk_forward_folds

XGBOOST = FAMILIES["direction_xgboost"]
LOGISTIC = FAMILIES["direction_logistic"]


def rows_of(research: Any, *, family: str = "direction_xgboost", start: TrainingStart = EVERYTHING) -> TaskRows:
    return collect_task(
        FAMILIES[family].task, research.features, research.targets, horizon=research.horizon,
        settings=WalkForwardSettings(), start=start, chosen=(),
    )  # fmt: skip


def labelled(count: int) -> LabelledRows:
    sessions = pd.date_range("2000-01-03", periods=count, freq="B")
    return LabelledRows(
        "SPY", sessions, sessions, ("x",), np.zeros((count, 1)), np.zeros(count, dtype=np.int64), {},
        np.zeros(count, dtype=np.bool_), np.zeros(count),
    )  # fmt: skip


@given(count=st.integers(1, 3_000), more=st.integers(0, 60), folds=st.integers(2, 8), gap=st.integers(1, 21))
def test_no_row_before_the_tests_has_a_label_that_reaches_into_a_test_part_now_or_later(
    count: int, more: int, folds: int, gap: int
) -> None:
    seen = rows_of_window(labelled(count), BEFORE_TESTS, folds=folds, gap=gap, start=EVERYTHING)
    for fold in walk_forward_folds(count + more, folds=folds, gap=gap):
        assert not len(seen) or seen[-1] + gap < fold.test[0]
        assert set(seen) <= set(fold.train)


def test_all_rows_are_all_rows_and_years_keep_the_last_of_a_window() -> None:
    assert len(rows_of_window(labelled(600), ALL_ROWS, folds=5, gap=5, start=EVERYTHING)) == 600
    kept = rows_of_window(labelled(600), BEFORE_TESTS, folds=5, gap=5, start=TrainingStart(years=0))
    assert len(kept) == 0
    one_year = rows_of_window(labelled(3_000), BEFORE_TESTS, folds=5, gap=5, start=parse_start("1y"))
    assert one_year[-1] == 494
    assert 255 < len(one_year) < 265
    with pytest.raises(ValueError, match="no window"):
        rows_of_window(labelled(3), "some", folds=5, gap=5, start=EVERYTHING)


def test_nothing_after_the_window_changes_the_name_or_a_score(research: Any) -> None:
    """The features, labels and returns of every later session are replaced by others."""
    study = rows_of(research).study("direction_xgboost", XGBOOST.space, BEFORE_TESTS)
    later = research.features["session"] > study.name.rows.last
    changed_features = research.features.copy()
    names = list(research.features.columns[2:])
    noise = np.random.default_rng(5).normal(size=(int(later.sum()), len(names)))
    changed_features.loc[later, names] = noise
    changed_targets = research.targets.copy()
    unseen = changed_targets["session"] > study.name.rows.last
    changed_targets.loc[unseen, "forward_return"] *= -3
    changed_targets.loc[unseen, "direction"] = "UP"
    changed = rows_of(replace(research, features=changed_features, targets=changed_targets))
    other = changed.study("direction_xgboost", XGBOOST.space, BEFORE_TESTS)
    assert other.name == study.name
    for fold in range(study.folds):
        assert other.score({"max_depth": 2}, fold) == study.score({"max_depth": 2}, fold)


def test_a_search_stays_the_same_while_rows_are_added_and_ends_where_one_is_changed(research: Any) -> None:
    shorter = replace(research, features=research.features.iloc[:-40], targets=research.targets.iloc[:-40])
    early = {window: rows_of(shorter).study("direction_xgboost", XGBOOST.space, window) for window in WINDOWS}
    now = rows_of(research)
    assert all(now.holds(study.name.rows) for study in early.values())
    restated = research.features.copy()
    restated.loc[restated.index[30], "rsi_14"] += 1e-9
    changed = rows_of(replace(research, features=restated))
    assert not any(changed.holds(study.name.rows) for study in early.values())
    assert not rows_of(shorter).holds(now.study("direction_xgboost", XGBOOST.space, ALL_ROWS).name.rows)
    halved = replace(research, features=research.features.iloc[:450], targets=research.targets.iloc[:450])
    longer = now.study("direction_xgboost", XGBOOST.space, BEFORE_TESTS).name.rows
    assert not rows_of(halved).holds(longer), "its rows are there, but lie where a test part is now"


def test_the_name_tells_families_spaces_settings_and_rows_apart(research: Any) -> None:
    rows = rows_of(research)
    narrower = Space((Dimension("max_depth", 1, 3, is_integer=True),), {"max_depth": 3})
    others = [
        rows.study("direction_xgboost", XGBOOST.space, BEFORE_TESTS),
        rows.study("direction_xgboost", XGBOOST.space, ALL_ROWS),
        rows.study("direction_xgboost", narrower, BEFORE_TESTS),
        rows.study("direction_logistic", LOGISTIC.space, BEFORE_TESTS),
        replace(rows, settings=WalkForwardSettings(seed=7)).study("direction_xgboost", XGBOOST.space, BEFORE_TESTS),
        replace(rows, settings=WalkForwardSettings(top_features=9)).study(
            "direction_xgboost", XGBOOST.space, BEFORE_TESTS
        ),
    ]
    assert len({study.name.identifier for study in others}) == len(others)
    again = rows_of(research).study("direction_xgboost", XGBOOST.space, BEFORE_TESTS)
    assert again.name.identifier == others[0].name.identifier


def test_the_score_is_the_brier_score_of_the_sign_on_purged_inner_folds(research: Any) -> None:
    """Rebuilt here from scikit-learn parts alone."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from trading_dag.features.selection import PresenceRule, select_features

    study = rows_of(research, family="direction_logistic").study("direction_logistic", LOGISTIC.space, ALL_ROWS)
    rows = research.targets.merge(research.features, on="session").reset_index(drop=True)
    codes = rows["direction"].map({"DOWN": 0, "UP": 1, "AMBIGUOUS": -1}).to_numpy()
    inner = walk_forward_folds(len(rows), folds=3, gap=3)
    references = []
    for number, fold in enumerate(inner):
        clear = codes[fold.train] >= 0
        chosen = select_features(
            rows.iloc[fold.train][list(SAFE_FEATURES)].to_numpy(), codes[fold.train], names=SAFE_FEATURES,
            presence=PresenceRule(0.8), top_features=40,
        )  # fmt: skip
        names = chosen.loc[chosen["selected"], "feature"].tolist()
        model = make_pipeline(
            SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.003, max_iter=1_000)
        ).fit(rows.iloc[fold.train].loc[clear, names].to_numpy(), codes[fold.train][clear])
        test = rows.iloc[fold.test]
        rose = (test["forward_return"] > 0).to_numpy()
        expected = np.mean((model.predict_proba(test[names].to_numpy())[:, 1] - rose) ** 2)
        assert study.score({"C": 0.003}, number) == pytest.approx(expected, abs=1e-9)
        share = (rows["forward_return"].iloc[fold.train] > 0).mean()
        references.append(np.mean((share - rose) ** 2))
    assert study.reference == pytest.approx(np.mean(references), abs=1e-9)


def test_the_regime_is_scored_where_it_is_known(research: Any) -> None:
    family = FAMILIES["volatility_logistic"]
    study = rows_of(research, family="volatility_logistic").study(family.name, family.space, ALL_ROWS)
    assert study.reference is None
    scores = [study.score({"C": 0.1}, fold) for fold in range(study.folds)]
    assert all(0 < score < 0.5 for score in scores)


def test_too_few_rows_say_so(slice_of: Any) -> None:
    few = rows_of(slice_of(40))
    with pytest.raises(InsufficientDataError, match=r"rows of the window before_tests are too few"):
        _ = few.study("direction_xgboost", XGBOOST.space, BEFORE_TESTS).folds
    with pytest.raises(InsufficientDataError, match="no labelled row lies in the window before_tests"):
        rows_of(slice_of(12)).study("direction_xgboost", XGBOOST.space, BEFORE_TESTS)


def test_published_specifications_are_tuned_only_where_they_are_named() -> None:
    assert [family.name for family in require_families(())] == list(UNPUBLISHED)
    assert not set(UNPUBLISHED) & {"direction_logistic", "volatility_logistic"}
    assert [family.name for family in require_families(("direction_logistic",))] == ["direction_logistic"]
    with pytest.raises(UnknownFamilyError, match=r"'lstm' is no family that can be tuned; choose from direction"):
        require_families(("lstm",))


def test_a_space_needs_defaults_that_it_contains() -> None:
    with pytest.raises(ValueError, match="max_depth has no default within its bounds"):
        Space((Dimension("max_depth", 1, 3, is_integer=True),), {"max_depth": 2.5})
    with pytest.raises(ValueError, match="C has no default"):
        Space((Dimension("C", 1e-5, 1.0),), {})


def test_every_default_is_the_learners_own_value_or_one_that_it_chooses_from(research: Any) -> None:
    for family in FAMILIES.values():
        learner = next(each for each in family.task.learners({}, 42) if each.model == family.name)
        names = [dimension.name for dimension in family.space.dimensions]
        offered = [{**learner.hyperparameters, **candidate} for candidate in getattr(learner, "candidates", ({},))]
        own = [{name: values[name] for name in names} for values in offered]
        assert family.space.as_typed(family.space.defaults) in own
