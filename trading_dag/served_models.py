"""The models that signals, the prediction log and the gates read, one for each task.

Here belongs the name of a served model and nothing of what it does: the same rule for every ticker and horizon, chosen
before its scores were seen. Other models of a task stand beside it in the predictions and scores.
"""

from __future__ import annotations

from typing import Final

SERVED_DIRECTION: Final = "direction_shrunk"
SERVED_VOLATILITY: Final = "volatility_blend"
SERVED_VOLATILITY_LEVEL: Final = "volatility_har"
SERVED_PRICE: Final = "price_distribution"
SERVED_ALLOCATION: Final = "allocation_ensemble"
# Heard beside the others: it is asked about credit spreads alone, and decides nothing.
SECOND_OPINION_SPREAD: Final = "spread_lstm"
SERVED_MODELS: Final = {
    "direction": SERVED_DIRECTION,
    "volatility": SERVED_VOLATILITY,
    "volatility_level": SERVED_VOLATILITY_LEVEL,
    "price": SERVED_PRICE,
    "allocation": SERVED_ALLOCATION,
}
