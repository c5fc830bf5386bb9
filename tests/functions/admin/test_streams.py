"""Server-Sent Events of an onboarding and of a job, read from the served entry point as they come."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from functions.admin import streams
from functions.admin.app import app
from shared.domain.errors import Unreachable
from shared.services.watching import LONGEST
from shared.wiring import wiring
from tests.functions.admin.test_onboardings import onboarded, seen
from tests.functions.conftest import lines
from tests.functions.served import API_KEY, OTHER_API_KEY, Service, Watched, application, key_entry, problem
from tests.world import World


class Reader:
    """Of one stream, from `application` as an ASGI server calls it."""

    def __init__(self, service: Service, path: str, token: str = API_KEY, **headers: str) -> None:
        self.service, self.status, self.headers = service, 0, dict[str, str]()
        sent = {"authorization": f"Bearer {token}", "accept-encoding": "gzip"} | headers
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
            "client": ("192.0.2.7", 4711),
            "server": urlsplit("//muster.test:80").netloc.split(":"),
        }
        self._came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.text = ""

    async def begin(self) -> Self:
        self.task = asyncio.ensure_future(application("admin")(self._scope, self._in.get, self._came.put))
        start = await self._next()
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def _next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._came.get(), 5)

    async def part(self) -> str:
        """The next event or comment; "" at the end."""
        part = str((await self._next())["body"].decode())
        self.text += part
        return part

    async def event(self) -> tuple[str, str, Any]:
        """The next one's name, id and data; comments are passed over."""
        while (part := await self.part()).startswith(":"):
            pass
        fields = dict(line.split(": ", 1) for line in part.strip().splitlines())
        return fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"]) if part else None

    async def rest(self) -> list[str]:
        """All that is left, the stream having ended."""
        parts = []
        while part := await self.part():
            parts.append(part)
        await asyncio.wait_for(self.task, 5)
        return parts

    async def leave(self) -> None:
        self._in.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(self.task, 5)

    def beat(self) -> None:
        """Lets the next look be taken."""
        self.service.beats.next.release()


@asynccontextmanager
async def reading(service: Service, path: str, token: str = API_KEY, **headers: str) -> AsyncIterator[Reader]:
    service.beats.held = True
    reader = await Reader(service, path, token, **headers).begin()
    try:
        yield reader
    finally:
        if not reader.task.done():
            await reader.leave()


async def waiting(service: Service, world: World) -> str:
    """The path of an onboarding that has come to rest, waiting for its member."""
    world.homeserver.add_room("Ops", alias="ops")
    onboarding = await onboarded(service, world)
    await service.work()
    world.pause(seconds=6)
    await service.work()
    world.pause(seconds=1)
    return f"/api/onboardings/{onboarding}"


