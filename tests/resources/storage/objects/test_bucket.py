"""Objects: read with their version, replaced only if still as seen, and missing only where somebody says so."""

from __future__ import annotations

import socket

import pytest

from resources.storage.objects import bucket as bucket_module
from resources.storage.objects.bucket import Bucket
from trading_dag.errors import ObjectStoreError, SliceBusyError
from trading_dag.settings import Settings

NAME = "data/raw/prices_daily/ticker=SPY/data.parquet"


@pytest.fixture
def bucket(bucket_url: str) -> Bucket:
    return Bucket(bucket_url)


def test_an_object_is_read_back_with_the_version_it_was_put_under(bucket: Bucket) -> None:
    assert (bucket.version(NAME), bucket.read(NAME), bucket.versions("data")) == (None, None, {})
    version = bucket.replace(NAME, b"bars", seen=None)
    assert bucket.read(NAME) == (b"bars", version)
    assert bucket.versions("data") == {NAME: version}
    assert bucket.version(NAME) == version


def test_objects_of_another_folder_that_begins_alike_are_not_listed(bucket: Bucket) -> None:
    bucket.replace("data2/other", b"", seen=None)
    bucket.replace("data/", b"", seen=None)  # as some tools mark a folder
    assert bucket.versions("data") == {}


def test_more_objects_than_one_answer_lists_are_all_listed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "LISTED_AT_ONCE", 2)
    stored = {f"models/{number}": bucket.replace(f"models/{number}", b"", seen=None) for number in range(5)}
    assert bucket.versions("models") == stored


@pytest.mark.parametrize("seen", [None, '"0123456789abcdef0123456789abcdef"'])
def test_an_object_that_is_not_as_seen_is_not_replaced(bucket: Bucket, seen: str | None) -> None:
    first = bucket.replace(NAME, b"of this machine", seen=None)
    with pytest.raises(SliceBusyError, match=r"ticker=SPY/data.parquet was written from elsewhere"):
        bucket.replace(NAME, b"of another one", seen=seen)
    assert bucket.read(NAME) == (b"of this machine", first)


def test_an_object_that_was_removed_since_it_was_seen_is_not_replaced(bucket: Bucket) -> None:
    first = bucket.replace(NAME, b"bars", seen=None)
    bucket.remove(NAME)
    with pytest.raises(SliceBusyError):
        bucket.replace(NAME, b"more bars", seen=first)
    assert bucket.version(NAME) is None


def test_a_put_whose_answer_was_lost_counts_when_it_is_tried_again(bucket: Bucket) -> None:
    first = bucket.replace(NAME, b"bars", seen=None)
    assert bucket.replace(NAME, b"bars", seen=None) == first


def test_an_object_is_no_missing_one_where_the_bucket_is_gone_or_nobody_answers(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Bucket("s3://no-such-bucket/desk")
    for ask in (gone.version, gone.read, gone.versions, lambda name: gone.replace(name, b"", seen=None)):
        with pytest.raises(ObjectStoreError, match="bucket does not exist"):
            ask(NAME)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{probe.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        type(bucket._files).clear_instance_cache()
        monkeypatch.setattr(type(bucket._files), "retries", 1)
        with pytest.raises(ObjectStoreError, match="Could not connect"):
            bucket.version(NAME)


@pytest.mark.parametrize(
    "url", ["s3://UPPER/x", "s3://key:secret@bucket/x", "s3://bucket/x/", "s3://bucket/../x", "gs://bucket", "/tmp/x",
            "s3://bucket/x?endpoint=y", "s3://b", "s3://bucket//x"],
)  # fmt: skip
def test_an_address_that_is_no_bucket_with_a_prefix_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected s3://bucket"):
        Settings(data_url=url)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://my.bucket-1/desk", "s3://bucket/desk/of_2026.v1"])
def test_a_bucket_with_or_without_a_prefix_is_an_address(url: str) -> None:
    assert Settings(data_url=url).data_url == url
