"""What a mail server says, as one of our errors: by its reply code and by how far we had come.

Codes are RFC 5321's and RFC 4954's. A reply of 4xx passes, one of 5xx does not; 421 closes the connection at any point.
"""

from __future__ import annotations

import ssl
from typing import Literal

import aiosmtplib

from shared.domain.errors import Misconfigured, MusterError, Refused, TryLater, Unreachable
from shared.domain.mails import UNSURE_CAUSE, UNSURE_FIX, said
from shared.ports import UNSURE

Stage = Literal["connect", "login", "sender", "recipient", "hand over", "after"]
"""`hand over`: the message is on its way, and only a reply says what became of it."""

CHECK_SERVER = "Check SMTP_HOST and SMTP_PORT, and that the server is up. What runs by itself is tried again."
CHECK_TLS = "Name the file with the mail server's certificate authority in SMTP_CA_BUNDLE, or renew its certificate."
CHECK_LOGIN = "Check SMTP_USERNAME and SMTP_PASSWORD (some providers want a password made for apps), then retry."
CHECK_SECURITY = "Use its submission port (587 with SMTP_SECURITY=starttls, 465 with tls). Without TLS nothing is sent."
CHECK_SENDER = "Let SMTP_FROM be an address that SMTP_USERNAME may send as."
CHECK_ADDRESS = "Ask them for their address and correct it, or hand the link over in another way."

PERMANENT: dict[int, tuple[str, str]] = {
    521: ("their mail server takes no mail", CHECK_ADDRESS),
    550: ("there is no such mailbox, or it takes nothing from us", CHECK_ADDRESS),
    551: ("they have moved to another address", CHECK_ADDRESS),
    552: ("their mailbox is full, or the message is too large for it", "Ask them to make room, then send it again."),
    553: ("the mail server takes this address for no address", CHECK_ADDRESS),
    554: ("the mail server refuses the message", "It may take it for spam: let whoever runs the mail server look."),
    555: ("the mail server does not understand this address", CHECK_ADDRESS),
    556: ("their domain takes no mail", CHECK_ADDRESS),
}
OTHER = ("the mail server refuses it", CHECK_ADDRESS)


def translated(error: Exception, stage: Stage) -> MusterError:
    """Every error of the connection. Raises nothing."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _replied(error.code, error.message, stage)
    if _untrusted(error):
        return Unreachable("mail", "The TLS certificate of the mail server is not trusted.", CHECK_TLS)
    if stage == "hand over":
        return Refused(UNSURE_CAUSE, UNSURE_FIX, UNSURE)
    if isinstance(error, aiosmtplib.SMTPException) and "not supported" in str(error):
        missing = "STARTTLS" if "STARTTLS" in str(error) else "a login that Muster knows"
        return Misconfigured(f"The mail server does not offer {missing}.", CHECK_SECURITY)
    if isinstance(error, TimeoutError):
        return Unreachable("mail", "The mail server gave no answer in time.", CHECK_SERVER)
    return Unreachable("mail", "The mail server could not be reached.", CHECK_SERVER)


def _replied(code: int, message: str, stage: Stage) -> MusterError:
    words = f"it said: {code} {said(message)}"
    if 400 <= code < 500:
        return TryLater(f"The mail server takes nothing just now; {words}", "Nothing to do: it is tried again.")
    if code in (530, 534, 535, 538) or stage == "login":  # never its words: they may hold what we sent
        return Misconfigured(f"The mail server does not let us log in ({code}).", CHECK_LOGIN)
    if stage == "connect":
        return Unreachable("mail", f"The mail server turns us away; {words}", CHECK_SERVER)
    if stage == "sender":
        return Misconfigured(f"The mail server does not let us send as SMTP_FROM; {words}", CHECK_SENDER)
    cause, fix = PERMANENT.get(code, OTHER)
    return Refused(f"{cause}; {words}", fix, str(code))


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
