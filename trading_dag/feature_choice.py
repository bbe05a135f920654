"""How features are chosen by name: groups, the set ``essential``, and single features.

Groups are those of ``schemas.feature_names``, so a new feature is chosen with its group. Which of the chosen ones a
model may read, and which a fold then does, is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from trading_dag.errors import UnknownFeatureError
from trading_dag.schemas.feature_names import ALL_FEATURES, FEATURE_GROUPS

# Momentum, bands and averages of the daily bars, and mean and volatility of hourly and daily returns. The levels among
# them (averages in dollars, MACD in dollars) are read only where features need not be safe.
ESSENTIAL: Final = (
    "macd_histogram", "macd_histogram_pct", "macd_histogram_atr", "rsi_14",
    "bb_upper", "bb_middle", "bb_lower", "bb_width", "bb_position",
    "sma_20", "sma_50", "sma_200", "ema_12", "ema_26",
    "price_to_sma_20", "price_to_sma_50", "price_to_sma_200", "price_to_ema_12", "price_to_ema_26",
    "hourly_mean_return_6", "hourly_mean_return_30", "hourly_volatility_6", "hourly_volatility_30",
    "log_return_1d", "log_return_5d", "log_return_20d", "hv_5", "hv_10", "hv_20",
)  # fmt: skip
_SHORT_NAMES: Final = {"iv": "implied_volatility", "calendar": "economic_calendar", "chain": "option_chain"}
_SETS: Final[dict[str, tuple[str, ...]]] = {
    **FEATURE_GROUPS,
    **{short: FEATURE_GROUPS[group] for short, group in _SHORT_NAMES.items()},
    "essential": ESSENTIAL,
}
GROUPS_AND_SETS: Final = tuple(_SETS)


def choose_features(entries: Iterable[str]) -> frozenset[str] | None:
    """Return the features that groups, sets and names stand for; None, which is all, without any.

    Raises
    ------
    UnknownFeatureError : for an entry that is none of them, with the choices.
    """
    chosen: set[str] = set()
    entries = tuple(entries)
    for entry in entries:
        if entry in _SETS:
            chosen.update(_SETS[entry])
        elif entry in ALL_FEATURES:
            chosen.add(entry)
        else:
            near = get_close_matches(entry, (*_SETS, *ALL_FEATURES), n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UnknownFeatureError(
                f"{entry!r} is no group of features and no feature; {hint}Choose from {', '.join(_SETS)}, or one of "
                f"the {len(ALL_FEATURES)} names in docs/features.md"
            )
    return frozenset(chosen) if entries else None
