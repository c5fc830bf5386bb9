"""Cloud Tasks and Cloud Scheduler on this machine, for the embedded stack and the tests.

    python -m local.tasks --port GRPC --http-port HTTP --data FILE --config JSON

`--config` (a file, or the JSON itself): {"project", "location", "queues": {id: {"max_dispatches_per_second",
"max_concurrent_dispatches", "retry": {"max_attempts", "min_backoff", ...}}}, "issuer"?, "schedules"?: [{"url",
"every_seconds", "email", "audience"}]}. Port 0 takes a free one; the line "ready" names both. Over HTTP: `/tasks`,
`/jwks`, `/.well-known/openid-configuration` and `POST /token {"audience", "email"}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.tasks_v2.types import Task
from jwt.algorithms import RSAAlgorithm

from local.tasks_grpc import Service, is_loopback
from local.tasks_queues import Outcome, Store, describe
from shared.logs import configure

HOST = "127.0.0.1"
LOG = logging.getLogger("muster.tasks")


class Issuer:
    """OIDC tokens like Google's, of a key that outlives the process."""

    def __init__(self, url: str, key_file: Path) -> None:
        key_file.touch(mode=0o600)
        if not key_file.stat().st_size:
            made = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), as_dict=True)
            key_file.write_text(json.dumps({**made, "kid": secrets.token_hex(8), "alg": "RS256", "use": "sig"}))
        key = json.loads(key_file.read_text())
        self._url, self._key = url, jwt.PyJWK(key)
        self.keys = {"keys": [{part: key[part] for part in ("kty", "n", "e", "kid", "alg", "use")}]}
        self.discovery = {"issuer": url, "jwks_uri": f"{url}/jwks", "id_token_signing_alg_values_supported": ["RS256"]}
        self._made: dict[tuple[str, str], tuple[float, str]] = {}

    def token(self, email: str, audience: str) -> str:
        """Valid for an hour. Signing is slow: the same one is given out for five minutes."""
        now = time.time()
        made_at, token = self._made.get((email, audience), (0.0, ""))
        if now - made_at > 300:
            claims = {"iss": self._url, "aud": audience, "sub": email, "email": email, "email_verified": True}
            claims |= {"iat": int(now), "exp": int(now) + 3600}
            token = jwt.encode(claims, self._key, headers={"kid": self._key.key_id})
            self._made[email, audience] = now, token
        return token


class Courier:
    """Carries tasks and scheduled calls to their handlers, with a token that says who calls."""

    def __init__(self, issuer: Issuer, session: aiohttp.ClientSession) -> None:
        self._issuer, self._session = issuer, session

    async def deliver(self, row: sqlite3.Row) -> Outcome:
        task = Task.deserialize(row["task"])
        http, queue, name = task.http_request, row["queue"].rpartition("/")[2], row["name"].rpartition("/")[2]
        facts = {"QueueName": queue, "TaskName": name, "TaskETA": f"{row['eta']:f}", "TaskRetryReason": row["reason"]}
        facts |= {"TaskRetryCount": row["attempts"] - 1, "TaskExecutionCount": row["executions"]}
        facts |= {"TaskPreviousResponse": row["response"]}
        headers = {key: value for key, value in http.headers.items() if not key.lower().startswith("x-cloudtasks-")}
        headers |= {f"X-CloudTasks-{key}": str(value) for key, value in facts.items() if value is not None}
        headers["User-Agent"] = "Google-Cloud-Tasks"
        deadline = task.dispatch_deadline.total_seconds() if "dispatch_deadline" in task else 600.0
        who = http.oidc_token.service_account_email, http.oidc_token.audience or http.url
        outcome = await self._send(
            http.http_method.name if http.http_method else "POST", http.url, headers, who, deadline, http.body
        )
        seen = {"queue": queue, "task": name, "attempt": row["attempts"], "outcome": outcome[1]}
        LOG.info("attempt", extra={"fields": seen})
        return outcome

    async def keep(self, schedule: dict[str, Any]) -> None:
        """For ever; a run that takes longer than the interval delays the next, so they never overlap."""
        url, headers = schedule["url"], {"User-Agent": "Google-Cloud-Scheduler", "X-CloudScheduler": "true"}
        while True:
            started = time.monotonic()
            outcome = await self._send("POST", url, headers, (schedule["email"], schedule.get("audience", url)), 180)
            LOG.info("scheduled run", extra={"fields": {"url": url, "outcome": outcome[1]}})
            await asyncio.sleep(max(0, schedule["every_seconds"] - (time.monotonic() - started)))

    async def _send(
        self, method: str, url: str, headers: dict[str, str], who: tuple[str, str], deadline: float, body: bytes = b""
    ) -> Outcome:
        """One attempt, within the deadline; whatever goes wrong is an outcome."""
        if who[0]:
            headers = headers | {"Authorization": f"Bearer {self._issuer.token(*who)}"}
        limit = aiohttp.ClientTimeout(total=deadline)
        asked = self._session.request(method, url, headers=headers, data=body, timeout=limit, allow_redirects=False)
        try:
            async with asked as answer:
                await answer.read()
                wait = answer.headers.get("Retry-After", "")
                return answer.status, f"HTTP {answer.status}", min(int(wait) if wait.isdecimal() else 0, 3600)
        except TimeoutError:
            return None, "DEADLINE_EXCEEDED", 0
        except (aiohttp.ClientError, OSError, ValueError):
            return None, "UNAVAILABLE", 0


