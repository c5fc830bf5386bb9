"""`Post` in memory, for the tests of the services. It passes the contract suite of the real adapter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from shared.domain.errors import MusterError, Refused
from shared.domain.mails import objection
from shared.ports import Finding, Mail


@dataclass
class FakePost:
    """`fail("ada@example.org", Refused(...))`: the next message to that address; "": to anybody. `taken`: so many more
    are taken first, and then the instance dies by `fatal`, before it hears of it."""

    sender: str = "Muster <muster@example.test>"
    sent: list[Mail] = field(default_factory=list)
    fatal: BaseException | None = None
    _faults: dict[str, list[MusterError]] = field(default_factory=dict)

    def fail(self, address: str, error: MusterError, times: int = 1) -> None:
        self._faults.setdefault(address, []).extend([error] * times)

    async def send(self, mail: Mail) -> str:
        await asyncio.sleep(0)
        if problem := objection(mail.to):
            raise Refused(f"nothing can be sent to {mail.to!r}: {problem}", "Correct the address.", "ADDRESS")
        for address in (mail.to, ""):
            if faults := self._faults.get(address):
                raise faults.pop(0)
        self.sent.append(mail)
        if self.fatal:
            fatal, self.fatal = self.fatal, None
            raise fatal
        return f"OK, as {len(self.sent)}"

    async def check(self) -> list[Finding]:
        return [Finding("mail server", ok=True, detail=f"lets us in; messages are from {self.sender}")]

    async def close(self) -> None:
        """There is nothing to be closed."""
