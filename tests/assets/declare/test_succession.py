"""What is asked when a model was fitted anew, with real models in a real store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.catalog import DECLARATIONS
from assets.declare.declaration import Slice
from assets.declare.succession import compared, decision_of
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.trading_dag.models.conftest import ResearchSlice, make_slice
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import PREDICTIONS_VOLATILITY
from trading_dag.setting_groups import BootstrapSettings, ChampionSettings, PriceStackSettings
from trading_dag.settings import Settings
from trading_dag.validation.gates.champion import Decision

KEY = SliceKey("SPY", "72h")
FAMILY = next(entry for entry in DECLARATIONS if entry.name == "volatility_forecaster")
FINGERPRINT = {"code_version": FAMILY.code_version, "settings": "as they are"}


@dataclass(frozen=True)
class Place:
    """A home with a model store, and what the next fit reads."""

    home: Path
    models: ModelStore
    inputs: dict[str, Any]
    settings: Settings

    def decide(self, fitted: FittedModel, **changed: str) -> Decision:
        """Decide about a model and store it as the IO manager does."""
        fitted = replace(fitted, inputs={**fitted.inputs, **FINGERPRINT, **changed})
        at = Slice(KEY, self.settings, None, ParquetStore(self.home))
        decision, champion = decision_of(FAMILY, at, fitted, self.inputs, self.models)
        self.models.save(fitted, make_latest=decision.serves, decision=decision.record(), champion=champion)
        return decision


def fit(research: ResearchSlice, rows: int, *, targets: pd.DataFrame | None = None) -> FittedModel:
    features = research.features.iloc[:rows].reset_index(drop=True)
    labels = research.targets if targets is None else targets
    labels = labels[labels["target_session"] <= features["session"].iloc[-1]].reset_index(drop=True)
    return volatility_forecaster.fit(features, labels, horizon=research.horizon, settings=Settings().walk_forward)


@pytest.fixture(scope="module")
def research() -> ResearchSlice:
    return make_slice(900)


@pytest.fixture(scope="module")
def early(research: ResearchSlice) -> FittedModel:
    return fit(research, 860)


@pytest.fixture(scope="module")
def blind(research: ResearchSlice) -> FittedModel:
    """Learnt from labels in another order: it knows nothing."""
    shuffled = np.random.default_rng(0).permutation(research.targets["iv_regime"].to_numpy())
    return fit(research, 900, targets=research.targets.assign(iv_regime=shuffled))


@pytest.fixture
def place(tmp_path: Path, research: ResearchSlice) -> Place:
    inputs = {"features": research.features, "targets": research.targets, "prices": research.prices}
    return Place(tmp_path, ModelStore(tmp_path / "models"), inputs, Settings(_env_file=None, home=tmp_path))


def in_use(place: Place) -> FittedModel:
    return place.models.load(FAMILY.name, ticker="SPY", horizon="72h")


def test_the_first_version_serves_and_one_that_knows_less_does_not(
    place: Place, early: FittedModel, blind: FittedModel
) -> None:
    assert place.decide(early).kind == "first"
    decision = place.decide(blind)
    assert (decision.kind, decision.serves) == ("worse", False)
    assert decision.comparison is not None
    assert decision.comparison.metric == "rps"
    assert decision.comparison.sessions >= 250
    assert decision.comparison.difference_ci_high is not None
    assert decision.comparison.difference_ci_high < 0
    assert in_use(place).folds[-1].fitted_through == early.folds[-1].fitted_through


def test_one_that_knows_more_takes_over(place: Place, early: FittedModel, blind: FittedModel) -> None:
    place.decide(blind)
    decision = place.decide(early)
    assert (decision.kind, decision.serves) == ("no_worse", True)
    assert in_use(place).folds[-1].fitted_through == early.folds[-1].fitted_through


def test_the_sessions_compared_end_where_the_older_version_began_to_serve_live(
    place: Place, research: ResearchSlice, early: FittedModel
) -> None:
    place.decide(early)
    decision = place.decide(fit(research, 900))
    live = early.folds[-1].serves_from
    assert decision.comparison is not None
    assert decision.comparison.last_session is not None
    assert live is not None
    assert pd.Timestamp(decision.comparison.last_session) < live


def test_the_same_model_again_serves_without_being_compared(place: Place, early: FittedModel) -> None:
    place.decide(early)
    decision = place.decide(early)
    assert (decision.kind, decision.comparison) == ("same_model", None)


def test_other_code_serves_uncompared_and_other_settings_serve_with_what_is_known(
    place: Place, early: FittedModel, blind: FittedModel
) -> None:
    place.decide(early)
    decision = place.decide(blind, settings="other")
    assert (decision.kind, decision.serves) == ("other_settings", True)
    assert decision.comparison is not None
    decision = place.decide(early, settings="other", code_version="another")
    assert (decision.kind, decision.comparison) == ("other_code", None)


def test_settings_that_the_last_fit_had_too_are_no_reason_after_a_rollback(
    place: Place, early: FittedModel, blind: FittedModel
) -> None:
    place.decide(early)
    place.decide(blind, settings="other")
    before = place.models.versions(FAMILY.name, ticker="SPY", horizon="72h")[0]
    place.models.promote(FAMILY.name, ticker="SPY", horizon="72h", version=before, reason="odd", event="rolled_back")
    decision = place.decide(replace(blind, libraries={"numpy": "later"}), settings="other")
    assert (decision.kind, decision.serves) == ("worse", False)


def test_a_champion_whose_file_was_altered_gives_way_and_the_reason_says_so(
    place: Place, early: FittedModel, blind: FittedModel
) -> None:
    place.decide(early)
    version = place.models.latest_version(FAMILY.name, ticker="SPY", horizon="72h")
    folder = place.models.folder(FAMILY.name, ticker="SPY", horizon="72h") / str(version)
    next(folder.glob("*.skops")).write_bytes(b"altered")
    decision = place.decide(blind)
    assert (decision.kind, decision.serves) == ("not_comparable", True)
    assert "is not the file that was saved" in decision.reason


def test_a_pointer_to_nothing_is_mended_by_the_next_version(place: Place, early: FittedModel) -> None:
    place.decide(early)
    (place.models.folder(FAMILY.name, ticker="SPY", horizon="72h") / "latest").write_text("nothing\n")
    assert place.decide(early).kind == "first"
    assert in_use(place).name == FAMILY.name


def test_data_that_were_restated_unseat_a_champion_that_learnt_from_what_was_wrong(
    place: Place, research: ResearchSlice, early: FittedModel, blind: FittedModel
) -> None:
    place.decide(early)
    served = in_use(place)
    stored = volatility_forecaster.predict(served, research.features, research.targets, horizon=research.horizon)
    ParquetStore(place.home).write(PREDICTIONS_VOLATILITY, KEY, stored)
    assert place.decide(blind).kind == "worse"
    scaled = research.features.assign(iv_rank=(research.features["iv_rank"] * 0.9))
    restated = replace(place, inputs={**place.inputs, "features": scaled})
    decision = restated.decide(blind, settings=FINGERPRINT["settings"])
    assert (decision.kind, decision.serves) == ("restated", True)


def test_by_the_setting_the_newest_serves(place: Place, early: FittedModel, blind: FittedModel) -> None:
    place.decide(early)
    newest = replace(place, settings=place.settings.model_copy(update={"champion": ChampionSettings(rule="newest")}))
    decision = newest.decide(blind)
    assert (decision.kind, decision.serves) == ("newest", True)
    assert decision.comparison is not None


def test_every_family_says_how_its_versions_are_compared() -> None:
    from trading_dag.validation.scores.tasks import task_of

    told = {entry.name: entry.forecasts for entry in DECLARATIONS if entry.is_model}
    compared = {name: forecasts for name, forecasts in told.items() if forecasts is not None}
    # The trunk forecasts nothing by itself; it is compared as part of each horizon's spread model.
    assert set(told) - set(compared) == {"spread_trunk"}
    for forecasts in compared.values():
        for one in (forecasts, *forecasts.also):
            task = task_of(one.task)
            assert task.predictions is one.table
            assert one.model or task.served_model
    assert [one.task for one in compared["volatility_forecaster"].also] == ["volatility_level"]


def test_two_versions_of_the_price_stack_are_compared_on_sessions_whose_outcome_is_known(
    research: ResearchSlice,
) -> None:
    from assets.price_stack import price_stack as family
    from trading_dag.models.price import price_stack

    assert family.forecasts is not None
    generator = np.random.default_rng(0)
    features = research.features.assign(
        **{name: 18.0 + generator.normal(0, 1.0, len(research.features)) for name in ("hv_20", "hv_60")}
    )
    fitted = price_stack.fit(
        features, research.targets, horizon=research.horizon, settings=Settings().walk_forward,
        stack=PriceStackSettings(trees=8, minimum_rows=200),
    )  # fmt: skip
    inputs = {"features": features, "targets": research.targets}
    made = family.forecasts.make(fitted, inputs, research.horizon, Settings())
    told = compared(
        family.forecasts, (fitted, made), (fitted, made), horizon=research.horizon, settings=BootstrapSettings()
    )
    assert told.metric == "mae_percent"
    assert told.difference == 0.0
    assert told.sessions > 250
    own = made[made["model"] == "price_stack"]
    assert own["y_true"].notna().all(), "what is not known is not forecast here"
