"""Shared fixtures: where the real market data lies, settings on a temporary home, one stored run of the sample."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from trading_dag.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
# The same examples in every run, so that a red test is red for everybody; --hypothesis-profile=explore draws new ones.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("project")

KEYS_OF_VENDORS = ("FRED_API_KEY", "FINNHUB_API_KEY", "POLYGON_API_KEY", "TRADIER_TOKEN")
SAMPLE_TICKERS = "SPX"
SAMPLE_HORIZONS = "12h,24h,168h"


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


@dataclass(frozen=True)
class Workspace:
    """A home folder and the command line on it, with nothing of the caller's settings."""

    home: Path
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a command: the caller's without any setting of the project, then this home's."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TRADING_DAG_", "DAGSTER_")) and name not in KEYS_OF_VENDORS
        }
        return {**kept, "TRADING_DAG_HOME": str(self.home), "COLUMNS": "200", **dict(self.variables)}

    def run(self, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Run ``trading-dag`` and return what it printed."""
        command = [sys.executable, "-m", "trading_dag.cli", *arguments]
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One real run of the main job on part of the sample source, made once for every test that reads it."""
    workspace = Workspace(tmp_path_factory.mktemp("sample"))
    done = workspace.run("run", "--tickers", SAMPLE_TICKERS, "--horizons", SAMPLE_HORIZONS)
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace
