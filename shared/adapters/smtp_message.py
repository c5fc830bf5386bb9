"""A `Mail` as bytes that a mail server takes, by the standard library's email package."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr

import idna

from shared.domain.errors import Refused
from shared.domain.mails import objection, on_one_line
from shared.ports import Mail

NAME = 100
"""Characters of a name that are shown."""
ADDRESS = "ADDRESS"
FIX = "Correct the address, or hand the link over in another way."


def deliverable(address: str) -> str:
    """As it goes over the wire: a domain beyond ASCII in its A-labels. Raises `Refused`."""
    problem = objection(address)
    local, _, domain = address.rpartition("@")
    if not problem and not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            problem = "there can be no such domain"
    if problem:
        raise Refused(f"nothing can be sent to {on_one_line(address)!r}: {problem}", FIX, ADDRESS)
    return f"{local}@{domain}"


def sender_of(text: str) -> Address:
    """Of SMTP_FROM, which was looked at when it was parsed."""
    name, address = parseaddr(text)
    return _address(name, address)


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(on_one_line(name, NAME), local, domain)


def packed(mail: Mail, sender: Address, to: str) -> bytes:
    """`to`: as `deliverable` has it. Nothing that stands in a name or a subject can become a header."""
    policy = SMTP if to.isascii() else SMTPUTF8
    made = EmailMessage(policy=policy)
    made["From"] = sender
    made["To"] = _address(mail.name, to)
    made["Subject"] = on_one_line(mail.subject)
    made["Date"] = format_datetime(datetime.now(UTC))
    made["Message-ID"] = f"<{mail.id}@{sender.domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.plain, cte="quoted-printable")
    made.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return made.as_bytes()
