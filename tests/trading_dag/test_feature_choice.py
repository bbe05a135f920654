"""What groups, sets and names stand for, and what a choice leaves of a model's inputs."""

from __future__ import annotations

import pytest

from trading_dag.errors import UnknownFeatureError
from trading_dag.feature_choice import ESSENTIAL, choose_features
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.schemas import (
    ALL_FEATURES,
    FEATURE_GROUPS,
    LEVEL_FEATURES,
    SAFE_FEATURES,
    VOLATILITY_FORECASTER_FEATURES,
)
from trading_dag.settings import Settings


@pytest.mark.parametrize(
    ("entry", "group"),
    [("technical", "technical"), ("iv", "implied_volatility"), ("calendar", "economic_calendar"),
     ("chain", "option_chain"), ("cross", "cross"), ("intraday", "intraday"), ("regime", "regime")],
)  # fmt: skip
def test_a_group_is_chosen_by_its_name_or_its_short_one(entry: str, group: str) -> None:
    assert choose_features([entry]) == frozenset(FEATURE_GROUPS[group])
    assert choose_features([group]) == frozenset(FEATURE_GROUPS[group])


def test_every_group_can_be_chosen_and_all_together_are_all() -> None:
    assert choose_features(FEATURE_GROUPS) == frozenset(ALL_FEATURES)


def test_groups_sets_and_names_add_up_and_nothing_chosen_is_no_choice() -> None:
    assert choose_features(["earnings", "rsi_14"]) == {*FEATURE_GROUPS["earnings"], "rsi_14"}
    assert choose_features([]) is None


def test_essential_is_macd_rsi_bollinger_averages_and_hourly_and_daily_mean_and_volatility() -> None:
    chosen = choose_features(["essential"])
    assert chosen is not None
    assert chosen <= set(ALL_FEATURES)
    assert len(ESSENTIAL) == len(set(ESSENTIAL))
    parts = {
        "MACD histogram, free of scale": {"macd_histogram_pct", "macd_histogram_atr"},
        "RSI": {"rsi_14"},
        "Bollinger": {"bb_width", "bb_position"},
        "SMA and EMA": {"price_to_sma_20", "price_to_sma_50", "price_to_ema_12", "price_to_ema_26"},
        "mean and volatility at one hour": {"hourly_mean_return_6", "hourly_volatility_6"},
        "mean and volatility at one day": {"log_return_5d", "hv_5", "hv_20"},
    }
    for name, features in parts.items():
        assert features <= chosen & set(SAFE_FEATURES), name


@pytest.mark.parametrize(("entry", "near"), [("technicals", "technical"), ("rsi14", "rsi_14")])
def test_an_unknown_entry_is_refused_with_what_is_near_and_all_choices(entry: str, near: str) -> None:
    with pytest.raises(UnknownFeatureError, match=f"'{entry}' is no group.*did you mean {near}") as raised:
        choose_features(["technical", entry])
    for choice in (*FEATURE_GROUPS, "iv", "chain", "essential", "docs/features.md"):
        assert choice in str(raised.value)


def test_the_setting_is_split_at_commas_and_an_unknown_entry_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DAG_FEATURES", "technical, iv,rsi_14")
    assert Settings(_env_file=None).features == ("technical", "iv", "rsi_14")
    monkeypatch.setenv("TRADING_DAG_FEATURES", "tehcnical")
    with pytest.raises(UnknownFeatureError, match="did you mean technical"):
        Settings(_env_file=None)


def test_by_default_the_candidates_are_the_safe_features_and_every_other_has_its_reason() -> None:
    found = candidates_of("direction_classifier", ALL_FEATURES, chosen=(), safe_only=True)
    assert found.names == SAFE_FEATURES
    assert found.left_out == dict.fromkeys((name for name in ALL_FEATURES if name in LEVEL_FEATURES), "not_safe")


def test_a_choice_takes_away_and_adds_nothing_to_the_list_of_a_model() -> None:
    found = candidates_of(
        "volatility_forecaster", VOLATILITY_FORECASTER_FEATURES, chosen=("iv", "rsi_14"), safe_only=True
    )
    assert set(found.names) == set(VOLATILITY_FORECASTER_FEATURES) & set(FEATURE_GROUPS["implied_volatility"])
    assert found.left_out["rsi_14"] == "not_listed"
    assert found.left_out["hv_20"] == "not_chosen"
    assert len(found.names) + len(found.left_out) == len(ALL_FEATURES)


def test_levels_are_candidates_where_safety_is_not_asked_for() -> None:
    found = candidates_of("direction_classifier", ALL_FEATURES, chosen=("technical",), safe_only=False)
    assert found.names == FEATURE_GROUPS["technical"]


def test_a_choice_that_leaves_a_model_nothing_is_refused() -> None:
    with pytest.raises(UnknownFeatureError, match=r"volatility_forecaster may read none of .*sentiment.*iv_rank"):
        candidates_of("volatility_forecaster", VOLATILITY_FORECASTER_FEATURES, chosen=("sentiment",), safe_only=True)
