"""The ways in which the contracts of a structure may be paired for margin, as counts; no prices.

What a way costs is ``margin``'s business. Contracts are whole: one is covered, paired or alone, never half of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.errors import StructureError
from trading_dag.options.structures.structure import Structure

MOST_WAYS: Final = 20_000
_MOST_CANDIDATES: Final = 2_000_000
_Counts = tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """Says what becomes of every contract that is sold.

    Attributes
    ----------
    spread : (legs,) signed contracts that stand together as spreads: all bought ones, and sold ones that they cover.
    naked : (legs,) sold contracts that nothing covers.
    straddles : (leg of a naked call, leg of a naked put, how many of them stand together).
    """

    spread: tuple[float, ...]
    naked: tuple[float, ...]
    straddles: tuple[tuple[int, int, int], ...]


def ways_of(structure: Structure) -> tuple[Way, ...]:
    """Return every way to pair the contracts of a structure.

    A bought contract or a lot of shares covers a sold one of its right: long shares calls, short shares puts.

    Raises
    ------
    StructureError : where there are more than 20,000 ways.
    """
    ratios, is_call = structure.signed_ratios, structure.is_call
    # Some of so many would have to be looked through for each of the ways.
    is_too_many = np.prod(1.0 + np.maximum(-ratios, 0.0)) > _MOST_CANDIDATES
    counts = tuple(ratios.astype(int).tolist())
    found = () if is_too_many else _ways(counts, tuple(is_call.tolist()), structure.underlying_ratio)
    if is_too_many or len(found) > MOST_WAYS:
        raise StructureError(
            f"structure {structure.name!r}: its sold contracts can be paired in more than {MOST_WAYS:,} ways; "
            "use smaller ratios"
        )
    return found


def has_naked_contracts(structure: Structure) -> bool:
    """Return whether more is sold than what is bought can cover: calls and shares by calls and shares, puts by puts and
    shares sold short."""
    ratios, is_call, shares = structure.signed_ratios, structure.is_call, structure.underlying_ratio
    return bool(ratios[is_call].sum() + shares < 0 or ratios[~is_call].sum() + max(-shares, 0) < 0)


@lru_cache(maxsize=256)
def _ways(ratios: _Counts, is_call: tuple[bool, ...], shares: int) -> tuple[Way, ...]:
    """One more than ``MOST_WAYS`` at most."""
    found: list[Way] = []
    sides = [_side_ways(ratios, is_call, of_call=True, shares=max(shares, 0)),
             _side_ways(ratios, is_call, of_call=False, shares=max(-shares, 0))]  # fmt: skip
    for (call_spread, calls), (put_spread, puts) in product(*sides):
        spread = tuple(float(call + put) for call, put in zip(call_spread, put_spread, strict=True))
        naked = tuple(float(call + put) for call, put in zip(calls, puts, strict=True))
        for straddles in _straddles(calls, puts):
            found.append(Way(spread, naked, straddles))
            if len(found) > MOST_WAYS:
                return tuple(found)
    return tuple(found)


def _side_ways(
    ratios: _Counts, is_call: tuple[bool, ...], *, of_call: bool, shares: int
) -> list[tuple[_Counts, _Counts]]:
    """Signed contracts in spreads and naked ones of one right, (legs,) each; shares cover what is in neither."""
    own = [ratio if call == of_call else 0 for ratio, call in zip(ratios, is_call, strict=True)]
    bought = sum(ratio for ratio in own if ratio > 0)
    sold = [max(-ratio, 0) for ratio in own]
    ways = []
    for covered in _up_to(sold, bought):
        left = [count - taken for count, taken in zip(sold, covered, strict=True)]
        spread = tuple(max(ratio, 0) - taken for ratio, taken in zip(own, covered, strict=True))
        for by_shares in _up_to(left, shares):
            ways.append((spread, tuple(count - taken for count, taken in zip(left, by_shares, strict=True))))
            if len(ways) > MOST_WAYS:
                return ways
    return ways


def _up_to(counts: list[int], most: int) -> Iterator[_Counts]:
    """Every choice of at most so many of each, and of at most ``most`` together."""
    if not counts:
        yield ()
        return
    for first in range(min(counts[0], most) + 1):
        for rest in _up_to(counts[1:], most - first):
            yield (first, *rest)


def _straddles(calls: _Counts, puts: _Counts) -> Iterator[tuple[tuple[int, int, int], ...]]:
    """Every way to pair naked calls with naked puts until one side has none left: a pair never needs more than two."""
    call = next((leg for leg, count in enumerate(calls) if count), None)
    if call is None or not any(puts):
        yield ()
        return
    # All of the first call's contracts find their puts, or stay alone where calls outnumber puts.
    alone = max(sum(calls) - sum(puts), 0)
    rest = tuple(0 if leg == call else count for leg, count in enumerate(calls))
    for taken in _up_to(list(puts), calls[call]):
        if sum(taken) < calls[call] - alone:
            continue
        left = tuple(count - used for count, used in zip(puts, taken, strict=True))
        pairs = tuple((call, put, used) for put, used in enumerate(taken) if used)
        for others in _straddles(rest, left):
            yield (*pairs, *others)


def counts_of(values: tuple[float, ...]) -> FloatArray:
    """Return counts as an array."""
    return np.array(values, dtype=np.float64)
