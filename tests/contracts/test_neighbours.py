"""The neighbours of the benchmarks answer in the shapes of the real ones; what they promise besides is in
`test_directory` and `test_chat_state`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.homes import BOT
from benchmarks.neighbours import running
from local.loopback import LOOPBACK
from shared.adapters.matrix_client import CLIENT, path_of
from shared.adapters.matrix_state import KINDS
from tests.contracts.authentik_server import standin
from tests.contracts.synapse_server import Homeserver

pytest_plugins = ("tests.contracts.synapse_server",)
PAGED = {"ordering": "date_joined,pk", "page_size": "100"}


@pytest.fixture(scope="module")
def computed() -> Iterator[httpx.Client]:
    with running(users=250, rooms=3) as settings:
        headers = {"Authorization": f"Bearer {BOT}"}
        with httpx.Client(base_url=settings["MATRIX_HOMESERVER"], headers=headers, **LOOPBACK) as client:
            yield client


def shape(value: Any) -> Any:
    """Which fields there are, and of which kind each is; of a list its first. None: it may be anything."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("core/users/", {**PAGED, "search": "ada@example.test", "is_active": "true"}),
        ("core/users/", {**PAGED, "page": "99"}),
        ("core/users/", {"groups_by_name": "nobody"}),
        ("core/users/99999/", {}),
        ("core/groups/", {"include_users": "false", "include_parents": "true", "page": "1"}),
    ],
)
def test_accounts_have_authentiks_shape(
    computed: httpx.Client, tmp_path: Path, path: str, query: dict[str, str]
) -> None:
    """Status, fields and kinds of what a sync asks of Authentik, refusals included."""
    with standin(tmp_path / "state.sqlite") as server, server.client() as real:
        for ask, base in ((real, ""), (computed, "/api/v3/")):
            person = {"username": tmp_path.name, "name": "Ada", "email": "ada@example.test", "attributes": {}}
            ask.post(f"{base}core/users/", json=person).raise_for_status()
        theirs, ours = real.get(path, params=query), computed.get(f"/api/v3/{path}", params=query)
    assert ours.status_code == theirs.status_code
    assert shape(_known(ours.json())) == shape(_known(theirs.json()))


def _known(said: Any) -> Any:
    """Without what differs from row to row."""
    if isinstance(said, dict) and "results" in said:
        varied = ("users", "groups", "groups_obj", "last_login")
        rows = [{key: value for key, value in row.items() if key not in varied} for row in said["results"]]
        return said | {"results": rows}
    return said


def test_rooms_have_synapses_shape(computed: httpx.Client, homeserver: Homeserver) -> None:
    """Each kind of state that a computed room has bears the fields that Synapse gives it."""
    headers = {"Authorization": f"Bearer {homeserver.token}"}
    with httpx.Client(base_url=homeserver.url, headers=headers, **LOOPBACK) as real:
        body = {"name": "Hall", "topic": "Of many", "preset": "private_chat", "room_version": "11"}
        room = real.post(f"{CLIENT}/createRoom", json=body).raise_for_status().json()["room_id"]
        theirs = _state(real, room)
    ours = _state(computed, computed.get(f"{CLIENT}/joined_rooms").json()["joined_rooms"][0])
    assert ours.keys() == theirs.keys() & set(KINDS)
    for kind, event in ours.items():
        assert shape(event) == shape(theirs[kind]), kind
    assert len(json.dumps(ours["m.room.member"])) == pytest.approx(len(json.dumps(theirs["m.room.member"])), rel=0.15)


def _state(client: httpx.Client, room: str) -> dict[str, Any]:
    """One event of each kind, without the contents that are open to whoever writes them."""
    events = client.get(path_of(CLIENT, "rooms", room, "state")).raise_for_status().json()
    return {event["type"]: event | ({} if event["type"] == "m.room.member" else {"content": {}}) for event in events}


def test_refusals_are_synapses(computed: httpx.Client, homeserver: Homeserver) -> None:
    """A room without the bot, a position that nobody knows, and no direct rooms."""
    headers = {"Authorization": f"Bearer {homeserver.register('fresh')['access_token']}"}
    paths = [f"{CLIENT}/sync?since=what", path_of(CLIENT, "rooms", "!none:example.org", "state")]
    paths.append(path_of(CLIENT, "user", BOT, "account_data", "m.direct"))
    with httpx.Client(base_url=homeserver.url, headers=headers, **LOOPBACK) as real:
        me = real.get(f"{CLIENT}/account/whoami").json()["user_id"]
        theirs = [real.get(path.replace("muster%3Aexample.org", me[1:].replace(":", "%3A"))) for path in paths]
    ours = [computed.get(path) for path in paths]
    assert [(one.status_code, one.json()["errcode"]) for one in ours] == [
        (one.status_code, one.json()["errcode"]) for one in theirs
    ]
