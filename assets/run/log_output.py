"""Where a command and its workers write what the project logs, once somebody asked for it."""

from __future__ import annotations

import logging
from typing import Final

LOG_LEVEL_VARIABLE: Final = "TRADING_DAG_LOG_LEVEL"
# What the project logs goes by these names; libraries keep their own levels.
LOGGERS: Final = ("trading_dag", "resources", "assets")
_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def log_to_stderr(level: str) -> None:
    """Write what the project logs, from a level on, to stderr: a line each with the time and the part that says it.

    Parameters
    ----------
    level : error, warning, info or debug. Called again, the new level and the present stderr take the old one's place.
    """
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level.upper())
        for handler in [handler for handler in logger.handlers if handler.get_name() == LOG_LEVEL_VARIABLE]:
            logger.removeHandler(handler)
        written = logging.StreamHandler()
        written.set_name(LOG_LEVEL_VARIABLE)
        written.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(written)
