"""Simulated interest rates: a policy rate that moves at meetings, bills, notes and expected inflation, by session.

Series as FRED would publish them are made of these in ``macro``; options and drifts use the bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.simulation.simulation_settings import SimulationSettings
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import Timeline, flags_at, meeting_sessions

_POLICY_LEVEL: Final = 2.5
_POLICY_DEVIATION: Final = 1.3
_POLICY_MEMORY: Final = 0.9985
_STEP: Final = 0.25
_LOWEST: Final = 0.05


@dataclass(frozen=True)
class Rates:
    """Holds rates by session, percent a year, (n,): overnight, 3-month bill, 2- and 10-year notes, expected
    inflation."""

    overnight: FloatArray
    bill_3m: FloatArray
    note_2y: FloatArray
    note_10y: FloatArray
    expected_inflation: FloatArray

    @property
    def continuous(self) -> FloatArray:
        """Return the 3-month bill, continuously compounded, as a fraction a year, (n,)."""
        return np.log1p(self.bill_3m / 100.0)


def simulate_rates(settings: SimulationSettings, times: Timeline) -> Rates:
    """Return the rates of every session. A session's rates are known at its close."""
    n = len(times)
    desired = _POLICY_LEVEL + _POLICY_DEVIATION * wandering(settings.seed, "policy", n=n, memory=_POLICY_MEMORY)
    # The rate in force is what the last meeting decided; before the first one, the first session's.
    is_meeting = flags_at(times.sessions, meeting_sessions(times.sessions[0], times.sessions[-1]))
    decided = np.maximum.accumulate(np.where(is_meeting, np.arange(n), 0))
    policy = np.maximum(np.round(desired / _STEP) * _STEP, _STEP)[decided]

    def _spread(name: str, *, level: float, deviation: float) -> FloatArray:
        return level + deviation * wandering(settings.seed, name, n=n, memory=0.995)

    return Rates(
        overnight=_quoted(policy + _spread("overnight", level=-0.17, deviation=0.01)),
        bill_3m=_quoted(policy + _spread("bill", level=-0.05, deviation=0.06)),
        note_2y=_quoted(0.5 * (desired + _POLICY_LEVEL) + _spread("note_2y", level=0.1, deviation=0.3)),
        note_10y=_quoted(0.2 * desired + 0.8 * _POLICY_LEVEL + _spread("note_10y", level=0.8, deviation=0.5)),
        expected_inflation=_quoted(_spread("inflation", level=2.1, deviation=0.25)),
    )


def _quoted(series: FloatArray) -> FloatArray:
    """Return the series in hundredths of a percentage point, not below the lowest."""
    return np.asarray(np.round(np.maximum(series, _LOWEST), 2), dtype=np.float64)


def wandering(seed: int, *names: str, n: int, memory: float) -> FloatArray:
    """Return a stationary first-order autoregression of mean 0 and deviation 1, (n,); beginnings do not depend on n."""
    from scipy.signal import lfilter

    shocks = stream(seed, "wandering", *names).standard_normal(n)
    shocks[1:] *= np.sqrt(1.0 - memory**2)
    path: FloatArray = np.asarray(lfilter([1.0], [1.0, -memory], shocks), dtype=np.float64)
    return path
