"""The book of alerts: which causes last, what was told, and what waits to be sent. A value; where it is kept is not
decided here.

Each cause is told once. One that lasts is told when it begins, and is a new one if it comes back after its end. What is
told at one time about one kind is one message. For each channel a message passes from ``waiting`` through ``sending``
to ``sent``; one whose sender was killed in between is ``unsure``, is not sent again by itself, and is mentioned in the
channel's next message, so that nothing arrives twice and nothing is lost in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from trading_dag.alert_settings import AlertKind, AlertSettings
from trading_dag.alerts.cause import Cause

State = Literal["waiting", "sending", "sent", "unsure"]
# A message is no longer joined than anybody reads.
MOST_CAUSES: Final = 40
_MANY: Final[dict[AlertKind, str]] = {
    "signal": "signals",
    "cannot_signal": "sessions without signals",
    "run_failed": "runs have failed",
    "check_failed": "checks have failed",
    "stale_data": "tickers have stale data",
    "drift": "slices have drifted",
    "paper_order": "paper orders",
    "limit": "limits are reached",
}


@dataclass(frozen=True)
class Delivery:
    """Holds how far a message has come on one channel.

    Attributes
    ----------
    at : of one that was sent, when; of one that is being sent, since when; otherwise when it was last tried.
    is_mentioned : of one that is unsure: whether a later message has mentioned it.
    """

    state: State = "waiting"
    attempts: int = 0
    at: datetime | None = None
    is_mentioned: bool = False


@dataclass(frozen=True)
class Message:
    """Holds one message: its words, and how far it has come on each channel.

    Attributes
    ----------
    causes : names of the causes that it tells of.
    """

    id: str
    kind: AlertKind
    title: str
    body: str
    written_at: datetime
    causes: tuple[str, ...]
    deliveries: dict[str, Delivery] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """Holds since when a cause lasts, and its title."""

    since: datetime
    title: str
    path: str | None = None


@dataclass(frozen=True)
class ChannelHealth:
    """Holds how a channel does: how often in a row it failed, until when it rests, and why."""

    failures: int = 0
    rests_until: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Book:
    """Holds everything that is known of alerts.

    Attributes
    ----------
    standing : causes that last, by name.
    told : when each event was told, by the cause's name.
    messages : oldest first.
    health : by channel.
    cursors : how far each watch has read, by name.
    """

    standing: dict[str, Standing] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    health: dict[str, ChannelHealth] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)

    def with_cursor(self, name: str, value: str) -> Book:
        """Return the book with how far a watch has read."""
        return replace(self, cursors={**self.cursors, name: value})


def none_has_ended(_name: str, _standing: Standing) -> bool:
    """Return False: what lasts goes on."""
    return False


def record(
    book: Book,
    causes: Iterable[Cause],
    *,
    now: datetime,
    channels: Iterable[str],
    settings: AlertSettings,
    ended: Callable[[str, Standing], bool] = none_has_ended,
) -> Book:
    """Return the book after an observation: new causes are to be told, those that have ended are no longer lasting.

    Parameters
    ----------
    causes : what is the case, or has happened. Those that are known are left alone.
    channels : names of the channels on which messages of now are to be sent.
    ended : whether a lasting cause, by name, is over.
    """
    wanted = [cause for cause in causes if cause.kind in settings.kinds]
    over = {name: standing for name, standing in book.standing.items() if ended(name, standing)}
    standing = {name: value for name, value in book.standing.items() if name not in over}
    told, new = dict(book.told), []
    for cause in wanted:
        if cause.name in standing or (cause.is_event and cause.name in told):
            continue
        if cause.is_event:
            told[cause.name] = now
        else:
            standing[cause.name] = Standing(now, cause.title, cause.path)
        new.append(cause)
    messages = [*book.messages, *_messages(new, now, tuple(channels), settings)]
    if settings.resolved:
        messages += _endings(over, now, tuple(channels), settings)
    return _forgetful(replace(book, standing=standing, told=told, messages=tuple(messages)), now, settings)


def _messages(causes: list[Cause], now: datetime, channels: tuple[str, ...], settings: AlertSettings) -> list[Message]:
    by_kind: dict[AlertKind, list[Cause]] = {}
    for cause in causes:
        by_kind.setdefault(cause.kind, []).append(cause)
    return [
        _message(kind, part, now, channels, settings)
        for kind, same in by_kind.items()
        for part in (same[start : start + MOST_CAUSES] for start in range(0, len(same), MOST_CAUSES))
    ]


def _message(
    kind: AlertKind, causes: list[Cause], now: datetime, channels: tuple[str, ...], settings: AlertSettings
) -> Message:
    first = causes[0]
    title = first.title if len(causes) == 1 else f"{len(causes)} {_MANY[kind]}: {first.title}, …"
    paragraphs = []
    for cause in causes:
        link = [f"{settings.ui_url}{cause.path}"] if cause.path else []
        heading = [cause.title] if len(causes) > 1 else []
        paragraphs.append("\n".join([*heading, *cause.lines, *link]))
    names = tuple(cause.name for cause in causes)
    return Message(
        _message_id(names, now), kind, title, "\n\n".join(paragraphs), now, names,
        {channel: Delivery() for channel in channels},
    )  # fmt: skip


def _endings(
    over: dict[str, Standing], now: datetime, channels: tuple[str, ...], settings: AlertSettings
) -> list[Message]:
    by_kind: dict[str, list[str]] = {}
    for name in over:
        by_kind.setdefault(name.partition("|")[0], []).append(name)
    messages = []
    for kind, names in by_kind.items():
        if kind not in settings.kinds:
            continue
        titles = [over[name].title for name in names]
        title = f"Over: {titles[0]}" + (f", and {len(titles) - 1} more" if len(titles) > 1 else "")
        lines = [f"Over: {over[name].title} (since {over[name].since:%Y-%m-%d %H:%M} UTC)" for name in names]
        identity = _message_id((*names, "over"), now)
        messages.append(
            Message(identity, kind, title, "\n".join(lines), now, tuple(names), {name: Delivery() for name in channels})
        )
    return messages


def _message_id(names: tuple[str, ...], now: datetime) -> str:
    return hashlib.sha256("\n".join((*names, now.isoformat())).encode()).hexdigest()[:16]


def _is_open(delivery: Delivery) -> bool:
    return delivery.state in ("waiting", "sending") or (delivery.state == "unsure" and not delivery.is_mentioned)


def _forgetful(book: Book, now: datetime, settings: AlertSettings) -> Book:
    """Return the book without what is older than it is kept. What waits is kept for as long as it waits."""
    oldest = now - timedelta(days=settings.keep_days)
    kept = tuple(
        message
        for message in book.messages
        if message.written_at >= oldest or any(map(_is_open, message.deliveries.values()))
    )
    told = {name: at for name, at in book.told.items() if at >= oldest}
    if len(kept) == len(book.messages) and len(told) == len(book.told):
        return book
    return replace(book, messages=kept, told=told)
