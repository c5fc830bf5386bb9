"""`Post` by SMTP: a connection for each message, encrypted before anything is said on it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiosmtplib

from shared.adapters.smtp_errors import CHECK_TLS, Stage, translated
from shared.adapters.smtp_message import ADDRESS, FIX, deliverable, packed, sender_of
from shared.domain.errors import Misconfigured, MusterError, Refused
from shared.domain.mails import said
from shared.ports import Finding, Mail

WHOLE = 25.0
"""Seconds for all of one message: a step has 50, and must know before them what became of it."""
CALM = 60.0
"""For so long after a refused login nobody tries again: many tries would lock the account at the mail server."""


class _Talk:
    """One connection, and how far it has come."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.stage: Stage = "connect"


class SmtpPost:
    """`sender`: as in SMTP_FROM. `implicit`: TLS from the first byte; else STARTTLS, without which nothing is sent.
    `timeout`: seconds for each answer. The password is held by this object alone: no error and no repr shows it."""

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        password: str,
        sender: str,
        *,
        implicit: bool = False,
        ca_bundle: str | None = None,
        timeout: float = 10.0,
        whole: float = WHOLE,
    ) -> None:
        self._host, self._port, self._username, self._sender = host, port, username, sender_of(sender)
        self._login: Callable[[aiosmtplib.SMTP], Awaitable[object]] = lambda client: client.login(username, password)
        self._implicit, self._ca_bundle, self._timeout, self._whole = implicit, ca_bundle, timeout, whole
        self._trusted: ssl.SSLContext | None = None
        self._refused: tuple[float, Misconfigured] | None = None

    @property
    def sender(self) -> str:
        return str(self._sender)

    async def send(self, mail: Mail) -> str:
        to = deliverable(mail.to)
        content = packed(mail, self._sender, to)
        if self._refused and self._refused[0] > time.monotonic():
            raise Misconfigured(self._refused[1].cause, self._refused[1].fix)
        async with self._talk() as talk:
            client, options = talk.client, _options(talk.client, to)
            talk.stage = "sender"
            await client.mail(self._sender.addr_spec, options=options, encoding="utf-8" if options else "ascii")
            talk.stage = "recipient"
            await client.rcpt(to, encoding="utf-8" if options else "ascii")
            talk.stage = "hand over"
            answer = await client.data(content)
            talk.stage = "after"
        return said(answer.message)

    async def check(self) -> list[Finding]:
        try:
            async with self._talk() as talk:
                await talk.client.noop()
        except MusterError as error:
            return [Finding("mail server", ok=False, detail=error.cause, fix=error.fix)]
        detail = f"{self._host}:{self._port} lets us in; messages are from {self.sender}"
        return [Finding("mail server", ok=True, detail=detail)]

    async def close(self) -> None:
        """There is no connection to be closed."""

    @contextlib.asynccontextmanager
    async def _talk(self) -> AsyncIterator[_Talk]:
        """Logged in. Whatever goes wrong inside is raised as one of ours."""
        talk = _Talk(self._client())
        try:
            async with asyncio.timeout(self._whole):
                await self._enter(talk)
                yield talk
        except MusterError:
            raise
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise self._kept(translated(error, talk.stage)) from error
        finally:
            await _left(talk)

    async def _enter(self, talk: _Talk) -> None:
        client = talk.client
        await client.connect()
        if not self._implicit:
            await client.starttls()
        await client.ehlo()
        talk.stage = "login"
        await self._login(client)
        self._refused = None
        talk.stage = "sender"

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._implicit,
            start_tls=False,
            tls_context=self._trust(),
            timeout=self._timeout,
            local_hostname=self._sender.domain,
        )

    def _trust(self) -> ssl.SSLContext:
        """Read at first use, and kept: it costs 28 ms."""
        if self._trusted is None:
            try:
                self._trusted = ssl.create_default_context(cafile=self._ca_bundle)
            except OSError as error:
                raise Misconfigured("SMTP_CA_BUNDLE names no readable file of certificates.", CHECK_TLS) from error
        return self._trusted

    def _kept(self, error: MusterError) -> MusterError:
        if isinstance(error, Misconfigured):
            self._refused = (time.monotonic() + CALM, error)
        return error


def _options(client: aiosmtplib.SMTP, to: str) -> list[str]:
    """Raises `Refused` where an address has letters beyond ASCII before its @, and the server does not take them."""
    if to.isascii():
        return []
    if not client.supports_extension("smtputf8"):
        cause = f"our mail server cannot write to {to!r}: it takes no letters beyond ASCII before the @"
        raise Refused(cause, FIX, ADDRESS)
    return ["SMTPUTF8", "BODY=8BITMIME"]


async def _left(talk: _Talk) -> None:
    """Politely, where all went well; what the server says to it changes nothing."""
    if talk.stage == "after":
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await talk.client.quit(timeout=2)
    talk.client.close()
