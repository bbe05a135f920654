"""Which world is simulated. What its parameters are stands in ``parameters``; what follows from them elsewhere."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

SIMULATED: Final = "simulated"
NO_MARKET_DATA: Final = "simulated, not market data"
MOST_UNDERLYINGS: Final = 676
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class SimulationSettings(BaseModel):
    """Defines the simulated world. Another seed, first session or ``fair`` is another world; more years extend the same
    one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(42, ge=0, description="everything follows from it")
    first_session: dt.date = Field(
        dt.date(2015, 1, 2), ge=dt.date(2005, 1, 3), description="history begins at the first session from here on"
    )
    years: int = Field(10, ge=1, le=30, description="length of the history, as far as sessions have closed")
    underlyings: int = Field(2, ge=0, le=MOST_UNDERLYINGS, description="shares SIMAA, SIMAB, … beside the universe")
    fair: bool = Field(False, description="no premium for risk: prices drift at the rate, options cost what they pay")

    @property
    def world(self) -> str:
        """Return the source's name in the provenance: ``simulated``, with a digest where the world is not the default
        one."""
        default = SimulationSettings()
        chosen, usual = ((each.seed, each.first_session.isoformat(), each.fair) for each in (self, default))
        if chosen == usual:
            return SIMULATED
        return f"{SIMULATED}-{hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]}"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the simulated shares. They do not end in a digit, by which the OCC marks adjusted
        contracts."""
        return tuple(share_name(number) for number in range(self.underlyings))


def is_simulated(source: str | None) -> bool:
    """Return whether any source in a name (several are joined by ``+``) is simulated."""
    return any(name.partition("-")[0] == SIMULATED for name in (source or "").split("+"))


def share_name(number: int) -> str:
    """Return the name of the share with a number from 0 on: SIMAA, SIMAB, …, SIMZZ."""
    return f"SIM{_ALPHABET[number // len(_ALPHABET)]}{_ALPHABET[number % len(_ALPHABET)]}"
