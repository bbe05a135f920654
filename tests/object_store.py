"""An object store on loopback that speaks S3, with one bucket. What is asked of it is counted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """Yield the variables by which AWS's clients find the store, which lives in a thread of this process."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "loopback",
            "AWS_SECRET_ACCESS_KEY": "loopback",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


@contextmanager
def new_bucket(variables: dict[str, str]) -> Iterator[str]:
    """Yield the address of an empty bucket that this process may use."""
    import s3fs

    name = f"trading-{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patched:
        for variable, value in variables.items():
            patched.setenv(variable, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem(use_listings_cache=False).call_s3("create_bucket", Bucket=name)
        yield f"s3://{name}/desk"
        s3fs.S3FileSystem.clear_instance_cache()
