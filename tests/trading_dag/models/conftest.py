"""One synthetic slice: features that partly tell the direction, an IV rank that wanders, labels of one horizon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.models.direction import direction_classifier, direction_learners
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import FEATURE_TABLE, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import Horizon, horizon_of

DIRECTION_SETTINGS = WalkForwardSettings(evidence_sessions=60)


@dataclass(frozen=True)
class ResearchSlice:
    """Inputs of the models for one ticker and horizon."""

    features: pd.DataFrame
    targets: pd.DataFrame
    prices: pd.DataFrame
    horizon: Horizon


def make_slice(n: int = 900, *, seed: int = 0, horizon: str = "72h", signal: float = 1.0) -> ResearchSlice:
    """Features are standard normal; ``rsi_14`` and ``roc_5`` lean towards the label by ``signal``.

    The IV rank cycles, unevenly, through all three regimes, and the index with it. The last sessions have no label
    yet.
    """
    generator = np.random.default_rng(seed)
    at = horizon_of(horizon)
    sessions = sessions_between("2010-01-04", "2024-12-31")[:n]
    names = FEATURE_TABLE.column_names[2:]
    values = pd.DataFrame(generator.normal(size=(n, len(names))), columns=list(names))
    rank = 50 + 45 * np.sin(np.arange(n) / 6 + np.cumsum(generator.normal(0, 0.05, n)))
    values["iv_rank"] = rank
    values["vix_close"] = 10 + rank / 5
    values["iv_percentile"] = rank + generator.normal(0, 3, n)
    returns = generator.normal(0, 0.02, n)
    labelled = n - at.target_offset
    band = 0.01 * np.sqrt(at.scaling_sessions / 5)
    direction = np.where(returns > band, "UP", np.where(returns < -band, "DOWN", "AMBIGUOUS"))
    for name, lean in (("rsi_14", 1.0), ("roc_5", -0.7)):
        values[name] += signal * lean * np.sign(returns) * (direction != "AMBIGUOUS")
    ahead = np.clip(np.arange(n) + at.target_offset, 0, n - 1)
    regime = np.where(rank[ahead] < 30, "LOW", np.where(rank[ahead] < 60, "NORMAL", "HIGH"))
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, n)))
    features = table_frame(FEATURE_TABLE, {"ticker": "SPY", "session": sessions, **values}, rows=n)
    targets = table_frame(
        TARGETS,
        {
            "ticker": "SPY",
            "horizon": horizon,
            "session": sessions[:labelled],
            "target_session": target_sessions(sessions[:labelled], at),
            "target_price": closes[ahead][:labelled],
            "forward_return": returns[:labelled],
            "direction": direction[:labelled],
            "iv_regime": regime[:labelled],
        },
        rows=labelled,
    )
    prices = pd.DataFrame({"ticker": "SPY", "session": sessions, "open": closes, "close": closes})
    return ResearchSlice(features, targets, prices, at)


@pytest.fixture(scope="session")
def slice_of() -> Callable[..., ResearchSlice]:
    """The factory of synthetic slices."""
    return make_slice


@pytest.fixture(scope="session")
def research() -> ResearchSlice:
    """A slice of 900 sessions at 72h, with signal."""
    return make_slice()


@contextmanager
def searching_little() -> Iterator[None]:
    """The learners that search choose among two candidates each, strong and weak shrinkage, instead of 18 of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direction_learners, "PENALTIES", (1e-4, 1e-1))
        patch.setattr(direction_learners, "WIDTHS", (20,))
        patch.setattr(direction_learners, "BOOST_DEPTHS", (2,))
        patch.setattr(direction_learners, "BOOST_ROUNDS", (10, 60))
        yield


@pytest.fixture(scope="module")
def few_candidates() -> Iterator[None]:
    """The searches of a module's tests are as small as that of ``direction_model``."""
    with searching_little():
        yield


@pytest.fixture(scope="session")
def direction_model(research: ResearchSlice) -> FittedModel:
    """Direction classifier fitted on ``research``, whose few inner rows are evidence enough of a strong signal."""
    with searching_little():
        return direction_classifier.fit(
            research.features, research.targets, horizon=research.horizon, settings=DIRECTION_SETTINGS
        )


@pytest.fixture(scope="session")
def volatility_model(research: ResearchSlice) -> FittedModel:
    """Volatility forecaster fitted on ``research``."""
    return volatility_forecaster.fit(
        research.features, research.targets, horizon=research.horizon, settings=WalkForwardSettings()
    )


@pytest.fixture(scope="session")
def direction_forecasts(research: ResearchSlice, direction_model: FittedModel) -> pd.DataFrame:
    """predictions.direction of ``research``."""
    return direction_classifier.predict(
        direction_model, research.features, research.targets, horizon=research.horizon, prices=research.prices
    )


@pytest.fixture(scope="session")
def volatility_forecasts(research: ResearchSlice, volatility_model: FittedModel) -> pd.DataFrame:
    """predictions.volatility of ``research``."""
    return volatility_forecaster.predict(
        volatility_model, research.features, research.targets, horizon=research.horizon
    )


@pytest.fixture
def published_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published learner alone: the two that search take nine tenths of a fit, and not every test looks at them."""
    monkeypatch.setattr(direction_classifier, "sign_learners", lambda **_: ())
