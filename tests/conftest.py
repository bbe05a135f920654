"""Shared fixtures: where the real market data lies, and settings on a temporary home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_dag.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real market data in the shape of the ``files`` source; skips where it is absent."""
    folder = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "prices_daily.parquet").is_file():
        pytest.skip(f"real market data is not at {folder} (set TRADING_DAG_TEST_DATA)")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the sample source whose home is a temporary folder, whatever the environment says."""
    return Settings(_env_file=None, home=tmp_path, source="sample")
