"""The gate: causal to the session, equal to the final metrics at the end, closed where data are thin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.schemas import IV_REGIMES, METRICS, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, SUMMARY
from trading_dag.served_models import SERVED_PRICE, SERVED_VOLATILITY
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BootstrapSettings, GateSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.gates.edge import admissibility, edge_to_date, unearned_admission
from trading_dag.validation.verdicts.evaluation import evaluate

HORIZON = horizon_of("72h")


def _by_task(direction: pd.DataFrame, volatility: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {"direction": direction, "volatility": volatility}


def _tables(
    n: int = 400, *, skill: float = 0.2, knows: float = 0.3, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forecasts of ``n`` sessions, the last three without an outcome, as they would stand at the last close."""
    generator = np.random.default_rng(seed)
    sessions = sessions_between("2018-01-02", "2024-12-31")[:n]
    labelled = np.arange(n) < n - HORIZON.target_offset
    returns = np.where(labelled, generator.normal(0, 0.02, n), np.nan)
    head = {
        "ticker": "SPY",
        "horizon": HORIZON.key,
        "session": sessions,
        "target_session": target_sessions(sessions, HORIZON),
        "fold": 1,
        "fitted_through": sessions[0],
        "is_out_of_sample": True,
    }
    leaning = np.clip(0.5 + skill * np.where(returns > 0, 1, -1) + generator.normal(0, 0.1, n), 0, 1)
    truth = np.where(labelled, np.where(returns > 0, "UP", "DOWN"), None)
    direction = [
        table_frame(
            PREDICTIONS_DIRECTION,
            head
            | {
                "model": model,
                "y_true": truth,
                "forward_return": returns,
                "y_pred": np.where(probability > 0.5, "UP", "DOWN"),
                "probability_up": probability,
                "probability_event": "rise",
                "threshold": 0.5,
                "confidence": np.maximum(probability, 1 - probability),
                "is_baseline": model == "climatology",
            },
            rows=n,
        )
        for model, probability in (("direction_shrunk", leaning), ("climatology", np.full(n, 0.52)))
    ]
    names = np.array(IV_REGIMES, dtype=object)
    regime, stayed = generator.integers(0, 3, n), generator.integers(0, 3, n)
    informed = np.where(generator.random(n) < knows, regime, generator.integers(0, 3, n))
    volatility = [
        table_frame(
            PREDICTIONS_VOLATILITY,
            head
            | {
                "model": model,
                "y_true": np.where(labelled, names[regime], None),
                "current_regime": names[stayed],
                "y_pred": names[called],
                **{f"probability_{name.lower()}": np.eye(3)[called][:, code] for code, name in enumerate(IV_REGIMES)},
                "confidence": 1.0,
                "expected_change": "STABLE",
                "is_baseline": model == "markov",
            },
            rows=n,
        )
        for model, called in ((SERVED_VOLATILITY, informed), ("markov", stayed))
    ]
    return pd.concat(direction, ignore_index=True), pd.concat(volatility, ignore_index=True)


def test_at_the_last_session_the_differences_are_those_of_the_metrics() -> None:
    direction, volatility = _tables()
    last = edge_to_date(direction, volatility, horizon=HORIZON).iloc[-1]
    scores = evaluate(
        {"direction": direction, "volatility": volatility}, horizon=HORIZON, settings=BootstrapSettings(draws=100)
    )
    keyed = scores.set_index(["model", "metric", "baseline"])["difference"]
    assert last["direction_difference"] == pytest.approx(
        keyed["direction_shrunk", "brier_sign", "climatology"], abs=1e-12
    )
    assert last["volatility_difference"] == pytest.approx(keyed[SERVED_VOLATILITY, "rps", "markov"], abs=1e-12)
    assert last["n_outcomes"] == 397
    assert last["edge"] == "admissible"


