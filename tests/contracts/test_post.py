"""The contract of `Post`, on the fake and on the adapter before a real SMTP server; then what such servers say."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.smtp import SmtpPost
from shared.domain.errors import Misconfigured, Refused, TryLater, Unreachable
from shared.domain.mails import UNSURE_CAUSE
from shared.ports import UNSURE, Mail, Post
from tests.contracts.mail_server import PASSWORD, SENDER, USERNAME, MailServer, mail_server
from tests.fakes.post import FakePost

ADA = "ada@example.org"
LINK = "https://auth.example.test/if/flow/enroll/?itoken=" + "5" * 90


def mail(to: str = ADA, **more: Any) -> Mail:
    html = f'<p><a href="{LINK}">Zoë</a></p>'
    return Mail(**({"id": "muster.1", "to": to, "subject": "Hello", "plain": f"Zoë\n{LINK}\n.\n", "html": html} | more))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MailServer]]:
    folder = tmp_path_factory.mktemp("mail")
    with (
        mail_server(folder / "starttls") as usual,
        mail_server(folder / "tls", implicit=True, utf8=False) as implicit,
        mail_server(folder / "plain", starttls=False) as plain,
    ):
        yield {"starttls": usual, "tls": implicit, "plain": plain}


@pytest.fixture
def server(servers: dict[str, MailServer]) -> Iterator[MailServer]:
    yield servers["starttls"]
    for each in servers.values():
        each.answers, each.drop, each.kept, each.logins = {}, False, [], 0


def adapter(server: MailServer, **more: Any) -> SmtpPost:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "username": USERNAME,
        "password": PASSWORD,
        "sender": SENDER,
    }
    return SmtpPost(**(given | {"ca_bundle": str(server.ca)} | more))


@dataclass
class World:
    post: Post
    server: MailServer | None = None
    fake: FakePost | None = None

    def refuses(self, address: str) -> None:
        if self.server:
            self.server.answers[address] = "550 5.1.1 no such user, see https://help.test/x"
        if self.fake:
            self.fake.fail(address, Refused("there is no such mailbox", "Ask them.", "550"))

    def busy(self, address: str) -> None:
        if self.server:
            self.server.answers[address] = "451 4.7.1 greylisted"
        if self.fake:
            self.fake.fail(address, TryLater("greylisted"))

    def sent(self) -> int:
        return len(self.server.kept) if self.server else len(self.fake.sent) if self.fake else 0


@pytest.fixture(params=["fake", "starttls", "tls"])
async def world(
    request: pytest.FixtureRequest, servers: dict[str, MailServer], server: MailServer
) -> AsyncIterator[World]:
    if request.param == "fake":
        fake = FakePost()
        yield World(fake, fake=fake)
        return
    one = servers[request.param]
    yield World(adapter(one, implicit=request.param == "tls"), server=one)


# ------------------------------------------------------------------ the contract


async def test_handed_over(world: World) -> None:
    """One message to one recipient is taken, and the server's words are on one line."""
    answer = await world.post.send(mail())
    assert (world.sent(), "\n" in answer, bool(answer)) == (1, False, True)
    assert "<muster@example." in world.post.sender


async def test_refused_for_good_or_for_now(world: World) -> None:
    """5xx is a refusal with its code, a cause and a fix; 4xx passes; neither was sent."""
    world.refuses("gone@example.org")
    world.busy("slow@example.org")
    with pytest.raises(Refused) as refused:
        await world.post.send(mail("gone@example.org"))
    assert (refused.value.code, "no such mailbox" in refused.value.cause, "help.test" in refused.value.cause) == (
        "550",
        True,
        False,
    )
    assert refused.value.fix
    with pytest.raises(TryLater):
        await world.post.send(mail("slow@example.org"))
    assert world.sent() == 0


@pytest.mark.parametrize(
    "address",
    ["ada", "ada@nowhere", "a b@example.org", "ada@example.org\r\nBcc: eve@example.org", "ada@x.org,eve@x.org"],
)
async def test_no_address(world: World, address: str) -> None:
    """What can be no address is refused before anything is said to a server."""
    with pytest.raises(Refused) as refused:
        await world.post.send(mail(address))
    assert (refused.value.code, world.sent()) == ("ADDRESS", 0)


async def test_check(world: World) -> None:
    """The self-check logs in, and sends nothing."""
    [finding] = await world.post.check()
    assert (finding.ok, world.sent()) == (True, 0)
    await world.post.close()


# ------------------------------------------------------------------ what is sent


