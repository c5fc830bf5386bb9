"""The calls for rooms' state: all of one room, or what changed in all of them (see `matrix_state` for the answers).

The timeline is not filtered by kinds of events, though only state is of interest. Synapse looks through so many of a
room's latest events (221 with a limit of 20), and leaves the room out of its answer when the filter lets none of them
pass: a member who came before so many messages would never be told of (seen with 1.163). With any event in it, the
room is there, and its `state` has what the timeline has not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

from shared.adapters.matrix_client import CLIENT, StrictClient, path_of
from shared.adapters.matrix_errors import forbidden
from shared.adapters.matrix_state import FIELDS, KINDS, read_changes, read_state
from shared.domain.errors import Refused
from shared.ports import Changes, StateEvent

PATIENCE = 60.0
"""Seconds for one of these answers as a whole: the state of a large room takes the homeserver some."""
TIMELINE = 20
"""Events of a room one by one, at most; of what was before them the answer tells only how it ended. With few, answers
are small; with many, the homeserver has seldom to compare a room's whole state with what it was before."""
LOST = ("M_UNKNOWN", "M_INVALID_PARAM", "M_UNKNOWN_POS")
"""What homeservers say to a position that they cannot read; everything else in the call is always the same."""


AFTER = ("use_state_after", "org.matrix.msc4222.use_state_after")
QUERY = {"timeout": "0", "set_presence": "offline"} | dict.fromkeys(AFTER, "true")


class StateReader:
    """`client`: the one of the running event loop. `user_id`: the bot."""

    def __init__(self, client: Callable[[], StrictClient], user_id: str) -> None:
        self._client, self._user_id = client, user_id

    async def state(self, room_id: str) -> list[StateEvent]:
        """A homeserver shows whoever has left a room how it was then; here that is a refusal as well."""
        found = read_state(await self._client().body(path_of(CLIENT, "rooms", room_id, "state"), PATIENCE))
        ours = (event for event in found if event.type == "m.room.member" and event.state_key == self._user_id)
        if any(event.content["membership"] == "join" for event in ours):
            return found
        raise forbidden(f"{self._user_id} is not in the room {room_id}")

    async def changes(self, since: str | None) -> Changes:
        chosen = json.dumps(_watched() if since else _nothing())
        query = QUERY | {"filter": chosen} | ({"since": since} if since else {})
        try:
            return read_changes(await self._client().body(f"{path_of(CLIENT, 'sync')}?{urlencode(query)}", PATIENCE))
        except Refused as error:
            if since is None or error.code not in LOST:
                raise
            fix = "The next full sync begins anew; nothing has to be done."
            raise Refused("the homeserver does not know our position in its /sync any more", fix, "POSITION") from error


def _watched() -> dict[str, Any]:
    none: dict[str, Any] = {"types": []}
    state = {"types": list(KINDS), "lazy_load_members": False}
    room = {"state": state, "timeline": {"limit": TIMELINE}, "ephemeral": none, "account_data": none}
    return {"presence": none, "account_data": none, "event_fields": list(FIELDS), "room": room}


def _nothing() -> dict[str, Any]:
    """Never the same twice: Synapse answers a sync that it has seen from its cache for two minutes, and the present
    position is asked for. What changes is better told again, when the answer was lost on its way."""
    none: dict[str, Any] = {"types": []}
    return {"presence": {"types": [f"muster.look.{token_hex(8)}"]}, "account_data": none, "room": {"rooms": []}}