def test_each_session_uses_the_outcomes_known_at_its_close_and_no_others() -> None:
    """Against a loop over sessions."""
    direction, volatility = _tables(120)
    found = edge_to_date(direction, volatility, minimum_outcomes=20, horizon=HORIZON).set_index("session")
    model = direction[direction["model"] == "direction_shrunk"].set_index("session")
    prior = direction[direction["model"] == "climatology"].set_index("session")
    for session in model.index[[2, 3, 4, 50, 119]]:
        gains = []
        for day in model.index:
            row = model.loc[day]
            if row["target_session"] <= session and row["y_true"] is not None and not pd.isna(row["y_true"]):
                rose = float(row["forward_return"] > 0)
                gains.append((prior.loc[day, "probability_up"] - rose) ** 2 - (row["probability_up"] - rose) ** 2)
        assert found.loc[session, "n_outcomes"] == len(gains)
        if gains:
            assert found.loc[session, "direction_difference"] == pytest.approx(np.mean(gains), abs=1e-12)
        else:
            assert np.isnan(found.loc[session, "direction_difference"])


@pytest.mark.parametrize("position", [30, 150, 300])
def test_changing_outcomes_after_a_session_changes_nothing_at_it(position: int) -> None:
    direction, volatility = _tables()
    before = edge_to_date(direction, volatility, minimum_outcomes=20, horizon=HORIZON)
    session = before["session"].iloc[position]
    later_direction, later_volatility = direction.copy(), volatility.copy()
    later = direction["target_session"] > session
    later_direction.loc[later, "forward_return"] *= -1
    later_volatility.loc[volatility["target_session"] > session, "y_true"] = "LOW"
    after = edge_to_date(later_direction, later_volatility, minimum_outcomes=20, horizon=HORIZON)
    pd.testing.assert_frame_equal(after.iloc[: position + 1], before.iloc[: position + 1], check_exact=True)
    assert not after.iloc[position + 10 :].equals(before.iloc[position + 10 :])


def test_too_few_outcomes_are_insufficient_and_a_deficit_in_either_task_is_no_edge() -> None:
    edges = edge_to_date(*_tables(), horizon=HORIZON)
    assert (edges["edge"] == np.where(edges["n_outcomes"] < 250, "insufficient_data", "admissible")).all()
    assert edges["n_outcomes"].tolist()[:4] == [0, 0, 0, 1]
    assert edge_to_date(*_tables(skill=-0.2), horizon=HORIZON)["edge"].iloc[-1] == "no_edge"
    assert (
        edge_to_date(*_tables(knows=0.0, seed=8), minimum_outcomes=20, horizon=HORIZON)
        .tail(100)["edge"]
        .isin(["no_edge"])
        .any()
    )


def test_a_gain_that_noise_explains_is_no_edge() -> None:
    """Twenty models that know nothing and dare little: half of them are ahead of climatology at the end, by luck."""
    is_ahead, has_edge = [], []
    for seed in range(20):
        direction, volatility = _tables(skill=0.0, knows=1.0, seed=seed)
        generator = np.random.default_rng(1_000 + seed)
        ours = direction["model"] == "direction_shrunk"
        direction.loc[ours, "probability_up"] = 0.52 + generator.normal(0, 0.01, int(ours.sum()))
        last = edge_to_date(direction, volatility, horizon=HORIZON).iloc[-1]
        assert last["direction_difference_low"] < last["direction_difference"]
        is_ahead.append(last["direction_difference"] > 0)
        has_edge.append(last["edge"] == "admissible")
    assert sum(is_ahead) >= 6
    assert sum(has_edge) <= 2


def test_without_forecasts_of_a_task_there_is_no_edge_to_speak_of() -> None:
    direction, volatility = _tables()
    edges = edge_to_date(direction, volatility.iloc[:0], horizon=HORIZON)
    assert set(edges["edge"]) == {"insufficient_data"}
    assert (edges["n_outcomes"] == 0).all()
    nothing = edge_to_date(direction.iloc[:0], volatility.iloc[:0], horizon=HORIZON)
    assert nothing.dtypes.astype(str).to_dict() == edges.dtypes.astype(str).to_dict()
    assert len(nothing) == 0


