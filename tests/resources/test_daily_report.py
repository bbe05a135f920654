"""The report of the day: made of what is stored, kept under its session, and mailed with the page attached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from resources.daily_report import DailyReport, daily_report, keep_report, mail_report
from resources.storage.parquet_store import ParquetStore
from tests.resources.alerts.loopback import Mailbox, mail_server
from tests.resources.alerts.test_channels import settings_of
from trading_dag.alert_settings import AlertSettings
from trading_dag.errors import AlertNotSentError, ConfigurationError

NOW = pd.Timestamp("2025-01-02 12:00", tz="UTC")
REPORT = DailyReport(
    pd.Timestamp("2024-12-31"), "<!doctype html><p>the page é</p>", ("Nothing to trade: none of 6 slices has a size.",
                                                                     "SPY 24h: no better than usual.")
)  # fmt: skip


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


def test_an_empty_home_has_no_report(tmp_path: Path) -> None:
    made = daily_report(ParquetStore(tmp_path), tickers=("SPY",), horizons=("24h",), now=NOW, settings=AlertSettings())
    assert made is None


def test_a_report_is_kept_under_its_session_and_a_later_one_takes_its_place(tmp_path: Path) -> None:
    path = keep_report(tmp_path, REPORT)
    assert path == tmp_path / "reports" / "report-2024-12-31.html"
    keep_report(tmp_path, DailyReport(REPORT.session, "<p>later</p>", ()))
    assert path.read_text() == "<p>later</p>"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_mailed_report_says_the_day_in_text_and_has_the_page_with_it(tmp_path: Path, mailbox: Mailbox) -> None:
    settings = settings_of(tmp_path, mailbox=mailbox)
    path = keep_report(tmp_path, REPORT)

    assert mail_report(REPORT, path, settings) == ("trader@example.com",)

    assert mailbox.subjects == ["[trading-dag] Report of 2024-12-31"]
    parts = {part.get_content_type(): part for part in mailbox.mails[0].walk() if not part.is_multipart()}
    assert parts["text/plain"].get_payload(decode=True).decode().splitlines() == list(REPORT.lines)
    [page] = [part for part in mailbox.mails[0].walk() if part.get_filename()]
    assert page.get_filename() == path.name
    assert page.get_payload(decode=True) == path.read_bytes()


def test_a_mail_that_is_not_taken_is_told(tmp_path: Path, mailbox: Mailbox) -> None:
    mailbox.refusals = ["452 full"] * 3
    with pytest.raises(AlertNotSentError, match="email"):
        mail_report(REPORT, keep_report(tmp_path, REPORT), settings_of(tmp_path, mailbox=mailbox))


def test_without_a_receiver_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_TO"):
        mail_report(REPORT, keep_report(tmp_path, REPORT), settings_of(tmp_path))
