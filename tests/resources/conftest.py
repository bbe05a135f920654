"""One loopback vendor for all tests of a file; what a test did to it is mended after it.

A file that needs another one overrides ``shared_vendor``; one whose tests change more extends ``vendor``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.resources.loopback.server import LoopbackVendor


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30) as running:
        yield running


@pytest.fixture
def vendor(shared_vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    shared_vendor.requests.clear()
    yield shared_vendor
    shared_vendor.heal()