def test_a_backtest_is_admissible_where_both_models_are_no_worse_than_their_baselines() -> None:
    settings = BootstrapSettings(draws=100)
    good = admissibility(evaluate(_by_task(*_tables()), horizon=HORIZON, settings=settings))
    assert good.is_admissible
    assert "direction_shrunk is skilled against climatology (brier_sign +0." in good.reason
    bad = admissibility(evaluate(_by_task(*_tables(skill=-0.2)), horizon=HORIZON, settings=settings))
    assert not bad.is_admissible
    assert "unskilled" in bad.reason
    nothing = admissibility(table_frame(METRICS, {}, rows=0))
    assert not nothing.is_admissible
    assert f"{SERVED_VOLATILITY} has no rps against markov" in nothing.reason


def _metrics(*rows: tuple[str, str, str, str, float, float], horizon: str = "72h") -> pd.DataFrame:
    """Rows of evaluation.metrics from (task, model, metric, baseline, value, value of the baseline)."""
    names = ("task", "model", "metric", "baseline", "value", "baseline_value")
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    head = {"ticker": "SPY", "horizon": horizon, "n": 100, "n_ambiguous": 0, "verdict": "skilled"}
    return table_frame(METRICS, head | columns, rows=len(rows))


DIRECTION_WINS = ("direction", "direction_shrunk", "brier_sign", "climatology", 0.24, 0.25)
DIRECTION_LOSES = ("direction", "direction_shrunk", "brier_sign", "climatology", 0.26, 0.25)
VOLATILITY_TIES = ("volatility", SERVED_VOLATILITY, "rps", "markov", 0.07, 0.07)
VOLATILITY_LOSES = ("volatility", SERVED_VOLATILITY, "rps", "markov", 0.08, 0.07)
VOLATILITY_UNKNOWN = ("volatility", SERVED_VOLATILITY, "rps", "markov", np.nan, np.nan)


def _summary(*, is_admissible: bool = True, **changes: object) -> pd.DataFrame:
    row = {
        "ticker": "SPY", "horizon": "72h", "rule": "matrix", "exits": "horizon", "always_trades": 3,
        "status": "backtested", "is_admissible": is_admissible,
        "admissibility_reason": "-", "trades": 3, "skipped": 0, "open_trades": 0, "losses_beyond_defined_risk": 0,
        "skip_reasons": "{}", "assumptions": "{}", "total_pnl_usd": 100.0, "pnl_lower_volatility_usd": 40.0,
        "pnl_higher_volatility_usd": 160.0,
    }  # fmt: skip
    return table_frame(SUMMARY, row | changes, rows=1)


def test_an_admission_is_earned_where_both_models_are_no_worse_and_the_profit_keeps_its_sign() -> None:
    assert unearned_admission(_summary(), _metrics(DIRECTION_WINS, VOLATILITY_TIES)) is None


def test_a_label_is_not_earned_by_prices_that_are_not_to_be_believed() -> None:
    metrics = _metrics(DIRECTION_WINS, VOLATILITY_TIES)
    assert "modelled from VIX" in str(unearned_admission(_summary(), metrics, objection="modelled from VIX"))
    assert unearned_admission(_summary(is_admissible=False), metrics, objection="modelled from VIX") is None


