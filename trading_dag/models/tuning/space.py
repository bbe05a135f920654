"""What is searched: names, bounds and scales, as data with a version that changes with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

_VERSION_DIGITS: Final = 12


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter that is searched.

    Attributes
    ----------
    name : as the learner's ``hyperparameters`` name it.
    low, high : bounds, both included.
    is_log : whether orders of magnitude are equally likely, not values.
    is_integer : whether only whole numbers are tried.
    """

    name: str
    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False

    def contains(self, value: float) -> bool:
        """Return whether a value lies within the bounds, and is whole where it has to be."""
        return self.low <= value <= self.high and (not self.is_integer or float(value).is_integer())


@dataclass(frozen=True)
class Space:
    """The hyperparameters of a learner that are searched together.

    Attributes
    ----------
    dimensions : one for each.
    defaults : the learner's own values. They are tried first, so that what is found is never worse on the rows of the
        search than what is there already.
    """

    dimensions: tuple[Dimension, ...]
    defaults: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse defaults that a trial could not have.

        Raises
        ------
        ValueError : names the first hyperparameter without a default within its bounds.
        """
        for dimension in self.dimensions:
            if dimension.name not in self.defaults or not dimension.contains(self.defaults[dimension.name]):
                raise ValueError(f"{dimension.name} has no default within its bounds")

    @property
    def version(self) -> str:
        """Return 12 digits of the hash of the description: another bound or default is another space."""
        text = json.dumps([[asdict(each) for each in self.dimensions], dict(self.defaults)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]

    def as_typed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values in the order of the dimensions, whole numbers as ``int``."""
        return {
            each.name: int(values[each.name]) if each.is_integer else float(values[each.name])
            for each in self.dimensions
        }
