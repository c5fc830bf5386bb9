"""What is kept of a chat with somebody on Signal: never their number, only a keyed digest of it."""

from __future__ import annotations

from datetime import datetime

from shared.domain.records import Record


class SignalChat(Record, frozen=True, kw_only=True):
    """`id`: the number's digest. `job`: the latest that asked for it. `asks`: how often the bridge was asked before
    this time, which its transaction id names; `asked`: the event of the question, whose `asked_at` and `asked_from` (a
    device) are committed before it is sent. `doubted`: another question was open then, so that an answer may be to
    that one. `name`: what the puppet is called. `greeted`: the event of the hello."""

    id: str
    account_pk: int
    job: str = ""
    asks: int = 0
    asked: str = ""
    asked_at: datetime | None = None
    asked_from: str = ""
    doubted: bool = False
    puppet: str = ""
    room_id: str = ""
    name: str = ""
    opened_at: datetime | None = None
    greeted: str = ""

    def unasked(self) -> SignalChat:
        """As it is before the next question, which then is another one."""
        anew = {"asked": "", "asked_at": None, "asked_from": "", "doubted": False, "asks": self.asks + 1}
        return self.but(**anew)


class Turn(Record, frozen=True, kw_only=True):
    """Who is asking the bridge: its answers do not say what they answer, so one asks at a time. `chat`: the digest; ""
    once it was answered. `until`: then the next one may ask, though no answer has come."""

    chat: str
    until: datetime
