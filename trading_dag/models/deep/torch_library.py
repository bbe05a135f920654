"""Whether torch is installed, which the deep models need and nothing else does; and what adds it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from trading_dag.errors import ConfigurationError

ADD_TORCH: Final = "make torch"


def why_deep_models_are_off() -> str | None:
    """The reason is returned why no deep model can be fitted or applied here, with the command that changes it; None
    where one can.

    torch itself is not imported for that: it takes seconds.
    """
    if find_spec("torch") is not None:
        return None
    return f"torch is not installed, so the deep models are switched off; {ADD_TORCH} adds it"


def require_torch() -> None:
    """Demand that torch is installed.

    Raises
    ------
    ConfigurationError : where it is not; says what adds it.
    """
    reason = why_deep_models_are_off()
    if reason is not None:
        raise ConfigurationError(reason)
