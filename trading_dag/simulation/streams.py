"""Where randomness comes from: one stream of numbers per seed, name and purpose, the same in every process.

A stream is always drawn from its beginning, in session order, so a longer history repeats the shorter one.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import FloatArray

_WORDS: Final = 4
_UNIT: Final = 2.0**-53


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of a purpose: a counter-based one whose key is a digest of its names.

    Parameters
    ----------
    seed : seed of the simulation.
    names : what the numbers are for, such as a ticker, a purpose and a session.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
    """
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    key = tuple(int.from_bytes(digest[4 * word : 4 * word + 4], "little") for word in range(_WORDS))
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def uniform_of(numbers: npt.NDArray[np.uint64], *, salt: int) -> FloatArray:
    """Return a number in [0, 1) for each integer; it does not depend on where and in what order it is asked for.

    References
    ----------
    Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA (2014), figure 16 (the mixing).
    """
    golden, first, second = (
        np.uint64(constant) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
    )
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(salt)) * golden
        mixed = (mixed ^ (mixed >> np.uint64(30))) * first
        mixed = (mixed ^ (mixed >> np.uint64(27))) * second
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * _UNIT, dtype=np.float64)
