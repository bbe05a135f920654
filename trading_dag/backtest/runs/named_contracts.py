"""The contracts that recommendations and opportunities name. Where they are opened is ``contract_choice``'s."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from trading_dag.arrays import TextArray
from trading_dag.backtest.trades.entries import NamedContracts
from trading_dag.errors import SchemaError
from trading_dag.frames import require_columns
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas import OPPORTUNITIES, RECOMMENDATION
from trading_dag.schemas.opportunities import OFFERED_CONTRACTS
from trading_dag.strategy.opportunities.choice import may_be_chosen


def named_contracts(structure: Structure, legs: TextArray) -> NamedContracts:
    """Return strikes and expiration of one structure at each signal.

    Parameters
    ----------
    structure : whose legs are meant, in their order.
    legs : (n,) as in ``signals.recommendation``; where one is NULL the plan chooses.

    Raises
    ------
    SchemaError : for legs that are not those of the structure, or that expire on several dates.
    """
    strikes = np.full((len(legs), len(structure.legs)), np.nan)
    expiration = np.zeros(len(legs), dtype=np.int64)
    for row, text in enumerate(legs):
        if not isinstance(text, str):
            continue
        given = json.loads(text)
        sides = [(leg["option_right"], leg["side"]) for leg in given]
        dates = {leg["expiration"] for leg in given}
        if sides != [(leg.option_right, leg.side) for leg in structure.legs] or len(dates) != 1:
            rule = f"the legs of {structure.name} in their order, with one expiration"
            raise SchemaError(table=RECOMMENDATION.qualified_name, key="legs", rule=rule)
        strikes[row] = [leg["strike"] for leg in given]
        expiration[row] = np.datetime64(pd.Timestamp(dates.pop()), "D").astype(np.int64)
    return NamedContracts(expiration, strikes)


def offered_contracts(structure: Structure, opportunities: pd.DataFrame, sessions: pd.DatetimeIndex) -> NamedContracts:
    """Return the contracts of one structure's best candidate at each session; expiration 0 where it has none.

    Parameters
    ----------
    opportunities : ``signals.opportunities`` of one ticker and horizon. Only those count that rule ``expected_value``
        may choose.
    sessions : (n,).

    Raises
    ------
    SchemaError : for missing columns.
    """
    require_columns(opportunities, OPPORTUNITIES.qualified_name, columns=OFFERED_CONTRACTS)
    is_meant = (opportunities["structure"] == structure.name).to_numpy(dtype=bool) & may_be_chosen(opportunities)
    rows = opportunities[is_meant].sort_values(["session", "rank"], kind="stable").drop_duplicates("session")
    place = pd.DatetimeIndex(rows["session"]).get_indexer(sessions)
    strikes = np.full((len(sessions), len(structure.legs)), np.nan)
    expiration = np.zeros(len(sessions), dtype=np.int64)
    is_offered = place >= 0
    if is_offered.any():
        texts = rows["strikes"].to_numpy(dtype=object)[place[is_offered]]
        strikes[is_offered] = np.array([text.split("/") for text in texts], dtype=np.float64)
        days = pd.DatetimeIndex(rows["expiration"]).to_numpy().astype("datetime64[D]").astype(np.int64)
        expiration[is_offered] = days[place[is_offered]]
    return NamedContracts(expiration, strikes)
