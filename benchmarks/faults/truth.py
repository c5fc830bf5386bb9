"""What really happened, asked of Synapse and Authentik themselves, and whether Muster says the same."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from local.loopback import LOOPBACK
from shared.domain import ids
from shared.domain.messages import MARKER

CLIENT = "/_matrix/client/v3"
Json = dict[str, Any]


class Homeserver:
    """Read as the bot, past Muster and past the proxy."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.bot = env["MATRIX_USER_ID"]
        headers = {"Authorization": f"Bearer {env['MATRIX_ACCESS_TOKEN']}"}
        self._http = httpx.Client(base_url=env["MATRIX_HOMESERVER"], headers=headers, timeout=60, **LOOPBACK)

    def memberships(self, room_id: str) -> dict[str, str]:
        """Everybody who has a member event, and what it says now."""
        state = self._get(f"/_synapse/admin/v1/rooms/{quote(room_id)}/state")["state"]
        members = [event for event in state if event["type"] == "m.room.member"]
        return {event["state_key"]: event["content"]["membership"] for event in members}

    def said(self, room_id: str) -> Counter[str]:
        """How many messages of the bot's bear each step's marker."""
        return Counter(event["content"][MARKER] for event in self._messages(room_id) if MARKER in event["content"])

    def sealed(self, room_id: str) -> int:
        """How many encrypted messages of the bot's there are."""
        return sum(1 for _ in self._messages(room_id, "m.room.encrypted"))

    def event_ids(self, room_id: str) -> set[str]:
        return {event["event_id"] for event in self._messages(room_id)}

    def direct_rooms(self, known: set[str]) -> dict[str, list[str]]:
        """Of each member, among the rooms that the bot is in and that are not `known`; under "" those of nobody."""
        found: dict[str, list[str]] = defaultdict(list)
        for room_id in self._get(f"{CLIENT}/joined_rooms")["joined_rooms"]:
            if room_id not in known:
                there = self.memberships(room_id)
                for member in [user for user, state in there.items() if user != self.bot and state != "leave"] or [""]:
                    found[member].append(room_id)
        return found

    def listed(self) -> dict[str, list[str]]:
        """m.direct."""
        try:
            return dict(self._get(f"{CLIENT}/user/{quote(self.bot)}/account_data/m.direct"))
        except httpx.HTTPStatusError:
            return {}

    def close(self) -> None:
        self._http.close()

    def _messages(self, room_id: str, kind: str = "m.room.message") -> Iterator[Json]:
        wanted = {"types": [kind], "senders": [self.bot]}
        params = {"dir": "b", "limit": "500", "filter": json.dumps(wanted)}
        while True:
            page = self._get(f"{CLIENT}/rooms/{quote(room_id)}/messages", params)
            yield from page["chunk"]
            if not page.get("end"):
                return
            params["from"] = page["end"]

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        answer: Json = self._http.get(path, params=params).raise_for_status().json()
        return answer


def group_members(env: Mapping[str, str], name: str) -> set[int]:
    """The pks of those whom Authentik has in that group."""
    headers = {"Authorization": f"Bearer {env['AUTHENTIK_API_TOKEN']}"}
    with httpx.Client(base_url=env["AUTHENTIK_URL"], headers=headers, timeout=60, **LOOPBACK) as http:
        params = {"name": name, "include_users": "true"}
        answer = http.get("/api/v3/core/groups/", params=params).raise_for_status().json()
    return {user["pk"] for group in answer["results"] if group["name"] == name for user in group["users_obj"]}


@dataclass
class Verdict:
    """`complete` of `expected` members; the rest are sentences, each about one member."""

    expected: int
    complete: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.complete == self.expected and not (self.lost or self.twice or self.disagreements)

    def __str__(self) -> str:
        return "\n".join([f"{self.complete} of {self.expected} complete", *self.lost, *self.twice, *self.disagreements])


