"""A mail server and a webhook in Slack's shape on this machine, which keep what they were sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Mailbox:
    """What a mail server took, and how it answers next.

    Attributes
    ----------
    refusals : answers to give instead of taking a message, first in, first out.
    """

    port: int
    mails: list[Message] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        """The subjects as a person reads them."""
        return [str(make_header(decode_header(mail["Subject"]))) for mail in self.mails]

    def body(self, number: int = -1) -> str:
        """The text of a mail."""
        payload = self.mails[number].get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload.decode()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message, or refuse it."""
        if self.refusals:
            return self.refusals.pop(0)
        self.mails.append(message_from_bytes(envelope.content))
        self.receivers.append(list(envelope.rcpt_tos))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A real SMTP server on a free port of 127.0.0.1."""
    from aiosmtpd.controller import Controller

    with socket.socket() as free:  # aiosmtpd cannot choose one itself
        free.bind(("127.0.0.1", 0))
        box = Mailbox(free.getsockname()[1])
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Webhook:
    """What a webhook took, and how it answers next.

    Attributes
    ----------
    statuses : to answer with, first in, first out; afterwards 200. 0 waits until the test ends, and never answers.
    """

    port: int
    taken: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    delay: float = 0.0

    @property
    def url(self) -> str:
        """The address as Slack gives one."""
        return f"http://127.0.0.1:{self.port}/services/T0CANARY/B0CANARY/secretcanary0webhook"

    @property
    def titles(self) -> list[str]:
        """The titles of what was taken, as sent."""
        return [message["attachments"][0]["title"] for message in self.taken]


@contextmanager
def slack_webhook() -> Iterator[Webhook]:
    """A webhook that answers as Slack does: 200 and ``ok``."""
    hook = Webhook(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.paths.append(self.path)
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 0:
                hook.is_over.wait(60)
                return
            if status == 200:
                hook.taken.append(json.loads(body))
            hook.is_over.wait(hook.delay)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
            self.end_headers()
            self.wfile.write(b"ok" if status == 200 else f"refused {self.path}".encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
