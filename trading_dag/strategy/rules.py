"""By which rule a structure is recommended, and which rows of ``signals.recommendation`` belong to it.

Here belongs how a reader finds the rows of a rule, and nothing of what the rules say: ``matrix`` is ``selector``'s,
``expected_value`` that of ``opportunities.choice``.
"""

from __future__ import annotations

import pandas as pd

from trading_dag.frames import require_columns
from trading_dag.schemas import RECOMMENDATION
from trading_dag.schemas.vocabulary import MATRIX


def rows_of_rule(recommendations: pd.DataFrame, rule: str = MATRIX) -> pd.DataFrame:
    """Return the rows of one rule, one a session, with a plain index.

    Raises
    ------
    SchemaError : without a column ``rule``.
    """
    require_columns(recommendations, RECOMMENDATION.qualified_name, columns=("rule",))
    return recommendations[(recommendations["rule"] == rule).to_numpy(dtype=bool)].reset_index(drop=True)


def served_rows(recommendations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the rule that the settings serve, one a session, with a plain index.

    Raises
    ------
    SchemaError : without a column ``is_served``.
    """
    require_columns(recommendations, RECOMMENDATION.qualified_name, columns=("is_served",))
    return recommendations[recommendations["is_served"].to_numpy(dtype=bool)].reset_index(drop=True)
