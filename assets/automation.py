"""When an asset is wanted: the automation conditions and freshness policies that assets refer to by name.

Every condition demands that the blocking checks of what an asset reads have passed, so a bad slice
stops the automation at its own door.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import dagster as dg

RAW_FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=dt.timedelta(days=5), warn_window=dt.timedelta(days=3)
)


Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]


def condition_of(name: str) -> Condition | None:
    """The condition of a name.

    ``eager``: after any input was updated. ``on_missing``: after any input was updated, but only where it
    was never made; new data does not make it again. ``none``: only schedules, sensors and people ask for it.
    """
    checked: Condition = dg.AutomationCondition.all_deps_blocking_checks_passed()
    conditions: dict[str, Condition | None] = {
        "eager": (dg.AutomationCondition.eager() & checked).with_label("eager, inputs checked"),
        "on_missing": (dg.AutomationCondition.eager() & dg.AutomationCondition.missing() & checked).with_label(
            "where missing, inputs checked"
        ),
        "none": None,
    }
    return conditions[name]
