"""Authentik and a homeserver over HTTP, of any size, in a process of their own: what a sync asks of them, in the shapes
of the real ones (`tests/contracts/test_neighbours.py`).

    .venv/bin/python -m benchmarks.neighbours --port 8099 --users 100000 --rooms 5000 [--delay 0.01]

Whoever speaks to the homeserver names themselves: the access token is a Matrix id.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.common import HOST, ROOT, free_port
from benchmarks.communities import Authentik, Fault, whole
from benchmarks.homes import BOT, DOMAIN, MEMBER, Homeserver
from local.loopback import LOOPBACK

Answer = Callable[[Request], Awaitable[Any]]
API, CLIENT, ADMIN = "/api/v3/core", "/_matrix/client/v3", "/_synapse/admin/v1"
GONE = {"errcode": "M_NOT_FOUND", "error": "Account data not found"}


def application(users: int, rooms: int, delay: float = 0.0) -> Starlette:
    authentik, homeserver = Authentik(users), Homeserver(rooms, users)
    return Starlette(routes=[*_accounts(authentik, delay), *_rooms(homeserver, delay)])


def _route(method: str, path: str, answer: Answer, delay: float, status: int = 200) -> Route:
    async def respond(request: Request) -> Response:
        await asyncio.sleep(delay)
        try:
            said = await answer(request)
        except Fault as fault:
            return JSONResponse(fault.body, fault.status)
        if isinstance(said, bytes):
            return Response(said, media_type="application/json")
        return Response(status_code=204) if said is None else JSONResponse(said, status)

    return Route(path, respond, methods=[method])


# ------------------------------------------------------------------ Authentik


def _accounts(authentik: Authentik, delay: float) -> Iterator[Route]:
    async def listed(request: Request) -> Any:
        return authentik.listed(request.query_params)

    async def made(request: Request) -> Any:
        return authentik.made(await request.json())

    async def one(request: Request) -> Any:
        return whole(authentik.row(_pk(request)))

    async def changed(request: Request) -> Any:
        return authentik.changed(_pk(request), await request.json())

    async def password(request: Request) -> Any:
        authentik.changed(_pk(request), {})

    async def recovery(request: Request) -> Any:
        authentik.row(_pk(request))
        raise Fault(400, {"non_field_errors": "No recovery flow set."})

    async def deleted(request: Request) -> Any:
        authentik.deleted(_pk(request))

    async def groups(request: Request) -> Any:
        return authentik.groups(request.query_params)

    async def grouped(request: Request) -> Any:
        pk, inside = (await request.json())["pk"], request.url.path.endswith("/add_user/")
        authentik.grouped(request.path_params["group"], pk, inside=inside)

    yield _route("GET", f"{API}/users/", listed, delay)
    yield _route("POST", f"{API}/users/", made, delay, 201)
    yield _route("GET", f"{API}/users/{{pk:int}}/", one, delay)
    yield _route("PATCH", f"{API}/users/{{pk:int}}/", changed, delay)
    yield _route("DELETE", f"{API}/users/{{pk:int}}/", deleted, delay)
    yield _route("POST", f"{API}/users/{{pk:int}}/set_password/", password, delay)
    yield _route("POST", f"{API}/users/{{pk:int}}/recovery/", recovery, delay)
    yield _route("GET", f"{API}/groups/", groups, delay)
    for act in ("add_user", "remove_user"):
        yield _route("POST", f"{API}/groups/{{group}}/{act}/", grouped, delay)


def _pk(request: Request) -> int:
    return int(request.path_params["pk"])


# ------------------------------------------------------------------ Matrix


def _rooms(homeserver: Homeserver, delay: float) -> Iterator[Route]:
    async def joined(_: Request) -> Any:
        return {"joined_rooms": homeserver.joined()}

    async def state(request: Request) -> Any:
        return homeserver.state(_room(request))

    async def sync(request: Request) -> Any:
        chosen = json.loads(request.query_params.get("filter", "{}")).get("room", {})
        limit, since = chosen.get("timeline", {}).get("limit", 10), request.query_params.get("since")
        return homeserver.sync(since or homeserver.position, limit, rooms=chosen.get("rooms") != [])

    async def direct(_: Request) -> Any:
        raise Fault(404, GONE)

    async def create(request: Request) -> Any:
        return {"room_id": homeserver.create(_by(request), await request.json())}

    async def upgrade(request: Request) -> Any:
        version = (await request.json())["new_version"]
        return {"replacement_room": homeserver.upgrade(_room(request), _by(request), version)}

    async def put(request: Request) -> Any:
        kind, key = request.path_params["kind"], request.path_params["key"]
        return {"event_id": homeserver.put(_room(request), kind, key, await request.json(), _by(request))}

    async def say(request: Request) -> Any:
        return {"event_id": homeserver.say(_room(request), await request.json(), _by(request))}

    def member(membership: str) -> Answer:
        async def become(request: Request) -> Any:
            user = (await request.json()).get("user_id") or _by(request)
            homeserver.put(_room(request), MEMBER, user, {"membership": membership}, _by(request))
            return {"room_id": _room(request)} if membership == "join" else {}

        return become

    async def whoami(request: Request) -> Any:
        return {"user_id": _by(request), "device_id": _device(request)}

    yield _route("GET", f"{CLIENT}/account/whoami", whoami, delay)
    yield _route("GET", f"{CLIENT}/joined_rooms", joined, delay)
    yield _route("GET", f"{CLIENT}/rooms/{{room}}/state", state, delay)
    yield _route("GET", f"{CLIENT}/sync", sync, delay)
    yield _route("GET", f"{CLIENT}/user/{{user}}/account_data/m.direct", direct, delay)
    yield _route("POST", f"{CLIENT}/createRoom", create, delay)
    yield _route("POST", f"{CLIENT}/rooms/{{room}}/upgrade", upgrade, delay)
    yield _route("PUT", f"{CLIENT}/rooms/{{room}}/state/{{kind}}/{{key:path}}", put, delay)
    yield _route("PUT", f"{CLIENT}/rooms/{{room}}/send/m.room.message/{{txn}}", say, delay)
    yield _route("POST", f"{CLIENT}/join/{{room}}", member("join"), delay)
    for act, membership in {"join": "join", "leave": "leave", "kick": "leave", "invite": "invite"}.items():
        yield _route("POST", f"{CLIENT}/rooms/{{room}}/{act}", member(membership), delay)
    yield _route("POST", f"{ADMIN}/join/{{room}}", member("join"), delay)


def _room(request: Request) -> str:
    return str(request.path_params["room"])


def _by(request: Request) -> str:
    """A token is the user's id, and behind a # the device."""
    return request.headers["authorization"].removeprefix("Bearer ").partition("#")[0]


