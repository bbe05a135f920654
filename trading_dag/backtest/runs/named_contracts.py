"""The contracts that recommendations name, read from their legs. Where they are opened is ``contract_choice``'s."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from trading_dag.arrays import TextArray
from trading_dag.backtest.trades.entries import NamedContracts
from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import Structure
from trading_dag.schemas import RECOMMENDATION


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
