"""How calendar days become the years of option prices: actual days over 365, as volatilities are quoted."""

from __future__ import annotations

from typing import Final

DAYS_PER_YEAR: Final = 365.0
