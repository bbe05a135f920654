"""The sample job with its data in an object store on loopback, and a process that is killed while it puts a slice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from resources.storage.objects.marker import attach
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import REPOSITORY, SAMPLE_TICKERS, Workspace
from tests.object_store import new_bucket, object_store
from tests.resources.storage.test_parquet_store import SPY, bars
from trading_dag.schemas import PRICES_DAILY, TABLES

pytest.importorskip("moto", reason="the extra dev is not installed")
pytest.importorskip("s3fs", reason="the extra scale is not installed")
pytestmark = [pytest.mark.long, pytest.mark.timeout(3_000)]
PATIENCE_SECONDS = 240.0
COMPARED = ("features", "labels", "predictions", "evaluation", "signals", "backtests")
WRITER = """
import sys
from pathlib import Path
from resources.storage.parquet_store import ParquetStore
from tests.resources.storage.test_parquet_store import SPY, bars
from trading_dag.schemas import PRICES_DAILY
ParquetStore(Path(sys.argv[1])).write(PRICES_DAILY, SPY, bars(200, close=55.0))
"""


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with object_store() as given:
        yield given


def test_the_sample_job_says_on_an_object_store_bit_for_bit_what_it_says_on_a_folder(
    variables: dict[str, str], tmp_path: Path
) -> None:
    own = Workspace(tmp_path / "own")
    own.home.mkdir()
    chosen = ("--tickers", SAMPLE_TICKERS, "--horizons", "24h")
    with new_bucket(variables) as url:
        given = (*variables.items(), ("TRADING_DAG_DATA_URL", url))
        first, second = (Workspace(tmp_path / name, given) for name in ("first", "second"))
        for workspace in (first, second):
            workspace.home.mkdir()
        for workspace in (own, first):
            done = workspace.run_process("run", *chosen, timeout=1_200)
            assert done.returncode == 0, done.stdout + done.stderr

        # Another machine, which has nothing but the address.
        attach(second.home, url)
        local, there = ParquetStore(own.home), ParquetStore(second.home)
        compared = 0
        for table in TABLES.values():
            if table.group not in COMPARED:
                continue
            assert there.slices(table) == local.slices(table), table.qualified_name
            for key in local.slices(table):
                mine, theirs = local.read(table, key), there.read(table, key)
                times = [column.name for column in table.columns if column.type == "timestamp"]
                own = [name for name in mine.columns if name not in (*times, "model_version", "version")]
                assert mine[own].equals(theirs[own]), f"{table.qualified_name} [{key}]"
                compared += 1
        assert compared > 30
        again = second.run_process("signal", "SPX", "--json", timeout=600)
        assert again.returncode == 0, again.stdout + again.stderr


def test_a_process_killed_in_the_middle_of_a_put_leaves_the_old_slice(
    variables: dict[str, str], tmp_path: Path
) -> None:
    with new_bucket(variables) as url:
        home, other = tmp_path / "home", tmp_path / "other"
        attach(home, url)
        attach(other, url)
        before = ParquetStore(home).write(PRICES_DAILY, SPY, bars(3))
        with _half_a_put(urlsplit(variables["AWS_ENDPOINT_URL"]).port or 0) as (address, is_under_way):
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(home)],
                cwd=REPOSITORY,
                env={**os.environ, "AWS_ENDPOINT_URL": address},
            )
            try:
                assert is_under_way.wait(PATIENCE_SECONDS)
            finally:
                writer.send_signal(signal.SIGKILL)
                writer.wait()
        assert writer.returncode == -signal.SIGKILL
        for store in (ParquetStore(home), ParquetStore(other)):
            assert store.provenance(PRICES_DAILY, SPY) == before
            assert len(store.read(PRICES_DAILY, SPY)) == 3
        ParquetStore(other).write(PRICES_DAILY, SPY, bars(4))
        assert len(ParquetStore(home).read(PRICES_DAILY, SPY)) == 4
        assert ParquetStore(home).slices(PRICES_DAILY) == [SliceKey("SPY")]


@contextlib.contextmanager
def _half_a_put(port: int) -> Iterator[tuple[str, threading.Event]]:
    """Yield an address that passes everything on to a port of this machine but the second half of a slice that is put,
    and what is set once the first half has arrived there."""
    is_under_way, is_over = threading.Event(), threading.Event()

    def upwards(client: socket.socket, server: socket.socket) -> None:
        head, left = b"", None
        with contextlib.suppress(OSError):
            while content := client.recv(65_536):
                if left is None:
                    head += content
                    start, found, body = head.partition(b"\r\n\r\n")
                    if not (head.startswith(b"PUT ") and b"data.parquet" in head.split(b"\r\n", 1)[0]):
                        server.sendall(content)
                        head = b"" if found else head
                        continue
                    if not found:
                        continue
                    length = next(
                        int(line.split(b":")[1])
                        for line in start.split(b"\r\n")
                        if line.lower().startswith((b"content-length:", b"x-amz-decoded-content-length:"))
                    )
                    left = length // 2
                    server.sendall(start + found)
                    content = body
                server.sendall(content[:left])
                left -= min(left, len(content))
                if left == 0:
                    is_under_way.set()
                    is_over.wait(PATIENCE_SECONDS)
                    break
        server.close()

    def downwards(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := server.recv(65_536):
                client.sendall(content)
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    server = socket.create_connection(("127.0.0.1", port))
                    for pass_on in (upwards, downwards):
                        threading.Thread(target=pass_on, args=(client, server), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", is_under_way
        is_over.set()
        listening.shutdown(socket.SHUT_RDWR)
