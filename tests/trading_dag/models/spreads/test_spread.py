"""The spread models: what a fold may see, what is learnt and what is not, and what happens where nothing can be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.frames import table_frame
from trading_dag.models.deep import torch_library
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.spreads import spread, spread_trunk
from trading_dag.models.spreads.spread_rows import (
    SPREAD_FEATURES,
    STEPS,
    collect_spread_rows,
    known_class_at,
    start_with_enough,
    training_parts,
)
from trading_dag.schemas import FEATURE_TABLE, SPREAD_CLASSES, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import DeepSettings, WalkForwardSettings
from trading_dag.slices import HORIZONS, horizon_of
from trading_dag.training_start import EVERYTHING, TrainingStart

FOLDS = WalkForwardSettings(folds=2)
QUICK = DeepSettings(epochs=1)
AT = horizon_of("72h")
needs_torch = pytest.mark.skipif(
    torch_library.why_deep_models_are_off() is not None, reason="torch is not installed: make torch"
)


@dataclass(frozen=True)
class Example:
    """One ticker: features, and the labels of every horizon."""

    features: pd.DataFrame
    targets: dict[str, pd.DataFrame]


def example(n: int = 480, *, signal: float = 2.0, seed: int = 0) -> Example:
    """Standard normal features; ``rsi_14`` leans by ``signal`` towards the class of the session, alike everywhere."""
    random = np.random.default_rng(seed)
    sessions = sessions_between("2020-01-02", "2024-12-31")[:n]
    codes = random.integers(0, 3, n)
    values = {name: random.normal(size=n) for name in SPREAD_FEATURES}
    values["rsi_14"] += signal * (codes - 1)
    features = table_frame(FEATURE_TABLE, {"ticker": "SPY", "session": sessions, **values}, rows=n)
    targets = {}
    for key, horizon in HORIZONS.items():
        labelled = n - horizon.target_offset
        targets[key] = table_frame(
            TARGETS,
            {
                "ticker": "SPY", "horizon": key, "session": sessions[:labelled],
                "target_session": target_sessions(sessions[:labelled], horizon), "target_price": 100.0,
                "forward_return": 0.0, "direction": "UP", "spread_class": np.array(SPREAD_CLASSES)[codes[:labelled]],
            },
            rows=labelled,
        )  # fmt: skip
    return Example(features, targets)


def fit_trunk(given: Example, deep: DeepSettings = QUICK, **changes: object) -> FittedModel:
    arguments = {"settings": FOLDS, "deep": deep, "start": EVERYTHING} | changes
    return spread_trunk.fit(given.features, given.targets, **arguments)  # type: ignore[arg-type]


def fit_spread(given: Example, trunk: FittedModel, key: str = AT.key) -> FittedModel:
    return spread.fit(trunk, given.features, given.targets[key], horizon=horizon_of(key), settings=FOLDS)


def predict(given: Example, fitted: FittedModel, key: str = AT.key) -> pd.DataFrame:
    return spread.predict(fitted, given.features, given.targets[key], horizon=horizon_of(key))


def brier(predictions: pd.DataFrame) -> pd.Series:
    """Mean squared distance of the probabilities from the outcome, by model."""
    known = predictions[predictions["y_true"].notna()]
    shares = known[[f"probability_{name.lower()}" for name in SPREAD_CLASSES]].to_numpy()
    truth = np.eye(3)[pd.Index(SPREAD_CLASSES).get_indexer(known["y_true"])]
    return pd.Series(((shares - truth) ** 2).sum(axis=1)).groupby(known["model"].to_numpy()).mean()


@pytest.fixture(scope="module")
def given() -> Example:
    return example()


@pytest.fixture(scope="module")
def trunk(given: Example) -> FittedModel:
    return fit_trunk(given, DeepSettings(epochs=4, patience=4, learning_rate=0.006, batch=24))


@pytest.fixture(scope="module")
def quick(given: Example) -> FittedModel:
    return fit_trunk(given)


@pytest.fixture(scope="module")
def without_torch() -> FittedModel:
    """The trunk of an installation without torch."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch_library, "find_spec", lambda name: None)
        return fit_trunk(example())


