"""``trading-dag accept`` on a folder of the user's: what it keeps, what it says, and what it refuses to keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Workspace
from tests.trading_dag.quality.test_price_defects import ROW, SESSIONS, made_up_bars

DAY = f"{SESSIONS[ROW]:%Y-%m-%d}"
QUIET_DAY = f"{SESSIONS[ROW + 50]:%Y-%m-%d}"
CROSSED_DAY = f"{SESSIONS[ROW + 90]:%Y-%m-%d}"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder, home = tmp_path / "files", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    bars = made_up_bars("SPY").drop(columns=["split_factor", "dividend"])
    bars.loc[ROW, "low"] *= 0.85
    bars.loc[ROW + 90, ["high", "low"]] = bars.loc[ROW + 90, ["low", "high"]].to_numpy()
    bars.to_csv(folder / "prices_daily.csv", index=False)
    return Workspace(home, (("TRADING_DAG_SOURCE", "files"), ("TRADING_DAG_FILES", str(folder))))


def accepted(workspace: Workspace) -> list[dict[str, object]]:
    path = workspace.home / "data" / "accepted_bars.json"
    return json.loads(path.read_text()) if path.exists() else []  # type: ignore[no-any-return]


def test_a_refused_bar_is_accepted_with_its_reason_listed_by_doctor_and_withdrawn(workspace: Workspace) -> None:
    done = workspace.run("accept", "SPY", DAY, "--reason", "exchange tape [/i]", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rules"] == ["no_reverting_spikes"]
    [entry] = accepted(workspace)
    assert (entry["ticker"], entry["session"], entry["reason"]) == ("SPY", DAY, "exchange tape [/i]")

    listed = workspace.run("doctor")
    assert f"accepted bar: SPY {DAY}: exchange tape [/i]" in listed.stdout

    back = workspace.run("accept", "SPY", DAY, "--withdraw")
    assert (back.returncode, accepted(workspace)) == (0, [])
    assert "no longer accepted" in back.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("SPY", DAY), "--reason is needed"),
        (("SPY", DAY, "--reason", "  "), "--reason is needed"),
        (("SPY", DAY, "--reason", "a\x1b[31mb"), "--reason is needed"),
        (("SPY", DAY, "--reason", "x" * 301), "at most 300 characters"),
        (("SPY", QUIET_DAY, "--reason", "why not"), "breaks no rule"),
        (("SPY", CROSSED_DAY, "--reason", "I insist"), "only high_low_consistent, which nobody can accept"),
        (("SPY", "2016-01-02", "--reason", "a Saturday"), "has no bar of SPY on 2016-01-02"),
        (("SPY", "2099-01-02", "--reason", "the future"), "has no bar of SPY on 2099-01-02"),
        (("../x", DAY, "--reason", "a path"), "../x"),
        (("ZZZZ", DAY, "--reason", "a stranger"), "ZZZZ"),
        (("SPY", DAY, "--withdraw"), "no bar of SPY"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_accepted_is_bad_usage_and_keeps_nothing(
    workspace: Workspace, arguments: tuple[str, ...], words: str
) -> None:
    done = workspace.run("accept", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert accepted(workspace) == []


def test_a_session_that_is_no_date_is_bad_usage(workspace: Workspace) -> None:
    assert workspace.run("accept", "SPY", "6 May", "--reason", "x").returncode == 2
