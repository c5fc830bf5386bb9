"""The text that is handed over with an invite, by the template of the purpose `invite_text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.domain.errors import Conflict
from shared.domain.invites import Invite
from shared.domain.moments import in_words
from shared.domain.sponsors import named_matrix_id
from shared.domain.templates import Link, Person, Value
from shared.services import bundles, invites
from shared.services.context import Ports
from shared.services.room_names import UNNAMED, names_of
from shared.services.templates import worded


class InviteText(Struct, frozen=True):
    """`template`: with its version, as "invite_text@0"."""

    text: str
    template: str


async def invite_text(ports: Ports, invite_id: str, language: str = "") -> InviteText:
    """Plain, to be pasted anywhere. Raises `NotFound`, and `Conflict` for an invite by which nobody comes in: a text
    with a dead link, or none, would be worse than no text."""
    invite = await invites.read(ports, invite_id)
    _refuse_dead(ports, invite)
    person, values = Person(invite.matrix_id), await _values(ports, invite, language)
    found = await worded(
        ports, "invite_text", person, values, bundles=invite.bundles, invite=invite.id, language=language
    )
    return InviteText(found.rendered.plain, found.template)


def _refuse_dead(ports: Ports, invite: Invite) -> None:
    status = invite.status(ports.now())
    if status != "pending":
        cause = {"revoked": "was revoked", "redeemed": "is used up", "expired": "has expired"}[status]
        raise Conflict(f"this invite {cause}: its link lets nobody in", "Make a new one, or change this one first.")
    if not invite.link:
        fix = "It will within a minute or so: try again then."
        raise Conflict("this invite has no link yet: Authentik has not taken it over", fix)


async def _values(ports: Ports, invite: Invite, language: str) -> Mapping[str, Value]:
    """Rooms whose name nobody can say just now are left out: "a room without a name" invites nobody."""
    given = await bundles.of_ids(ports, invite.bundles)
    rooms = dict.fromkeys([*invite.rooms, *(room for bundle in given for room in bundle.rooms)])
    names = await names_of(ports, list(rooms))
    return values_of(invite, list(dict.fromkeys(name for name in names if name != UNNAMED)), language)


def values_of(invite: Invite, rooms: Sequence[str], language: str = "") -> dict[str, Value]:
    """What a text about this invite may name. `rooms`: by name."""
    left, sponsor = invite.max_uses - invite.uses, named_matrix_id(invite.sponsor)
    return {
        "invite_link": Link(invite.link),
        "expires_at": in_words(invite.expires_at, language),
        "uses": str(left) if left > 1 else "",
        "sponsor": Person(sponsor).called if sponsor else invite.sponsor,
        "rooms": rooms,
    }
