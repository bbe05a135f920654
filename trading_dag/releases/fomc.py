"""Days on which the Federal Open Market Committee decided, and those on which it will: facts, nothing computed.

The last day of each scheduled meeting, and the day of each announcement between meetings that changed a rate (or, on
2007-08-17, the discount rate and the statement). When each day was known is in ``releases.schedule.py``.

References
----------
Board of Governors, "Meeting calendars, statements, and minutes", https://www.federalreserve.gov/monetarypolicy/
fomccalendars.htm and the historical pages of each year; press releases of 9 August 2024 and 5 September 2025 for the
tentative schedules of 2026 and 2027.
"""

from __future__ import annotations

from typing import Final

_DAYS_OF_YEAR: Final[dict[int, str]] = {
    2000: "02-02 03-21 05-16 06-28 08-22 10-03 11-15 12-19",
    2001: "01-31 03-20 05-15 06-27 08-21 10-02 11-06 12-11",
    2002: "01-30 03-19 05-07 06-26 08-13 09-24 11-06 12-10",
    2003: "01-29 03-18 05-06 06-25 08-12 09-16 10-28 12-09",
    2004: "01-28 03-16 05-04 06-30 08-10 09-21 11-10 12-14",
    2005: "02-02 03-22 05-03 06-30 08-09 09-20 11-01 12-13",
    2006: "01-31 03-28 05-10 06-29 08-08 09-20 10-25 12-12",
    2007: "01-31 03-21 05-09 06-28 08-07 09-18 10-31 12-11",
    2008: "01-30 03-18 04-30 06-25 08-05 09-16 10-29 12-16",
    2009: "01-28 03-18 04-29 06-24 08-12 09-23 11-04 12-16",
    2010: "01-27 03-16 04-28 06-23 08-10 09-21 11-03 12-14",
    2011: "01-26 03-15 04-27 06-22 08-09 09-21 11-02 12-13",
    2012: "01-25 03-13 04-25 06-20 08-01 09-13 10-24 12-12",
    2013: "01-30 03-20 05-01 06-19 07-31 09-18 10-30 12-18",
    2014: "01-29 03-19 04-30 06-18 07-30 09-17 10-29 12-17",
    2015: "01-28 03-18 04-29 06-17 07-29 09-17 10-28 12-16",
    2016: "01-27 03-16 04-27 06-15 07-27 09-21 11-02 12-14",
    2017: "02-01 03-15 05-03 06-14 07-26 09-20 11-01 12-13",
    2018: "01-31 03-21 05-02 06-13 08-01 09-26 11-08 12-19",
    2019: "01-30 03-20 05-01 06-19 07-31 09-18 10-30 12-11",
    2020: "01-29 04-29 06-10 07-29 09-16 11-05 12-16",
    2021: "01-27 03-17 04-28 06-16 07-28 09-22 11-03 12-15",
    2022: "01-26 03-16 05-04 06-15 07-27 09-21 11-02 12-14",
    2023: "02-01 03-22 05-03 06-14 07-26 09-20 11-01 12-13",
    2024: "01-31 03-20 05-01 06-12 07-31 09-18 11-07 12-18",
    2025: "01-29 03-19 05-07 06-18 07-30 09-17 10-29 12-10",
    2026: "01-28 03-18 04-29 06-17 07-29 09-16 10-28 12-09",
    2027: "01-27 03-17 04-28 06-09 07-28 09-15 10-27 12-08",
    2028: "01-26",
}
SCHEDULED_DECISIONS: Final[tuple[str, ...]] = tuple(
    f"{year}-{day}" for year, days in _DAYS_OF_YEAR.items() for day in days.split()
)
"""Last days of scheduled meetings that were held or are announced, ascending ISO dates."""

# The moments are those at which the statement was surely out: 16:00 New York on a weekday (each came before noon or
# soon after), 18:00 on Sunday 15 March 2020 (17:00).
UNSCHEDULED_DECISIONS: Final[dict[str, str]] = {
    "2001-01-03": "2001-01-03 16:00",
    "2001-04-18": "2001-04-18 16:00",
    "2001-09-17": "2001-09-17 16:00",
    "2007-08-17": "2007-08-17 16:00",
    "2008-01-22": "2008-01-22 16:00",
    "2008-10-08": "2008-10-08 16:00",
    "2020-03-03": "2020-03-03 16:00",
    "2020-03-15": "2020-03-15 18:00",
}
"""Day of a decision between meetings → New York time at which it was known. Nobody knew the day before."""

CANCELLED_MEETINGS: Final[dict[str, str]] = {"2020-03-18": "2020-03-15 18:00"}
"""Day of a scheduled meeting that was not held → New York time at which it was called off."""
