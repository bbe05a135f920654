"""The job and the schedule of the report of the day: one page a session, stored, and mailed only where that is set."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets import daily_report
from assets.daily_report import DAILY_REPORT_JOB
from resources.daily_report import DailyReport
from tests.assets.test_schedules import tick
from trading_dag.definitions import build_definitions
from trading_dag.sessions import all_sessions
from trading_dag.settings import Settings

REPORT = DailyReport(pd.Timestamp("2024-12-31"), "<p>page</p>", ("one line",))


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    sent: list[Path] = []
    monkeypatch.setattr(daily_report, "daily_report", lambda *given, **named: REPORT)
    monkeypatch.setattr(daily_report, "mail_report", lambda report, path, settings: sent.append(path) or ("me",))
    return sent


def executed(settings: Settings) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return build_definitions(settings).get_job_def(DAILY_REPORT_JOB).execute_in_process(instance=instance)


@pytest.mark.parametrize(("is_asked", "count"), [(True, 1), (False, 0)])
def test_the_job_stores_the_page_and_mails_it_where_that_is_set(
    tmp_path: Path, mailed: list[Path], is_asked: bool, count: int
) -> None:
    alerts = {"email_to": ("me@example.com",), "daily_report": is_asked}
    assert executed(Settings(_env_file=None, home=tmp_path, source="sample", alerts=alerts)).success
    assert (tmp_path / "reports" / "report-2024-12-31.html").read_text() == "<p>page</p>"
    assert len(mailed) == count


def test_mail_that_is_asked_for_and_has_no_receiver_is_said_and_the_page_is_stored(
    tmp_path: Path, mailed: list[Path]
) -> None:
    done = executed(Settings(_env_file=None, home=tmp_path, source="sample", alerts={"daily_report": True}))
    assert (tmp_path / "reports" / "report-2024-12-31.html").is_file()
    assert mailed == []
    [output] = [event.step_output_data for event in done.all_node_events if event.is_successful_output]
    assert "EMAIL_TO" in str(output.metadata["mailed"].value)


def test_the_schedule_asks_once_a_session_in_the_evening(settings: Settings) -> None:
    all_sessions()  # kept for the process: by the real clock, not by that of a tick
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        [request] = tick(definitions, instance, "daily_report", "2024-11-26 19:30").run_requests or []
        assert request.run_key == "report-2024-11-26"
        assert not tick(definitions, instance, "daily_report", "2024-11-28 19:30").run_requests  # Thanksgiving
