"""``trading-dag dashboard`` refuses what would not work or would open the door to anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_dag.cli import dashboard_command
from trading_dag.cli.dashboard_command import dashboard
from trading_dag.errors import ConfigurationError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "TRADING_DAG_STATE", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TRADING_DAG_HOME", str(tmp_path))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "desk.lan"])
def test_other_machines_are_let_in_with_a_password_only(host: str) -> None:
    with pytest.raises(ConfigurationError, match="TRADING_DAG_DASHBOARD_PASSWORD"):
        dashboard(port=8501, host=host, source="sample")


def test_without_the_extra_it_says_what_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_command, "NEEDED", ("no_such_library",))
    with pytest.raises(ConfigurationError, match="no_such_library, which are not installed: make dashboard"):
        dashboard()


def test_loopback_is_this_machine_alone() -> None:
    assert all(map(dashboard_command._is_loopback, ("127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.5")))
