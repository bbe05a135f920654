"""What market states may observe: names that the settings and the tables share. What they mean is in ``features``."""

from __future__ import annotations

from typing import Final, Literal, get_args

RegimeInput = Literal["log_return_5d", "log_return_20d", "log_hv_20", "price_to_sma_50", "log_volume_ratio"]
REGIME_INPUT_CHOICES: Final[tuple[RegimeInput, ...]] = get_args(RegimeInput)
# What they observe unless the settings say otherwise.
REGIME_INPUTS: Final = REGIME_INPUT_CHOICES[:3]
# By which the states are named.
NAMING_REGIME_INPUTS: Final[tuple[RegimeInput, RegimeInput]] = ("log_return_20d", "log_hv_20")
