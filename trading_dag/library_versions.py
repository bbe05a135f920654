"""Which version of a library is installed, also where the same library comes under several distribution names."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from trading_dag.errors import ConfigurationError

# Distributions that give the library's import name; one of them is installed.
_DISTRIBUTIONS: Final[dict[str, tuple[str, ...]]] = {"xgboost": ("xgboost-cpu", "xgboost")}


def library_version(library: str) -> str:
    """The version of an installed library is returned, whichever distribution brought it.

    Raises
    ------
    ConfigurationError : where none of its distributions is installed.
    """
    for distribution in _DISTRIBUTIONS.get(library, (library,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise ConfigurationError(f"{library} is not installed: make install")
