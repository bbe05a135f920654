"""docs/tables.md is written from the schemas and up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_dag.reporting.table_docs import TABLES_DOCUMENT, main, render_tables
from trading_dag.schemas import TABLES


def test_the_document_in_the_repository_is_up_to_date() -> None:
    assert TABLES_DOCUMENT.read_text(encoding="utf-8") == render_tables(), (
        "run python -m trading_dag.reporting.table_docs"
    )


def test_every_column_of_every_table_has_a_row() -> None:
    sections = render_tables().split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections] == list(TABLES)
    for section, table in zip(sections, TABLES.values(), strict=True):
        listed = [line.split(" | ")[0].strip("| *") for line in section.split("\n") if line.startswith("| ")][1:]
        assert listed == list(table.column_names)


def test_check_writes_nothing_and_fails_on_an_old_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "docs" / "tables.md"
    assert main(["--check", "--path", str(document)]) == 1
    assert not document.exists()
    assert main(["--path", str(document)]) == 0
    assert main(["--check", "--path", str(document)]) == 0
    document.write_text("old", encoding="utf-8")
    assert main(["--check", "--path", str(document)]) == 1
    assert "out of date" in capsys.readouterr().err
