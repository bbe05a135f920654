"""What a model of the Hull Tactical data may see, and what it is to forecast. Two frames that never meet.

The publisher's file has the next day's outcome beside the features of the day. Which column is which is decided here,
once, and so are the interaction terms. Reading the file is elsewhere, and so is what is done about missing values
(``missing_values.py``).

References
----------
The interaction terms are those of the competition's public notebooks (Kaggle, 2025): I2 − I1 and M11 over the mean of
I2, I9 and I7 of the organisers' starting notebook, V1 × S1, M11 × V1 and I9 × S1 of later ones. Nobody outside knows
what the letters measure, so that they help is a matter for validation.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.schemas import HULL_FAMILIES, HULL_FEATURES, HULL_LABELS, HULL_MARKET, HULL_MARKET_TABLE


def hull_features(market: pd.DataFrame, names: tuple[str, ...] = HULL_FEATURES) -> pd.DataFrame:
    """Features of each day, known at its close; index ``date_id``, ascending; missing values stay missing.

    Parameters
    ----------
    market : ``raw.hull_market``.
    names : features to take.

    Raises
    ------
    SchemaError : for a name that is no feature: a label is what the next day brought and can never be one.
    """
    strangers = [name for name in names if name not in HULL_FEATURES]
    if strangers:
        what = "is a label, known only after the day" if strangers[0] in HULL_LABELS else "is no feature"
        raise SchemaError(table=HULL_MARKET.qualified_name, key=f"column={strangers[0]}", rule=what)
    return _by_day(market, list(names))


def build_hull_market(market: pd.DataFrame) -> pd.DataFrame:
    """Return the features of each day with their interaction terms.

    Parameters
    ----------
    market : ``raw.hull_market``, any order; its labels are not looked at.

    Returns
    -------
    pd.DataFrame : ``features.hull_market``, one row a day, ascending by ``date_id``.

    When it is known
    ----------------
    At the close of the day, as each of the features is; a term uses its own day only.

    NaN policy
    ----------
    Nothing is filled in: a missing feature makes its terms NaN. What takes the place of missing values is fitted on
    the training part of each fold (``missing_values.fit_medians``).

    Raises
    ------
    SchemaError : for a missing column or a day that comes twice.
    """
    features = hull_features(market)
    interest = features[["I2", "I7", "I9"]].sum(axis=1, skipna=False) / 3.0
    terms = {
        "i2_minus_i1": features["I2"] - features["I1"],
        "m11_over_mean_rate": features["M11"] / interest.where(interest != 0.0, np.nan),
        "v1_times_s1": features["V1"] * features["S1"],
        "m11_times_v1": features["M11"] * features["V1"],
        "i9_times_s1": features["I9"] * features["S1"],
    }
    joined = pd.concat([features.astype("float64"), pd.DataFrame(terms, dtype="float64")], axis=1).reset_index()
    return joined[list(HULL_MARKET_TABLE.column_names)]


def missing_by_family(market: pd.DataFrame) -> dict[str, float]:
    """Share of missing values, 0 to 1, among the features of each letter; NaN where there are no rows."""
    missing = hull_features(market).isna()
    return {
        letter: float(missing[[f"{letter}{position}" for position in range(1, count + 1)]].to_numpy(dtype=float).mean())
        for letter, count in HULL_FAMILIES
    }


def _by_day(market: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    missing = [name for name in ("date_id", *names) if name not in market.columns]
    if missing:
        raise SchemaError(table=HULL_MARKET.qualified_name, key=f"column={missing[0]}", rule="is missing")
    days = market.set_index("date_id").sort_index()
    if days.index.has_duplicates:
        raise SchemaError(table=HULL_MARKET.qualified_name, key="date_id", rule="a day comes once")
    return days[names]
