"""When an asset is requested: the automation conditions and freshness policies that assets refer to by name.

Every condition requires that the blocking checks of an asset's inputs have passed, so a bad slice stops the automation
right where it lies.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Final, Literal, cast

import dagster as dg

from trading_dag.schemas import METRICS, OPTION_CHAIN, PRICES_DAILY, VOLATILITY_INDEX

RAW_FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=dt.timedelta(days=5), warn_window=dt.timedelta(days=3)
)

# What is read of every slice that is stored.
GATHERED: Final = (METRICS, VOLATILITY_INDEX)

Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]
ConditionName = Literal["eager", "eager_by_session", "eager_by_benchmark", "eager_by_slices", "on_missing", "none"]


@cache
def condition_of(name: ConditionName) -> Condition | None:
    """Return the automation condition of a name; None for ``none``.

    ``eager`` requests an asset after the contents of any input changed, and after its code version changed, which
    covers the settings. An input that was fetched again with the same contents triggers nothing.
    ``eager_by_session`` does the same for assets that read all sessions of a ticker's option chains, some of which are
    always missing; their checks are not asked again, because a chain that its checks refuse is never stored.
    ``eager_by_benchmark`` does the same for assets that read other tickers' prices, some of which may be missing or
    refused: whatever is stored of them counts. The ticker's own prices were checked when its technical features were
    made.
    ``eager_by_slices`` does the same for assets that read every slice that is stored of a table, of which more come as
    long as any is in progress: it waits for those, and asks neither for missing ones nor for their checks, since a
    slice that its checks refuse is never stored.
    ``on_missing`` requests an asset after any input changed, but only if the asset was never made; neither new data nor
    another setting makes it again.
    ``none`` leaves it to schedules, sensors and people.
    """
    checked = dg.AutomationCondition.all_deps_blocking_checks_passed()
    changed = dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    fed = dg.AutomationCondition.eager().replace("any_deps_updated", dg.AutomationCondition.any_deps_match(changed))
    code_changed = cast("Condition", dg.AutomationCondition.code_version_changed())
    eager = fed.replace("newly_missing", dg.AutomationCondition.newly_missing() | code_changed)
    sessions = dg.AssetSelection.assets(dg.AssetKey([OPTION_CHAIN.group, OPTION_CHAIN.name]))
    benchmarks = dg.AssetSelection.assets(dg.AssetKey([PRICES_DAILY.group, PRICES_DAILY.name]))
    gathered = dg.AssetSelection.assets(*(dg.AssetKey([table.group, table.name]) for table in GATHERED))
    missing = dg.AutomationCondition.any_deps_missing()
    conditions: dict[ConditionName, Condition | None] = {
        "eager": (eager & checked).with_label("eager, inputs checked"),
        "eager_by_session": (eager.replace(missing, missing.ignore(sessions)) & checked.ignore(sessions)).with_label(
            "eager, inputs but for sessions checked"
        ),
        "eager_by_benchmark": (
            eager.replace(missing, missing.ignore(benchmarks)) & checked.ignore(benchmarks)
        ).with_label("eager, inputs but for benchmarks checked"),
        "eager_by_slices": (eager.replace(missing, missing.ignore(gathered)) & checked.ignore(gathered)).with_label(
            "eager, on the slices that are there"
        ),
        "on_missing": (fed & dg.AutomationCondition.missing() & checked).with_label("where missing, inputs checked"),
        "none": None,
    }
    return conditions[name]
