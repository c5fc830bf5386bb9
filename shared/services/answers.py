"""An admin answers a member as the bot: a job of one step, which waits as the welcome does until it can be read.

The words are stored with the job, in the message's own record and locked as all texts are, before anything is done: no
answer is lost. Idempotent by the job's id, which derives from the caller's key, and by the step's document.
"""

from __future__ import annotations

from msgspec import Struct

from shared.domain import ids, members
from shared.domain.errors import Invalid, NotFound
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.domain.sent import KEPT, Sent, kept_text, sent_path
from shared.domain.templates import Person
from shared.ports import Create
from shared.services import jobs, sent
from shared.services.context import Actor, Ports
from shared.services.jobs import JobView
from shared.services.messaging import direct_room, say_once_there
from shared.services.removals import onboarding_of, refuse_the_bot
from shared.services.steps import Act, Ending
from shared.services.templates import Composed, written

KIND = "answer"


class Wanted(Struct, frozen=True):
    matrix_id: str
    text: str
    key: str = ""
    body: str = ""


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """The words are Markdown, with the variables that each template has (`shared.services.templates`). Raises
    `Invalid`, and `Conflict` for a key used with another body."""
    member = members.member_id(wanted.matrix_id)
    if not wanted.text.strip():
        raise Invalid.field("text", "expected some words")
    name = jobs.job_id(ports, actor, f"answer {member}", wanted.key)
    known = await jobs.repeated(ports, name, wanted.key, wanted.body)
    if known:
        return known
    await refuse_the_bot(ports, member)
    now = ports.now()
    job = Job(id=name, kind=KIND, matrix_id=member, actor=actor.name, created_at=now, request=wanted.body)
    step = Step(parent=f"jobs/{name}", name=KIND, kind=KIND, due_at=now, updated_at=now)
    composed = await _composed(ports, member, wanted.text)
    if dry_run:
        return JobView(job, [step])
    path, record = await _kept(ports, job, step, wanted.text, composed)
    return await jobs.begun(ports, actor, job, [step], "member.answer", also=[Create(path, record.data())])


async def _composed(ports: Ports, matrix_id: str, words: str, marker: str = "") -> Composed:
    who = await onboarding_of(ports, matrix_id)
    person = Person(matrix_id, (who.name or who.username) if who else "", who.username if who else "")
    try:
        return await written(ports, words, person, {}, marker=marker)
    except Invalid as error:
        raise Invalid.field("text", "; ".join(message for _, message in error.errors) or error.cause) from error


async def _kept(ports: Ports, job: Job, step: Step, text: str, composed: Composed) -> tuple[str, Sent]:
    path = sent_path(ids.transaction_id(step.parent, step.name, job.matrix_id))
    shown, locked = await sent.lock(ports, kept_text(composed.kept), path)
    unsent, _ = await sent.lock(ports, text, _as_written(path))
    record = Sent(
        matrix_id=job.matrix_id,
        kind=KIND,
        step=step.path,
        by=job.actor,
        at=job.created_at,
        created_at=job.created_at,
        expire_at=job.created_at + KEPT,
        text=shown,
        locked=locked,
        unsent=unsent,
    )
    return path, record


def _as_written(path: str) -> str:
    return f"{path} as written"


async def answer(act: Act) -> Ending:
    """In the direct room, which is made where there is none."""
    record = await sent.found(act.ports, act.marker)
    if record is None or not record.unsent:
        raise NotFound("the words of this answer are not kept any more", "Write it again.")
    room, _ = await direct_room(act)
    about = _as_written(sent_path(act.marker))
    words = (await act.ports.opener()).unlock(record.unsent, about) if record.locked else record.unsent
    message = await _composed(act.ports, act.matrix_id, words, act.marker)
    return await say_once_there(act, room, message, record)
