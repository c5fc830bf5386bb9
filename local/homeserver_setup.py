"""What a homeserver needs before Muster can work on it: the bot, INDOC, the sample rooms, no limiter
for the bot. Repeating it changes nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from local.loopback import LOOPBACK

BOT = "muster"
DEVICE = "MUSTER"  # a transaction id counts per device: a new token must stay on this one
INDOC = ("INDOC", "Where everybody arrives. Say hello; a moment later you are in your rooms.")
SAMPLE_ROOMS = (
    ("Outdoors", "Hiking, climbing, cycling and sleeping in tents"),
    ("Book Club", "One novel a month, and all the others in between"),
    ("Kitchen", "Cooking, baking, recipes, and what went wrong"),
    ("Makers", "Electronics, woodwork, sewing, 3D printing"),
    ("Games", "Board games, video games and role-playing evenings"),
    ("Newcomers", "Questions of the first weeks, and who to ask"),
)


def provision(url: str, domain: str, registration_secret: str, data: Path) -> dict[str, Any]:
    """Answers `homeserver`, `access_token`, `user_id`, `device_id`, `password`, `domain`,
    `indoc_room_id`, `rooms` [{room_id, name}] and `registration_secret`. Raises `httpx.HTTPError`."""
    user_id = f"@{BOT}:{domain}"
    with httpx.Client(base_url=url, timeout=60, **LOOPBACK) as http:
        token, password = _bot(http, registration_secret, data / "bot.json")
        http.headers["Authorization"] = f"Bearer {token}"
        lift_limits(http, user_id)
        indoc = _room(http, domain, *INDOC, public=True)
        rooms = [{"room_id": _room(http, domain, *room), "name": room[0]} for room in SAMPLE_ROOMS]
    return {
        "homeserver": url,
        "access_token": token,
        "user_id": user_id,
        "device_id": DEVICE,
        "password": password,
        "domain": domain,
        "indoc_room_id": indoc,
        "rooms": rooms,
        "registration_secret": registration_secret,
    }


def lift_limits(http: httpx.Client, user_id: str) -> None:
    """What the self-check tells a server admin to do, so that inviting never waits."""
    path = f"/_synapse/admin/v1/users/{quote(user_id)}/override_ratelimit"
    http.post(path, json={"messages_per_second": 0, "burst_count": 0}).raise_for_status()


def registration(secret: str, nonce: str, username: str, password: str, **more: Any) -> dict[str, Any]:
    """The body of `POST /_synapse/admin/v1/register`, signed as Synapse wants it (SHA-1 is its choice).
    `more`: admin, displayname, device_id."""
    parts = (nonce, username, password, "admin" if more.get("admin") else "notadmin")
    mac = hmac.new(secret.encode(), "\x00".join(parts).encode(), hashlib.sha1).hexdigest()
    return {"nonce": nonce, "username": username, "password": password, "mac": mac, **more}


def register(http: httpx.Client, secret: str, username: str, password: str, **more: Any) -> dict[str, Any]:
    """A new user: `user_id`, `access_token`, `device_id`."""
    path = "/_synapse/admin/v1/register"
    nonce = http.get(path).raise_for_status().json()["nonce"]
    body = registration(secret, nonce, username, password, **more)
    answer: dict[str, Any] = http.post(path, json=body).raise_for_status().json()
    return answer


def _bot(http: httpx.Client, secret: str, path: Path) -> tuple[str, str]:
    """Token and password: the kept token where it still works, else a new one on the same device."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("access_token") and _works(http, kept["access_token"]):
        return str(kept["access_token"]), str(kept["password"])
    if "password" not in kept:
        kept = {"password": secrets.token_urlsafe(24)}
        _keep(path, kept)  # before the account exists: without its password it would be lost
    kept["access_token"] = _enter(http, secret, kept["password"])
    _keep(path, kept)
    return str(kept["access_token"]), str(kept["password"])


def _works(http: httpx.Client, token: str) -> bool:
    answer = http.get("/_matrix/client/v3/account/whoami", headers={"Authorization": f"Bearer {token}"})
    return answer.is_success and answer.json().get("device_id") == DEVICE


def _enter(http: httpx.Client, secret: str, password: str) -> str:
    try:
        answer = register(http, secret, BOT, password, admin=True, displayname="Muster", device_id=DEVICE)
    except httpx.HTTPStatusError as error:
        if error.response.json().get("errcode") != "M_USER_IN_USE":
            raise
        identifier = {"type": "m.id.user", "user": BOT}
        body = {"type": "m.login.password", "identifier": identifier, "password": password, "device_id": DEVICE}
        answer = http.post("/_matrix/client/v3/login", json=body).raise_for_status().json()
    return str(answer["access_token"])


def _keep(path: Path, value: dict[str, str]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(value))


def _room(http: httpx.Client, domain: str, name: str, topic: str, *, public: bool = False) -> str:
    """The room's id, made if there is none of that alias."""
    localpart = name.lower().replace(" ", "-")
    found = http.get(f"/_matrix/client/v3/directory/room/{quote(f'#{localpart}:{domain}')}")
    if found.status_code == httpx.codes.NOT_FOUND:
        body = {"name": name, "topic": topic, "room_alias_name": localpart}
        preset = "public_chat" if public else "private_chat"
        body |= {"preset": preset, "visibility": "public" if public else "private"}
        found = http.post("/_matrix/client/v3/createRoom", json=body)
    return str(found.raise_for_status().json()["room_id"])
