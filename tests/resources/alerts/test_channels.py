"""Mail and Slack against real servers on this machine: what arrives, what hostile texts become, what failures say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from resources.alerts import channels
from resources.alerts.channels import channels_of
from tests.resources.alerts.loopback import Mailbox, Webhook, mail_server, slack_webhook
from trading_dag.alert_settings import AlertSettings
from trading_dag.errors import AlertNotSentError
from trading_dag.settings import Settings

HOSTILE = "SPY\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script> <!channel> <http://evil.example|here> *b*"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with slack_webhook() as hook:
        yield hook


def settings_of(tmp_path: Path, *, mailbox: Mailbox | None = None, webhook: Webhook | None = None) -> Settings:
    alerts = {}
    if mailbox is not None:
        alerts |= {"email_to": ("trader@example.com",), "email_from": "dag@example.com", "smtp_host": "127.0.0.1",
                   "smtp_port": mailbox.port, "smtp_security": "none"}  # fmt: skip
    if webhook is not None:
        alerts |= {"slack_webhook": webhook.url}
    return Settings(_env_file=None, home=tmp_path, alerts=alerts)


def test_a_mail_arrives_as_plain_text_from_and_to_whom_the_settings_say(tmp_path: Path, mailbox: Mailbox) -> None:
    [channel] = channels_of(settings_of(tmp_path, mailbox=mailbox))

    channel.send("Signals of 2026-11-30: 2 of 18 with a position – ready", "first line\nsecond line")

    assert mailbox.subjects == ["[trading-dag] Signals of 2026-11-30: 2 of 18 with a position – ready"]
    assert mailbox.mails[0].get_content_type() == "text/plain"
    assert mailbox.body().splitlines() == ["first line", "second line"]
    assert "dag@example.com" in mailbox.mails[0]["From"]
    assert mailbox.receivers == [["trader@example.com"]]


def test_a_message_to_slack_has_the_shape_that_slack_takes(tmp_path: Path, webhook: Webhook) -> None:
    [channel] = channels_of(settings_of(tmp_path, webhook=webhook))

    channel.send("Prices of SPY are 1 session old", "one\ntwo")

    [message] = webhook.taken
    assert webhook.paths == ["/services/T0CANARY/B0CANARY/secretcanary0webhook"]
    assert message["mrkdwn"] is False
    assert message["attachments"][0]["title"] == "[trading-dag] Prices of SPY are 1 session old"
    assert message["attachments"][0]["text"] == "one\ntwo"


def test_no_line_of_a_title_becomes_a_header(tmp_path: Path, mailbox: Mailbox) -> None:
    from trading_dag.alerts.cause import Cause

    [channel] = channels_of(settings_of(tmp_path, mailbox=mailbox))
    cause = Cause("run_failed", "x", HOSTILE, (HOSTILE,))

    channel.send(cause.title, "\n".join(cause.lines))

    assert mailbox.mails[0]["Bcc"] is None
    assert mailbox.receivers == [["trader@example.com"]]
    assert len(mailbox.subjects[0].splitlines()) == 1


def test_markup_of_others_reaches_slack_as_letters(tmp_path: Path, webhook: Webhook) -> None:
    [channel] = channels_of(settings_of(tmp_path, webhook=webhook))

    channel.send(HOSTILE, HOSTILE)

    told = webhook.taken[0]["attachments"][0]
    for text in (told["title"], told["text"]):
        assert "<" not in text
        assert "&lt;!channel&gt;" in text


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_an_answer_that_is_no_success_is_a_failure_that_names_no_secret(
    tmp_path: Path, webhook: Webhook, status: int
) -> None:
    [channel] = channels_of(settings_of(tmp_path, webhook=webhook))
    webhook.statuses = [status]

    with pytest.raises(AlertNotSentError) as failure:
        channel.send("t", "b")

    assert str(status) in str(failure.value)
    assert "canary" not in str(failure.value).lower()
    assert len(webhook.paths) == 1  # no answer leads elsewhere, and nothing is repeated here


def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_SECONDS", 0.2)
    [channel] = channels_of(settings_of(tmp_path, webhook=webhook))
    webhook.statuses = [0]

    with pytest.raises(AlertNotSentError, match="slack"):
        channel.send("t", "b")


def test_a_mail_that_is_refused_is_a_failure(tmp_path: Path, mailbox: Mailbox) -> None:
    [channel] = channels_of(settings_of(tmp_path, mailbox=mailbox))
    mailbox.refusals = ["451 try again later"]

    with pytest.raises(AlertNotSentError, match="email"):
        channel.send("t", "b")
    channel.send("t", "b")

    assert len(mailbox.mails) == 1


def test_not_even_the_finest_log_holds_the_address_of_the_webhook(
    tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    [channel] = channels_of(settings_of(tmp_path, webhook=webhook))
    with caplog.at_level(logging.DEBUG):
        for name in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        channel.send("t", "b")
    for name in ("apprise", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.NOTSET)

    assert "canary" not in caplog.text.lower()
    assert "canary" not in repr(channel).lower()


@pytest.mark.parametrize(
    "given",
    [
        {"email_to": ("a@example.com\r\nBcc: b@example.com",)},
        {"email_to": ("Name <a@example.com>",)},
        {"email_from": "nobody"},
        {"smtp_host": "mail.example.com:25"},
        {"smtp_host": "mail.example.com", "smtp_security": "none"},
        {"smtp_password": "canary-password"},
        {"slack_webhook": "http://hooks.slack.com/services/T/B/canary"},
        {"slack_webhook": "https://hooks.slack.com/services/T/B/canary?x=1"},
        {"slack_webhook": "https://hooks.slack.com/canary"},
        {"slack_webhook": "https://user@hooks.slack.com/services/T/B/canary"},
        {"ui_url": "javascript:canary"},
    ],
)
def test_settings_that_cannot_be_are_refused_without_repeating_them(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, alerts=given)

    assert "canary" not in str(refused.value)


def test_secrets_of_the_settings_are_not_in_their_text() -> None:
    settings = AlertSettings(
        slack_webhook="https://hooks.slack.com/services/T/B/canary", smtp_user="u", smtp_password="canary"
    )

    assert "canary" not in f"{settings!r}{settings}{settings.model_dump_json()}"
