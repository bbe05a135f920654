"""Forecast to structure: the table of the contract, section 11, and nothing about prices or sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, TextArray
from trading_dag.setting_groups import SelectorSettings

NO_TRADE: Final = "no_trade"
LOW_CONFIDENCE_STRUCTURE: Final = "iron_condor"
STRUCTURE_OF: Final[dict[tuple[str, str], str]] = {
    ("UP", "LOW"): "long_call",
    ("UP", "NORMAL"): "bull_call_spread",
    ("UP", "HIGH"): "bull_put_spread",
    ("DOWN", "LOW"): "long_put",
    ("DOWN", "NORMAL"): "bear_put_spread",
    ("DOWN", "HIGH"): "bear_call_spread",
}
_DECIMALS: Final = 12


@dataclass(frozen=True)
class Selection:
    """Holds what was selected, one entry per forecast.

    Attributes
    ----------
    strategy : structure name or ``no_trade``.
    design_size : FULL, HALF or NONE by confidence alone.
    overall_confidence : NaN where a forecast is missing.
    reason : why, in words.
    """

    strategy: TextArray
    design_size: TextArray
    overall_confidence: FloatArray
    reason: TextArray


def select(
    direction: ArrayLike,
    iv_regime: ArrayLike,
    direction_confidence: ArrayLike,
    iv_confidence: ArrayLike,
    *,
    settings: SelectorSettings,
) -> Selection:
    """Select a structure for each forecast.

    Parameters
    ----------
    direction : UP or DOWN; anything else (None, NaN, AMBIGUOUS) counts as no direction.
    iv_regime : LOW, NORMAL or HIGH; anything else counts as no regime.
    direction_confidence, iv_confidence : probability of the called class, NaN where there is no forecast.

    Thresholds are inclusive. Overall confidence is rounded to 12 decimals first, so that 0.55 means 0.55.
    """
    called = np.atleast_1d(np.asarray(direction, dtype=object))
    regime = np.atleast_1d(np.asarray(iv_regime, dtype=object))
    sure_direction = np.atleast_1d(np.asarray(direction_confidence, dtype=np.float64))
    sure_iv = np.atleast_1d(np.asarray(iv_confidence, dtype=np.float64))
    overall = np.round(settings.direction_weight * sure_direction + settings.iv_weight * sure_iv, _DECIMALS)

    has_direction = np.isin(called, ("UP", "DOWN")) & ~np.isnan(sure_direction)
    has_regime = np.isin(regime, ("LOW", "NORMAL", "HIGH")) & ~np.isnan(sure_iv)
    has_both = has_direction & has_regime
    iv_is_sure = sure_iv >= settings.iv_minimum
    is_directional = (
        has_both & iv_is_sure & (sure_direction >= settings.direction_minimum) & (overall >= settings.overall_minimum)
    )
    is_condor = (
        has_both & ~is_directional & (regime == "HIGH") & iv_is_sure & (overall >= settings.condor_overall_minimum)
    )

    strategy = np.full(called.shape, NO_TRADE, dtype=object)
    for (row_direction, row_regime), structure in STRUCTURE_OF.items():
        strategy[is_directional & (called == row_direction) & (regime == row_regime)] = structure
    strategy[is_condor] = LOW_CONFIDENCE_STRUCTURE
    is_full = is_directional & (overall >= settings.full_minimum)
    design_size = np.select([is_full, is_directional | is_condor], ["FULL", "HALF"], "NONE").astype(object)
    reason = np.select(
        [
            ~has_direction,
            ~has_regime,
            is_directional,
            is_condor,
            ~iv_is_sure,
            (regime != "HIGH") & (sure_direction < settings.direction_minimum),
            (regime != "HIGH"),
        ],
        [
            "there is no direction forecast",
            "there is no volatility forecast",
            "direction and volatility forecasts are confident enough",
            "direction is uncertain while implied volatility is forecast high",
            f"volatility confidence is below {settings.iv_minimum:.2f}",
            f"direction confidence is below {settings.direction_minimum:.2f} and volatility is not forecast high",
            f"overall confidence is below {settings.overall_minimum:.2f} and volatility is not forecast high",
        ],
        f"overall confidence is below {settings.condor_overall_minimum:.2f}",
    ).astype(object)
    return Selection(
        strategy=strategy,
        design_size=design_size,
        overall_confidence=np.where(has_both, overall, np.nan),
        reason=reason,
    )
