"""How many messages a member gets of the bot's own accord: `MAX_PROACTIVE_MESSAGES_PER_DAY`, whoever sends them.

Proactive are broadcasts, notes to sponsors, and nudges and reminders that come as direct messages: nobody has asked for
them, and one too many has people mute the bot. Not counted are:

- hello, welcome and the notice without a device: they belong to coming in, and come once;
- what an admin answers in a conversation, or sends before a removal: a person has written it to this one person;
- what is said in a room for all to see. In INDOC a nudge mentions its member once in a stay and a reminder twice at
  most, and the removal waits for the nudge: put off until tomorrow it would keep them there for a day more.

The limiter of callers is `shared.services.permits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.bounded import each
from shared.domain import limits
from shared.domain.limits import Proactive
from shared.ports import Create, Replace
from shared.services.context import Ports
from shared.services.steps import Act, Waits
from shared.services.tasks import again_when_outpaced

LIMIT = "limit"
"""What a step waits for, see `Step.waits_for`."""
TOGETHER = 200
"""Documents in one round trip."""


async def limited(act: Act) -> Waits | None:
    """For an action, right before its message: None when it may be sent now, else how the step is to end. The sweep
    lets it go on when its time has come."""
    until = await proactive(act.ports, act.matrix_id, act.step.path)
    return waits_for_limit(act.ports, until) if until else None


async def proactive(ports: Ports, matrix_id: str, key: str) -> datetime | None:
    """Takes one of the member's messages of today (the day of UTC). None: it may be sent; else the time from which
    there is one again.

    Idempotent by `key` (a step's path): within a day, and across midnight within an hour, the same one is counted once.
    It is not given back: a message that was counted and never sent leaves one less. So ask when nothing else is to be
    waited for. Never more than the limit, however many ask at once: of two writers the slower one reads again. Raises
    what the store raises; `Outpaced` after a dozen tries."""
    return await again_when_outpaced(lambda: _taken(ports, matrix_id, key))


async def _taken(ports: Ports, matrix_id: str, key: str) -> datetime | None:
    now = ports.now()
    paths = [limits.proactive_path(matrix_id, day) for day in limits.days_to_read(now)]
    found = await ports.documents.get_many(paths)
    days = [Proactive.of(document.data) if document else None for document in found]
    outcome = limits.taken(days, key, ports.policy.proactive_a_day, now)
    if not isinstance(outcome, Proactive):
        return outcome
    today, data = found[0], outcome.data()
    await ports.documents.write(Replace(paths[0], data, today.version) if today else Create(paths[0], data))
    return None


def waits_for_limit(ports: Ports, until: datetime) -> Waits:
    """As a step says it. `until`: what `proactive` has answered."""
    most = ports.policy.proactive_a_day
    cause = (
        f"the bot has sent them {most} message{'s' * (most > 1)} of its own accord today, and more are too many; there "
        f"is one again from {until:%Y-%m-%d %H:%M} UTC"
        if most
        else "messages of the bot's own accord are switched off: MAX_PROACTIVE_MESSAGES_PER_DAY is 0"
    )
    fix = (
        "Nothing to do: it goes on by itself. MAX_PROACTIVE_MESSAGES_PER_DAY says how many there may be."
        if most
        else "Set MAX_PROACTIVE_MESSAGES_PER_DAY to 1 or more, and it goes on the day after; or cancel or skip it."
    )
    return Waits(LIMIT, cause, fix, until)


async def at_their_limit(ports: Ports, people: Sequence[str]) -> set[str]:
    """Of these Matrix ids those for whom there is no more today; nothing is taken. 200 of them in a round trip."""
    most, day = ports.policy.proactive_a_day, limits.day_of(ports.now())
    chunks = [people[at : at + TOGETHER] for at in range(0, len(people), TOGETHER)]

    async def of(chunk: Sequence[str]) -> list[str]:
        found = await ports.documents.get_many([limits.proactive_path(person, day) for person in chunk])
        had = [len(Proactive.of(document.data).taken) if document else 0 for document in found]
        return [person for person, count in zip(chunk, had, strict=True) if count >= most]

    return {person for found in await each(chunks, of) for person in found}