async def test_the_message(server: MailServer) -> None:
    """Text and HTML say the same; it is known by its id, says who made it, and names its one recipient."""
    await adapter(server).send(mail(name="Ada Lovelace"))
    [letter], [(envelope, raw)] = server.letters(), server.kept
    assert (envelope.mail_from, envelope.rcpt_tos) == ("muster@example.test", [ADA])
    headers = {name: letter[name] for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted", "Bcc", "Cc")}
    assert headers == {
        "From": SENDER,
        "To": f"Ada Lovelace <{ADA}>",
        "Subject": "Hello",
        "Message-ID": "<muster.1@example.test>",
        "Auto-Submitted": "auto-generated",
        "Bcc": None,
        "Cc": None,
    }
    assert letter["Date"].datetime.tzinfo is not None
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["Zoë", LINK, "."]
    assert LINK in html.get_content()
    assert max(map(len, raw.splitlines())) <= 998


@pytest.mark.parametrize(
    "name",
    [
        "Ada\r\nBcc: eve@example.org",
        "Ada\nSubject: x\n\nbody",
        "\u202eada",
        'a"b\\<eve@x.org>',
        "Zoë, " * 40,
        "",
        "\x00\x1b[2J",
    ],
)
async def test_no_name_becomes_a_header(server: MailServer, name: str) -> None:
    """Whatever a name or a subject holds, there is one recipient and no header more."""
    await adapter(server).send(mail(name=name, subject=f"Hello {name}"))
    [letter], [(envelope, _)] = server.letters(), server.kept
    assert envelope.rcpt_tos == [ADA]
    assert sorted({header.lower() for header in letter} - {"x-peer", "x-mailfrom", "x-rcptto"}) == [
        "auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to",
    ]  # fmt: skip
    assert [address.addr_spec for address in letter["To"].addresses] == [ADA]


async def test_addresses_beyond_ascii(servers: dict[str, MailServer], server: MailServer) -> None:
    """A domain goes by its A-labels everywhere; letters before the @ need a server that takes them."""
    narrow = servers["tls"]
    await adapter(server).send(mail("zoë@bücher.example"))
    await adapter(narrow, implicit=True).send(mail("zoe@bücher.example"))
    assert server.kept[0][0].rcpt_tos == ["zoë@xn--bcher-kva.example"]
    assert narrow.kept[0][0].rcpt_tos == ["zoe@xn--bcher-kva.example"]
    with pytest.raises(Refused, match="beyond ASCII") as refused:
        await adapter(narrow, implicit=True).send(mail("zoë@example.org"))
    assert refused.value.code == "ADDRESS"


# ------------------------------------------------------------------ what goes wrong


async def test_no_tls_no_message(servers: dict[str, MailServer], server: MailServer) -> None:
    """Without STARTTLS, and with a certificate that nobody vouches for, neither password nor message leaves."""
    plain = servers["plain"]
    with pytest.raises(Misconfigured, match="does not offer STARTTLS"):
        await adapter(plain).send(mail())
    for implicit, one in ((False, server), (True, servers["tls"])):
        with pytest.raises(Unreachable, match="certificate") as refused:
            await adapter(one, ca_bundle=None, implicit=implicit).send(mail())
        assert "SMTP_CA_BUNDLE" in refused.value.fix
        assert (one.logins, one.kept) == (0, [])
    assert (plain.logins, plain.kept) == (0, [])


async def test_another_name_on_the_certificate(server: MailServer) -> None:
    """The certificate is of the host that is named, not of any that its authority signed."""
    with pytest.raises(Unreachable, match="certificate"):
        await adapter(server, host="localhost").send(mail())


async def test_a_refused_login(server: MailServer) -> None:
    """It is a matter of the settings, shows no password, and is not tried again by the next hundred messages."""
    post = adapter(server, password="wrong-and-secret")
    for _ in range(3):
        with pytest.raises(Misconfigured) as refused:
            await post.send(mail())
    assert "SMTP_PASSWORD" in refused.value.fix
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.__cause__) + repr(post)
    assert "wrong-and-secret" not in shown
    assert (server.logins, server.kept) == (2, []), "by two mechanisms, once"
    [finding] = await post.check()
    assert (finding.ok, server.logins) == (False, 4)


async def test_lost_as_it_was_handed_over(server: MailServer) -> None:
    """Where no answer came to the message itself, nobody knows, and it says so."""
    server.drop = True
    with pytest.raises(Refused, match=UNSURE_CAUSE.split(":")[0]) as unsure:
        await adapter(server).send(mail())
    assert (unsure.value.code, len(server.kept)) == (UNSURE, 1)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("554 5.7.1 spam: https://auth.example.test/?flow_token=s3cret", Refused, "refuses the message"),
        ("552 too large", Refused, "too large"),
        ("452 full", TryLater, "just now"),
        ("421 closing", TryLater, "just now"),
        ("550 5.7.1\x07 odd", Refused, "takes nothing from us"),
    ],
)
async def test_refused_message(server: MailServer, said: str, kind: type[Exception], words: str) -> None:
    """An answer to the message itself is an answer: no doubt, and no link of the message in it."""
    server.answers[""] = said
    with pytest.raises(kind, match=words) as refused:
        await adapter(server).send(mail())
    assert "s3cret" not in str(refused.value)
    assert getattr(refused.value, "code", "") != UNSURE


async def test_nobody_there() -> None:
    """A port where nobody is, and a server that says nothing, are unreachable within the time allowed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = MailServer(port=silent.getsockname()[1])
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match="in time"):
            await adapter(nowhere, ca_bundle=None, timeout=0.2).send(mail())
        with pytest.raises(Unreachable, match="in time"):
            await adapter(nowhere, ca_bundle=None, whole=0.2).send(mail())
        assert asyncio.get_running_loop().time() - began < 5
    with pytest.raises(Unreachable, match="could not be reached"):
        await adapter(nowhere, ca_bundle=None).send(mail())


async def test_no_bundle(tmp_path: Path, server: MailServer) -> None:
    """A file of certificates that cannot be read is named by its setting."""
    with pytest.raises(Misconfigured, match="SMTP_CA_BUNDLE"):
        await adapter(server, ca_bundle=str(tmp_path / "none.pem")).send(mail())
