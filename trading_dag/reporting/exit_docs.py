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
        "line; `assignment` and `expiration` ask nobody ([methodology.md](methodology.md)).\n"
    )


if __name__ == "__main__":
    sys.stdout.write(exit_reference())
