"""Which rows of a predictions table are scored together.

Here belongs how a table is divided where its rows look differently far ahead. Which task divides how stands in
``tasks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from trading_dag.slices import Horizon


@dataclass(frozen=True)
class Part:
    """Holds rows of a predictions table that are scored together.

    Attributes
    ----------
    suffix : what follows the name of each metric, such as ``_10_sessions``; nothing for the slice's own horizon.
    steps : sessions the forecasts look ahead, for block lengths and the lag of the tests.
    frame : the rows.
    """

    suffix: str
    steps: int
    frame: pd.DataFrame


def the_whole_table(frame: pd.DataFrame, horizon: Horizon) -> Iterator[Part]:
    """Yield all rows as one part that looks as far ahead as the slice's horizon."""
    yield Part("", horizon.gap_sessions, frame)
