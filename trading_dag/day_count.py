"""How days become years: two conventions for calendar days and one for sessions, each with its own name.

Option prices count actual days over 365, because volatilities are quoted so, and so does interest here. A rate of
growth counts years of the calendar, whose mean length is 365.25 days, so that a curve from a day to the same day ten
years later has grown for ten years.
"""

from __future__ import annotations

from typing import Final

DAYS_PER_YEAR: Final = 365.0
"""Actual/365: years to expiration, the carry of a position, interest."""

DAYS_PER_CALENDAR_YEAR: Final = 365.25
"""The mean year of the calendar, leap years counted: for the growth a year of a curve."""

SESSIONS_PER_YEAR: Final = 252
"""The sessions by which volatilities and ratios of sessions become those of a year."""