@needs_torch
def test_a_signal_that_is_there_is_found_at_every_horizon_by_every_model(given: Example, trunk: FittedModel) -> None:
    for key in ("12h", "168h"):
        scores = brier(predict(given, fit_spread(given, trunk, key), key))
        assert set(scores.index) == {
            "spread_lstm", "spread_attention", "spread_logistic", "class_prior", "persistence"
        }  # fmt: skip
        gained = scores["class_prior"] - scores
        assert gained["spread_attention"] > 0.1, key
        assert gained["spread_logistic"] > 0.02, key  # its penalty lets little through in so few rows
        assert gained["spread_lstm"] > 0.02, key  # it would need more epochs than a test has
        assert gained["persistence"] < 0, key


@needs_torch
def test_shuffled_labels_give_no_skill() -> None:
    shuffled = example(signal=0.0, seed=3)
    fitted = fit_spread(shuffled, fit_trunk(shuffled, DeepSettings(epochs=3, patience=2)))
    scores = brier(predict(shuffled, fitted))
    for model in ("spread_lstm", "spread_attention", "spread_logistic"):
        assert scores[model] > scores["class_prior"] - 0.02, model


@needs_torch
def test_nothing_that_comes_after_a_session_changes_its_forecast(given: Example, trunk: FittedModel) -> None:
    fitted = fit_spread(given, trunk)
    cut = 440
    later = given.features.copy()
    later.loc[cut + 1 :, list(SPREAD_FEATURES)] = 99.0
    moved = Example(later, given.targets)
    last = given.features["session"].iloc[cut]

    def until_then(predictions: pd.DataFrame) -> pd.DataFrame:
        return predictions[predictions["session"] <= last].reset_index(drop=True)

    before, after = predict(given, fitted), predict(moved, fitted)
    pd.testing.assert_frame_equal(until_then(before), until_then(after))
    assert not before.equals(after)


@needs_torch
def test_nothing_after_a_fold_changes_what_it_learnt(given: Example, quick: FittedModel) -> None:
    """Features and labels of the test part are made up anew: the folds before stay what they were, to the last bit."""
    first = training_parts(collect_spread_rows(given.features, given.targets, names=SPREAD_FEATURES), FOLDS, EVERYTHING)
    ends = int(next(iter(first)).train[-1]) + 5  # the longest horizon's targets lie so far ahead
    later, targets = given.features.copy(), {key: frame.copy() for key, frame in given.targets.items()}
    later.loc[ends + 1 :, list(SPREAD_FEATURES)] *= -3.0
    for frame in targets.values():
        frame.loc[frame["target_session"] > given.features["session"].iloc[ends], "spread_class"] = "HOLD"
    for one, other in zip(quick.folds, fit_trunk(Example(later, targets)).folds, strict=True):
        is_same = all(
            np.array_equal(one.estimator.arrays[name], other.estimator.arrays[name]) for name in one.estimator.arrays
        )
        assert is_same == (one.fold == 1), one.fold


@needs_torch
def test_two_fits_have_the_same_content_and_a_horizon_its_own() -> None:
    short = example(360)
    one, again, other = (fit_trunk(short, deep) for deep in (QUICK, QUICK, replace_seed(QUICK, 7)))
    assert [fold.status for fold in one.folds].count("fitted") >= 4
    assert one.content_hash() == again.content_hash()
    assert fit_spread(short, one).content_hash() == fit_spread(short, again).content_hash()
    assert other.content_hash() != one.content_hash()
    assert fit_spread(short, one, "24h").content_hash() != fit_spread(short, one, "48h").content_hash()


