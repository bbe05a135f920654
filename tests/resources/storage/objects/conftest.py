"""One object store for all tests here, a bucket for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.object_store import new_bucket, object_store


@pytest.fixture(scope="session")
def store_variables() -> Iterator[dict[str, str]]:
    pytest.importorskip("moto", reason="the extra dev is not installed")
    pytest.importorskip("s3fs", reason="the extra scale is not installed")
    with object_store() as variables:
        yield variables


@pytest.fixture
def bucket_url(store_variables: dict[str, str]) -> Iterator[str]:
    with new_bucket(store_variables) as url:
        yield url
