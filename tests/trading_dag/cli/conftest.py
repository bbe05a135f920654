"""A command sets variables for the processes that it starts; here commands run in the process of the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Put the environment back, so that no later test starts a process that finds no module in its folder."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
