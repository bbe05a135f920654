"""The rule ``expected_value``: the best opportunity of each session that clears a margin of safety, or none.

It reads what was computed at the session's close and nothing later. Prices, legs and sizes of the chosen one are the
recommendation's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, TextArray
from trading_dag.frames import require_columns
from trading_dag.schemas import OPPORTUNITIES
from trading_dag.setting_groups import SelectorSettings
from trading_dag.strategy.selector import NO_TRADE

EXPECTED_VALUE: Final = "expected_value"
MODELLED_WITH_OBJECTION: Final = "modelled_with_objection"
_READ: Final = ("session", "structure", "held_to", "back_expiration", "rank", "is_backtested",
                "expected_return_on_risk", "expected_return_on_risk_low", "quote_source", "reason")  # fmt: skip
_DOUBTED: Final = "prices are modelled from another underlying's index, or of options that are not known to be listed"
_KEPT_WITHOUT_TRADE: Final = ("ticker", "horizon", "session", "target_session", "spot")


def choose(opportunities: pd.DataFrame, settings: SelectorSettings) -> pd.DataFrame:
    """Return what the rule ``expected_value`` trades at each session, one row a session, ascending.

    Parameters
    ----------
    opportunities : ``signals.opportunities`` of one ticker and horizon.
    settings : with ``expected_return_minimum``, the margin of safety.

    Returns
    -------
    The columns of ``signals.opportunities``. Where nothing is traded ``structure`` is ``no_trade``, ``reason`` says
    why, and all but ticker, horizon, sessions and spot is NULL. A session without opportunities has no row. What
    is traded is priced without objection, held to the target, expires on one date, has a limit of loss, and is of the
    grid that every earlier session was searched for; its expected return on risk reaches the margin, and the lower end
    of its interval lies above 0.

    Raises
    ------
    SchemaError : for missing columns.
    """
    require_columns(opportunities, OPPORTUNITIES.qualified_name, columns=_READ)
    ranked = opportunities.sort_values(["session", "rank"], kind="stable").reset_index(drop=True)
    possible = may_be_chosen(ranked)
    clears = possible & (
        (ranked["expected_return_on_risk"] >= settings.expected_return_minimum)
        & (ranked["expected_return_on_risk_low"] > 0.0)
    ).to_numpy(dtype=np.bool_)
    # The first that clears; else, for the sentence, the one that could be traded and promises most; else the first.
    order = np.where(clears, 0, np.where(possible, 1, 2))
    promise = np.where(order == 1, -ranked["expected_return_on_risk"].to_numpy(np.float64), ranked["rank"])
    first = ranked.assign(_order=order, _promise=promise).sort_values(["session", "_order", "_promise"], kind="stable")
    first = first.drop_duplicates("session").reset_index(drop=True)
    place = first.pop("_order").to_numpy()
    del first["_promise"]
    return _without_trade(first, place, margin=settings.expected_return_minimum)


def may_be_chosen(rows: pd.DataFrame) -> BoolArray:
    """Return which rows of ``signals.opportunities`` the rule may trade at all, whatever they promise, (n,)."""
    tradable: BoolArray = (
        rows["is_backtested"].astype(bool)
        & (rows["held_to"] == "target")
        & (rows["quote_source"] != MODELLED_WITH_OBJECTION)
        & rows["back_expiration"].isna()
        & rows["expected_return_on_risk"].notna()
    ).to_numpy(dtype=np.bool_)
    return tradable


def entered_at_every_session(opportunities: pd.DataFrame, *, structures: Iterable[str]) -> pd.DataFrame:
    """Return the first ranked row of each of these structures at every session at which the rule may trade it: what
    entering a structure without looking at what it promises would have held.

    Parameters
    ----------
    opportunities : ``signals.opportunities`` of one ticker and horizon.
    """
    may = may_be_chosen(opportunities) & opportunities["structure"].isin(list(structures)).to_numpy(dtype=np.bool_)
    ranked = opportunities[may].sort_values(["session", "rank"], kind="stable")
    return ranked.drop_duplicates(["session", "structure"]).reset_index(drop=True)


def _without_trade(first: pd.DataFrame, place: np.ndarray, *, margin: float) -> pd.DataFrame:
    """Return the rows with those that are not traded emptied."""
    is_traded = place == 0
    reason: TextArray = first["reason"].to_numpy(dtype=object)
    refused = np.flatnonzero(~is_traded)
    told = first.iloc[refused]
    for row, name, order, expected, low in zip(
        refused.tolist(), told["structure"], place[refused].tolist(),
        told["expected_return_on_risk"].tolist(), told["expected_return_on_risk_low"].tolist(), strict=True,
    ):  # fmt: skip
        reason[row] = _why_not(name, order=order, expected=expected, low=low, margin=margin)
    doubted = refused[((place[refused] == 2) & (told["quote_source"] == MODELLED_WITH_OBJECTION)).to_numpy()]
    reason[doubted] = _DOUBTED
    emptied = [name for name in first.columns if name not in (*_KEPT_WITHOUT_TRADE, "structure", "reason")]
    wider = {"i": "float64", "u": "float64", "b": "object"}
    integers = {name: wider[first[name].dtype.kind] for name in emptied if first[name].dtype.kind in wider}
    chosen = first.astype(integers)
    for name in emptied:
        chosen[name] = chosen[name].where(is_traded)
    return chosen.assign(structure=np.where(is_traded, first["structure"], NO_TRADE), reason=reason)


def _why_not(name: str, *, order: int, expected: float, low: float, margin: float) -> str:
    if order == 2:
        return "no structure with a limit of loss and one expiration could be valued"
    best = f"the best, {name.replace('_', ' ')}, is expected to bring {expected:+.1%} of its risk"
    if expected < margin:
        return f"{best}, less than the margin of {margin:.1%}"
    return f"{best}, but its interval reaches down to {low:+.1%}"