def _device(request: Request) -> str:
    return request.headers["authorization"].partition("#")[2] or "SENDS"


# ------------------------------------------------------------------ as a process


@contextlib.contextmanager
def running(users: int, rooms: int, delay: float = 0.0) -> Iterator[dict[str, str]]:
    """The settings that lead to them."""
    port = free_port()
    sizes = ("--users", str(users), "--rooms", str(rooms), "--delay", str(delay))
    command = [sys.executable, "-m", "benchmarks.neighbours", "--port", str(port), *sizes]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        _wait(f"http://{HOST}:{port}")
        yield settings(f"http://{HOST}:{port}")
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{url}{CLIENT}/sync", **LOOPBACK).raise_for_status()
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing answers at {url}")


def settings(url: str) -> dict[str, str]:
    authentik = {"AUTHENTIK_URL": url, "AUTHENTIK_API_TOKEN": "any"}
    matrix = {"MATRIX_HOMESERVER": url, "MATRIX_USER_ID": BOT, "MATRIX_DOMAIN": DOMAIN, "MATRIX_ACCESS_TOKEN": BOT}
    return authentik | matrix | {"MATRIX_SYNC_ACCESS_TOKEN": f"{BOT}#WATCHES", "MUSTER_ENV": "local"}


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--users", type=int, default=1300)
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each call takes on its way")
    chosen = parser.parse_args()
    app = application(chosen.users, chosen.rooms, chosen.delay)
    uvicorn.run(app, host=HOST, port=chosen.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
