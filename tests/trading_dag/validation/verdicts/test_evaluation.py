"""evaluation.metrics recomputed by scikit-learn, and what may be said about a difference."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from sklearn import metrics as reference

from trading_dag.errors import SchemaError
from trading_dag.frames import table_frame
from trading_dag.quality import conform
from trading_dag.schemas import IV_REGIMES, METRICS, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.inference.overfitting import probability_of_overfitting
from trading_dag.validation.verdicts.evaluation import evaluate, verdict_of

HORIZON = horizon_of("48h")
SETTINGS = BootstrapSettings(draws=200)
NO_DIRECTION = table_frame(PREDICTIONS_DIRECTION, {}, rows=0)
NO_VOLATILITY = table_frame(PREDICTIONS_VOLATILITY, {}, rows=0)


def direction_table(n: int = 600, *, skill: float = 0.15, seed: int = 0, unlabelled: int = 2) -> pd.DataFrame:
    """A model whose probability leans towards the outcome by ``skill``, beside the two baselines."""
    generator = np.random.default_rng(seed)
    sessions = sessions_between("2015-01-02", "2024-12-31")[:n]
    returns = generator.normal(0.0005, 0.01, n)
    returns[5] = 0.0
    truth = np.where(np.abs(returns) < 0.004, "AMBIGUOUS", np.where(returns > 0, "UP", "DOWN")).astype(object)
    forecasts = {
        "direction_shrunk": np.clip(0.5 + skill * np.sign(returns) + generator.normal(0, 0.1, n), 0.01, 0.99),
        "class_prior": np.full(n, 0.55),
        "previous_direction": generator.integers(0, 2, n).astype(float),
    }
    blocks = []
    for model, probability in forecasts.items():
        threshold = 0.47 if model == "direction_shrunk" else 0.5
        values = {
            "ticker": "SPY",
            "horizon": HORIZON.key,
            "session": sessions,
            "target_session": target_sessions(sessions, HORIZON),
            "model": model,
            "fold": 1,
            "fitted_through": sessions[0],
            "y_true": np.where(np.arange(n) < n - unlabelled, truth, None),
            "forward_return": np.where(np.arange(n) < n - unlabelled, returns, np.nan),
            "y_pred": np.where(probability > threshold, "UP", "DOWN"),
            "probability_up": probability,
            "probability_event": "rise",
            "threshold": threshold,
            "confidence": np.where(probability > threshold, probability, 1 - probability),
            "is_baseline": model != "direction_shrunk",
            "is_out_of_sample": True,
        }
        blocks.append(table_frame(PREDICTIONS_DIRECTION, values, rows=n))
    return pd.concat(blocks, ignore_index=True)


def volatility_table(n: int = 600, *, seed: int = 1, stay: float = 0.85) -> pd.DataFrame:
    """A regime that stays with probability ``stay``; a model that half knows, and the baselines."""
    generator = np.random.default_rng(seed)
    sessions = sessions_between("2015-01-02", "2024-12-31")[:n]
    chain = [0]
    for _ in range(n):
        chain.append(chain[-1] if generator.random() < stay else int(generator.integers(0, 3)))
    now, truth = np.array(chain[:-1]), np.array(chain[1:])
    model = generator.dirichlet([2, 2, 2], n) * 0.4 + 0.4 * np.eye(3)[now] + 0.2 * np.eye(3)[truth]
    names = np.array(IV_REGIMES, dtype=object)
    blocks = []
    for name, probability in (
        ("volatility_logistic", model),
        ("persistence", np.eye(3)[now]),
        ("class_prior", np.tile([0.4, 0.35, 0.25], (n, 1))),
    ):
        values = {
            "ticker": "SPY",
            "horizon": HORIZON.key,
            "session": sessions,
            "target_session": target_sessions(sessions, HORIZON),
            "model": name,
            "fold": 1,
            "fitted_through": sessions[0],
            "y_true": names[truth],
            "current_regime": names[now],
            "y_pred": names[probability.argmax(axis=1)],
            **{f"probability_{regime.lower()}": probability[:, code] for code, regime in enumerate(IV_REGIMES)},
            "confidence": probability.max(axis=1),
            "expected_change": "STABLE",
            "is_baseline": name != "volatility_logistic",
            "is_out_of_sample": True,
        }
        blocks.append(table_frame(PREDICTIONS_VOLATILITY, values, rows=n))
    return pd.concat(blocks, ignore_index=True)


@pytest.fixture(scope="module")
def direction() -> pd.DataFrame:
    return direction_table()


@pytest.fixture(scope="module")
def volatility() -> pd.DataFrame:
    return volatility_table()


@pytest.fixture(scope="module")
def scores(direction: pd.DataFrame, volatility: pd.DataFrame) -> pd.DataFrame:
    return evaluate({"direction": direction, "volatility": volatility}, horizon=HORIZON, settings=SETTINGS)


def _calibration_by_hand(probability: np.ndarray, happened: np.ndarray) -> float:
    bins = np.minimum((probability * 10).astype(int), 9)
    return sum(
        (bins == number).mean() * abs(probability[bins == number].mean() - happened[bins == number].mean())
        for number in np.unique(bins)
    )


def test_the_result_is_a_valid_table(scores: pd.DataFrame) -> None:
    stored = conform(scores, METRICS, slice_key="48h|SPY")
    assert tuple(scores.columns) == METRICS.column_names
    assert len(stored) == len(scores)


@pytest.mark.parametrize("model", ["direction_shrunk", "class_prior", "previous_direction"])
def test_direction_scores_are_recomputed_by_scikit_learn(
    direction: pd.DataFrame, scores: pd.DataFrame, model: str
) -> None:
    rows = direction[(direction["model"] == model) & direction["y_true"].notna()]
    clear = rows[rows["y_true"] != "AMBIGUOUS"]
    up, called, probability = clear["y_true"] == "UP", clear["y_pred"] == "UP", clear["probability_up"].to_numpy()
    hits = [
        (row.y_pred == "UP" and row.forward_return > 0) or (row.y_pred == "DOWN" and row.forward_return < 0)
        for row in rows.itertuples()
    ]
    expected = {
        "auc_conditional": reference.roc_auc_score(up, probability),
        "accuracy_conditional": reference.accuracy_score(up, called),
        "balanced_accuracy_conditional": reference.balanced_accuracy_score(up, called),
        "precision_up_conditional": reference.precision_score(up, called, zero_division=0),
        "recall_up_conditional": reference.recall_score(up, called),
        "f1_up_conditional": reference.f1_score(up, called),
        "precision_down_conditional": reference.precision_score(~up, ~called, zero_division=0),
        "recall_down_conditional": reference.recall_score(~up, ~called),
        "f1_down_conditional": reference.f1_score(~up, ~called),
        "brier_conditional": reference.brier_score_loss(up, probability),
        "calibration_error_conditional": _calibration_by_hand(probability, up.to_numpy()),
        "hit_rate": np.mean(hits),
        "brier_sign": reference.brier_score_loss(rows["forward_return"] > 0, rows["probability_up"]),
        "calibration_error_sign": _calibration_by_hand(
            rows["probability_up"].to_numpy(), (rows["forward_return"] > 0).to_numpy()
        ),
    }
    own = scores[(scores["task"] == "direction") & (scores["model"] == model) & (scores["baseline"] == "none")]
    found = own.set_index("metric")["value"].to_dict()
    assert set(found) == set(expected)
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, abs=1e-9), metric
    assert own.set_index("metric")["n"].to_dict() == {
        metric: len(clear) if metric.endswith("_conditional") else len(rows) for metric in expected
    }
    assert (own["n_ambiguous"] == (rows["y_true"] == "AMBIGUOUS").sum()).all()


@pytest.mark.parametrize("model", ["volatility_logistic", "persistence", "class_prior"])
def test_volatility_scores_are_recomputed_by_scikit_learn(
    volatility: pd.DataFrame, scores: pd.DataFrame, model: str
) -> None:
    rows = volatility[volatility["model"] == model]
    truth, called = rows["y_true"].to_numpy(dtype=object), rows["y_pred"].to_numpy(dtype=object)
    probability = rows[[f"probability_{name.lower()}" for name in IV_REGIMES]].to_numpy()
    macro = {"labels": list(IV_REGIMES), "average": "macro", "zero_division": 0}
    codes = pd.Index(IV_REGIMES).get_indexer(truth)
    expected = {
        "accuracy": reference.accuracy_score(truth, called),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, called),
        "macro_precision": reference.precision_score(truth, called, **macro),
        "macro_recall": reference.recall_score(truth, called, **macro),
        "macro_f1": reference.f1_score(truth, called, **macro),
        **{
            f"{score}_{regime.lower()}": value
            for score, values in zip(
                ("precision", "recall", "f1"),
                reference.precision_recall_fscore_support(truth, called, labels=list(IV_REGIMES), zero_division=0)[:3],
                strict=True,
            )
            for regime, value in zip(IV_REGIMES, values, strict=True)
        },
        "brier": reference.brier_score_loss(codes, probability, labels=[0, 1, 2], scale_by_half=False),
        "rps": sum(
            reference.brier_score_loss(codes <= cut, probability[:, : cut + 1].sum(axis=1).clip(0, 1)) for cut in (0, 1)
        )
        / 2.0,
        "calibration_error": _calibration_by_hand(rows["confidence"].to_numpy(), truth == called),
    }
    own = scores[(scores["task"] == "volatility") & (scores["model"] == model) & (scores["baseline"] == "none")]
    found = own.set_index("metric")["value"].to_dict()
    assert set(found) == set(expected)
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, abs=1e-9), metric


def test_a_difference_is_positive_where_the_model_is_better_and_lies_in_its_interval(scores: pd.DataFrame) -> None:
    pairs = scores[(scores["baseline"] != "none") & ~scores["metric"].str.contains("_p_")]
    less_is_better = pairs["metric"].str.startswith(("brier", "rps", "calibration"))
    expected = (pairs["value"] - pairs["baseline_value"]).where(
        ~less_is_better, pairs["baseline_value"] - pairs["value"]
    )
    np.testing.assert_allclose(pairs["difference"], expected, atol=1e-12)
    sure = pairs[~pairs["metric"].str.startswith("calibration")]
    assert (sure["difference_ci_low"] <= sure["difference"] + 1e-9).all()
    assert (sure["difference"] <= sure["difference_ci_high"] + 1e-9).all()
    own = scores[scores["baseline"] == "none"].set_index(["task", "model", "metric"])["value"]
    for row in pairs.itertuples():
        assert row.value == pytest.approx(own[row.task, row.model, row.metric], abs=1e-12)
        assert row.baseline_value == pytest.approx(own[row.task, row.baseline, row.metric], abs=1e-12)


def test_every_model_stands_beside_every_baseline_and_every_baseline_has_its_own_rows(scores: pd.DataFrame) -> None:
    found = set(scores[["task", "model", "baseline"]].itertuples(index=False, name=None))
    assert found == {
        ("direction", "direction_shrunk", "none"),
        ("direction", "class_prior", "none"),
        ("direction", "previous_direction", "none"),
        ("direction", "direction_shrunk", "class_prior"),
        ("direction", "direction_shrunk", "previous_direction"),
        ("volatility", "volatility_logistic", "none"),
        ("volatility", "persistence", "none"),
        ("volatility", "class_prior", "none"),
        ("volatility", "volatility_logistic", "persistence"),
        ("volatility", "volatility_logistic", "class_prior"),
    }


def test_verdicts_follow_the_one_meaning() -> None:
    assert verdict_of(0.02, 0.001) == "skilled"
    assert verdict_of(0.02, -0.001) == "admissible"
    assert verdict_of(0.0, 0.0) == "admissible"
    assert verdict_of(-1e-9, -0.1) == "unskilled"
    assert verdict_of(float("nan"), float("nan")) == "insufficient_data"


def test_a_model_with_skill_is_skilled_and_one_without_is_not() -> None:
    for skill, expected in ((0.15, {"skilled"}), (-0.15, {"unskilled"})):
        scores = evaluate({"direction": direction_table(skill=skill)}, horizon=HORIZON, settings=SETTINGS)
        pair = scores[(scores["baseline"] == "class_prior") & scores["metric"].isin(["auc_conditional", "brier_sign"])]
        assert set(pair["verdict"]) == expected
        tests = scores[scores["metric"].str.startswith(("diebold", "clark")) & (scores["baseline"] == "class_prior")]
        assert len(tests) == 2
        assert ((tests["value"] < 0.001) == (skill > 0)).all()


def test_a_model_that_copies_its_baseline_is_admissible_with_a_difference_of_exactly_zero(
    volatility: pd.DataFrame,
) -> None:
    copied = volatility[volatility["model"] == "persistence"].assign(model="volatility_logistic", is_baseline=False)
    table = pd.concat([volatility[volatility["model"] != "volatility_logistic"], copied], ignore_index=True)
    scores = evaluate({"volatility": table}, horizon=HORIZON, settings=SETTINGS)
    pair = scores[(scores["baseline"] == "persistence") & ~scores["metric"].str.contains("_p_")]
    assert (pair[["difference", "difference_ci_low", "difference_ci_high"]] == 0).all(axis=None)
    judges_probabilities = pair["metric"].isin(["brier", "rps", "calibration_error"])
    assert set(pair.loc[~judges_probabilities, "verdict"]) == {"admissible"}
    assert set(pair.loc[judges_probabilities, "verdict"]) == {"no_verdict"}


@pytest.mark.parametrize(
    ("baseline", "is_judged"), [("class_prior", True), ("previous_direction", False), ("persistence", False)]
)
def test_a_score_of_probabilities_against_a_hard_call_is_shown_and_is_no_verdict(
    scores: pd.DataFrame, baseline: str, is_judged: bool
) -> None:
    pairs = scores[scores["baseline"] == baseline]
    proper = pairs["metric"].str.contains("brier|rps|calibration")
    assert proper.any()
    assert pairs.loc[proper, "difference"].notna().all()
    assert ("no_verdict" not in set(pairs["verdict"])) if is_judged else set(pairs[proper]["verdict"]) == {"no_verdict"}
    assert "no_verdict" not in set(pairs.loc[~proper, "verdict"])


def test_rows_without_an_outcome_and_the_order_of_rows_change_nothing(direction: pd.DataFrame) -> None:
    scores = evaluate({"direction": direction}, horizon=HORIZON, settings=SETTINGS)
    shuffled = direction[direction["y_true"].notna()].sample(frac=1.0, random_state=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        evaluate({"direction": shuffled}, horizon=HORIZON, settings=SETTINGS), scores, check_exact=True
    )


def test_model_and_baseline_are_compared_on_the_sessions_both_have(direction: pd.DataFrame) -> None:
    sessions = np.sort(direction["session"].unique())
    gap = (direction["model"] == "class_prior") & (direction["session"] < sessions[200])
    scores = evaluate({"direction": direction[~gap]}, horizon=HORIZON, settings=SETTINGS)
    row = scores[(scores["baseline"] == "class_prior") & (scores["metric"] == "brier_sign")].iloc[0]
    later = direction[(direction["session"] >= sessions[200]) & direction["y_true"].notna()]
    happened = (later["forward_return"] > 0).to_numpy()
    for column, model in (("value", "direction_shrunk"), ("baseline_value", "class_prior")):
        of_model = (later["model"] == model).to_numpy()
        expected = reference.brier_score_loss(happened[of_model], later.loc[of_model, "probability_up"])
        assert row[column] == pytest.approx(expected, abs=1e-9)
    assert row["n"] == 600 - 200 - 2


def test_a_prior_that_moves_from_fold_to_fold_ranks_nothing() -> None:
    """Pooled, its drift would rank rows, here backwards, and a model without skill would look skilled."""
    table = direction_table(skill=0.0, seed=4)
    rises = table.groupby("session")["forward_return"].first().gt(0).rolling(200).mean().bfill()
    prior = (table["model"] == "class_prior").to_numpy()
    table.loc[prior, "probability_up"] = 1.0 - rises.to_numpy()
    scores = evaluate({"direction": table}, horizon=HORIZON, settings=SETTINGS)
    ranking = scores[scores["metric"] == "auc_conditional"].set_index(["model", "baseline"])
    alone = ranking.loc[("class_prior", "none")]
    assert alone[["value", "ci_low", "ci_high"]].tolist() == [0.5, 0.5, 0.5]
    against = ranking.loc[("direction_shrunk", "class_prior")]
    assert against["baseline_value"] == 0.5
    assert against["difference"] == pytest.approx(against["value"] - 0.5, abs=1e-12)
    assert against["difference_ci_low"] == pytest.approx(against["ci_low"] - 0.5, abs=1e-12)
    assert against["verdict"] != "skilled"


@pytest.mark.parametrize(
    ("thin", "reason"),
    [
        (lambda table: table[table["y_true"] != "DOWN"], "fewer than 30 rows: 0 of DOWN"),
        (lambda table: table.assign(y_true=None, forward_return=np.nan), "fewer than 30 rows: 0 of UP, 0 of DOWN"),
    ],
)
def test_a_rare_class_gives_insufficient_data_and_no_value(
    direction: pd.DataFrame, thin: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    table = thin(direction).astype({"y_true": "str"})
    scores = evaluate({"direction": table}, horizon=HORIZON, settings=SETTINGS)
    rows = scores[scores["metric"].str.endswith("_conditional")]
    assert set(rows["verdict"]) == {"insufficient_data"}
    assert set(rows["reason"]) == {reason}
    assert rows[["value", "ci_low", "ci_high", "difference"]].isna().all(axis=None)
    conform(scores, METRICS, slice_key="48h|SPY")


def test_no_forecasts_give_no_rows_of_the_right_types() -> None:
    scores = evaluate({"direction": NO_DIRECTION, "volatility": NO_VOLATILITY}, horizon=HORIZON, settings=SETTINGS)
    assert len(scores) == 0
    assert tuple(scores.columns) == METRICS.column_names
    assert scores["value"].dtype == "float64"
    assert scores["n"].dtype == "int64"


def test_a_missing_column_is_named(direction: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match="probability_up"):
        evaluate({"direction": direction.drop(columns="probability_up")}, horizon=HORIZON, settings=SETTINGS)


def test_the_paired_interval_is_that_of_archs_bootstrap_with_the_politis_white_block() -> None:
    """Rebuilt from arch alone, on losses that depend on each other for far longer than two horizons."""
    table = volatility_table(1_000, stay=0.97)
    scores = evaluate({"volatility": table}, horizon=HORIZON, settings=SETTINGS)
    columns = [f"probability_{name.lower()}" for name in IV_REGIMES]
    losses = {}
    for model, rows in table.groupby("model"):
        outcome = np.eye(3)[pd.Index(IV_REGIMES).get_indexer(rows["y_true"].astype(object))]
        losses[model] = ((rows[columns].to_numpy() - outcome) ** 2).sum(axis=1)
    gains = {name: losses[name] - losses["volatility_logistic"] for name in ("persistence", "class_prior")}
    block = max(60, *(math.ceil(optimal_block_length(gain)["stationary"].iloc[0]) for gain in gains.values()))
    for name, gain in gains.items():
        bootstrap = StationaryBootstrap(block, gain, seed=np.random.default_rng(SETTINGS.seed))
        means = [sample[0].mean() for sample, _ in bootstrap.bootstrap(SETTINGS.draws)]
        row = scores[(scores["baseline"] == name) & (scores["metric"] == "brier")].iloc[0]
        assert row["difference"] == pytest.approx(gain.mean(), abs=1e-12)
        expected = tuple(np.quantile(means, [0.025, 0.975]))
        assert (row["difference_ci_low"], row["difference_ci_high"]) == pytest.approx(expected, abs=1e-12)


def test_intervals_are_wider_where_forecast_errors_last_longer() -> None:
    """The same share of errors, alone or in runs of twenty sessions: the runs carry less information."""
    widths = []
    for stay in (0.0, 0.97):
        scores = evaluate({"volatility": volatility_table(1_500, stay=stay)}, horizon=HORIZON, settings=SETTINGS)
        row = scores[(scores["model"] == "class_prior") & (scores["metric"] == "accuracy")].iloc[0]
        widths.append(row["ci_high"] - row["ci_low"])
    assert widths[1] > 2 * widths[0]


def test_a_model_that_learnt_from_augmented_rows_says_so_and_its_scores_stay_what_they_are() -> None:
    forecasts = direction_table()
    record = {"paths": 2, "seed": 7, "weight": 0.5}
    registry = pd.DataFrame(
        {
            "model": ["direction_shrunk", "direction_shrunk", "direction_xgboost"],
            "fold": [1, 2, 1],
            "hyperparameters": [
                json.dumps({"C": 0.1, "augmentation": {**record, "rows": 1_000}}),
                json.dumps({"C": 0.1, "augmentation": {**record, "rows": 234}}),
                json.dumps({"max_depth": 3}),
            ],
        }
    )
    plain = evaluate({"direction": forecasts}, horizon=HORIZON, settings=SETTINGS)
    told = evaluate({"direction": forecasts}, horizon=HORIZON, settings=SETTINGS, registry=registry)
    added = told[told["metric"].str.startswith("augment")]
    assert added.set_index(["model", "metric"])["value"].to_dict() == {
        ("direction_shrunk", "augmented_rows"): 1_234.0,
        ("direction_shrunk", "augmentation_paths"): 2.0,
        ("direction_shrunk", "augmentation_seed"): 7.0,
        ("direction_shrunk", "augmentation_weight"): 0.5,
    }
    assert len(conform(told, METRICS, slice_key="48h|SPY")) == len(plain) + 4
    pd.testing.assert_frame_equal(told.drop(index=added.index).reset_index(drop=True), plain)
    without = registry[registry["model"] == "direction_xgboost"]
    pd.testing.assert_frame_equal(
        evaluate({"direction": forecasts}, horizon=HORIZON, settings=SETTINGS, registry=without), plain
    )


def test_the_choice_of_the_best_of_several_models_has_its_probability_of_overfitting(direction: pd.DataFrame) -> None:
    own = direction[direction["model"] == "direction_shrunk"]
    generator = np.random.default_rng(5)
    noise = own.assign(model="direction_noise", probability_up=generator.uniform(0.2, 0.8, len(own)))
    both = pd.concat([direction, noise], ignore_index=True)
    scores = evaluate({"direction": both}, horizon=HORIZON, settings=SETTINGS)
    row = scores[scores["metric"] == "probability_of_overfitting"].iloc[0]
    known = [frame[frame["y_true"].notna()] for frame in (own, noise)]
    gains = np.column_stack([-((frame["probability_up"] - (frame["forward_return"] > 0)) ** 2) for frame in known])
    assert (row["model"], row["n"], row["verdict"]) == ("best_in_sample", len(known[0]), "unskilled")
    assert row["value"] == probability_of_overfitting(gains).probability
    assert row["value"] < 0.01
    assert not row["is_served"]
    assert "probability_of_overfitting" not in set(
        evaluate({"direction": direction}, horizon=HORIZON, settings=SETTINGS)["metric"]
    )  # one model is no choice
