"""Each message to a member is recorded: stored before it is sent, and confirmed in one commit with its step's outcome.

So whatever was said is known to have been said, whoever dies in between: the record is there before the message, and a
retry finds it. Its id derives from the message's transaction id, so that there is one, however often it is tried.
Texts are locked as members' replies are; where encryption is off there is no key to lock with, and they lie in plain,
as the messages themselves do on the homeserver.
"""

from __future__ import annotations

from shared.domain.errors import Refused
from shared.domain.sent import KEPT, Sent, kept_text, sent_path
from shared.ports import Opener, Put
from shared.services.context import MUSTER, Ports
from shared.services.steps import Act
from shared.services.templates import Composed


async def drafted(act: Act, room_id: str, message: Composed, transaction: str, kind: str = "") -> Sent:
    """The record of a message that is about to be sent."""
    now, path = act.ports.now(), sent_path(transaction)
    text, locked = await lock(act.ports, kept_text(message.kept), path)
    return Sent(
        matrix_id=act.matrix_id,
        kind=kind or act.step.kind,
        step=act.step.path,
        by=getattr(act.parent, "actor", MUSTER.name),
        at=now,
        created_at=now,
        expire_at=now + KEPT,
        text=text,
        locked=locked,
        room_id=room_id,
        template=message.template,
    )


async def found(ports: Ports, transaction: str) -> Sent | None:
    document = await ports.documents.get(sent_path(transaction))
    return Sent.of(document.data) if document else None


def kept(record: Sent, transaction: str) -> Put:
    """One writer at a time: who holds the claim of its step."""
    return Put(sent_path(transaction), record.data())


async def tried(act: Act, transaction: str) -> Sent | None:
    """What an earlier try has left."""
    return await found(act.ports, transaction) if act.step.attempts > 1 else None


async def differs(ports: Ports, before: Sent, draft: Sent, transaction: str) -> bool:
    """Whether the same message was to be another one: a name or a template has changed since, or the room."""
    try:
        opener = await ports.opener() if before.locked or draft.locked else None
        texts = [text_of(opener, each, sent_path(transaction)) for each in (before, draft)]
    except Refused:  # the key is another one since
        return True
    return texts[0] != texts[1] or before.room_id != draft.room_id


async def confirm(act: Act, draft: Sent, transaction: str, event_id: str) -> None:
    """With the step's outcome. Where a try before this has sent an older text, that is the one kept."""
    told = (await tried(act, transaction) or draft).but(
        room_id=draft.room_id, encrypted=draft.encrypted, letter=draft.letter
    )
    act.also.append(kept(told.confirmed(event_id, act.ports.now()), transaction))


async def lock(ports: Ports, text: str, about: str) -> tuple[str, bool]:
    """The text as it is stored, and whether it is locked. By the one key that the page's function has too."""
    if not ports.policy.encrypt:
        return text, False
    return (await ports.opener()).lock(text, about), True


def text_of(opener: Opener | None, record: Sent, path: str) -> str:
    """`opener`: for those that are locked; None where none is. Raises `Refused` (code "LOCKED")."""
    return opener.unlock(record.text, path) if record.locked and opener else record.text
