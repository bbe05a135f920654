"""What is served beside the selecting forecasts is read, named with version and score, and may be missing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.schemas import (
    PREDICTIONS_ALLOCATION,
    PREDICTIONS_PRICE,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY_LEVEL,
    QUANTILE_COLUMNS,
    QUANTILE_LEVELS,
)
from trading_dag.sessions import sessions_between, shift_sessions, target_sessions
from trading_dag.slices import horizon_of
from trading_dag.strategy.beside import BesideTables, lay_beside, outlook_of

WEEK = horizon_of("168h")
SESSIONS = sessions_between("2024-02-26", "2024-03-08")


def _normal_quantiles(ahead: int, *, drift: float, deviation: float) -> np.ndarray:
    """Quantiles of a lognormal price from 100, with drift and variance in proportion to the sessions."""
    from statistics import NormalDist

    z = np.array([NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS])
    return 100.0 * np.exp(drift * ahead + deviation * math.sqrt(ahead) * z)


def price_table(sessions: pd.DatetimeIndex = SESSIONS) -> pd.DataFrame:
    parts = []
    for ahead in (5, 10, 21):
        quantiles = _normal_quantiles(ahead, drift=0.0004, deviation=0.01)
        values = {
            "ticker": "SPY", "horizon": "168h", "session": sessions, "target_session": shift_sessions(sessions, ahead),
            "sessions_ahead": ahead, "model": "price_distribution", "fold": 6, "fitted_through": sessions[0],
            "close": 100.0, "y_pred": 100.0, "is_baseline": False, "is_out_of_sample": True,
        }  # fmt: skip
        named = dict(zip(QUANTILE_COLUMNS, quantiles, strict=True))
        parts.append(table_frame(PREDICTIONS_PRICE, values | named, rows=len(sessions)))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("ahead", [5, 10, 14, 17, 21])
def test_between_two_horizons_a_lognormal_forecast_is_met_exactly(ahead: int) -> None:
    outlook = outlook_of(price_table(), SESSIONS)
    rows = np.arange(len(SESSIONS))
    expirations = shift_sessions(SESSIONS, ahead).to_numpy()
    found = outlook.quantiles_at(expirations, spot=np.full(len(SESSIONS), 100.0), rows=rows)
    expected = _normal_quantiles(ahead, drift=0.0004, deviation=0.01)
    np.testing.assert_allclose(found, np.tile(expected, (len(SESSIONS), 1)), rtol=1e-12)


@pytest.mark.parametrize("ahead", [1, 4, 22, 60])
def test_beyond_what_is_forecast_nothing_is_said(ahead: int) -> None:
    outlook = outlook_of(price_table(), SESSIONS)
    rows = np.arange(len(SESSIONS))
    found = outlook.quantiles_at(
        shift_sessions(SESSIONS, ahead).to_numpy(), spot=np.full(len(SESSIONS), 100.0), rows=rows
    )
    assert np.isnan(found).all()


def test_a_session_without_a_forecast_has_none_at_its_expiration() -> None:
    outlook = outlook_of(price_table(SESSIONS[1:]), SESSIONS)
    found = outlook.quantiles_at(
        shift_sessions(SESSIONS, 14).to_numpy(), spot=np.full(len(SESSIONS), 100.0), rows=np.arange(len(SESSIONS))
    )
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


def _head(model: str) -> dict[str, object]:
    return {
        "ticker": "SPY", "horizon": "168h", "session": SESSIONS, "target_session": target_sessions(SESSIONS, WEEK),
        "model": model, "fold": 6, "fitted_through": SESSIONS[0], "is_baseline": False, "is_out_of_sample": True,
        "model_version": "0a1b2c3d",
    }  # fmt: skip


def level_table(*, change: float = 0.0, probability_rise: float = 0.5, direction: str = "STABLE") -> pd.DataFrame:
    values = _head("volatility_har") | {
        "index_level": 20.0, "y_pred": 20.0 * (1 + change), "expected_level": 20.0 * (1 + change),
        "probability_rise": probability_rise, "expected_iv_direction": direction,
        **dict.fromkeys(QUANTILE_COLUMNS, 20.0),
    }  # fmt: skip
    return table_frame(PREDICTIONS_VOLATILITY_LEVEL, values, rows=len(SESSIONS))


def test_the_served_rows_of_each_table_are_laid_beside_the_sessions() -> None:
    spread = _head("spread_lstm") | {
        "y_pred": "CALL_CREDIT", "confidence": 0.41, "probability_put_credit": 0.3, "probability_call_credit": 0.41,
        "probability_hold": 0.29,
    }  # fmt: skip
    allocation = _head("allocation_ensemble") | {"position": 1.5, "volatility": 0.02, "cash_return": 0.0}
    ranks = pd.DataFrame({
        "session": SESSIONS, "iv_source": "chain", "own_iv_rank": 12.0, "chain_iv_rank": 12.0,
    })  # fmt: skip
    said = lay_beside(
        BesideTables(
            level_table(change=0.1, probability_rise=0.7, direction="EXPANDING"),
            price_table(),
            table_frame(PREDICTIONS_SPREAD, spread, rows=len(SESSIONS)),
            table_frame(PREDICTIONS_ALLOCATION, allocation, rows=len(SESSIONS)),
            ranks,
        ),
        SESSIONS,
        horizon=WEEK,
    )
    assert set(said.spread["y_pred"]) == {"CALL_CREDIT"}
    assert said.allocation["position"].tolist() == [1.5] * len(SESSIONS)
    assert said.level["expected_level"].tolist() == pytest.approx([22.0] * len(SESSIONS))
    assert set(said.iv_rank["iv_source"]) == {"chain"}
    assert said.outlook.ahead == (5, 10, 21)
    assert set(said.scores) == {"volatility_level", "price", "spread", "allocation"}


def test_what_is_not_there_is_null_and_has_no_score() -> None:
    said = lay_beside(BesideTables(), SESSIONS, horizon=WEEK)
    assert said.spread["y_pred"].isna().all()
    assert said.allocation["position"].isna().all()
    assert said.outlook.ahead == ()
    assert said.scores == {}
