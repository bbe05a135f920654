"""The page docs/exits.md: every rule that leaves a position, from its definition.

``python -m trading_dag.reporting.exit_docs`` writes it to standard output.
"""

from __future__ import annotations

import sys
from typing import Final

from trading_dag.backtest.plans.exit_rules import EXIT_DEFINITIONS, EXIT_ORDER

_HEAD: Final = """\
# Exits

Written from `trading_dag/backtest/plans/exit_rules.py` by `make docs`; do not edit by hand.

`trading-dag backtest --structure … --exit WORD=NUMBER` leaves a position at the first quote on which one of its rules
holds and every leg can be closed. Without a rule it is held to expiration.

| `--exit` | example | takes | meaning | reason in the trades |
|---|---|---|---|---|
"""


def exit_reference() -> str:
    """Return the text of docs/exits.md."""
    rows = "\n".join(
        f"| `{rule.word}` | `{rule.word}={rule.example:g}` | {rule.takes} | {rule.meaning} | `{rule.reason}` |"
        for rule in EXIT_DEFINITIONS.values()
    )
    order = ", ".join(f"`{reason}`" for reason in EXIT_ORDER)
    return (
        f"{_HEAD}{rows}\n\nWhere several hold on one quote, the first of these is the reason:\n{order}.\n"
        "`signal_flip` is a switch of `ExitRules` for code that brings its own signals and has no word on the command\n"
        "line; `assignment` and `expiration` ask nobody ([methodology.md](methodology.md)).\n\n"
        "The backtest of the signals reads the same words from the settings,\n"
        '`TRADING_DAG_BACKTEST__EXITS=\'{"stop_underlying": 0.02, "profit_target": 0.5}\'`, and the switch from\n'
        "`TRADING_DAG_BACKTEST__EXIT_ON_SIGNAL_FLIP`. It asks its rules at every open and every close of the modelled\n"
        "surface; the horizon of a signal is always the latest exit and the default alone.\n"
    )


if __name__ == "__main__":
    sys.stdout.write(exit_reference())
