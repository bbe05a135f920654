"""Verdicts on sessions of a stored or coming chain, found for many sessions at once, and the judge of an import.

What the rules are is ``trading_dag.quality``; a single fetched session is judged by ``expectations``, which says the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from resources.expectations import RuleVerdict
from trading_dag.arrays import IntArray
from trading_dag.quality import Finding, QualityContext, examine, rules_of
from trading_dag.quality.rules import EXAMPLES
from trading_dag.schemas import OPTION_CHAIN


@dataclass(frozen=True)
class SessionWarning:
    """Describes a rule that only warns, broken by sessions that were stored all the same.

    Attributes
    ----------
    rule : its name.
    sessions : how many, as ``SPY/2015-01-05`` of the first.
    detail : what is wrong with the first.
    """

    rule: str
    sessions: int
    first: str
    detail: str


@dataclass
class ChainJudge:
    """Judges sessions before they are stored: objections keep a session out, warnings are kept.

    Attributes
    ----------
    now_session : latest session that may occur.
    """

    now_session: pd.Timestamp
    _warned: dict[str, dict[str, str]] = field(default_factory=dict)

    def objections(
        self, rows: pd.DataFrame, *, days: list[pd.Timestamp], before: pd.DataFrame | None
    ) -> dict[pd.Timestamp, tuple[str, ...]]:
        """Return what speaks against storing some sessions: each broken blocking rule, by session; no entry for good
        ones.

        Parameters
        ----------
        rows : of one ticker, as they would be stored, from the first of the days to the last.
        days : those to be judged.
        before : the ticker's chain on the quote date before them; None where there is none.
        """
        verdicts = session_verdicts(rows, now_session=self.now_session, before=before)
        by_session = {}
        for day in days:
            broken = [verdict for verdict in verdicts[day] if not verdict.passed]
            texts = tuple(_told(verdict) for verdict in broken if verdict.rule.is_blocking)
            if texts:
                by_session[day] = texts
            name = f"{rows['ticker'].iloc[0]}/{day:%Y-%m-%d}"
            for rule in rules_of(OPTION_CHAIN):
                self._warned.get(rule.name, {}).pop(name, None)
            for verdict in broken if not texts else ():
                self._warned.setdefault(verdict.rule.name, {})[name] = verdict.detail or verdict.rule.description
        return by_session

    @property
    def warnings(self) -> tuple[SessionWarning, ...]:
        """Return the warnings, by rule."""
        return tuple(
            SessionWarning(rule, len(sessions), min(sessions), sessions[min(sessions)])
            for rule, sessions in self._warned.items()
            if sessions
        )


def _told(verdict: RuleVerdict) -> str:
    return f"{verdict.rule.name}: {verdict.detail or verdict.rule.description}"


def session_verdicts(
    rows: pd.DataFrame, *, now_session: pd.Timestamp, before: pd.DataFrame | None = None
) -> dict[pd.Timestamp, list[RuleVerdict]]:
    """Return one verdict for each rule of ``raw.option_chain`` on every session among the rows, all found at once.

    Parameters
    ----------
    rows : of one ticker, as they are stored.
    now_session : latest session that may occur.
    before : the ticker's chain on the stored quote date before them; None where there is none.
    """
    findings = examine(OPTION_CHAIN, rows, context=QualityContext(now_session=now_session, chain_before=before))
    of_row, days = pd.factorize(rows["quote_date"])
    totals = np.bincount(of_row, minlength=len(days))
    by_rule = [(rule, findings[rule.name], _by_session(findings[rule.name], of_row)) for rule in rules_of(OPTION_CHAIN)]
    return {
        pd.Timestamp(day): [
            RuleVerdict(
                rule=rule,
                passed=not counts[place],
                unexpected_count=int(counts[place]),
                total=int(totals[place]),
                examples=_examples(rows[finding.mask & (of_row == place)]) if counts[place] else [],
                detail=finding.detail if counts[place] or not finding.is_examined else "",
                is_examined=finding.is_examined,
            )
            for rule, finding, counts in by_rule
        ]
        for place, day in enumerate(days)
    }


def _by_session(finding: Finding, of_row: NDArray[np.intp]) -> IntArray:
    """Return how many things are wrong with each session; what is wrong with no row in particular is with every
    session.
    """
    sessions = int(of_row.max()) + 1 if len(of_row) else 0
    if finding.count and not finding.mask.any():
        return np.full(sessions, finding.count, dtype=np.int64)
    return np.bincount(of_row[finding.mask], minlength=sessions)


def _examples(rows: pd.DataFrame) -> list[str]:
    """Return the first of some contracts."""
    keys = rows[["expiration", "strike", "option_right"]].head(EXAMPLES)
    return [f"{expiration:%Y-%m-%d} {strike:g} {right}" for expiration, strike, right in keys.itertuples(index=False)]
