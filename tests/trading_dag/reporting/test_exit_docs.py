"""docs/exits.md and ``--help`` say of every exit what its definition says."""

from __future__ import annotations

from pathlib import Path

from trading_dag.backtest.plans.exit_rules import EXIT_DEFINITIONS, exit_help
from trading_dag.reporting.exit_docs import exit_reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exits.md"


def test_the_page_in_the_repository_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == exit_reference(), "run make docs"


def test_the_page_and_the_help_hold_word_and_meaning_of_every_exit() -> None:
    for definition in EXIT_DEFINITIONS.values():
        assert f"| `{definition.word}` |" in exit_reference()
        assert f"{definition.word}={definition.example:g} ({definition.meaning})" in exit_help()


def test_no_meaning_breaks_the_table_it_stands_in() -> None:
    assert [definition.word for definition in EXIT_DEFINITIONS.values() if "|" in definition.meaning] == []
