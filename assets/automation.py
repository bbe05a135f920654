"""When an asset is requested: the automation conditions that assets refer to by name.

Every condition requires that the blocking checks of an asset's inputs have passed, so a bad slice stops the automation
right where it lies. And every condition waits for what is being made before it in the same session, so that a slice is
one run a session and not one for each input that arrives (``docs/decisions/from-bars-to-signals.md``).
"""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import dagster as dg

from assets.purposes import purpose_of
from trading_dag.schemas import (
    CROSS_ASSET,
    EARNINGS,
    ECONOMIC_CALENDAR,
    FEATURE_TABLE,
    MACRO,
    MACRO_TABLE,
    METRICS,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PRICES_DAILY,
    PRICES_HOURLY,
    RECOMMENDATION,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
)

if TYPE_CHECKING:
    from trading_dag.schemas import SliceKind, Table

# What is read of every slice that is stored.
GATHERED: Final = (METRICS, VOLATILITY_INDEX, PRICES_DAILY, RECOMMENDATION)
# What a session brings for a ticker, and what belongs to no ticker. Fetched in several runs, which end at any time.
ARRIVING: Final = (
    PRICES_DAILY,
    VOLATILITY_INDEX,
    PRICES_HOURLY,
    NEWS,
    SOCIAL_MENTIONS,
    NEWS_SENTIMENT,
    EARNINGS,
    OPTION_CHAIN,
    MACRO,
    ECONOMIC_CALENDAR,
    MACRO_TABLE,
)

Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]
ConditionName = Literal["eager", "eager_by_session", "eager_by_benchmark", "eager_by_slices", "on_missing", "none"]
Stage = Literal["alone", "features", "signals", "afterwards"]


def stage_of(group: str, kind: SliceKind) -> Stage:
    """Return the part of a session's work to which the assets of a group and slicing belong.

    ``features`` are a ticker's own. ``signals`` are made of them, a horizon at a time. ``afterwards`` comes what reads
    signals and forecasts: drift, scores, backtests. What has no ticker, as the orders of the account, stands ``alone``.
    """
    if kind == "ticker_horizon":
        return "signals" if purpose_of(group) == "signals" else "afterwards"
    return "features" if kind == "ticker" else "alone"


@cache
def condition_of(name: ConditionName, stage: Stage = "alone") -> Condition | None:
    """Return the automation condition of a name, for a part of a session's work; None for ``none``.

    ``eager`` requests an asset after the contents of any input changed, and after its code version changed, which
    covers the settings. An input that was fetched again with the same contents triggers nothing.
    ``eager_by_session`` does the same for assets that read all sessions of a ticker's option chains, some of which are
    always missing; their checks are not asked again, because a chain that its checks refuse is never stored.
    ``eager_by_benchmark`` does the same for assets that read other tickers' prices, some of which may be missing or
    refused: whatever is stored of them counts. The ticker's own prices were checked when its technical features were
    made.
    ``eager_by_slices`` does the same for assets that read every slice that is stored of a table, of which more come as
    long as any is in progress: it waits for those, and asks neither for missing ones nor for their checks, since a
    slice that its checks refuse is never stored. It follows scores and signals, and not also
    the raw data and rates behind them.
    ``on_missing`` requests an asset after any input changed, but only if the asset was never made; neither new data nor
    another setting makes it again.
    ``none`` leaves it to schedules, sensors and people.
    """
    checked = dg.AutomationCondition.all_deps_blocking_checks_passed()
    news = _news(stage)
    fed = dg.AutomationCondition.eager().replace("any_deps_updated", news) & ~_just_ended()
    code_changed = cast("Condition", dg.AutomationCondition.code_version_changed())
    eager = fed.replace("newly_missing", dg.AutomationCondition.newly_missing() | code_changed)
    sessions, benchmarks = _assets(OPTION_CHAIN), _assets(PRICES_DAILY)
    gathered = _assets(*GATHERED)
    missing = dg.AutomationCondition.any_deps_missing()
    if name == "none":
        return None
    conditions: dict[ConditionName, tuple[Any, str]] = {
        "eager": (eager & checked, "eager, inputs checked"),
        "eager_by_session": (
            eager.replace(missing, missing.ignore(sessions)) & checked.ignore(sessions),
            "eager, inputs but for sessions checked",
        ),
        "eager_by_benchmark": (
            eager.replace(missing, missing.ignore(benchmarks)) & checked.ignore(benchmarks),
            "eager, inputs but for benchmarks checked",
        ),
        "eager_by_slices": (
            eager.replace(missing, missing.ignore(gathered)).replace(
                news, news.ignore(dg.AssetSelection.groups("raw") | _assets(MACRO_TABLE))
            )
            & checked.ignore(gathered)
            & ~_any_under_way(*ARRIVING, FEATURE_TABLE, RECOMMENDATION, PREDICTIONS_LOG),
            "eager, on the slices that are there",
        ),
        "on_missing": (fed & dg.AutomationCondition.missing() & checked, "where missing, inputs checked"),
    }
    condition, label = conditions[name]
    before = _under_way(stage)
    found: Condition = (condition if before is None else condition & ~before).with_label(label)
    return found


def _news(stage: Stage) -> Any:
    """What counts as a change of the inputs. A part of a session's work follows the part before it, and not also what
    that one read: it would be made twice."""
    changed = dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    news = dg.AutomationCondition.any_deps_match(changed)
    if stage == "signals":
        return news.ignore(dg.AssetSelection.groups("raw") | _assets(MACRO_TABLE))
    if stage == "afterwards":
        before = dg.AssetSelection.groups("raw", "features", "options", "labels")
        forecast = dg.AutomationCondition.asset_matches(
            _key(PREDICTIONS_DIRECTION), dg.AutomationCondition.data_version_changed()
        )
        return news.ignore(before) | forecast
    return news


def _under_way(stage: Stage) -> Condition | None:
    """Whether the part of the session's work before this one is waiting or under way; None where there is none."""
    if stage == "alone":
        return None
    tables = list(ARRIVING)
    if stage != "features":
        tables.append(FEATURE_TABLE)
    if stage == "afterwards":
        tables += [RECOMMENDATION, PREDICTIONS_LOG]
    # Features of each ticker read the benchmarks' prices, which other runs fetch.
    others = dg.AutomationCondition.asset_matches(_key(CROSS_ASSET), dg.AutomationCondition.any_deps_in_progress())
    return cast("Condition", (_any_under_way(*tables) | others).with_label("the session's earlier work is under way"))


def _just_ended() -> Any:
    """Whether the slice was being made at the look before and is not now.

    A look reads what is stored first, and only then which runs are under way. Of a run that ends in between it sees the
    end, but not yet what the run stored last: that would be asked for once more. The next look sees both.
    """
    return (~dg.AutomationCondition.in_progress()).newly_true().with_label("was under way at the last look")


def _any_under_way(*tables: Table) -> Any:
    """Whether one of these tables is being made, or waits to be, for the slice that a condition is about."""
    running = dg.AutomationCondition.in_progress()
    return reduce(or_, (dg.AutomationCondition.asset_matches(_key(table), running) for table in tables))


def _key(table: Table) -> dg.AssetKey:
    return dg.AssetKey([table.group, table.name])


def _assets(*tables: Table) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*map(_key, tables))
