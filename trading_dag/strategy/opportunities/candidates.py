"""Candidates with strikes, expirations, costs and bounds at every session: what is asked of the distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.options.structures.payoff import payoff_bounds
from trading_dag.options.structures.quotes import Quotes
from trading_dag.options.structures.strike_selection import (
    DeltaKey,
    choose_expirations,
    choose_strikes,
    years_to_expiration,
)
from trading_dag.options.structures.structure import BackExpiryRule, ExpiryRule, Structure
from trading_dag.options.surfaces.modelled import VolatilitySurface
from trading_dag.setting_groups import BacktestSettings
from trading_dag.strategy.opportunities.grid import Candidate
from trading_dag.strategy.opportunities.legs import ContractBook


@dataclass(frozen=True)
class Placed:
    """Holds candidates at n sessions; C candidates of at most L legs.

    Attributes
    ----------
    candidates : C of them.
    book : their distinct contracts.
    contract : (C, L) place of each leg in the book; that of the first leg where there is none.
    ratio : (C, L) signed contracts a structure; 0 where there is no leg.
    shares : (C,) of the underlying, per share of the multiplier.
    strikes : of each candidate, (n, legs).
    front, back : of each candidate the expirations of its nearest and its furthest legs, (n,).
    """

    candidates: tuple[Candidate, ...]
    book: ContractBook
    contract: IntArray
    ratio: FloatArray
    shares: FloatArray
    strikes: Sequence[FloatArray]
    front: Sequence[pd.DatetimeIndex]
    back: Sequence[pd.DatetimeIndex]


@dataclass(frozen=True)
class Costs:
    """Holds what candidates cost and may bring, (n, C), USD a share.

    Attributes
    ----------
    entry : paid at natural prices, shares included; negative where received.
    middle : the same at the middle of the quotes.
    maximum_loss, maximum_profit : at expiration; infinite without a limit, NaN where legs expire at different dates and
        the premium is no limit.
    is_quoted : whether every leg has a strike and a price.
    """

    entry: FloatArray
    middle: FloatArray
    maximum_loss: FloatArray
    maximum_profit: FloatArray
    is_quoted: BoolArray


def place(
    candidates: Sequence[Candidate],
    days: Sequence[int],
    *,
    surface: VolatilitySurface,
    spot: FloatArray,
    entry_sessions: pd.DatetimeIndex,
    exit_sessions: pd.DatetimeIndex,
    settings: BacktestSettings,
) -> Placed:
    """Choose the strikes and expirations of every candidate at every session.

    Parameters
    ----------
    days : least calendar days to each expiration of the grid.
    surface, spot : (n,) of the session's close. The time to expiration is that from the entry, at the next open.
    """
    book = ContractBook()
    known: list[dict[DeltaKey, FloatArray]] = [{} for _ in days]
    widest = max(len(candidate.structure.legs) for candidate in candidates)
    contract = np.zeros((len(candidates), widest), dtype=np.int64)
    ratio = np.zeros((len(candidates), widest))
    strikes, fronts, backs = [], [], []
    calendar = _Calendar(entry_sessions, exit_sessions, days)
    for number, candidate in enumerate(candidates):
        structure = candidate.structure
        dates, entry_years, exit_years = zip(
            *(calendar.of(candidate.expiration, leg.expiry_rule) for leg in structure.legs), strict=True
        )
        chosen = choose_strikes(
            structure, surface, spot=spot, years=np.column_stack(entry_years), settings=settings,
            known_strikes=known[candidate.expiration],
        )  # fmt: skip
        for leg, is_call in enumerate(structure.is_call.tolist()):
            contract[number, leg] = book.place_of(
                np.ascontiguousarray(chosen[:, leg]), entry_years[leg], exit_years=exit_years[leg], is_call=is_call
            )
        contract[number, len(structure.legs) :] = contract[number, 0]
        ratio[number, : len(structure.legs)] = structure.signed_ratios
        strikes.append(chosen)
        order = sorted(range(len(dates)), key=lambda leg: structure.legs[leg].expiry_rule != "weekly")
        fronts.append(dates[order[0]])
        backs.append(dates[order[-1]])
    shares = np.array([float(candidate.structure.underlying_ratio) for candidate in candidates])
    return Placed(tuple(candidates), book, contract, ratio, shares, strikes, fronts, backs)


class _Calendar:
    """Expirations of the grid, each looked up once: the date, and the years to it from the entry and from the exit."""

    def __init__(self, entries: pd.DatetimeIndex, exits: pd.DatetimeIndex, days: Sequence[int]) -> None:
        self._entries, self._exits, self._days = entries, exits, days
        self._found: dict[tuple[int, ExpiryRule], tuple[pd.DatetimeIndex, FloatArray, FloatArray]] = {}

    def of(self, expiration: int, rule: ExpiryRule) -> tuple[pd.DatetimeIndex, FloatArray, FloatArray]:
        """Return date, entry years and exit years of a leg with that expiry rule."""
        key = (expiration, rule)
        if key not in self._found:
            front = choose_expirations(self._entries, days_to_expiration=self._days[expiration])
            date = front
            if isinstance(rule, BackExpiryRule):
                date = choose_expirations(front, days_to_expiration=rule.days_after_front)
            self._found[key] = (
                date,
                years_to_expiration(self._entries, date, quoted_at="open"),
                years_to_expiration(self._exits, date, quoted_at="close"),
            )
        return self._found[key]


def costs_of(placed: Placed, quotes: Quotes, *, spot: FloatArray) -> Costs:
    """Return what each candidate costs at the quotes of its contracts, (n, contracts)."""
    middle, entry = np.zeros((len(spot), len(placed.ratio))), np.zeros((len(spot), len(placed.ratio)))
    for leg in range(placed.ratio.shape[1]):
        at, ratio = placed.contract[:, leg], placed.ratio[:, leg]
        middle += ratio * quotes.middle[:, at]
        entry += np.where(ratio > 0, ratio * quotes.ask[:, at], ratio * quotes.bid[:, at])
    held = spot[:, np.newaxis] * placed.shares
    middle, entry = middle + held, entry + held
    loss, profit = np.empty_like(entry), np.empty_like(entry)
    for number, candidate in enumerate(placed.candidates):
        loss[:, number], profit[:, number] = _bounds(candidate.structure, placed.strikes[number], entry[:, number])
    is_quoted = np.isfinite(entry)
    for number, strikes in enumerate(placed.strikes):
        is_quoted[:, number] &= np.isfinite(strikes).all(axis=1)
    return Costs(entry, middle, loss, profit, is_quoted)


def _bounds(structure: Structure, strikes: FloatArray, premium: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the greatest loss and profit at expiration, USD a share."""
    if structure.expires_together:
        bounds = payoff_bounds(structure, strikes)
        return premium - bounds.least, bounds.greatest - premium
    # A bought option that expires later is worth at least a sold one of the same right and strike when that expires.
    is_covered = bool((strikes == strikes[:, :1]).all()) and len(set(structure.is_call.tolist())) == 1
    is_covered &= structure.signed_ratios.sum() == 0 and not structure.underlying_ratio
    is_covered &= all((leg.expiry_rule == "weekly") == (leg.side == "sell") for leg in structure.legs)
    loss = premium if is_covered else np.full(len(premium), np.nan)
    return loss, np.full(len(premium), np.inf)
