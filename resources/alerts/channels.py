"""The channels of alerts: mail and Slack, by apprise. Behind one small protocol, so that another library can take its
place.

apprise says only whether it worked and logs why, so its warnings are what a failure is told with. At its finest level
it logs addresses with their keys; that level is not heard here.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from resources.masking import secrets_of, without_secrets
from trading_dag.errors import AlertNotSentError

if TYPE_CHECKING:
    from pathlib import Path

    from trading_dag.settings import Settings

EMAIL: Final = "email"
SLACK: Final = "slack"
PREFIX: Final = "[trading-dag] "
TIMEOUT_SECONDS: Final = 15.0
_SLACK_HOST: Final = "hooks.slack.com"
# What these log at their finest level holds the addresses that are asked, keys and all.
_TALKATIVE: Final = ("apprise", "urllib3.connectionpool", "requests")


class Channel(Protocol):
    """Describes a way to tell a person something."""

    @property
    def name(self) -> str:
        """Return the name by which the book knows the channel."""

    def send(self, title: str, body: str) -> None:
        """Send one message of plain text.

        Raises
        ------
        AlertNotSentError : where it was not taken. It names the reason, and no secret.
        """


class AppriseChannel:
    """Sends by one service of apprise.

    Parameters
    ----------
    name : of the channel.
    service : an instance of one of apprise's plugins.
    secrets : what must not stand in any reason.
    """

    def __init__(self, name: str, service: Any, *, secrets: tuple[str, ...]) -> None:
        self._name = name
        self._service = service
        self._secrets = secrets

    def __repr__(self) -> str:
        return f"AppriseChannel({self._name})"

    @property
    def name(self) -> str:
        """Return the name by which the book knows the channel."""
        return self._name

    def send(self, title: str, body: str, *, attachment: Path | None = None) -> None:
        """Send one message of plain text; markup in it stays text.

        Parameters
        ----------
        attachment : a file that goes with it, where the service takes files.

        Raises
        ------
        AlertNotSentError : where it was not taken.
        """
        import apprise

        heard = _Warnings()
        with _only_warnings(heard):
            sender = apprise.Apprise(asset=self._service.asset)
            sender.add(self._service)
            said = body or title  # apprise sends no empty body
            is_taken = bool(
                sender.notify(
                    title=f"{PREFIX}{title}", body=said, body_format=apprise.NotifyFormat.TEXT,
                    attach=None if attachment is None else str(attachment),
                )
            )  # fmt: skip
        if not is_taken:
            reason = "; ".join(dict.fromkeys(heard.said)) or "it was not taken, and nothing was said why"
            raise AlertNotSentError(f"{self._name}: {without_secrets(reason, self._secrets)}") from None


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """Return the channels whose addresses the settings give."""
    alerts, channels = settings.alerts, []
    if alerts.email_to:
        channels.append(mail_channel(settings))
    if alerts.slack_webhook is not None:
        channels.append(AppriseChannel(SLACK, _slack(settings), secrets=_secrets(settings)))
    return tuple(channels)


def mail_channel(settings: Settings) -> AppriseChannel:
    """Return the channel of mail, which takes files too; the settings say to whom."""
    return AppriseChannel(EMAIL, _mail(settings), secrets=_secrets(settings))


def _secrets(settings: Settings) -> tuple[str, ...]:
    return (*secrets_of(settings), *_parts_of_webhook(settings))


def channel_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the channels whose addresses the settings give, without loading what sends by them."""
    alerts = settings.alerts
    return (*((EMAIL,) if alerts.email_to else ()), *((SLACK,) if alerts.slack_webhook is not None else ()))


def _mail(settings: Settings) -> Any:
    with warnings.catch_warnings():
        # apprise 2.3 asks for imghdr, which Python 3.13 no longer has and apprise then does without
        warnings.filterwarnings("ignore", category=DeprecationWarning, message="'imghdr' is deprecated")
        from apprise.plugins.email import NotifyEmail

    alerts = settings.alerts
    name, _, domain = alerts.email_from.partition("@")
    secure = {"starttls": "starttls", "ssl": "ssl", "none": "insecure"}[alerts.smtp_security]
    login = {} if alerts.smtp_password is None else {"password": alerts.smtp_password.get_secret_value()}
    build: Any = NotifyEmail  # apprise has no types
    service = build(
        smtp_host=alerts.smtp_host, host=domain, port=alerts.smtp_port, user=alerts.smtp_user or name,
        from_addr=alerts.email_from, targets=list(alerts.email_to), secure_mode=secure,
        secure=alerts.smtp_security != "none", asset=_asset(), **login,
    )  # fmt: skip
    service.socket_connect_timeout = TIMEOUT_SECONDS
    service.request_rate_per_sec = 0  # how often is decided in trading_dag.alerts.delivery
    if alerts.smtp_user is None:
        service.user = service.password = None
    return service


def _slack(settings: Settings) -> Any:
    from apprise.plugins.slack import NotifySlack

    webhook = settings.alerts.slack_webhook
    if webhook is None:
        raise AlertNotSentError("slack: no webhook is set")
    address = urlsplit(webhook.get_secret_value())
    first, second, third = address.path.removeprefix("/services/").split("/")
    build: Any = NotifySlack
    service = build(
        token_a=first, token_b=second, token_c=third, include_image=False, include_footer=False,
        include_timestamp=False, asset=_asset(),
    )  # fmt: skip
    if address.hostname != _SLACK_HOST:
        service.webhook_url = f"{address.scheme}://{address.netloc}/services"
    service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_SECONDS
    service.request_rate_per_sec = 0
    service.redirects = False  # a webhook's answer leads nowhere else
    return service


def _parts_of_webhook(settings: Settings) -> tuple[str, ...]:
    """The parts of the webhook's path, each of which is half a key."""
    webhook = settings.alerts.slack_webhook
    return () if webhook is None else tuple(urlsplit(webhook.get_secret_value()).path.split("/")[2:])


def _asset() -> Any:
    import apprise

    return apprise.AppriseAsset(
        app_id="trading-dag", app_desc="trading-dag", app_url="", async_mode=False, secure_logging=True,
        storage_mode="memory",
    )  # fmt: skip


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said."""
        self.said.append(" ".join(record.getMessage().split()))


@contextmanager
def _only_warnings(heard: logging.Handler) -> Iterator[None]:
    """Hear the warnings of what sends, and let nothing of it reach any log."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    try:
        for logger in loggers:
            logger.handlers, logger.propagate = [], False
            logger.setLevel(logging.WARNING)
        loggers[0].addHandler(heard)
        yield
    finally:
        for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
