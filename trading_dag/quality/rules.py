"""What a rule, a context and a finding are. The catalogue of rules and their computations stand elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.schemas import Table

T = TypeVar("T")
Severity = Literal["error", "warn"]
EXAMPLES: Final = 5
SCHEMA: Final = "schema"
POINT_IN_TIME: Final = "point_in_time"
NOT_EXAMINED: Final = "not examined"


@dataclass(frozen=True)
class Rule:
    """States one thing that must hold for a table.

    Attributes
    ----------
    name : snake_case, also the name of the diagnostic column.
    description : one sentence that is true of a good slice.
    severity : how bad it is to break it.
    is_blocking : whether a slice that breaks it may not be stored.
    check : the asset check that reports it together with others; empty where it is reported under its own name.
    can_be_accepted : whether a user who knows better may accept a named bar that breaks it.
    """

    name: str
    description: str
    severity: Severity = "error"
    is_blocking: bool = True
    check: str = ""
    can_be_accepted: bool = False

    @property
    def check_name(self) -> str:
        """Return the asset check that reports the rule."""
        return self.check or self.name


@dataclass(frozen=True)
class QualityContext:
    """Holds what a rule needs to know beyond the frame.

    Attributes
    ----------
    now_session : latest session that may occur in the data: the last one that has closed.
    expected_last_session : session up to which the source should have delivered, None where nothing is expected
        (a folder of old files).
    technical : ``features.technical`` of the same ticker (session, log_return_1d), None where it is not at hand.
    macro : ``features.macro`` (session, vix_fred, vix_fred_age_sessions), None where it is not at hand.
    chain_before : ``raw.option_chain`` of the ticker on the quote date before those of the frame, None where there is
        none.
    peers : by ticker, ``raw.prices_daily`` of other tickers of the same source (session, open, high, low, close).
    accepted : sessions whose bars a user has accepted, each with the reason.
    """

    now_session: pd.Timestamp
    expected_last_session: pd.Timestamp | None = None
    technical: pd.DataFrame | None = None
    macro: pd.DataFrame | None = None
    chain_before: pd.DataFrame | None = None
    peers: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    accepted: Mapping[pd.Timestamp, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Tells what a rule found in one frame.

    Attributes
    ----------
    mask : one flag per row of the frame as it was given, True where the row is evidence.
    count : how many things are wrong; missing sessions are counted although they have no row.
    detail : why, in words; empty where there is nothing to say.
    examples : offending keys where they are not those of the flagged rows.
    is_examined : whether the rule could be examined at all; if not, the detail says why.
    """

    mask: BoolArray
    count: int = 0
    detail: str = ""
    examples: tuple[str, ...] = ()
    is_examined: bool = True

    @classmethod
    def of_rows(cls, mask: BoolArray, detail: str = "") -> Finding:
        """Return a finding that consists of its flagged rows alone."""
        count = int(mask.sum())
        return cls(mask=mask, count=count, detail=detail if count else "")


@dataclass(frozen=True)
class Examined:
    """Holds a frame prepared for the rules.

    Attributes
    ----------
    table : the schema.
    frame : the frame with the schema's columns and types; what could not be cast is NULL.
    context : what the rules need to know beyond it.
    problems : column → why it is missing, superfluous or of the wrong type.
    is_source_off : whether the slice stands for a source that is switched off.
    """

    table: Table
    frame: pd.DataFrame
    context: QualityContext
    problems: dict[str, str] = field(default_factory=dict)
    is_source_off: bool = False
    _shared: dict[Any, Any] = field(default_factory=dict)

    def shared(self, make: Callable[[Examined], T]) -> T:
        """Return a value that several rules derive from this frame; it is computed once."""
        if make not in self._shared:
            self._shared[make] = make(self)
        made: T = self._shared[make]
        return made

    def lacks(self, columns: tuple[str, ...]) -> list[str]:
        """Return those of the columns that a rule cannot rely on."""
        return [name for name in columns if name in self.problems]

    def nothing(self, detail: str = "") -> Finding:
        """Return a finding without evidence."""
        return Finding(np.zeros(len(self.frame), dtype=bool), detail=detail)

    def not_examined(self, reason: str) -> Finding:
        """Return the finding of a rule that could not be examined, with the reason."""
        return Finding(np.zeros(len(self.frame), dtype=bool), detail=f"{NOT_EXAMINED}: {reason}", is_examined=False)


Examine = Callable[[Examined], Finding]


@dataclass(frozen=True)
class Check:
    """Joins a rule with the function that examines it and the columns that the function reads.

    ``is_of_empty`` says that it also examines a frame without rows.
    """

    rule: Rule
    examine: Examine
    needs: tuple[str, ...] = ()
    is_of_empty: bool = False
