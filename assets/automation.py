"""When an asset is wanted: the automation conditions and freshness policies that assets refer to by name.

Every condition demands that the blocking checks of what an asset reads have passed, so a bad slice
stops the automation at its own door.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Final, Literal, cast

import dagster as dg

from trading_dag.schemas import OPTION_CHAIN, PRICES_DAILY

RAW_FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=dt.timedelta(days=5), warn_window=dt.timedelta(days=3)
)

Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]
ConditionName = Literal["eager", "eager_by_session", "eager_by_benchmark", "on_missing", "none"]


@cache
def condition_of(name: ConditionName) -> Condition | None:
    """Returns the condition of a name.

    ``eager``: after the contents of any input changed, and after the code version did, which knows the settings; an
    input that was fetched again and says the same is no news.
    ``eager_by_session``: the same for what reads all sessions of a ticker's option chains, of which some are always
    missing; a chain that its checks refuse is never stored, so they are not asked again. ``eager_by_benchmark``: the
    same for what reads other tickers' prices, of which some may be missing or refused: what is stored of them counts.
    The ticker's own have been checked where its technical features were made. ``on_missing``: after any
    input changed, but only where it was never made; neither new data nor another setting makes it again. ``none``:
    only schedules, sensors and people ask for it.
    """
    checked = dg.AutomationCondition.all_deps_blocking_checks_passed()
    changed = dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    fed = dg.AutomationCondition.eager().replace("any_deps_updated", dg.AutomationCondition.any_deps_match(changed))
    code_changed = cast("Condition", dg.AutomationCondition.code_version_changed())
    eager = fed.replace("newly_missing", dg.AutomationCondition.newly_missing() | code_changed)
    sessions = dg.AssetSelection.assets(dg.AssetKey([OPTION_CHAIN.group, OPTION_CHAIN.name]))
    benchmarks = dg.AssetSelection.assets(dg.AssetKey([PRICES_DAILY.group, PRICES_DAILY.name]))
    missing = dg.AutomationCondition.any_deps_missing()
    conditions: dict[ConditionName, Condition | None] = {
        "eager": (eager & checked).with_label("eager, inputs checked"),
        "eager_by_session": (eager.replace(missing, missing.ignore(sessions)) & checked.ignore(sessions)).with_label(
            "eager, inputs but for sessions checked"
        ),
        "eager_by_benchmark": (
            eager.replace(missing, missing.ignore(benchmarks)) & checked.ignore(benchmarks)
        ).with_label("eager, inputs but for benchmarks checked"),
        "on_missing": (fed & dg.AutomationCondition.missing() & checked).with_label("where missing, inputs checked"),
        "none": None,
    }
    return conditions[name]
