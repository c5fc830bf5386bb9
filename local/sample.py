"""One sample member, for real: invited, enrolled, onboarded, then read back from the servers that know."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from local.loopback import LOOPBACK
from local.screen import Screen
from shared.domain.members import suggested_username

if TYPE_CHECKING:
    from local.member import Member

DEADLINE = 90.0
DENIED, ENDED = "ak-stage-access-denied", "xak-flow-redirect"
Json = dict[str, Any]


class SampleFailed(RuntimeError):
    """What did not happen, with cause and fix in words."""


def api(env: Mapping[str, str]) -> httpx.AsyncClient:
    """The admin API, as whoever holds the local key."""
    headers = {"Authorization": f"Bearer {env['ADMIN_API_KEY']}"}
    return httpx.AsyncClient(base_url=env["PUBLIC_URL"], headers=headers, timeout=30, **LOOPBACK)


async def invite(client: httpx.AsyncClient, rooms: list[str], **more: Any) -> Json:
    body = {"label": "A sample member", "rooms": rooms, "expires_in_hours": 24, **more}
    return _answer(await client.post("/api/invites", json=body))


async def enroll(link: str, username: str, **answers: str) -> None:
    """What a member does in a browser at the link, by the flow executor. Raises `SampleFailed`."""
    parts, password = urlsplit(link), secrets.token_urlsafe(12)
    slug, token = parts.path.strip("/").split("/")[-1], parse_qs(parts.query)["itoken"][0]
    url = f"{parts.scheme}://{parts.netloc}/api/v3/flows/executor/{slug}/?query={quote(f'itoken={token}')}"
    known = {"username": username, "name": "Sample Member", "email": f"{username}@example.org", **answers}
    known |= {"password": password, "password_repeat": password}
    async with httpx.AsyncClient(timeout=30, follow_redirects=True, **LOOPBACK) as browser:
        challenge = _answer(await browser.get(url))
        for _ in range(6):  # a flow may ask in several stages
            if challenge["component"] == ENDED:
                return
            if challenge["component"] == DENIED or challenge.get("response_errors"):
                why = challenge.get("error_message") or challenge.get("response_errors")
                raise SampleFailed(f"Authentik's enrollment flow refused: {why}")
            fields = {field["field_key"]: known.get(field["field_key"], "") for field in challenge.get("fields", ())}
            challenge = _answer(await browser.post(url, json=fields | {"component": challenge["component"]}))
    raise SampleFailed(
        f"Authentik's enrollment flow stays at {challenge['component']}, which no sample member can pass."
    )


async def onboarding_of(client: httpx.AsyncClient, username: str, patience: float = DEADLINE) -> Json:
    """The member's onboarding once it is done. Raises `SampleFailed` when it fails or takes longer (seconds)."""
    deadline, found = time.monotonic() + patience, Json()
    while time.monotonic() < deadline and found.get("state") not in ("done", "failed", "held"):
        await asyncio.sleep(0.2)
        if found:
            found = _answer(await client.get(f"/api/onboardings/{found['id']}"))
        else:
            items = _answer(await client.get("/api/onboardings", params={"limit": 20}))["items"]
            found = next((item for item in items if item["member"]["username"] == username), found)
    if found.get("state") == "done":
        return found
    if not found:
        raise SampleFailed(f"Muster has heard nothing of {username}: is the webhook's secret the same on both sides?")
    stuck = {name: step for name, step in found["steps"].items() if step["state"] not in ("done", "skipped")}
    lines = [" ".join(filter(None, [f"{n}: {s['state']}.", s.get("cause"), s.get("fix")])) for n, s in stuck.items()]
    raise SampleFailed("\n".join([f"The onboarding is {found['state']}.", *lines]))


def _answer(response: httpx.Response) -> Json:
    """The body; a problem document becomes a `SampleFailed` in its own words."""
    if response.is_success:
        answer: Json = response.json()
        return answer
    said = response.json() if "json" in response.headers.get("content-type", "") else {}
    words = " ".join(str(said[key]) for key in ("detail", "errors", "fix") if said.get(key))
    raise SampleFailed(f"{response.request.method} {response.request.url.path}: {response.status_code}. {words}")


