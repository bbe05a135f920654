"""Days on which the Bureau of Labor Statistics released the Consumer Price Index, and will: facts, nothing computed.

Each release is about the month before. Planned days that were not kept are listed apart. When each day was known is in
``releases.schedule.py``.

References
----------
Bureau of Labor Statistics, "Schedule of Releases for the Consumer Price Index", https://www.bls.gov/schedule/
news_release/cpi.htm, and the notice of 10 October 2025; release 10 of FRED, https://fred.stlouisfed.org/release?rid=10,
without the days on which only seasonal factors were revised.
"""

from __future__ import annotations

from typing import Final

_DAYS_OF_YEAR: Final[dict[int, str]] = {
    2009: "01-16 02-20 03-18 04-15 05-15 06-17 07-15 08-14 09-16 10-15 11-18 12-16",
    2010: "01-15 02-19 03-18 04-14 05-19 06-17 07-16 08-13 09-17 10-15 11-17 12-15",
    2011: "01-14 02-17 03-17 04-15 05-13 06-15 07-15 08-18 09-15 10-19 11-16 12-16",
    2012: "01-19 02-17 03-16 04-13 05-15 06-14 07-17 08-15 09-14 10-16 11-15 12-14",
    2013: "01-16 02-21 03-15 04-16 05-16 06-18 07-16 08-15 09-17 10-30 11-20 12-17",
    2014: "01-16 02-20 03-18 04-15 05-15 06-17 07-22 08-19 09-17 10-22 11-20 12-17",
    2015: "01-16 02-26 03-24 04-17 05-22 06-18 07-17 08-19 09-16 10-15 11-17 12-15",
    2016: "01-20 02-19 03-16 04-14 05-17 06-16 07-15 08-16 09-16 10-18 11-17 12-15",
    2017: "01-18 02-15 03-15 04-14 05-12 06-14 07-14 08-11 09-14 10-13 11-15 12-13",
    2018: "01-12 02-14 03-13 04-11 05-10 06-12 07-12 08-10 09-13 10-11 11-14 12-12",
    2019: "01-11 02-13 03-12 04-10 05-10 06-12 07-11 08-13 09-12 10-10 11-13 12-11",
    2020: "01-14 02-13 03-11 04-10 05-12 06-10 07-14 08-12 09-11 10-13 11-12 12-10",
    2021: "01-13 02-10 03-10 04-13 05-12 06-10 07-13 08-11 09-14 10-13 11-10 12-10",
    2022: "01-12 02-10 03-10 04-12 05-11 06-10 07-13 08-10 09-13 10-13 11-10 12-13",
    2023: "01-12 02-14 03-14 04-12 05-10 06-13 07-12 08-10 09-13 10-12 11-14 12-12",
    2024: "01-11 02-13 03-12 04-10 05-15 06-12 07-11 08-14 09-11 10-10 11-13 12-11",
    # October 2025 was never surveyed.
    2025: "01-15 02-12 03-12 04-10 05-13 06-11 07-15 08-12 09-11 10-24 12-18",
    2026: "01-13 02-13 03-11 04-10 05-12 06-10 07-14 08-12 09-11 10-14 11-10 12-10",
}
CPI_RELEASES: Final[tuple[str, ...]] = tuple(
    f"{year}-{day}" for year, days in _DAYS_OF_YEAR.items() for day in days.split()
)
"""Release days, past and scheduled, ascending ISO dates."""

CPI_NOT_KEPT: Final[tuple[str, ...]] = (
    "2013-10-16", "2013-11-15", "2025-10-15", "2025-11-13", "2025-12-10", "2026-02-11",
)  # fmt: skip
"""Days that were scheduled and, because the government was shut down, not kept."""
