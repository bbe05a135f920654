"""Whether drift asks for retraining. A pure decision: who reports and who retrains is the sensor's business."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import DriftSettings


@dataclass(frozen=True)
class RetrainDecision:
    """Holds the decision and its reason in words."""

    is_due: bool
    reason: str


def should_retrain(
    reports: pd.DataFrame, *, last_retrained: pd.Timestamp | None, settings: DriftSettings
) -> RetrainDecision:
    """Decide from the history of drift reports of one slice.

    Retraining is due when the last ``consecutive_breaches`` reports since the last training were all breached, a
    report being breached when more than ``breached_share`` of its features are beyond their limits, and at least
    ``rest_sessions`` exchange sessions have passed since that training.

    Parameters
    ----------
    reports : one row per report, in any order: as_of_session, share_breached (fraction of features). Rows without a
        share are left out.
    last_retrained : last session that the newest version of a model has seen, whether it serves or not; None where
        there is no model yet.
    settings : the limits.
    """
    known = reports.dropna(subset=["share_breached"]).drop_duplicates("as_of_session", keep="last")
    if last_retrained is not None:
        known = known[known["as_of_session"] > last_retrained]
    known = known.sort_values("as_of_session")
    needed = settings.consecutive_breaches
    if len(known) < needed:
        return RetrainDecision(False, f"{len(known)} of {needed} reports since the last training")

    latest = known["as_of_session"].iloc[-1]
    shares = known["share_breached"].tail(needed)
    worst = f"{shares.min():.0%} to {shares.max():.0%} of the features beyond their limits"
    breached = int((shares > settings.breached_share).sum())
    if breached < needed:
        return RetrainDecision(False, f"{breached} of the last {needed} reports breached: {worst}")
    if last_retrained is not None:
        rested = len(sessions_between(last_retrained, latest)) - 1
        if rested < settings.rest_sessions:
            reason = f"breached ({worst}), but trained {rested} sessions ago, rest is {settings.rest_sessions}"
            return RetrainDecision(False, reason)
    return RetrainDecision(True, f"{needed} reports in a row breached: {worst}")
