"""Slices whose features have moved away from what their models learnt."""

from __future__ import annotations

import pandas as pd

from trading_dag.alerts.cause import Cause
from trading_dag.drift.policy import should_retrain
from trading_dag.setting_groups import DriftSettings


def drifted_slice(
    ticker: str, horizon: str, reports: pd.DataFrame, *, last_trained: pd.Timestamp | None, settings: DriftSettings
) -> Cause | None:
    """Return the cause for a slice whose last reports were all breached; None where they were not.

    Parameters
    ----------
    reports : one row per report: as_of_session, share_breached.
    last_trained : the last session that the newest version of a model has seen; earlier reports do not count.
    settings : of drift. How long retraining rests does not matter here: what has drifted is told.
    """
    asked = settings.model_copy(update={"rest_sessions": 0})
    decision = should_retrain(reports, last_retrained=last_trained, settings=asked)
    if not decision.is_due:
        return None
    latest = reports["as_of_session"].max()
    lines = (
        f"As of {latest:%Y-%m-%d}: {decision.reason}.",
        "Its forecasts rest on a market that looked otherwise. With automation on it is trained again by itself; the "
        f"new model serves only where it is no worse. By hand: trading-dag train --tickers {ticker} "
        f"--horizons {horizon}",
    )
    return Cause("drift", f"{ticker}|{horizon}", f"{ticker} {horizon} has drifted", lines, "/assets/monitoring/drift")
