"""In which order the slices of a run are told, and the one sentence about them: what is worth knowing comes first."""

from __future__ import annotations

from typing import Final

import pandas as pd

from trading_dag.underlyings import NOT_LISTED

NO_EDGE: Final = "no_edge"
BEFORE_ENTRY: Final = "horizon_before_entry"
_NAMED: Final = 6


def worth_knowing_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the slices with a size first, then those with an edge; last what nobody can trade.

    Nobody can trade a ticker without listed options, nor a horizon that ends before a trade would enter. Among equals
    the order stays as it is.

    Parameters
    ----------
    frame : rows with ticker, position_size, edge and backtest, the status of the slice's backtest.
    """
    ranks = pd.DataFrame(
        {
            "cannot_be_traded": frame["ticker"].isin(NOT_LISTED) | (frame["backtest"] == BEFORE_ENTRY),
            "has_no_size": ~(frame["position_size"].astype("float64") > 0),
            "has_no_edge": frame["edge"].isna() | (frame["edge"] == NO_EDGE),
            "ticker_is_not_listed": frame["ticker"].isin(NOT_LISTED),
        },
        index=frame.index,
    )
    return frame.loc[ranks.sort_values(list(ranks.columns), kind="stable").index].reset_index(drop=True)


def what_to_trade(frame: pd.DataFrame) -> str:
    """Return the sentence above the table: which slices have a size, or that none has.

    Parameters
    ----------
    frame : as ``worth_knowing_first`` gives it.
    """
    sized = frame[frame["position_size"].astype("float64") > 0]
    if sized.empty:
        return f"Nothing to trade: none of {len(frame)} slices has a size."
    names = [
        f"{row['ticker']} {row['horizon']} {str(row['strategy']).replace('_', ' ')}"
        for row in sized.head(_NAMED).to_dict("records")
    ]
    more = f" and {len(sized) - _NAMED} more" if len(sized) > _NAMED else ""
    return f"A size stands at {len(sized)} of {len(frame)} slices: {', '.join(names)}{more}."
