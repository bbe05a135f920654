"""What was said on the day, and how it turned out."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from assets.declare.declaration import CrossRule, Declaration, Read, Result, Slice, table_asset
from resources.left_out import LEFT_OUT
from resources.storage.append_only import altered_rows, files_set_aside, mend
from trading_dag.quality import Rule
from trading_dag.schemas import (
    IMPLIED_VOLATILITY,
    LIVE,
    METRICS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_VOLATILITY,
    RECOMMENDATION,
    TARGETS,
)

APPEND_ONLY: Final = Rule(
    name="append_only", description="Every row that was recorded before is there, and reads as it did."
)
NOTHING_SET_ASIDE: Final = Rule(
    name="nothing_set_aside",
    description="No damaged file of the log lies beside it, whose rows may be missing.",
    severity="warn",
    is_blocking=False,
)


def _loses_a_row(at: Slice, result: Result, _: Any) -> str | None:
    return altered_rows(
        at.store.read_or_empty(PREDICTIONS_LOG, at.key), result.frames[PREDICTIONS_LOG.name], PREDICTIONS_LOG
    )


def _has_damaged_files(at: Slice, _: Result, __: Any) -> str | None:
    found = files_set_aside(at.store, PREDICTIONS_LOG, at.key)
    names = ", ".join(path.name for path in found)
    return f"{names}: compare it with the log, then take it away" if found else None


@table_asset(
    PREDICTIONS_LOG,
    reads={
        "recommendation": RECOMMENDATION,
        "direction": PREDICTIONS_DIRECTION,
        "volatility": PREDICTIONS_VOLATILITY,
        "implied_volatility": Read(IMPLIED_VOLATILITY, columns=("session", "iv_rank", "iv_hv_spread")),
    },
    code_version="3",
    cross_rules=(
        CrossRule(PREDICTIONS_LOG, APPEND_ONLY, _loses_a_row),
        CrossRule(PREDICTIONS_LOG, NOTHING_SET_ASIDE, _has_damaged_files),
    ),
)
def log(
    at: Slice,
    recommendation: pd.DataFrame,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    implied_volatility: pd.DataFrame,
) -> Result:
    """The newest session's forecast and recommendation are appended to what was recorded before."""
    from trading_dag.strategy.prediction_log import with_newest

    told = mend(at.store, PREDICTIONS_LOG, at.key)
    source = recommendation.attrs.get("source") or "unknown"
    frame = with_newest(
        at.store.read_or_empty(PREDICTIONS_LOG, at.key),
        recommendation,
        direction,
        volatility,
        implied_volatility,
        source=source,
        horizon=at.horizon,
        recorded_at=pd.Timestamp.now("UTC"),
    )
    frame.attrs = {"source": "+".join(dict.fromkeys([*frame["source"].unique(), source]))}
    metadata = {LEFT_OUT: "\n".join(told)} if told else {}
    return Result({PREDICTIONS_LOG.name: frame}, metadata)


@table_asset(
    LIVE,
    reads={"log": PREDICTIONS_LOG, "targets": TARGETS, "metrics": METRICS},
    code_version="1",
    uses=("bootstrap", "live"),
)
def live(at: Slice, log: pd.DataFrame, targets: pd.DataFrame, metrics: pd.DataFrame) -> Result:
    """Forecasts that were recorded before their outcome could be known are scored, beside the walk-forward scores."""
    from trading_dag import plots
    from trading_dag.validation.verdicts.live import score_log, scored_rows

    source = targets.attrs.get("source")
    scores = score_log(
        log,
        targets,
        metrics,
        source=source,
        horizon=at.horizon,
        bootstrap=at.settings.bootstrap,
        settings=at.settings.live,
    )
    said = scored_rows(log, targets, source=source)["direction"]
    draw = (lambda: {"reliability of what was said": plots.calibration(said)}) if len(said) else None
    return Result({LIVE.name: scores}, draw=draw)


DECLARATIONS: Final[tuple[Declaration, ...]] = (log, live)
