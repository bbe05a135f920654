"""Whether drift asks for retraining. A pure decision: who reports and who retrains is the sensor's business."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from trading_dag.drift.accuracy import NOMINAL
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import DriftSettings


@dataclass(frozen=True)
class RetrainDecision:
    """Holds the decision and its reason in words.

    Attributes
    ----------
    as_of : session of the newest report that was looked at; None without any since the last training.
    in_a_row : how many of the newest reports are breached one after the other, of the signal that has most.
    breached_since : the first of those; None without any.
    """

    is_due: bool
    reason: str
    as_of: pd.Timestamp | None = None
    in_a_row: int = 0
    breached_since: pd.Timestamp | None = None


@dataclass(frozen=True)
class _Signal:
    """One thing that may ask for retraining: its reports since the last training, ascending.

    Attributes
    ----------
    reports : as_of_session, is_breached.
    latest : the newest in words.
    """

    reports: pd.DataFrame
    latest: str

    @property
    def as_of(self) -> pd.Timestamp:
        return pd.Timestamp(self.reports["as_of_session"].iloc[-1])

    @property
    def in_a_row(self) -> int:
        breached = self.reports["is_breached"].to_numpy(dtype=bool)[::-1]
        return len(breached) if breached.all() else int(breached.argmin())

    @property
    def breached_since(self) -> pd.Timestamp | None:
        count = self.in_a_row
        return pd.Timestamp(self.reports["as_of_session"].iloc[-count]) if count else None


def should_retrain(
    reports: pd.DataFrame,
    *,
    last_retrained: pd.Timestamp | None,
    settings: DriftSettings,
    accuracy: pd.DataFrame | None = None,
) -> RetrainDecision:
    """Decide from the history of drift reports and scores of one slice.

    Retraining is due when the last ``consecutive_breaches`` reports since the last training were all breached by the
    same signal, and at least ``rest_sessions`` exchange sessions have passed since that training. Signals are the
    features (breached when more than ``breached_share`` of them are beyond their limits) and each proper score
    (breached when its gain is below its band). A coverage is none: the distribution of prices learns on with every
    session, which no retraining would change. Nor are drifted forecasts, which say nothing that the two do not.

    Parameters
    ----------
    reports : one row per report, in any order: as_of_session, share_breached (fraction of features). Rows without a
        share are left out.
    last_retrained : last session that the newest version of a model has seen, whether it serves or not; None where
        there is no model yet. A score of a window counts after it, though most of the window lies before: the band is
        of windows, and a model that is worse shows in them before a whole one is its own.
    settings : the limits.
    accuracy : rows of monitoring.accuracy, in any order; None without.
    """
    signals = list(_signals(reports, accuracy, last_retrained=last_retrained, settings=settings))
    if not signals:
        needed = settings.consecutive_breaches
        return RetrainDecision(False, f"0 of {needed} reports since the last training")
    as_of = max(signal.as_of for signal in signals)
    worst = max(signals, key=lambda signal: signal.in_a_row)
    is_due, reason = _verdict(signals, as_of, last_retrained=last_retrained, settings=settings)
    return RetrainDecision(is_due, reason, as_of, worst.in_a_row, worst.breached_since)


def _verdict(
    signals: list[_Signal], as_of: pd.Timestamp, *, last_retrained: pd.Timestamp | None, settings: DriftSettings
) -> tuple[bool, str]:
    needed = settings.consecutive_breaches
    due = [signal for signal in signals if signal.in_a_row >= needed]
    told = "; ".join(signal.latest for signal in due or signals)
    if not due:
        most = max(signal.in_a_row for signal in signals)
        if all(len(signal.reports) < needed for signal in signals):
            return False, f"{len(signals[0].reports)} of {needed} reports since the last training: {told}"
        return False, f"{most} of the last {needed} reports breached: {told}"
    if last_retrained is not None:
        rested = len(sessions_between(last_retrained, as_of)) - 1
        if rested < settings.rest_sessions:
            return False, f"breached ({told}), but trained {rested} sessions ago, rest is {settings.rest_sessions}"
    return True, f"{needed} reports in a row breached: {told}"


def _signals(
    reports: pd.DataFrame,
    accuracy: pd.DataFrame | None,
    *,
    last_retrained: pd.Timestamp | None,
    settings: DriftSettings,
) -> Iterator[_Signal]:
    shares = _since(reports.dropna(subset=["share_breached"]), last_retrained)
    if len(shares):
        latest = shares["share_breached"].tail(settings.consecutive_breaches)
        share = f"{latest.min():.0%} to {latest.max():.0%}" if len(latest) > 1 else f"{latest.iloc[0]:.0%}"
        beyond = f"{share} of the features beyond their limits"
        yield _Signal(shares.assign(is_breached=shares["share_breached"] > settings.breached_share), beyond)
    if accuracy is None:
        return
    scores = accuracy[(accuracy["baseline"] != NOMINAL) & accuracy["band_low"].notna()]
    for (task, metric), rows in scores.groupby(["task", "metric"], sort=True):
        known = _since(rows, last_retrained)
        if len(known):
            newest = known.iloc[-1]
            told = f"{task} {metric} gain {newest['gain']:+.4f}, band from {newest['band_low']:+.4f}"
            yield _Signal(known[["as_of_session", "is_breached"]], told)


def _since(rows: pd.DataFrame, last_retrained: pd.Timestamp | None) -> pd.DataFrame:
    known = rows.sort_values("as_of_session", kind="stable").drop_duplicates("as_of_session", keep="last")
    return known if last_retrained is None else known[known["as_of_session"] > last_retrained]
