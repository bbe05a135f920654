"""Where a slice stands: what has drifted most, since when, when it was trained last, and what happens next.

Here belongs what people are told of a slice. Whether it is retrained is decided in ``policy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from trading_dag.drift.accuracy import breaches_in_words, newest_of_each
from trading_dag.drift.policy import RetrainDecision, should_retrain
from trading_dag.sessions import shift_sessions
from trading_dag.setting_groups import DriftSettings


@dataclass(frozen=True)
class Standing:
    """Tells where one ticker × horizon stands by its newest reports.

    Attributes
    ----------
    as_of : session of the newest drift report; None without any.
    features, features_beyond : how many are reported on, and how many of them are beyond their limits.
    share_beyond : the latter over the former; None without a report.
    forecasts_beyond : which forecasts are beyond theirs.
    drifted_most, over_limit : the feature or forecast whose index is largest beside its limit, and the ratio.
    scores_below, coverage_outside : the newest scores and coverages out of their bands, in words; None where all are
        within.
    judged_on : by task, on what its score is judged.
    last_retrained : last session that the newest version of any of its models has seen; None without one.
    decision : of the policy.
    next_step : what happens next, a sentence.
    """

    as_of: pd.Timestamp | None
    features: int
    features_beyond: int
    forecasts_beyond: tuple[str, ...]
    drifted_most: str | None
    over_limit: float | None
    scores_below: str | None
    coverage_outside: str | None
    judged_on: dict[str, str]
    last_retrained: pd.Timestamp | None
    decision: RetrainDecision
    next_step: str

    @property
    def share_beyond(self) -> float | None:
        return self.features_beyond / self.features if self.features else None

    def record(self) -> dict[str, Any]:
        """Return it in JSON types, sessions as ISO dates."""

        def day(session: pd.Timestamp | None) -> str | None:
            return None if session is None else f"{session:%Y-%m-%d}"

        return {
            "as_of_session": day(self.as_of),
            "features": self.features,
            "features_beyond": self.features_beyond,
            "share_beyond": self.share_beyond,
            "forecasts_beyond": list(self.forecasts_beyond),
            "drifted_most": self.drifted_most,
            "over_limit": self.over_limit,
            "scores_below": self.scores_below,
            "coverage_outside": self.coverage_outside,
            "judged_on": self.judged_on,
            "breached_reports_in_a_row": self.decision.in_a_row,
            "breached_since": day(self.decision.breached_since),
            "last_retrained_through": day(self.last_retrained),
            "is_due": self.decision.is_due,
            "reason": self.decision.reason,
            "next": self.next_step,
        }


def standing_of(
    reports: pd.DataFrame, accuracy: pd.DataFrame, *, last_retrained: pd.Timestamp | None, settings: DriftSettings
) -> Standing:
    """Return where a slice stands.

    Parameters
    ----------
    reports, accuracy : monitoring.drift and monitoring.accuracy of the slice, in any order.
    last_retrained : last session that the newest version of a model has seen, whether it serves or not.
    settings : the limits.
    """
    decision = decision_of(reports, accuracy, last_retrained=last_retrained, settings=settings)
    newest = reports[reports["as_of_session"] == reports["as_of_session"].max()]
    is_feature = newest["kind"].fillna("feature") == "feature"
    limited = newest[newest["psi_limit"] > 0]
    ratios = limited["psi"] / limited["psi_limit"]
    most = None if limited.empty else int(ratios.to_numpy(dtype="float64").argmax())
    return Standing(
        as_of=None if newest.empty else pd.Timestamp(newest["as_of_session"].iloc[0]),
        features=int(is_feature.sum()),
        features_beyond=int(newest.loc[is_feature, "is_breached"].sum()),
        forecasts_beyond=tuple(newest.loc[~is_feature & newest["is_breached"], "feature"]),
        drifted_most=None if most is None else str(limited["feature"].iloc[most]),
        over_limit=None if most is None else float(ratios.iloc[most]),
        scores_below=breaches_in_words(accuracy, of_scores=True),
        coverage_outside=breaches_in_words(accuracy, of_scores=False),
        judged_on={str(row["task"]): str(row["judged_on"]) for row in newest_of_each(accuracy).to_dict("records")},
        last_retrained=last_retrained,
        decision=decision,
        next_step=_next_step(decision, last_retrained, settings),
    )


def decision_of(
    reports: pd.DataFrame, accuracy: pd.DataFrame, *, last_retrained: pd.Timestamp | None, settings: DriftSettings
) -> RetrainDecision:
    """Return what the policy decides from the stored reports of a slice; the parameters are those of ``standing_of``.

    Of ``reports`` only as_of_session, kind and is_breached are read. Forecasts do not count in the share.
    """
    of_features = reports[reports["kind"].fillna("feature") == "feature"]
    shares = of_features.groupby("as_of_session", as_index=False).agg(share_breached=("is_breached", "mean"))
    return should_retrain(shares, last_retrained=last_retrained, settings=settings, accuracy=accuracy)


def _next_step(decision: RetrainDecision, last_retrained: pd.Timestamp | None, settings: DriftSettings) -> str:
    if decision.is_due:
        return "retraining is due: the sensor retrain_on_drift asks for it at its next tick"
    if decision.in_a_row >= settings.consecutive_breaches and last_retrained is not None:
        rested = shift_sessions(pd.DatetimeIndex([last_retrained]), settings.rest_sessions)[0]
        return f"rests until {rested:%Y-%m-%d}, then retrains if the newest reports are still breached"
    if decision.in_a_row:
        more = settings.consecutive_breaches - decision.in_a_row
        return f"{more} more breached report{'s' if more > 1 else ''} in a row ask{'' if more > 1 else 's'} for it"
    return (
        "nothing: the newest reports are within their limits"
        if decision.as_of is not None
        else "waits for a report after the training"
    )