class Inspection:
    """Of `usernames`, each invited to `rooms`, against what Muster says of all its onboardings."""

    def __init__(self, env: Mapping[str, str], rooms: Sequence[str]) -> None:
        self._env, self._rooms, self._indoc = env, list(rooms), env["MATRIX_INDOC_ROOM_ID"]
        known = {self._indoc, *(room["room_id"] for room in json.loads(env["ROOMS"]))}
        server = Homeserver(env)
        self._server = server
        self._there = {room: server.memberships(room) for room in (*self._rooms, self._indoc)}
        self._farewells, self._direct = server.said(self._indoc), server.direct_rooms(known)
        self._group = group_members(env, env["AUTHENTIK_DEFAULT_GROUP"])

    def verdict(self, usernames: Sequence[str], onboardings: Sequence[Json]) -> Verdict:
        found: dict[str, list[Json]] = defaultdict(list)
        for onboarding in onboardings:
            found[onboarding["member"]["username"]].append(onboarding)
        verdict = Verdict(len(usernames))
        for username in usernames:
            self._judge(verdict, username, found[username])
        self._server.close()
        return verdict

    def _judge(self, verdict: Verdict, username: str, mine: list[Json]) -> None:
        if len(mine) != 1:
            (verdict.twice if mine else verdict.lost).append(f"{username}: {len(mine)} onboardings")
            return
        [onboarding] = mine
        facts = dict(self._facts(onboarding))
        lost = [name for name, count in facts.items() if count < 1]
        twice = [f"{name} {count} times" for name, count in facts.items() if count > 1]
        says_done = onboarding["state"] == "done"
        if says_done and not lost and not twice:
            verdict.complete += 1
        if lost:
            verdict.lost.append(
                f"{username}: no {', '.join(lost)} (Muster says {onboarding['state']}: {_stuck(onboarding)})"
            )
        elif not says_done:
            verdict.disagreements.append(
                f"{username}: all is there, Muster says {onboarding['state']}: {_stuck(onboarding)}"
            )
        if twice:
            verdict.twice.append(f"{username}: {', '.join(twice)}")
        verdict.disagreements += [f"{username}: {what}" for what in self._disagreements(onboarding)]

    def _facts(self, onboarding: Json) -> Iterator[tuple[str, int]]:
        """What there is of each thing; it should be one."""
        member, parent = onboarding["member"]["matrix_id"], f"onboardings/{onboarding['id']}"
        for room in self._rooms:
            yield f"invite to {room}", self._there[room].get(member) in ("invite", "join")
        yield "removal from INDOC", self._there[self._indoc].get(member) == "leave"
        yield "group", onboarding["member"]["pk"] in self._group
        yield "direct room", len(self._direct.get(member, ()))
        said = self._said_to(member)
        for step in ("hello", "welcome"):
            yield step, said[ids.transaction_id(parent, step, member)]
        yield "farewell", self._farewells[ids.transaction_id(parent, "indoc_farewell", member)]

    def _said_to(self, member: str) -> Counter[str]:
        said = Counter[str]()
        for room in self._direct.get(member, ()):
            said.update(self._server.said(room))
        return said

    def _disagreements(self, onboarding: Json) -> Iterator[str]:
        """Steps that Muster calls done, and of which the servers know nothing; or the other way round."""
        facts = dict(self._facts(onboarding))
        if onboarding["listed"] != onboarding["state"]:
            yield f"the list has it {onboarding['listed']}, its steps say {onboarding['state']}"
        names = {"indoc_farewell": "farewell", "indoc_removal": "removal from INDOC", "groups": "group"}
        for name, step in onboarding["steps"].items():
            about = f"invite to {name.removeprefix('room:')}" if name.startswith("room:") else names.get(name, name)
            if about in facts and (step["state"] == "done") != bool(facts[about]):
                yield f"Muster says {name} is {step['state']}, the server {'has' if facts[about] else 'has not'} it"
            if name in ("hello", "welcome") and step["state"] == "done":
                rooms = self._direct.get(onboarding["member"]["matrix_id"], [])
                if [step["result"]["room_id"]] != rooms:
                    yield f"Muster says {name} is in another direct room than the server"


def _stuck(onboarding: Json) -> str:
    steps = onboarding["steps"].items()
    return "; ".join(f"{name} {step['state']} {step['cause']}" for name, step in steps if step["state"] != "done")
