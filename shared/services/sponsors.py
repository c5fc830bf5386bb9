"""Sponsors: told that their guest has arrived, and paused where they vouch for too many.

A pause is one document. Nothing is done to the invites or in Authentik, so that resuming gives every link back as it
was: whoever comes by one meanwhile is held, with the reason, until an admin approves or rejects them.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.audit import audit
from shared.domain.errors import Invalid, Outpaced
from shared.domain.invites import Invite
from shared.domain.onboarding import Onboarding
from shared.domain.sponsors import SponsorPause, named_matrix_id, pause_id
from shared.domain.templates import Mention, Person
from shared.ports import Delete, Query, Write
from shared.repositories import Repository, audit_write
from shared.services.context import Actor, Ports
from shared.services.encryption import DeviceOverdue
from shared.services.limits import limited
from shared.services.messaging import direct_room, said_or_waits
from shared.services.steps import Act, Ending, Skipped
from shared.services.templates import compose

SPONSOR_PAUSES = Repository("sponsor_pauses", SponsorPause, "paused sponsor")
SHOWN = 200


class Standing(Struct, frozen=True):
    """`invites`: those by which somebody can still come, the next to expire first, at most 200. `came`: how many have
    come by these."""

    sponsor: str
    pause: SponsorPause | None
    invites: tuple[Invite, ...]

    @property
    def came(self) -> int:
        return sum(invite.uses for invite in self.invites)


async def standing(ports: Ports, sponsor: str) -> Standing:
    """Costs a read, and one for each open invite."""
    found = await SPONSOR_PAUSES.find(ports.documents, pause_id(sponsor))
    theirs = Query("invites", [("sponsor", "==", sponsor), ("closed", "==", "")], limit=SHOWN)
    page = await ports.documents.query(theirs)
    invites = [Invite.of(item.data) for item in page.items]
    now = ports.now()
    pending = sorted((one for one in invites if one.status(now) == "pending"), key=lambda one: one.expires_at)
    return Standing(sponsor, found.record if found else None, tuple(pending))


async def paused(ports: Ports, sponsor: str) -> str:
    """Why their guests are held, as long as they are; else empty."""
    found = await SPONSOR_PAUSES.find(ports.documents, pause_id(sponsor)) if sponsor else None
    return found.record.words if found else ""


async def pause(ports: Ports, actor: Actor, sponsor: str, note: str, *, dry_run: bool = False) -> Standing:
    """Theirs that are open, and those that are made later, until `resume`. Paused already: stays as it is."""
    now = ports.now()
    record = SponsorPause(id=pause_id(sponsor), sponsor=sponsor.strip(), paused_at=now, paused_by=actor.name, note=note)
    found = await standing(ports, sponsor)
    if found.pause:
        return found
    if not dry_run:
        try:
            await _written(ports, actor, "sponsor.pause", sponsor, SPONSOR_PAUSES.create(record, record.id))
        except Outpaced:
            return await standing(ports, sponsor)
    return replace(found, pause=record)


async def resume(ports: Ports, actor: Actor, sponsor: str, *, dry_run: bool = False) -> Standing:
    """Who was held meanwhile stays held until an admin decides. Not paused: nothing is done."""
    found = await standing(ports, sponsor)
    if found.pause and not dry_run:
        await _written(ports, actor, "sponsor.resume", sponsor, Delete(SPONSOR_PAUSES.path(found.pause.id)))
    return replace(found, pause=None)


async def _written(ports: Ports, actor: Actor, action: str, sponsor: str, write: Write) -> None:
    record = audit(ports.now(), actor.name, action, sponsor.strip(), f"{ports.chance():x}", source=actor.source)
    await ports.documents.write(write, audit_write(record))


async def matrix_id_of(ports: Ports, sponsor: str) -> str:
    """Empty where it is neither a Matrix id nor the username of an account. Raises what Authentik raises."""
    if not sponsor or sponsor.startswith("@"):
        return named_matrix_id(sponsor)
    account = await (await ports.directory()).account_named(sponsor.strip())
    if account is None or not account.active:
        return ""
    from shared.services.standing import standing as standing_of  # with the cache behind it

    return (await standing_of(ports, account.pk)).matrix.matrix_id


async def tell(act: Act) -> Ending:
    """The step `sponsor_note`: a direct message to the sponsor, within what they may get in a day. A sponsor who
    cannot be told keeps no newcomer from being at home: it is skipped, with the reason."""
    guest = act.parent
    if not isinstance(guest, Onboarding):
        raise Invalid(f"{act.step.path} is not a step of an onboarding")
    if not act.step.matrix_id:
        return Skipped(f"nobody can be told: {act.step.wanted['sponsor']} is neither a Matrix id nor a username here")
    if act.step.matrix_id == guest.matrix_id:
        return Skipped("they vouch for themselves")
    room, people = await direct_room(act)
    waits = await limited(act)
    if waits:
        return waits
    person = Person(act.step.matrix_id)
    values = {"guest": _called(guest)}
    composed = await compose(act.ports, "sponsor_arrival", person, values, marker=act.marker, invite=guest.invite)
    try:
        return await said_or_waits(act, room, composed, people)
    except DeviceOverdue as error:
        return Skipped(f"not said: {error.cause}")


def _called(guest: Onboarding) -> Mention | str:
    if guest.matrix_id:
        return Mention(Person(guest.matrix_id, guest.name, guest.username))
    return guest.name or guest.username
