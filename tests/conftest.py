"""Shared fixtures: where the real market data lies, settings on a temporary home, one stored run of the sample."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import hypothesis
import pytest
from filelock import FileLock

from trading_dag.cli import main
from trading_dag.setting_groups import (
    BootstrapSettings,
    DeepSettings,
    PriceStackSettings,
    WalkForwardSettings,
)
from trading_dag.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
# The same examples in every run, so that a red test is red for everybody; `make test-all` draws more of them, and
# --hypothesis-profile=explore new ones. No clock decides: drawing is slow on a busy machine.
UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("project", UNTIMED, max_examples=40, derandomize=True)
hypothesis.settings.register_profile("thorough", UNTIMED, max_examples=200, derandomize=True)
hypothesis.settings.register_profile("explore", UNTIMED, max_examples=1_000)
hypothesis.settings.load_profile("project")

KEYS_OF_VENDORS = ("FRED_API_KEY", "FINNHUB_API_KEY", "POLYGON_API_KEY", "TRADIER_TOKEN")
SETTINGS_OF_TESTS = ("TRADING_DAG_TEST_DATA", "TRADING_DAG_TEST_AXE", "TRADING_DAG_KILLS", "TRADING_DAG_ACCEPT_GRAPH")
# What a command sets in its own environment.
SET_BY_COMMANDS = ("TRADING_DAG_STATE", "DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "PYTHONSAFEPATH")
# What models cost most and tests of the whole job do not look at: networks take minutes a ticker, and each fold is
# fitted by itself. Tests of the models themselves have settings of their own.
QUICK_GROUPS = {
    "deep": DeepSettings(enabled=False),
    "price_stack": PriceStackSettings(trees=5, stack_folds=2),
    "walk_forward": WalkForwardSettings(folds=3),
    "bootstrap": BootstrapSettings(draws=200),
}
QUICK = {
    "TRADING_DAG_DEEP__ENABLED": "false",
    "TRADING_DAG_PRICE_STACK__TREES": "5",
    "TRADING_DAG_PRICE_STACK__STACK_FOLDS": "2",
    "TRADING_DAG_WALK_FORWARD__FOLDS": "3",
    "TRADING_DAG_BOOTSTRAP__DRAWS": "200",
}
SAMPLE_TICKERS = "SPX"
SAMPLE_HORIZONS = "12h,24h,168h"


def is_setting(name: str) -> bool:
    """Whether an environment variable says how the project, or Dagster, is to work."""
    return name.startswith(("TRADING_DAG_", "DAGSTER_")) or name in KEYS_OF_VENDORS


# How whoever runs the tests has set the project up is not what they test.
for variable in filter(is_setting, list(os.environ)):
    if variable not in SETTINGS_OF_TESTS:
        del os.environ[variable]
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"  # it makes folders in the user's home


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real market data in the shape of the ``files`` source; skips where it is absent."""
    folder = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "prices_daily.parquet").is_file():
        pytest.skip(f"real market data is not at {folder} (set TRADING_DAG_TEST_DATA)")
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of the test's own, in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


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
        kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
        return {**kept, **QUICK, "TRADING_DAG_HOME": str(self.home), "COLUMNS": "200", **dict(self.variables)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``trading-dag`` within this process, and what it printed.

        The workers' server is then started, and imports everything, once for all tests of a process instead of once
        for each command. What a process has of its own (signals, its end, its start) wants `run_process`.
        """
        printed, complained = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(complained):
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            for name in SET_BY_COMMANDS:
                patch.setenv(name, "")  # so that it is as before afterwards
                del os.environ[name]
            patch.chdir(self.home)
            patch.setattr(sys, "argv", ["trading-dag", *arguments])
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return subprocess.CompletedProcess(sys.argv, code, printed.getvalue(), complained.getvalue())

    def run_process(self, *arguments: str, timeout: float = 1_100) -> subprocess.CompletedProcess[str]:
        """``trading-dag`` in a process of its own, and what it printed."""
        command = [sys.executable, "-m", "trading_dag.cli", *arguments]
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One real run of the main job on part of the sample source, for every test that reads it.

    It is made once, and each of the processes that tests run in has a copy of its own: its tests run commands on it.
    """
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # pytest-xdist gives each worker a folder in it
    original, is_made = Workspace(common / "sample_run"), common / "sample_run.made"
    with FileLock(common / "sample_run.lock"):
        if not is_made.exists():
            original.home.mkdir(exist_ok=True)
            done = original.run_process("run", "--tickers", SAMPLE_TICKERS, "--horizons", SAMPLE_HORIZONS)
            assert done.returncode == 0, done.stdout + done.stderr
            is_made.touch()
    copy = tmp_path_factory.mktemp("sample") / "home"
    shutil.copytree(original.home, copy, ignore=shutil.ignore_patterns("warehouse.duckdb"))  # its views name the home
    return Workspace(copy)