def replace_seed(deep: DeepSettings, seed: int) -> DeepSettings:
    return deep.model_copy(update={"seed": seed})


@needs_torch
def test_a_horizon_s_network_gives_what_the_trunk_gives_for_it(given: Example, trunk: FittedModel) -> None:
    whole = trunk.folds_of("spread_lstm")[0].estimator
    values = given.features[list(trunk.folds[0].features)].to_numpy(dtype=np.float64)
    ends = np.array([100, 200])
    from trading_dag.models.deep.sequences import sequences_at

    logits = whole.raw(sequences_at(whole.scale.apply(values), ends, steps=STEPS)).reshape(2, 6, 3)
    weighted = np.exp(logits[:, 2]) / whole.arrays["class_weights"][2]
    trust, shares = whole.arrays["trust"][2], whole.arrays["class_shares"][2]
    expected = trust * weighted / weighted.sum(axis=1, keepdims=True) + (1 - trust) * shares
    found = spread_trunk.class_probabilities(spread_trunk.head_of(whole, 2), values, ends)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_class_counts_as_much_as_any_other() -> None:
    codes = np.array([[0, 0], [0, 1], [0, -1], [1, -1]])
    weights = spread_trunk.class_weights(codes)
    assert weights == pytest.approx(np.array([[4 / 9, 4 / 3, 1.0], [2 / 3, 2 / 3, 1.0]]))


def test_a_network_is_trusted_as_far_as_the_rows_held_out_say() -> None:
    shares, happened = np.array([0.5, 0.3, 0.2]), np.array([0, 1, 2, 0, -1])
    right = np.eye(3)[np.maximum(happened, 0)]
    assert spread_trunk.trust_of(right, shares, happened) == 1.0
    assert spread_trunk.trust_of(np.roll(right, 1, axis=1), shares, happened) == 0.0
    assert spread_trunk.trust_of(right, shares, np.full(5, -1)) == 0.0
    # Right on three rows of four, certain each time. With weight w the mean log likelihood is
    # [2 ln(.5 + .5 w) + ln(.3 + .7 w) + ln(.2 (1 − w))] / 4: largest where 2/(1 + w) + .7/(.3 + .7 w) = 1/(1 − w).
    wrong_once = right.copy()
    wrong_once[2] = [1.0, 0.0, 0.0]
    best = max(np.arange(0, 1, 0.05), key=lambda w: 2 * np.log(0.5 + 0.5 * w) + np.log(0.3 + 0.7 * w) + np.log(1 - w))
    assert spread_trunk.trust_of(wrong_once, shares, happened) == pytest.approx(best)
    assert 0 < best < 1


def test_without_torch_the_networks_are_off_with_the_reason_and_the_logistic_stays(without_torch: FittedModel) -> None:
    given = example()
    fitted = fit_spread(given, without_torch)
    told = {(fold.model, fold.status, fold.reason) for fold in fitted.folds}
    off = "torch is not installed, so the deep models are switched off; make torch adds it"
    assert told == {
        ("spread_lstm", "insufficient_data", off),
        ("spread_attention", "insufficient_data", off),
        ("spread_logistic", "fitted", None),
    }
    assert set(predict(given, fitted)["model"]) == {"spread_logistic", "class_prior", "persistence"}


def test_persistence_says_the_class_of_the_move_that_ended_at_the_session() -> None:
    sessions = sessions_between("2024-01-02", "2024-01-10")
    targets = pd.DataFrame(
        {"target_session": sessions[3:6], "spread_class": ["HOLD", "PUT_CREDIT", "CALL_CREDIT"]}
    )  # of a horizon of three sessions: those of 2, 3 and 4 January
    known = known_class_at(targets, sessions)
    assert [None if code < 0 else SPREAD_CLASSES[code] for code in known[:7]] == [
        None, None, None, "HOLD", "PUT_CREDIT", "CALL_CREDIT", None
    ]  # fmt: skip


def test_persistence_in_the_table_knows_no_class_whose_target_lies_ahead(without_torch: FittedModel) -> None:
    given = example()
    predictions = predict(given, fit_spread(given, without_torch)).set_index(["model", "session"])
    ended = given.targets[AT.key].set_index("target_session")["spread_class"]
    for session, row in predictions.loc["persistence"].iloc[::20].iterrows():
        assert row["y_pred"] == ended[session]


def test_every_training_part_ends_five_sessions_before_its_test_part_or_more() -> None:
    given = example(700)
    rows = collect_spread_rows(given.features, given.targets, names=SPREAD_FEATURES)
    parts = list(training_parts(rows, WalkForwardSettings(), EVERYTHING))
    assert [part.number for part in parts] == [1, 2, 3, 4, 5, 6]
    assert min(part.train[0] for part in parts) == STEPS - 1
    for part in parts[:5]:
        assert part.first_test > rows.target_sessions[part.train].max()
    assert parts[5].first_test is None
    since = list(training_parts(rows, WalkForwardSettings(), TrainingStart(first=date(2021, 1, 4))))
    assert rows.sessions[since[5].train[0]] == pd.Timestamp("2021-01-04")


def test_a_start_that_leaves_too_little_is_moved_back() -> None:
    of_the_past = sessions_between("1999-01-04", "2018-12-31")
    assert start_with_enough(TrainingStart(first=date(2020, 1, 1)), of_the_past).first == date(2013, 12, 31)
    of_today = sessions_between("1999-01-04", "2026-06-30")
    assert start_with_enough(TrainingStart(first=date(2020, 1, 1)), of_today).first == date(2020, 1, 1)
    assert start_with_enough(TrainingStart(years=3), of_today).years == 3


def test_too_few_rows_and_one_class_are_told_and_raise_nothing(without_torch: FittedModel) -> None:
    few = example(70)
    trunk = fit_trunk(few)
    assert {fold.status for fold in trunk.folds} == {"insufficient_data"}
    assert {fold.reason for fold in trunk.folds} == {"too few labelled sessions to make the folds"}
    assert predict(few, fit_spread(few, trunk)).empty

    given = example()
    targets = given.targets[AT.key].assign(spread_class="HOLD")
    fitted = spread.fit(without_torch, given.features, targets, horizon=AT, settings=FOLDS)
    (reason,) = {fold.reason for fold in fitted.folds_of("spread_logistic") if fold.fold == 3}
    assert reason is not None
    assert reason.startswith("fewer than 30 training rows: 0 of PUT_CREDIT, 0 of CALL_CREDIT")
    assert spread.predict(fitted, given.features, targets, horizon=AT).empty


@needs_torch
def test_absent_and_constant_features_are_left_out_with_the_reason(given: Example) -> None:
    features = given.features.assign(put_call_volume_ratio=np.nan, fomc_decision_day=0.0)
    features.loc[100:110, "rsi_14"] = np.nan
    trunk = fit_trunk(Example(features, given.targets))
    live = trunk.folds_of("spread_attention")[-1]
    reasons = live.selection.set_index("feature")["reason"]
    assert reasons["put_call_volume_ratio"] == "below_presence"
    assert reasons["fomc_decision_day"] == "constant"
    assert live.status == "fitted"
    assert "rsi_14" in live.features
    assert np.isfinite(predict(Example(features, given.targets), fit_spread(given, trunk))["confidence"]).all()


def test_labels_of_another_horizon_or_ticker_are_refused(without_torch: FittedModel) -> None:
    given = example()
    with pytest.raises(SchemaError, match="labels of 72h expected"):
        spread.fit(without_torch, given.features, given.targets["24h"], horizon=AT, settings=FOLDS)
    with pytest.raises(SchemaError, match="rows of SPY expected"):
        predict(Example(given.features.assign(ticker="QQQ"), given.targets), replace(without_torch, horizon=AT.key))
