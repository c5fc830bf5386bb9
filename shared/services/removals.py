"""Taking somebody out of rooms: the words for it, a look beforehand, and the message before."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from shared.bounded import each
from shared.domain.errors import Abandoned, Conflict, Invalid, NotFound, Rejected
from shared.domain.jobs import Job
from shared.domain.members import MemberId
from shared.domain.onboarding import Onboarding, Step
from shared.domain.removals import LONGEST, checked, filled, values_for
from shared.ports import Query
from shared.rarer_repositories import REMOVAL_REASONS
from shared.repositories import ONBOARDINGS
from shared.services.context import Ports
from shared.services.encryption import NoDevice
from shared.services.messaging import direct_room, say_directly
from shared.services.messaging import worded as message_of
from shared.services.rooms import foreseen
from shared.services.steps import Act, Done, Ending, Skipped


class Words(Struct, frozen=True):
    """What an admin has asked for. `template`: the id of a stored reason, whose texts count where none is given.
    `required`: nothing is done unless the message could be said."""

    reason: str = ""
    template: str = ""
    message: str = ""
    required: bool = False


async def worded(ports: Ports, words: Words, matrix_id: str, username: str = "", name: str = "") -> tuple[str, str]:
    """Reason and message, filled in for this member. Raises `Invalid`, naming the field."""
    return filled_for(ports, await chosen(ports, words), matrix_id, username, name)


async def chosen(ports: Ports, words: Words) -> tuple[str, str]:
    """Reason and message as they stand, with their places. Raises `Invalid`, naming the field."""
    reason, message = checked(words.reason, "reason"), checked(words.message, "message")
    if words.template:
        try:
            stored = (await REMOVAL_REASONS.get(ports.documents, words.template)).record
        except NotFound as error:
            problem = f"there is none called {words.template!r}: GET /api/removal_reasons"
            raise Invalid.field("template", problem) from error
        reason, message = reason or stored.reason, message or stored.message
    if not reason:
        raise Invalid.field("reason", "expected a reason, or a template that has one")
    if words.required and not message:
        raise Invalid.field("message_required", "expected a message, or a template that has one")
    return reason, message


def filled_for(
    ports: Ports, texts: tuple[str, str], matrix_id: str, username: str = "", name: str = ""
) -> tuple[str, str]:
    reason, message = texts
    values = values_for(matrix_id, username, name, ports.policy.domain, ports.now())
    return filled(reason, values)[:LONGEST], filled(message, values)


async def onboarding_of(ports: Ports, matrix_id: str) -> Onboarding | None:
    """That of the member with this Matrix id; of several the first by its id."""
    page = await ports.documents.query(Query("onboardings", [("matrix_id", "==", matrix_id)], limit=1))
    return ONBOARDINGS.stored(page.items[0]).record if page.items else None


async def refuse_the_bot(ports: Ports, member: MemberId, field: str = "matrix_id") -> None:
    if member == (await (await ports.chat()).whoami()).user_id:
        raise Invalid.field(field, "is the bot itself, without which nothing works in the room")


async def all_foreseen(ports: Ports, job: Job, steps: Sequence[Step]) -> list[Step]:
    """A dry run's steps: what the bot may not do, or need not, is shown as it would end."""

    async def one(step: Step) -> Step:
        return await foreseen(ports, job, step) if step.kind == "removal" else step

    return await each(steps, one)


async def say_before(act: Act) -> Ending:
    """The message before a removal, in the member's direct room, once. Whoever cannot be reached is said so, and is
    removed all the same unless the admin wanted it otherwise: then the failure is shown."""
    if not isinstance(act.parent, Job):
        raise Invalid(f"{act.step.path} is not a step of a job")
    try:
        room, people = await direct_room(act)
        text = act.step.wanted.get("message") or act.parent.message
        reason = act.step.wanted.get("reason") or act.parent.reason
        message = await message_of(act, "removal_message", {"text": text, "reason": reason})
        return Done(await say_directly(act, room, message, people))
    except (NoDevice, Abandoned, Rejected) as error:
        if act.parent.message_required:
            raise Conflict(
                f"the message could not be said: {error.cause}",
                "Tell them another way and remove them without message_required.",
            ) from error
        return Skipped(f"not said: {error.cause}")
