"""The settings of alerts: what is told, by which channels, and how often. Passwords and webhooks are never printed."""

from __future__ import annotations

import datetime as dt
import re
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

AlertKind = Literal[
    "signal", "cannot_signal", "run_failed", "check_failed", "stale_data", "drift", "paper_order", "limit"
]
ALERT_KINDS: Final[tuple[AlertKind, ...]] = (
    "signal", "cannot_signal", "run_failed", "check_failed", "stale_data", "drift", "paper_order", "limit",
)  # fmt: skip
# One plain address, without a name and without anything that a header or a command of SMTP could be made of.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]")
_SLACK_PATH: Final = re.compile(r"/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+")


class AlertSettings(BaseModel):
    """Says what is told to whom. A channel is on where its address is given; without any, alerts are only listed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    kinds: tuple[AlertKind, ...] = Field(ALERT_KINDS, description="what is told; the others are not even listed")
    daily_report: bool = Field(False, description="whether the report that is stored each evening is mailed, too")
    resolved: bool = Field(False, description="whether the end of what lasted, such as stale data, is told too")
    signal_by: dt.time = Field(
        dt.time(20, 0), description="New York time on a session's day by which its signals and data are expected"
    )
    stale_sessions: int = Field(1, ge=1, le=250, description="sessions behind from which on prices count as stale")
    messages_per_hour: int = Field(20, ge=1, le=1_000, description="of a channel; what is more comes as one message")
    retry_seconds: float = Field(30.0, gt=0, le=86_400, description="wait after a failure, doubled after each")
    retry_maximum_seconds: float = Field(1_800.0, gt=0, le=604_800, description="longest wait")
    keep_days: int = Field(90, ge=30, le=10_000, description="how long what was told is remembered")
    ui_url: str = Field("http://127.0.0.1:3000", description="where the links of messages lead")
    email_to: tuple[str, ...] = Field((), description="who gets mail: a JSON list of addresses; empty: nobody")
    email_from: str = Field("trading-dag@localhost", description="as whom")
    smtp_host: str = Field("localhost", description="the server that takes the mail")
    smtp_port: int = Field(587, ge=1, le=65_535, description="its port: 587 with starttls, 465 with ssl")
    smtp_security: Literal["starttls", "ssl", "none"] = Field(
        "starttls", description="how the connection is encrypted; none only to this machine"
    )
    smtp_user: str | None = Field(None, description="empty: no login")
    smtp_password: SecretStr | None = Field(None, description="the password of that login")
    slack_webhook: SecretStr | None = Field(
        None, description="https://hooks.slack.com/services/…, or the same path on a server that takes Slack's messages"
    )

    @field_validator("email_to", mode="after")
    @classmethod
    def _receivers_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_address(address) for address in value))

    @field_validator("email_from", mode="after")
    @classmethod
    def _sender_is_an_address(cls, value: str) -> str:
        return _address(value)

    @field_validator("smtp_host", mode="after")
    @classmethod
    def _host_is_one(cls, value: str) -> str:
        if _HOST.fullmatch(value) is None:
            raise ValueError("smtp_host is the name or the address of a machine, without a port")
        return value

    @field_validator("ui_url", mode="after")
    @classmethod
    def _url_is_one(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or not value.isprintable() or " " in value:
            raise ValueError("ui_url begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("slack_webhook", mode="after")
    @classmethod
    def _webhook_is_one(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(parts.hostname or ""))
        if not is_safe or "@" in parts.netloc or _SLACK_PATH.fullmatch(parts.path) is None or parts.query:
            raise ValueError("slack_webhook is https://hooks.slack.com/services/… with its three parts")
        return value

    @model_validator(mode="after")
    def _secrets_are_sent_encrypted(self) -> AlertSettings:
        if self.smtp_security == "none" and not is_this_machine(self.smtp_host):
            raise ValueError("smtp_security none is for a mail server on this machine only: starttls or ssl")
        if (self.smtp_password is None) != (self.smtp_user is None):
            raise ValueError("smtp_user and smtp_password go together")
        return self


def is_this_machine(host: str) -> bool:
    """Return whether a host's name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _address(value: str) -> str:
    if _ADDRESS.fullmatch(value) is None:
        raise ValueError("an address of mail has the form name@host, and nothing else in it")
    return value
