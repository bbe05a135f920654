"""The latest recommendations as a trader reads them: a table of what, and below it sentences of why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trading_dag.reporting.evidence_text import evidence_in_words
from trading_dag.reporting.tables import signal_table
from trading_dag.reporting.visible_text import visible

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group

_EVIDENCE_OF_ONE: Final = "What each model has shown so far: trading-dag signal {ticker} --horizons {horizon}"


def signal_report(frame: pd.DataFrame) -> Group:
    """Return the table of the recommendations and, below it, the sentence of each.

    Of one ticker and horizon alone, also what each model that it rests on has gained; of more, how to see that.

    Parameters
    ----------
    frame : rows of ``SIGNAL_SQL``, at least one.
    """
    from rich.console import Group
    from rich.text import Text

    rows = frame.to_dict("records")
    is_one = len(frame[["ticker", "horizon"]].drop_duplicates()) == 1
    lines = []
    for row in rows:
        lines.append(f"{_name(row)}: {visible(row['reasoning'])}")
        if is_one:
            lines += [f"  {visible(line)}" for line in evidence_in_words(row["evidence"])]
    if not is_one:
        lines.append(_EVIDENCE_OF_ONE.format(ticker=rows[0]["ticker"], horizon=rows[0]["horizon"]))
    return Group(signal_table(frame), Text("\n".join(lines)))


def _name(row: dict[Any, Any]) -> str:
    rule = "" if row["is_served"] else f", {str(row['rule']).replace('_', ' ')}"
    return f"{row['ticker']} {row['horizon']}{rule}"
