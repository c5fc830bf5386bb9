"""Send to me now: a template as it stands, said to one person in their direct room with the bot, filled with samples.

A job of one step: idempotent as every message is, by the step's document and its transaction id.
"""

from __future__ import annotations

from msgspec import Struct

from shared.domain.errors import Abandoned, Invalid, Rejected
from shared.domain.jobs import Job
from shared.domain.members import MemberId, member_id
from shared.domain.onboarding import Step
from shared.domain.template_lint import Sample, sample_values
from shared.domain.templates import Person, named
from shared.services.context import Actor, Ports
from shared.services.encryption import NoDevice
from shared.services.jobs import JobView, begun, job_id, repeated
from shared.services.messaging import direct_room, say
from shared.services.removals import refuse_the_bot
from shared.services.steps import Act, Done, Ending, Skipped
from shared.services.template_checks import findings, refuse_errors
from shared.services.template_edits import there, version
from shared.services.templates import WRITTEN, as_written

KIND = "template_test"


class Wanted(Struct, frozen=True):
    """`source`: what is being written, not saved yet; else the `version` of the template, None for the one in force.
    `matrix_id`: "" for the caller's own."""

    template: str
    matrix_id: str = ""
    source: str | None = None
    version: int | None = None
    key: str = ""
    body: str = ""


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Raises `Invalid` for a text with errors, and where nobody is named; `NotFound`; `Conflict` as jobs do."""
    member, source, label = _whom(ports, actor, wanted), *await _text(ports, wanted)
    refuse_errors(await findings(ports, named(wanted.template).purpose, source))
    await refuse_the_bot(ports, member)
    name = job_id(ports, actor, "templates/send", wanted.key)
    known = await repeated(ports, name, wanted.key, wanted.body)
    if known:
        return known
    now = ports.now()
    job = Job(id=name, kind=KIND, matrix_id=member, actor=actor.name, created_at=now, reason=label, request=wanted.body)
    step = Step(
        parent=f"jobs/{name}",
        name=KIND,
        kind=KIND,
        due_at=now,
        updated_at=now,
        wanted={"template": label, "source": source},
    )
    if dry_run:
        return JobView(job, [step])
    return await begun(ports, actor, job, [step], "template.send", template=label)


def _whom(ports: Ports, actor: Actor, wanted: Wanted) -> MemberId:
    kind, _, username = actor.name.partition(":")
    if wanted.matrix_id:
        return member_id(wanted.matrix_id)
    if kind != "user":
        raise Invalid.field("matrix_id", "expected the Matrix id that it is sent to: an API key is nobody's")
    return member_id(f"@{username}:{ports.policy.domain}")


async def _text(ports: Ports, wanted: Wanted) -> tuple[str, str]:
    """With what the message will name as its template."""
    name = named(wanted.template)
    if wanted.source is not None:
        return wanted.source, f"{name.id}@{WRITTEN}"
    number = wanted.version
    if number is None:
        number = (await there(ports, name.id)).current
    return (await version(ports, name.id, number)).source, name.version(number)


async def say_it(act: Act) -> Ending:
    """Whoever cannot be reached is said so: nothing waits for a device here."""
    wanted, policy = act.step.wanted, act.ports.policy
    local = act.matrix_id[1:].partition(":")[0]
    person = Person(act.matrix_id, "", local)
    values = sample_values(Sample("", person), policy.domain)
    try:
        room, people = await direct_room(act)
        message = await as_written(act.ports, wanted["template"], wanted["source"], person, values, marker=act.marker)
        return Done(await say(act, room.room_id, message, encrypted=room.encrypted, people=people))
    except (NoDevice, Abandoned, Rejected) as error:
        return Skipped(f"not said: {error.cause}")