async def test_each_change_comes_once(service: Service, world: World) -> None:
    """The first event is what GET answers; each change brings the next, in order; nothing comes while nothing changes."""
    path = await waiting(service, world)
    async with reading(service, f"{path}/events") as reader:
        assert (reader.status, reader.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (reader.headers["cache-control"], reader.headers["x-accel-buffering"]) == ("no-store", "no")
        assert not {"content-encoding", "content-length"} & set(reader.headers)
        name, first, data = await reader.event()
        assert (name, data) == ("onboarding", (await service.api("GET", path)).json())
        reader.beat()
        reader.beat()
        await service.api("POST", f"{path}/skip", json={"step": "indoc_removal", "reason": "said in person"})
        reader.beat()
        name, second, data = await reader.event()
        assert data == (await service.api("GET", path)).json()
        assert data["steps"]["indoc_removal"]["state"] == "skipped"
        assert first != second


async def test_read_on_after_a_break(service: Service, world: World) -> None:
    """With `Last-Event-ID` a reader who has it all gets nothing until something changes, on any instance."""
    path = await waiting(service, world)
    async with reading(service, f"{path}/events") as reader:
        _, version, _ = await reader.event()
    async with reading(service, f"{path}/events", last_event_id=version) as reader:
        for _ in range(5):
            reader.beat()
        await service.api("POST", f"{path}/skip", json={"step": "indoc_removal", "reason": "x"})
        reader.beat()
        _, later, data = await reader.event()
        assert data["steps"]["indoc_removal"]["state"] == "skipped"
        assert later != version
        assert reader.text.count("event: ") == 1
    async with reading(service, f"{path}/events", last_event_id="of another thing") as reader:
        assert (await reader.event())[1] == later


async def test_it_ends_when_it_is_done(service: Service, world: World) -> None:
    """Once it is done its last state comes, then `event: end`; whoever has it all hears the end alone."""
    world.homeserver.add_room("Ops", alias="ops")
    world.arrive()
    onboarding = await onboarded(service, world)
    path = f"/api/onboardings/{onboarding}/events"
    async with reading(service, path) as reader:
        assert (await reader.event())[2]["state"] == "running"
        await service.work()
        world.pause(seconds=6)
        await service.work()
        reader.beat()
        _, version, data = await reader.event()
        assert (data["state"], data) == ("done", await seen(service, onboarding))
        assert await reader.event() == ("end", "", {})
        assert await reader.rest() == []
    again = await Reader(service, path, last_event_id=version).begin()
    assert [part for part in await again.rest() if part[0] != ":"] == ["event: end\ndata: {}\n\n"]


async def test_a_job(service: Service, world: World) -> None:
    """A job is followed item by item until each has ended, one that failed too; it is what GET answers."""
    world.homeserver.add_room("Ops", alias="ops")
    body = {"matrix_id": world.arrive(), "rooms": ["#ops:fake.test", "#nowhere:fake.test"]}
    job = (await service.api("POST", "/api/rooms/invite", json=body)).json()["job"]["id"]
    async with reading(service, f"/api/jobs/{job}/events") as reader:
        assert (await reader.event())[0] == "job"
        await service.work()
        reader.beat()
        name, _, data = await reader.event()
        assert (name, data) == ("job", (await service.api("GET", f"/api/jobs/{job}")).json())
        assert sorted(item["state"] for item in data["items"]) == ["done", "failed"]
        assert (await reader.event())[0] == "end"


async def test_who_goes_costs_nothing_more(service: Service, world: World) -> None:
    """Each look at what rests is two reads; once the reader has gone nothing is read any more, and the place is free."""
    path = await waiting(service, world)
    reads = store(world).reads
    async with reading(service, f"{path}/events") as reader:
        await reader.event()
        reads.clear()
        for _ in range(3):
            reader.beat()
        await settled()
        record = path.removeprefix("/api/")
        assert reads == [record, f"{record}/steps"] * 3
    for _ in range(3):
        reader.beat()
    await settled()
    assert len(reads) == 6
    assert followers() == 0


def store(world: World) -> Watched:
    assert isinstance(world.documents, Watched)
    return world.documents


async def settled() -> None:
    """Whoever can go on has."""
    for _ in range(200):
        await asyncio.sleep(0)


def followers() -> int:
    return wiring().followers


async def test_a_heartbeat_and_an_end(service: Service, world: World) -> None:
    """At rest a comment comes every 15 seconds, and after four minutes the stream ends, to be taken up again."""
    path = await waiting(service, world)
    began = world.now()
    reader = await Reader(service, f"{path}/events").begin()
    parts = await reader.rest()
    assert [part.partition(":")[0] for part in parts] == ["", "id", *[""] * 15]
    assert world.now() - began == LONGEST
    assert "event: end" not in reader.text


@pytest.mark.parametrize("left", [33, 60, -5])
async def test_not_beyond_its_token(service: Service, world: World, left: int) -> None:
    """A stream ends with the token that it was opened with; the leeway of a single request is not for it."""
    path = await waiting(service, world)
    began, token = world.now(), service.issuer.access(exp=int(time.time()) + left)
    reader = await Reader(service, f"{path}/events", token).begin()
    await reader.rest()
    assert max(0, left) - 2 < (world.now() - began).total_seconds() <= max(0, left)


async def test_who_may_no_longer(service: Service, world: World) -> None:
    """A key that is taken away, or another admin group, ends the stream at its next look, with nothing more told."""
    path = await waiting(service, world)
    for name, value, token in (
        ("ADMIN_GROUP", "others", service.issuer.access()),
        ("ADMIN_API_KEYS", key_entry("script", OTHER_API_KEY), API_KEY),
    ):
        async with reading(service, f"{path}/events", token) as reader:
            await reader.event()
            service.env[name] = value
            reader.beat()
            assert await reader.rest() == []


async def test_what_is_wrong_before_the_first_event(service: Service, world: World) -> None:
    """Strangers, outsiders, what is not there, and a parameter that nobody knows are problem documents."""
    path = f"{await waiting(service, world)}/events"
    problem(await service.api("GET", path, token="mk-unknown"), 401)
    problem(await service.api("GET", path, token=service.issuer.access(groups=[])), 403)
    for nothing in ("/api/onboardings/ob_nobody/events", "/api/jobs/job_nobody/events"):
        problem(await service.api("GET", nothing), 404)
    problem(await service.api("GET", f"{path}?token=x"), 400)
    assert followers() == 0


async def test_no_place_left(service: Service, world: World) -> None:
    """The 51st reader of an instance gets 503 with Retry-After; when one goes there is a place again."""
    path = f"{await waiting(service, world)}/events"
    service.beats.held = True
    readers = [await Reader(service, path).begin() for _ in range(streams.MOST)]
    refused = await service.api("GET", path)
    assert "/events" in problem(refused, 503)["fix"]
    assert refused.headers["retry-after"] == "30"
    await readers.pop().leave()
    readers.append(await Reader(service, path).begin())
    assert readers[-1].status == 200
    for reader in readers:
        await reader.leave()
    assert followers() == 0


async def test_a_fault_ends_it(service: Service, world: World, logged: io.StringIO) -> None:
    """A store that fails in the middle ends the stream without an end event, a crash too, which is in the log."""
    path = f"{await waiting(service, world)}/events"
    for error in (Unreachable("firestore", "no answer"), RuntimeError("a mistake of ours")):
        async with reading(service, path) as reader:
            await reader.event()
            store(world).broken = error
            reader.beat()
            assert await reader.rest() == []
            store(world).broken = None
    [crash] = [line for line in lines(logged) if line["severity"] == "ERROR"]
    assert "a mistake of ours" in crash["stack_trace"]
    assert [line for line in lines(logged) if line["message"] == "stream ended early" and line["cause"] == "no answer"]


def test_it_is_documented() -> None:
    """OpenAPI says that these answers are event streams, and names Last-Event-ID."""
    for path in (
        "/api/onboardings/{onboarding_id}/events",
        "/api/jobs/{job_id}/events",
        "/api/members/{matrix_id}/conversation/events",
    ):
        operation = app().openapi()["paths"][path]["get"]
        assert set(operation["responses"]["200"]["content"]) == {"text/event-stream"}
        assert [one["name"] for one in operation["parameters"] if one["in"] == "header"] == ["last-event-id"]
        assert re.search("event: end", operation["responses"]["200"]["description"])