@pytest.mark.parametrize(
    ("metrics", "objection"),
    [
        (_metrics(DIRECTION_LOSES, VOLATILITY_TIES), "direction_shrunk is not shown"),
        (_metrics(DIRECTION_WINS, VOLATILITY_LOSES), f"{SERVED_VOLATILITY} is not shown"),
        (_metrics(DIRECTION_WINS, VOLATILITY_UNKNOWN), f"{SERVED_VOLATILITY} is not shown"),
        (_metrics(DIRECTION_WINS), f"{SERVED_VOLATILITY} is not shown"),
        (_metrics(DIRECTION_WINS, VOLATILITY_TIES, horizon="24h"), "direction_shrunk is not shown"),
    ],
    ids=["direction loses", "volatility loses", "not scored", "missing", "scores of another slice"],
)
def test_an_admission_is_not_earned_by_models_below_their_baselines_whatever_their_verdict(
    metrics: pd.DataFrame, objection: str
) -> None:
    assert (metrics["verdict"] == "skilled").all()  # the label is not believed, the figures are
    assert objection in str(unearned_admission(_summary(), metrics))
    assert unearned_admission(_summary(is_admissible=False), metrics) is None


def test_neither_the_gate_nor_its_check_admits_scores_of_too_few_rows() -> None:
    metrics = _metrics(DIRECTION_WINS, VOLATILITY_TIES).assign(verdict="insufficient_data", reason="12 rows")
    assert not admissibility(metrics).is_admissible
    assert "direction_shrunk is not shown" in str(unearned_admission(_summary(), metrics))


@pytest.mark.parametrize(
    "changes",
    [
        {"pnl_lower_volatility_usd": -1.0},
        {"pnl_higher_volatility_usd": -1.0},
        {"pnl_lower_volatility_usd": np.nan},
        {"status": "no_trades"},
    ],
)
def test_an_admission_is_not_earned_by_a_profit_that_the_surface_decides_or_without_a_backtest(changes) -> None:
    metrics = _metrics(DIRECTION_WINS, VOLATILITY_TIES)
    assert unearned_admission(_summary(**changes), metrics) is not None
    assert unearned_admission(_summary(is_admissible=False, **changes), metrics) is None


def _hit_rate(metric: str, value: float) -> tuple[str, str, str, str, float, float]:
    return ("price", SERVED_PRICE, metric, "none", value, np.nan)


@pytest.mark.parametrize(
    ("rows", "minimum", "is_admissible"),
    [
        ([_hit_rate("hit_rate_within_usd_band", 0.60)], 0.60, True),
        ([_hit_rate("hit_rate_within_usd_band", 0.59)], 0.60, False),
        ([_hit_rate("hit_rate_within_2_percent", 0.60)], 0.60, True),
        # the band in dollars is the horizon's own; the one in percent stands in where there is none
        ([_hit_rate("hit_rate_within_usd_band", 0.2), _hit_rate("hit_rate_within_2_percent", 0.9)], 0.60, False),
        ([_hit_rate("hit_rate_within_usd_band", np.nan)], 0.60, False),
        ([DIRECTION_WINS, VOLATILITY_TIES], 0.60, False),
    ],
)
def test_the_rule_of_tolerance_asks_for_a_share_of_price_forecasts_within_their_band(
    rows, minimum: float, is_admissible: bool
) -> None:
    gate = GateSettings(rule="tolerance", minimum_hit_rate=minimum)
    judged = admissibility(_metrics(*rows), gate)
    assert judged.is_admissible is is_admissible
    assert SERVED_PRICE in judged.reason
    assert ("at least 60.0%" in judged.reason) is is_admissible
    assert ("below 60.0%" in judged.reason) is (not is_admissible and "has no" not in judged.reason)
    assert (unearned_admission(_summary(), _metrics(*rows), gate) is None) is is_admissible


def test_the_rule_of_tolerance_does_not_ask_for_skill_and_the_rule_of_skill_not_for_tolerance() -> None:
    near = _metrics(_hit_rate("hit_rate_within_usd_band", 0.9), DIRECTION_LOSES, VOLATILITY_LOSES)
    assert unearned_admission(_summary(), near, GateSettings(rule="tolerance")) is None
    assert unearned_admission(_summary(), near) is not None
