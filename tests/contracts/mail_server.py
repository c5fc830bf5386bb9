"""A real SMTP server on loopback with STARTTLS and AUTH, and a certificate authority of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.contracts.authentik_server import self_signed

USERNAME, PASSWORD = "muster", "a-mail-password"
SENDER = "Muster <muster@example.test>"


@dataclass
class MailServer:
    """`answers`: what it says to RCPT of an address, or to the DATA of anybody (""). `drop`: it hangs up once it has
    a message. `kept`: raw messages; `logins`: how many tried."""

    port: int = 0
    ca: Path = Path()
    answers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    kept: list[tuple[Envelope, bytes]] = field(default_factory=list)
    logins: int = 0
    noops: int = 0

    def letters(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=policy.default) for _, raw in self.kept]

    # -- what aiosmtpd asks

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if answer := self.answers.get(""):
            return answer
        content = envelope.content
        self.kept.append((envelope, content if isinstance(content, bytes) else (content or "").encode()))
        if self.drop:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK: queued as 4711"

    async def handle_NOOP(self, server: SMTP, session: Session, envelope: Envelope, arg: str) -> str:  # noqa: N802
        self.noops += 1
        return "250 OK"

    def authenticated(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins += 1
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (USERNAME.encode(), PASSWORD.encode()), handled=False)


@contextlib.contextmanager
def mail_server(
    folder: Path, *, starttls: bool = True, implicit: bool = False, utf8: bool = True, limit: int | None = None
) -> Iterator[MailServer]:
    """`implicit`: TLS from the first byte. Without either it offers no TLS at all."""
    folder.mkdir(parents=True, exist_ok=True)
    context, ca = self_signed(folder)
    handler = MailServer(ca=ca)

    loop = asyncio.new_event_loop()

    def make() -> SMTP:
        return SMTP(
            handler,
            hostname="mail.example.test",
            enable_SMTPUTF8=utf8,
            tls_context=context if starttls and not implicit else None,
            require_starttls=starttls and not implicit,
            authenticator=handler.authenticated,
            auth_required=True,
            auth_require_tls=starttls and not implicit,
            data_size_limit=limit,
            loop=loop,
        )

    serving = loop.create_server(make, "127.0.0.1", 0, ssl=context if implicit else None)
    server = loop.run_until_complete(serving)
    handler.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield handler
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
