"""The comparison is each program run by itself, and says what it left out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trading_dag.backtest.program_chains import fair_chain, small_market
from trading_dag.backtest.chain_programs import run_program
from trading_dag.backtest.entries import entries_weekly
from trading_dag.backtest.program_summary import summarize
from trading_dag.backtest.structure_comparison import DAYS_TO_EXPIRATION, EXITS, compare_structures
from trading_dag.backtest.structure_programs import program_of
from trading_dag.options.structures import STRUCTURES, structure_of
from trading_dag.settings import BacktestSettings

SETTINGS = BacktestSettings(risk_fraction=0.2)


@pytest.fixture(scope="module")
def market():
    spots = 100.0 + np.cumsum(np.random.default_rng(5).normal(0.0, 0.7, 60))
    return small_market(fair_chain(spots, lives=35))


def test_every_structure_that_a_chain_can_show_has_a_row_for_every_exit(market) -> None:
    found = compare_structures(market, menu=STRUCTURES, settings=SETTINGS)
    kept = set(STRUCTURES) - set(found.left_out)
    assert set(found.left_out) == {"calendar", "put_calendar"}
    assert len(found.table) == len(kept) * len(EXITS)
    assert set(found.table["structure"]) == kept
    assert (found.table["programs_tried"] == len(found.table)).all()
    assert found.table["total_pnl_usd"].is_monotonic_decreasing


@pytest.mark.parametrize("name", ["bull_put_spread", "long_straddle"])
def test_a_row_is_the_program_run_by_itself(market, name: str) -> None:
    table = compare_structures(market, menu=STRUCTURES, settings=SETTINGS).table
    for exits, rules in EXITS.items():
        program = program_of(
            structure_of(name), exits=rules, days_to_expiration=DAYS_TO_EXPIRATION,
            settings=SETTINGS,
        )  # fmt: skip
        alone = summarize(run_program(market, program, entries=entries_weekly(market)))
        row = table[(table["structure"] == name) & (table["exits"] == exits)].iloc[0]
        assert row["trades"] == alone.closed
        assert row["total_pnl_usd"] == pytest.approx(alone.total_usd)
        assert row["fees_usd"] == pytest.approx(alone.fees_usd)


def test_a_later_session_changes_no_earlier_entry() -> None:
    """Widths are shares of the price at each entry, not of a price of the whole period."""
    spots = 100.0 + np.cumsum(np.random.default_rng(7).normal(0.3, 0.8, 60))
    program = program_of(
        structure_of("iron_butterfly"), exits=EXITS["one week"], days_to_expiration=21, settings=SETTINGS
    )
    trades = []
    for sessions in (30, 60):
        market = small_market(fair_chain(spots[:sessions], lives=35))
        found = run_program(market, program, entries=entries_weekly(market)).trades()
        trades.append(found[found["entry_session"] < "2024-02-01"][["entry_session", "strikes"]].astype(str))
    assert len(trades[0]) >= 4
    assert trades[0].equals(trades[1])
