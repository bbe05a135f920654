"""What a declaration says of an asset, and what it leaves to be understood."""

from __future__ import annotations

from typing import Any

import pytest

from assets.catalog import DECLARATIONS
from assets.declare.declaration import Declaration, Fetch, Probe, Slice, table_asset
from trading_dag.schemas import BEST_HYPERPARAMETERS, PRICES_DAILY, TECHNICAL


def made(at: Slice) -> Any:
    """Never called."""


def test_a_table_that_is_computed_follows_its_inputs_and_one_that_is_fetched_waits_for_schedules_and_people() -> None:
    computed = table_asset(TECHNICAL, reads={"prices": PRICES_DAILY}, code_version="1")(made)
    fetched = table_asset(PRICES_DAILY, code_version="1", fetch=Fetch())(made)
    assert (computed.automation, computed.is_fetched, computed.is_optional) == ("eager", False, False)
    assert (fetched.automation, fetched.is_fetched, fetched.is_optional) == ("none", True, False)
    asked = table_asset(TECHNICAL, code_version="1", automation="none")(made)
    assert asked.automation == "none"


def test_what_a_fetch_would_find_is_told_where_the_source_can_tell() -> None:
    silent = table_asset(PRICES_DAILY, code_version="1", fetch=Fetch(is_optional=True))(made)
    telling = table_asset(PRICES_DAILY, code_version="1", fetch=Fetch(state_of=str))(made)
    assert silent.state_of is None
    assert silent.is_optional
    assert telling.state_of is not None
    assert telling.state_of(7) == "7"


def test_only_a_table_that_is_probed_has_a_check_for_look_ahead() -> None:
    probed = table_asset(TECHNICAL, code_version="1", probe=Probe({"prices": "session"}))(made)
    assert "no_lookahead" in probed.checks(TECHNICAL)
    assert "no_lookahead" not in table_asset(TECHNICAL, code_version="1")(made).checks(TECHNICAL)


@pytest.mark.parametrize("declaration", [one for one in DECLARATIONS if one.probe], ids=lambda one: str(one.name))
def test_what_is_probed_is_read(declaration: Declaration) -> None:
    assert declaration.probe is not None
    assert set(declaration.probe.times) <= set(declaration.reads)
    assert set(declaration.probe.late_values) <= set(declaration.probe.times)


def test_new_data_alone_make_no_model_and_no_search_stale() -> None:
    models = {entry.name for entry in DECLARATIONS if entry.is_model}
    assert {entry.name for entry in DECLARATIONS if entry.refits_only} == {*models, "hyperparameters"}


def test_a_model_is_stale_with_the_searches_only_where_one_is_in_use() -> None:
    readers = {
        (entry.name, parameter)
        for entry in DECLARATIONS
        for parameter, read in entry.reads.items()
        if not read.passes_on_empty
    }
    assert readers == {
        (entry.name, parameter)
        for entry in DECLARATIONS
        for parameter, read in entry.reads.items()
        if read.table is BEST_HYPERPARAMETERS
    }
    assert ("direction_classifier", "tuned") in readers
