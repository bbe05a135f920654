"""The closed sets of values that more than one table uses."""

from __future__ import annotations

from typing import Final

DIRECTIONS: Final = ("UP", "DOWN", "AMBIGUOUS")
IV_REGIMES: Final = ("LOW", "NORMAL", "HIGH")
SPREAD_CLASSES: Final = ("PUT_CREDIT", "CALL_CREDIT", "HOLD")
VERDICTS: Final = ("skilled", "admissible", "unskilled", "insufficient_data", "no_verdict")
MACRO_SERIES: Final = (
    "DFF", "DGS2", "DGS10", "DGS3MO", "VIXCLS", "T10Y2Y", "T10YIE", "DFII10",
    "UNRATE", "CPIAUCSL", "GDP", "UMCSENT",
)  # fmt: skip
