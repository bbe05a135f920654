"""The rows of rule ``expected_value``: the best opportunity that cleared the margin, sized by what the rule has earned.

Which opportunity that is, ``opportunities.choice`` decides. Here belongs how its choice becomes a recommendation, and
the edge that the rule is known to have: the profit of what it chose before, at outcomes known by the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray, TextArray
from trading_dag.frames import table_frame
from trading_dag.options.structures.payoff import breakevens
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas import RECOMMENDATION
from trading_dag.schemas.vocabulary import EXPECTED_VALUE
from trading_dag.setting_groups import BacktestSettings
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, NO_EDGE_SHOWN, breakevens_text, legs_json, strikes_text
from trading_dag.strategy.selector import NO_TRADE
from trading_dag.strategy.sizing import contracts_for_risk, design_sizes, settings_for_contract
from trading_dag.validation.gates.edge import edge_words

_SELECTION: Final = '"selection": '
_OF_MATRIX: Final = '"selection_of_matrix": '
_TWO_SIDED_95: Final = 1.959963984540054
_CARRIED: Final = ("target_session", "direction", "iv_regime", "direction_confidence", "iv_confidence",
                   "overall_confidence", "expected_iv_direction", "expected_iv_change", "iv_source", "own_iv_rank",
                   "chain_iv_rank", "spread_opinion", "underlying_position", "model_version",
                   "volatility_model_version")  # fmt: skip
_NO_PROFIT: Final = "what the rule chose before shows no profit beyond its interval"
_NO_GAIN: Final = (
    "what the rule chose before shows no gain over random entry of the same structures beyond its interval"
)
_TOO_FEW: Final = "too few of its trades have ended to judge the rule"


@dataclass(frozen=True)
class ProfitToDate:
    """Holds what the rule's trades had earned by each session, over the risk of each, (n,).

    Attributes
    ----------
    mean, low : mean profit over greatest loss, and the lower end of its 95 % interval; NaN below two trades.
    trades : how many have ended by then.
    """

    mean: FloatArray
    low: FloatArray
    trades: IntArray


def profit_to_date(
    return_on_risk: FloatArray, targets: pd.DatetimeIndex, sessions: pd.DatetimeIndex, *, overlap: int
) -> ProfitToDate:
    """Return the running mean of the trades' returns on their risk, with its interval.

    Parameters
    ----------
    return_on_risk : of each trade, NaN where it has no outcome; ``targets`` : the sessions at which they end.
    sessions : ascending; a trade counts at a session where its target is not after it.
    overlap : sessions that a trade lasts. So many are held at once, so the variance of the mean is taken that many
        times as large as that of independent trades: what sums of independent sessions that overlap so have.
    """
    is_known = np.isfinite(return_on_risk)
    values, ends = return_on_risk[is_known], targets.to_numpy()[is_known]
    order = np.argsort(ends, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(values[order])])
    squares = np.concatenate([[0.0], np.cumsum(values[order] ** 2)])
    n = np.searchsorted(ends[order], sessions.to_numpy(), side="right").astype(np.int64)
    count = np.where(n > 1, n, np.nan)
    mean = total[n] / count
    variance = np.maximum(squares[n] - count * mean**2, 0.0) / (count - 1.0)
    low = mean - _TWO_SIDED_95 * np.sqrt(variance * max(overlap, 1) / count)
    return ProfitToDate(mean, low, n)


def random_entry_returns(chosen: pd.DataFrame, offered: pd.DataFrame, returns: FloatArray) -> FloatArray:
    """Return for each choice what its structure brought on average wherever it could be entered, over risk, (n,).

    Parameters
    ----------
    chosen : of ``opportunities.choice.choose``.
    offered : structure and target session of what could have been entered at each session; ``returns`` : of them, NaN
        where there is no outcome.

    The mean is over outcomes that were known when the choice's own was, at its target; NaN where there are none and
    where nothing is traded. It is what entering the same structure at sessions drawn at random brings.
    """
    found = np.full(len(chosen), np.nan)
    names, offers = chosen["structure"].to_numpy(dtype=object), offered["structure"].to_numpy(dtype=object)
    ends, targets = (pd.DatetimeIndex(rows["target_session"]).to_numpy() for rows in (chosen, offered))
    for name in sorted(set(names.tolist()) - {NO_TRADE}):
        own, known = np.flatnonzero(names == name), np.flatnonzero((offers == name) & np.isfinite(returns))
        known = known[np.argsort(targets[known], kind="stable")]
        count = np.searchsorted(targets[known], ends[own], side="right")
        total = np.concatenate([[0.0], np.cumsum(returns[known])])
        found[own] = np.divide(total[count], count, out=np.full(len(own), np.nan), where=count > 0)
    return found


def expected_value_rows(
    matrix: pd.DataFrame,
    chosen: pd.DataFrame,
    realised_usd: FloatArray,
    random_entry: FloatArray,
    *,
    menu: Mapping[str, Structure],
    horizon: Horizon,
    settings: Settings,
) -> pd.DataFrame:
    """Return the rows of rule ``expected_value`` of ``signals.recommendation``, one for each session of the matrix.

    Parameters
    ----------
    matrix : the rows of rule ``matrix``, whose forecasts are the same.
    chosen : of ``opportunities.choice.choose``: one row a session that had opportunities.
    realised_usd : profit of one structure of each row of ``chosen`` after spread and fees, NaN where nothing was traded
        or the exit is not there yet. At a session only those count whose target is not after it.
    random_entry : of each row of ``chosen``, of ``random_entry_returns``.
    menu : structures by name.

    ``design_size`` is FULL or HALF by the designs' confidence where something is chosen, and at least HALF; it is NONE
    elsewhere. ``edge`` is ``admissible`` where at least ``minimum_trades`` trades have ended, the interval of their
    mean return on risk lies above 0, and so does that of the mean of what each brought more than random entry of its
    structure: a rule that earns what anybody earns who holds the same has shown nothing of its own.
    """
    if matrix.empty:
        return matrix
    book = settings_for_contract(str(matrix["ticker"].iloc[0]), settings).backtest
    told = _told(matrix, chosen, realised_usd, random_entry, book=book, horizon=horizon, settings=settings)
    premium, most = told.numbers("entry_cost_usd"), told.numbers("max_profit_usd")
    contract = _contract_columns(told, premium / book.multiplier, menu)
    bought = [name for name, structure in menu.items() if (structure.signed_ratios > 0).all()]
    target_base = np.where(np.isin(told.structure, bought), premium, most)
    return table_frame(
        RECOMMENDATION,
        {
            "ticker": matrix["ticker"].to_numpy(),
            "horizon": horizon.key,
            "session": pd.DatetimeIndex(matrix["session"]),
            "rule": EXPECTED_VALUE,
            "is_served": settings.signals.rule == EXPECTED_VALUE,
            **{name: matrix[name].to_numpy() for name in _CARRIED},
            "strategy": told.structure,
            "design_size": told.design_size,
            "edge": told.edges,
            "position_size": told.size,
            "contracts": told.contracts,
            **contract,
            "net_premium_usd": premium,
            "max_loss_usd": told.numbers("max_loss_usd"),
            "max_profit_usd": most,
            "probability_of_profit": told.numbers("market_probability_of_profit"),
            "forecast_probability_of_profit": told.numbers("probability_of_profit"),
            "expected_profit_usd": told.numbers("expected_profit_usd"),
            "profit_target_usd": np.maximum(book.profit_target_fraction * target_base, 0.0),
            "stop_loss_fraction": np.where(told.is_chosen, book.stop_underlying_fraction, np.nan),
            "reasoning": _reasoning(told, contract, has_time_to_enter=horizon.outlasts_entry),
            "evidence": _evidence(matrix, told.known, told.gain),
        },
        rows=len(matrix),
    )


@dataclass(frozen=True)
class _Told:
    """What is known of each row, in the order of the matrix.

    Attributes
    ----------
    rows : of the choice, where ``is_told``; others are to be left out.
    """

    structure: TextArray
    rows: pd.DataFrame | None
    is_told: BoolArray
    is_chosen: BoolArray
    design_size: TextArray
    known: ProfitToDate
    gain: ProfitToDate
    edges: TextArray
    size: FloatArray
    contracts: IntArray
    needs_edge: bool

    def numbers(self, name: str) -> FloatArray:
        """Return a column of the choice, NaN where nothing is chosen."""
        return _numbers(self.rows, name, self.is_chosen)


def _told(
    matrix: pd.DataFrame, chosen: pd.DataFrame, realised_usd: FloatArray, random_entry: FloatArray, *,
    book: BacktestSettings, horizon: Horizon, settings: Settings,
) -> _Told:  # fmt: skip
    """Lay the choice beside the sessions of the matrix, and size it."""
    sessions = pd.DatetimeIndex(matrix["session"])
    place = pd.DatetimeIndex(chosen["session"]).get_indexer(sessions)
    is_told = place >= 0
    rows = chosen.take(np.where(is_told, place, 0)) if len(chosen) else None
    structure = np.full(len(sessions), NO_TRADE, dtype=object)
    if rows is not None:
        structure = np.where(is_told, rows["structure"].to_numpy(dtype=object), NO_TRADE).astype(object)
    is_chosen = np.asarray(structure != NO_TRADE, dtype=np.bool_)
    at_risk = (chosen["max_loss_usd"] + chosen["fees_usd"]).to_numpy(dtype=np.float64)
    on_risk, targets = realised_usd / at_risk, pd.DatetimeIndex(chosen["target_session"])
    known, gain = (
        profit_to_date(values, targets, sessions, overlap=horizon.target_offset)
        for values in (on_risk, on_risk - random_entry)
    )
    edges = edge_words((known.low > 0) & (gain.low > 0), known.trades, minimum_outcomes=settings.signals.minimum_trades)
    is_full = (matrix["overall_confidence"] >= settings.selector.full_minimum).to_numpy(dtype=bool)
    design = np.select([~is_chosen, is_full], ["NONE", "FULL"], "HALF").astype(object)
    needs_edge = settings.signals.gate != "none"
    passes = np.isin(edges, EDGES_WITH_SIZE) | (not needs_edge)
    size = np.where(passes & horizon.outlasts_entry, design_sizes(design), 0.0)
    contracts = contracts_for_risk(
        account_usd=book.account_usd, risk_fraction=book.risk_fraction, size=size,
        maximum_loss_usd=_numbers(rows, "max_loss_usd", is_chosen),
        round_trip_fees_usd=_numbers(rows, "fees_usd", is_chosen),
    )  # fmt: skip
    return _Told(structure, rows, is_told, is_chosen, design, known, gain, edges, size, contracts, needs_edge)


def _numbers(rows: pd.DataFrame | None, name: str, is_chosen: BoolArray) -> FloatArray:
    if rows is None:
        return np.full(len(is_chosen), np.nan)
    return np.where(is_chosen, rows[name].to_numpy(dtype=np.float64, na_value=np.nan), np.nan)


def _contract_columns(told: _Told, premium: FloatArray, menu: Mapping[str, Structure]) -> dict[str, Any]:
    """Legs, strikes, breakevens and expiration of what is chosen; ``premium`` is USD a share."""
    n = len(told.structure)
    legs, strikes, points = (np.full(n, None, dtype=object) for _ in range(3))
    expiration = np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    at = np.flatnonzero(told.is_chosen)
    if told.rows is not None and len(at):
        chosen = told.rows.iloc[at]
        expiration[at] = chosen["expiration"].to_numpy()
        days = np.datetime_as_string(expiration[at].astype("datetime64[D]")).tolist()
        for row, text, day in zip(at.tolist(), chosen["strikes"], days, strict=True):
            structure = menu[told.structure[row]]
            of_legs = [float(strike) for strike in text.split("/")]
            legs[row] = legs_json(structure, of_legs, expiration=day)
            strikes[row] = strikes_text(of_legs)
            points[row] = breakevens_text(breakevens(structure, of_legs, premium=premium[row])[0].tolist())
    return {"legs": legs, "strikes": strikes, "breakevens": points, "expiration": expiration}


def _reasoning(told: _Told, contract: Mapping[str, Any], *, has_time_to_enter: bool) -> TextArray:
    """One sentence a row: why this or nothing, and why no size."""
    why_nothing = "nothing could be valued" if has_time_to_enter else "the horizon ends at the open of the entry"
    reasons = np.full(len(told.structure), why_nothing, dtype=object)
    if told.rows is not None:
        reasons[told.is_told] = told.rows["reason"].to_numpy(dtype=object)[told.is_told]
    days = np.datetime_as_string(contract["expiration"].astype("datetime64[D]")).tolist()
    whys = np.select(
        [told.edges == "insufficient_data", told.edges != "no_edge", ~(told.known.low > 0)],
        [_TOO_FEW, "", _NO_PROFIT],
        _NO_GAIN,
    )
    rows = zip(
        reasons.tolist(), told.structure.tolist(), contract["strikes"].tolist(), days, whys.tolist(),
        told.contracts.tolist(), strict=True,
    )  # fmt: skip
    sentences = [
        f"No trade: {reason.rstrip('.')}."
        if name == NO_TRADE
        else f"{name.replace('_', ' ').capitalize()} {strikes} expiring {day}: "
        + _sentence(reason.rstrip("."), why, contracts, told.needs_edge)
        for reason, name, strikes, day, why, contracts in rows
    ]
    return np.array(sentences, dtype=object)


def _sentence(reason: str, why: str, contracts: int, needs_edge: bool) -> str:
    if why and needs_edge:
        return f"{reason}; size 0: {why}."
    return f"{reason}; {contracts} to trade, {NO_EDGE_SHOWN}: {why}." if why else f"{reason}; {contracts} to trade."


def _evidence(matrix: pd.DataFrame, known: ProfitToDate, gain: ProfitToDate) -> TextArray:
    """The models of the matrix' row, and what the rule's own trades had earned by then."""
    rows = zip(
        matrix["evidence"].tolist(), known.trades.tolist(), known.mean.tolist(), known.low.tolist(),
        gain.mean.tolist(), gain.low.tolist(), strict=True,
    )  # fmt: skip
    # What the matrix selected and why is no evidence of this rule's choice.
    told = [
        f'{evidence[:-1].replace(_SELECTION, _OF_MATRIX, 1)}, "profit": "{_earned(trades, *means)}"}}'
        for evidence, trades, *means in rows
    ]
    return np.array(told, dtype=object)


def _earned(trades: int, mean: float, low: float, gain: float, gain_low: float) -> str:
    if trades < 2:
        return "rule expected_value: fewer than two of its trades have ended"
    return (
        f"rule expected_value: {trades:,} of its trades have ended, with {mean:+.1%} of their risk on average, lower "
        f"end of the 95 % interval {low:+.1%}; over random entry of the same structures {gain:+.1%}, lower end "
        f"{gain_low:+.1%}"
    )
