"""The sensors that evaluate the automation conditions, one for each purpose, so that what is urgent is looked at often
and its runs go first in the queue."""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.catalog import DECLARATIONS
from assets.option_chain import OPTION_CHAIN_KEY
from assets.purposes import Purpose, purpose_of, tags_of

# How long news may lie before a sensor looks. A look costs about a second of the processor.
LOOKS_SECONDS: Final[dict[Purpose, int]] = {"signals": 10, "drift": 30, "evaluation": 30}
DESCRIPTIONS: Final[dict[Purpose, str]] = {
    "signals": "New raw data update features, forecasts, signals and orders. These runs go first.",
    "drift": "What watches models and features follows the signals.",
    "evaluation": "Scores and backtests follow the signals. These runs go last.",
}


def sensor_name(purpose: Purpose) -> str:
    """Return the name of the automation sensor of a purpose."""
    return f"automation_{purpose}"


def build_automation_sensors(*, running: bool = False) -> list[dg.AutomationConditionSensorDefinition]:
    """Return the sensors, each over the assets of its purpose.

    Each slice that is requested becomes a run of its own at once; a backfill, which Dagster would make of several,
    waits for the daemon's next look at backfills, stage after stage, and has no place in the queue.

    Parameters
    ----------
    running : whether they are on until somebody turns them off; otherwise they are off until somebody turns them on.
    """
    return [
        dg.AutomationConditionSensorDefinition(
            sensor_name(purpose),
            target=dg.AssetSelection.assets(*_keys_of(purpose)),
            run_tags=tags_of(purpose),
            default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
            minimum_interval_seconds=seconds,
            emit_backfills=False,
            description=DESCRIPTIONS[purpose],
        )
        for purpose, seconds in LOOKS_SECONDS.items()
    ]


def _keys_of(purpose: Purpose) -> list[dg.AssetKey]:
    keys = [key for declaration in DECLARATIONS for key in declaration.asset_keys]
    return [key for key in (*keys, OPTION_CHAIN_KEY) if purpose_of(key.path[0]) == purpose]