class Sample:
    """The whole way of one member. `run` says each fact as soon as it is known and answers whether all hold."""

    def __init__(self, env: Mapping[str, str], rooms: list[Json], screen: Screen) -> None:
        self._env, self._screen = env, screen
        self._names = {room["room_id"]: room["name"] for room in rooms}
        self.username = suggested_username("sample", secrets.randbits(32))
        self.matrix_id = f"@{self.username}:{env['MATRIX_DOMAIN']}"
        self.onboarding, self.figures, self.holds = Json(), dict[str, float](), True
        self._since = 0.0

    async def run(self) -> bool:
        from local.member import Member

        self._screen.title(f"A sample member: {self.username}")
        async with api(self._env) as client:
            self._since = time.monotonic()
            link = (await invite(client, list(self._names)))["link"]
            self._step("invited", f"by a link, for {len(self._names)} rooms")
            at, secret = self._env["MATRIX_HOMESERVER"], self._env["SYNAPSE_REGISTRATION_SECRET"]
            member = await asyncio.to_thread(Member.enter, at, secret, self.username, secrets.token_urlsafe(12))
            try:
                await member.join(self._env["MATRIX_INDOC_ROOM_ID"])
                self._step("arrived", f"in INDOC as {self.matrix_id}")
                await enroll(link, self.username)
                self._step("enrolled", "at the link, by Authentik's enrollment flow")
                accepted = await self._come_in(client, member)
                self._screen.title("Read back from the servers that know")
                await self._read_account()
                await self._read_rooms(await member.joined_rooms())
                await self._read_messages(member, [room for room in accepted if room not in self._names])
            finally:
                await member.close()
        return self.holds

    async def _come_in(self, client: httpx.AsyncClient, member: Member) -> list[str]:
        wanted = len(self._names) + 1  # and the direct room
        accepting = asyncio.create_task(member.accept_invites(until=self._names, count=wanted, seconds=DEADLINE))
        try:
            self.onboarding = await onboarding_of(client, self.username)
            self._step("onboarded", f"{len(self.onboarding['steps'])} steps; the welcome waits some seconds")
            accepted = await asyncio.wait_for(accepting, 15)
        except TimeoutError as error:
            raise SampleFailed(f"The member's own client was not invited to all of {wanted} rooms.") from error
        finally:
            accepting.cancel()
        self._step("accepted", f"{len(accepted)} invites, by the member's own client")
        return accepted

    async def _read_account(self) -> None:
        found = await self._ask("AUTHENTIK_URL", "AUTHENTIK_API_TOKEN", f"/api/v3/core/users/?username={self.username}")
        user: Json = next(iter(found["results"]), {"is_active": False, "groups_obj": []})
        self._fact(
            "account", f"{self.username}, {'active' if user['is_active'] else 'absent'}", "Authentik", user["is_active"]
        )
        groups, wanted = {group["name"] for group in user["groups_obj"]}, self._env.get("AUTHENTIK_DEFAULT_GROUP")
        self._fact("groups", ", ".join(sorted(groups)) or "none", "Authentik", not wanted or wanted in groups)

    async def _read_rooms(self, joined: list[str]) -> None:
        names = [name for room, name in self._names.items() if room in joined]
        self._fact("rooms joined", ", ".join(names), "Synapse", len(names) == len(self._names))
        indoc = self._env["MATRIX_INDOC_ROOM_ID"]
        path = f"/_matrix/client/v3/rooms/{quote(indoc)}/state/m.room.member/{quote(self.matrix_id)}"
        event = await self._ask("MATRIX_HOMESERVER", "MATRIX_ACCESS_TOKEN", path)
        gone = event["membership"] == "leave" and indoc not in joined
        self._fact("INDOC left", event.get("reason") or f"membership: {event['membership']}", "Synapse", gone)

    async def _read_messages(self, member: Member, direct: list[str]) -> None:
        messages = [message for room in direct for message in await member.messages(room)]
        texts = [m.body for m in messages if m.sender == self._env["MATRIX_USER_ID"] and m.body]
        for name, text in zip(("hello", "welcome"), [*texts, "", ""], strict=False):
            self._fact(name, " ".join(text.split()) or "not there", "member's client", bool(text))
        counted = f"{len(texts)} messages, {len(direct)} direct room"
        self._fact("each once", counted, "member's client", (len(texts), len(direct)) == (2, 1))

    async def _ask(self, server: str, token: str, path: str) -> Json:
        """The server's own API, past Muster."""
        headers = {"Authorization": f"Bearer {self._env[token]}"}
        async with httpx.AsyncClient(timeout=30, headers=headers, **LOOPBACK) as client:
            return _answer(await client.get(f"{self._env[server]}{path}"))

    def _step(self, name: str, text: str) -> None:
        self.figures[name] = time.monotonic() - self._since
        self._since += self.figures[name]
        self._screen.timed(name, text, self.figures[name])

    def _fact(self, name: str, text: str, source: str, holds: bool) -> None:
        self.holds &= holds
        self._screen.line(name, text, source, ok=holds)
