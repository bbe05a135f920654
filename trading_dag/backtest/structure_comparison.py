"""Every structure under every set of exits on one chain, side by side.

So many tries find a good-looking one by luck: each row carries the deflated Sharpe ratio that counts them all, and
the best row is no recommendation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trading_dag.backtest.chain_market import ChainMarket
from trading_dag.backtest.chain_programs import run_programs
from trading_dag.backtest.entries import entries_weekly
from trading_dag.backtest.program_summary import comparison
from trading_dag.backtest.programs import ExitRules, Program
from trading_dag.backtest.structure_programs import program_of
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures import Structure
from trading_dag.schemas import COMPARISON
from trading_dag.settings import BacktestSettings
from trading_dag.table_frames import table_frame

if TYPE_CHECKING:
    import pandas as pd

DAYS_TO_EXPIRATION: Final = 30
EXITS: Final[dict[str, ExitRules]] = {
    "expiration": ExitRules(),
    "one week": ExitRules(horizon_sessions=5),
    "half profit, 7 days": ExitRules(profit_target_fraction=0.5, days_to_expiration=7),
    "half profit, double loss, 7 days": ExitRules(
        profit_target_fraction=0.5, stop_premium_multiple=2.0, days_to_expiration=7
    ),
    "half profit, 2 % against, 7 days": ExitRules(
        profit_target_fraction=0.5, stop_underlying_fraction=0.02, days_to_expiration=7
    ),
}


@dataclass(frozen=True)
class StructureComparison:
    """What came of it.

    Attributes
    ----------
    table : ``backtests.comparison``, one row a structure and set of exits, best total first.
    left_out : structures that cannot be run on a chain, and why.
    """

    table: pd.DataFrame
    left_out: dict[str, str]


def compare_structures(
    market: ChainMarket, *, menu: Mapping[str, Structure], settings: BacktestSettings
) -> StructureComparison:
    """Run the menu with weekly entries about 30 days before expiration.

    Parameters
    ----------
    menu : structures by name.
    settings : account, deltas, fees.
    """
    programs: list[Program] = []
    keys: dict[str, tuple[str, str]] = {}
    left_out: dict[str, str] = {}
    for structure in menu.values():
        for name, rules in EXITS.items():
            try:
                program = program_of(structure, exits=rules, days_to_expiration=DAYS_TO_EXPIRATION, settings=settings)
            except ConfigurationError as reason:
                left_out[structure.name] = str(reason)
                break
            label = f"{structure.name}, {name}"
            keys[label] = (structure.name, name)
            programs.append(Program(label, structure, program.strikes, program.expiration, rules, program.account))
    found = comparison(run_programs(market, programs, entries=entries_weekly(market)))
    names = [keys[label] for label in found["program"]]
    day = market.sessions.astype("datetime64[us]")
    columns = {name: found[name] for name in found.columns if name in COMPARISON.column_names}
    table = table_frame(
        COMPARISON,
        {
            **columns,
            "ticker": market.ticker,
            "structure": np.array([structure for structure, _ in names], dtype=object),
            "exits": np.array([exits for _, exits in names], dtype=object),
            "first_session": day[0],
            "last_session": day[-1],
            "sessions": len(market),
            "programs_tried": len(programs),
        },
        rows=len(found),
    )
    return StructureComparison(table, left_out)
