"""The closed sets of values that more than one table uses."""

from __future__ import annotations

from typing import Final

DIRECTIONS: Final = ("UP", "DOWN", "AMBIGUOUS")
# What a direction's probability is one of: of a price above today's at the target, or of that where the move leaves the
# dead band.
RISE: Final = "rise"
UP_IF_CLEAR: Final = "up_if_clear"
IV_REGIMES: Final = ("LOW", "NORMAL", "HIGH")
IV_DIRECTIONS: Final = ("CONTRACTING", "STABLE", "EXPANDING")
# Whose options an implied volatility is of: the ticker's own, by its index or its chain, or another's.
INDEX_SOURCES: Final = ("index", "proxy_index")
VOLATILITY_THIRDS: Final = ("low", "middle", "high")
# What the width of a distribution of prices follows.
SCALE_SOURCES: Final = ("index", "proxy_index", "realized_volatility", "unscaled")
IV_SOURCES: Final = ("index", "chain", "proxy_index")
# By which rule a structure is recommended: the designs' matrix of direction and IV regime, or the best opportunity.
MATRIX: Final = "matrix"
EXPECTED_VALUE: Final = "expected_value"
SIGNAL_RULES: Final = (MATRIX, EXPECTED_VALUE)
SPREAD_CLASSES: Final = ("PUT_CREDIT", "CALL_CREDIT", "HOLD")
TASKS: Final = ("direction", "volatility", "volatility_level", "price", "spread", "allocation")  # what is forecast
VERDICTS: Final = ("skilled", "admissible", "unskilled", "insufficient_data", "no_verdict")
TIMINGS: Final = ("before_next_open", "before_target", "after_target", "clock_unsure")
MACRO_SERIES: Final = (
    "DFF", "DGS2", "DGS10", "DGS3MO", "VIXCLS", "T10Y2Y", "T10YIE", "DFII10",
    "UNRATE", "CPIAUCSL", "GDP", "UMCSENT",
)  # fmt: skip
