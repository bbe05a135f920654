"""What every feature is: one line each with its unit and look-back. Docstrings and docs/features.md come from here.

Notation: ``C[−5]`` is the close five sessions of the ticker before t; C, O, H, L
are prices adjusted for splits and dividends with factor 1 at the first session; V is raw volume; x is the
volatility index's close; the page's introduction (``reference``) has the rest. A look-back is the number of sessions
needed before the first value, t included. No formula reads anything after t's close. How they are computed stands in
the modules beside this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from trading_dag.features.formulas.reference import SECTIONS, feature_reference

__all__ = ["FORMULAS", "SECTIONS", "documents_features", "feature_reference", "look_back_sessions"]

_F = TypeVar("_F", bound=Callable[..., Any])

FORMULAS: Final[dict[str, str]] = {name: formula for *_, formulas in SECTIONS for name, formula in formulas.items()}


def look_back_sessions(name: str) -> int:
    """Returns how many sessions a feature needs before its first value, t included, as its formula states it.

    Raises
    ------
    ValueError : for a look-back that is counted in something else (bars, months, announcements).
    """
    return int(FORMULAS[name].rpartition("look-back ")[2])


def documents_features(names: Iterable[str]) -> Callable[[_F], _F]:
    """Append the formulas of ``names`` to the docstring of the function that computes them."""
    listing = "\n".join(f"    {name} : {FORMULAS[name]}" for name in names)

    def append(function: _F) -> _F:
        if function.__doc__ is not None:
            function.__doc__ = f"{function.__doc__.rstrip()}\n\n    Features\n    --------\n{listing}\n"
        return function

    return append
