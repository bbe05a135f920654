"""What runs are for, and what goes first: the way to the signals, then what watches the models, then the scores.

Only the order of purposes and their tags belong here. When an asset is wanted stands in ``automation``.
"""

from __future__ import annotations

from typing import Final, Literal

Purpose = Literal["signals", "drift", "evaluation", "fetch", "tune", "retrain"]
PURPOSE_TAG: Final = "trading_dag/purpose"
PRIORITY_TAG: Final = "dagster/priority"
# Of what waits in the queue, the greater number goes first. What is fetched now is what signals wait for.
PRIORITIES: Final[dict[Purpose, int]] = {
    "fetch": 20,
    "signals": 10,
    "drift": 0,
    "evaluation": -10,
    "retrain": -20,
    "tune": -30,
}
GROUPS_OF_EVALUATION: Final = frozenset({"evaluation", "backtests"})
GROUPS_OF_DRIFT: Final = frozenset({"monitoring"})


def purpose_of(group: str) -> Purpose:
    """Return what the assets of a group are made for: the signals, unless it says how good they were."""
    if group in GROUPS_OF_EVALUATION:
        return "evaluation"
    return "drift" if group in GROUPS_OF_DRIFT else "signals"


def tags_of(purpose: Purpose) -> dict[str, str]:
    """Return the tags of a run that is made for a purpose: its name and its place in the queue."""
    return {PURPOSE_TAG: purpose, PRIORITY_TAG: str(PRIORITIES[purpose])}