def http_app(store: Store, issuer: Issuer) -> web.Application:
    async def get(request: web.Request) -> web.Response:
        rows = [{**row, "task": None} for row in store.find("true ORDER BY eta DESC LIMIT 1000")]
        pages = {"tasks": rows, "jwks": issuer.keys, "openid-configuration": issuer.discovery}
        return web.json_response(pages[request.match_info["page"]])

    async def token(request: web.Request) -> web.Response:
        """Neither a form of a web page nor a page under a name that points to this machine gets one."""
        if request.content_type != "application/json" or not is_loopback(f"http://{request.host}"):
            raise web.HTTPForbidden
        asked = await request.json()
        return web.json_response({"token": issuer.token(asked["email"], asked["audience"])})

    app = web.Application()
    app.add_routes([web.get("/{page:tasks|jwks}", get), web.get("/.well-known/{page:openid-configuration}", get)])
    app.add_routes([web.post("/token", token)])
    return app


async def serve(grpc_port: int, listener: socket.socket, data: Path, config: dict[str, Any]) -> None:
    """Until it is cancelled."""
    if itself := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, itself.cancel)
    store, http_port = Store(data), listener.getsockname()[1]
    issuer = Issuer(config.get("issuer", f"http://{HOST}:{http_port}"), data.with_name("tasks-signing-key.json"))
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    grpc_port = server.add_insecure_port(f"{HOST}:{grpc_port}")
    runner = web.AppRunner(http_app(store, issuer), access_log=None)
    await runner.setup()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        courier = Courier(issuer, session)
        service = Service(store, courier.deliver, group)
        for queue, limits in config["queues"].items():
            name = f"projects/{config['project']}/locations/{config['location']}/queues/{queue}"
            service.add_queue(describe(name, limits))
        for schedule in config.get("schedules", []):
            group.create_task(courier.keep(schedule))
        server.add_generic_rpc_handlers((service.handler(),))
        await server.start()
        await web.SockSite(runner, listener).start()  # last: who gets an answer over HTTP finds the rest ready
        LOG.info("ready", extra={"fields": {"grpc": grpc_port, "http": http_port}})
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(None)


def main() -> None:
    configure()
    parser = argparse.ArgumentParser(prog="local.tasks")
    for name, kind in (("--port", int), ("--http-port", int), ("--data", Path), ("--config", str)):
        parser.add_argument(name, type=kind, required=True)
    options = parser.parse_args()
    config = json.loads(options.config if options.config.startswith("{") else Path(options.config).read_text())
    if away := [each["url"] for each in config.get("schedules", []) if not is_loopback(each["url"])]:
        raise SystemExit(f"A schedule may call this machine only, not {away}.")
    try:
        listener = socket.create_server((HOST, options.http_port))
        asyncio.run(serve(options.port, listener, options.data, config))
    except (OSError, RuntimeError) as error:
        raise SystemExit(f"{error} (--port {options.port} or --http-port {options.http_port} may be taken)") from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        LOG.info("stopped")


if __name__ == "__main__":
    main()
