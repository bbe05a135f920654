"""The page of model families: every family stands on it, and it is what it is made of."""

from __future__ import annotations

from assets.catalog import DECLARATIONS
from tests.conftest import REPOSITORY
from trading_dag.reporting.model_families import FAMILIES, page


def test_every_family_is_described_and_no_other() -> None:
    assert set(FAMILIES) == {declaration.name for declaration in DECLARATIONS if declaration.is_model}


def test_the_page_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8") == page()


def test_a_family_says_that_its_versions_are_not_compared_where_they_are_not() -> None:
    for declaration in DECLARATIONS:
        if declaration.is_model:
            is_told = "Versions are not compared" in FAMILIES[declaration.name].limits
            assert is_told == (declaration.forecasts is None), declaration.name
