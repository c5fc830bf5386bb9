"""Why somebody is taken out of rooms, in words: templates with places that are filled in for each member."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from shared.domain.errors import Invalid
from shared.domain.records import Record

PLACES: Mapping[str, str] = {
    "username": "the name in their Matrix id, or their username in Authentik",
    "name": "what they are called",
    "matrix_id": "their Matrix id",
    "community": "the server name of the members' Matrix ids",
    "date": "today, as 2030-01-31 in UTC",
    "hours": "in the template `indoc`: the hours from the nudge to the removal",
}
"""What a template may name in braces."""
INDOC = "indoc"
"""The template whose texts the clock of INDOC uses, where an admin has stored one."""
LONGEST = 500
"""Characters of a reason as it is sent: every member of the room can read it."""
_PLACE = re.compile(r"\{([^{}\s]{1,40})\}")


class RemovalReason(Record, frozen=True, kw_only=True):
    """`reason`: what the homeserver shows for the removal. `message`: what the member is told before; may be empty."""

    id: str
    label: str
    reason: str
    created_at: datetime
    message: str = ""
    updated_at: datetime | None = None
    updated_by: str = ""


def checked(text: str, field: str, template: str = "") -> str:
    """Raises `Invalid` on the field for a place that nothing is known for: it would be sent as it stands, or empty.
    `template`: the id of the one that the text is of."""
    places = [name for name in PLACES if name != "hours" or template == INDOC]
    unknown = sorted(set(_PLACE.findall(text)) - set(places))
    if unknown:
        names = ", ".join(f"{{{name}}}" for name in places)
        raise Invalid.field(field, f"{{{unknown[0]}}} is not known; expected {names}")
    return text


def filled(text: str, values: Mapping[str, str]) -> str:
    """Each place once: what is put in is never read as a template itself. A place without a value stays empty."""
    return _PLACE.sub(lambda place: values.get(place[1], "") if place[1] in PLACES else place[0], text)


def values_for(matrix_id: str, username: str, name: str, domain: str, now: datetime) -> dict[str, str]:
    local = matrix_id[1:].partition(":")[0]
    return {
        "username": local or username,
        "name": name or username or local,
        "matrix_id": matrix_id,
        "community": domain,
        "date": f"{now:%Y-%m-%d}",
    }
