"""Stands between two parts and spoils one call in so many, in each way that has been seen in the wild."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial

import aiohttp
from aiohttp import web
from yarl import URL

PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
HOP = {"connection", "content-length", "content-encoding", "transfer-encoding", "host", "keep-alive", "date", "server"}
LIMIT_MS = 300
SLOW = 0.3
ANYWHERE = ("refused", "answer lost", "500", "502 page", "429", "half a JSON", "slow")
AUTHENTIK = (*ANYWHERE, "405 page")
"""Authentik's own: an unhandled error behind POST, PATCH and DELETE is a 405 with an empty page."""


class Route:
    """One listening port before one target, or before several in turn. What `be_well` names may be changed at any
    time: `rate`, `delay` (seconds before each answer), `closed` (paths behind which nobody is), `loses` (paths whose
    answers never arrive: it was done), `drops` (bodies that are swallowed: answered 200, never handed on) and
    `repeats` (how often a body arrives, all at the same time)."""

    rate: float
    delay: float
    closed: Callable[[str], bool]
    loses: Callable[[str], bool]
    drops: Callable[[bytes], bool]
    repeats: Callable[[bytes], int]

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.kinds, self.url, self.counts = kinds, "", Counter[str]()
        self._targets = deque[str]()
        self.be_well()

    def aim(self, *targets: str) -> None:
        self._targets = deque(targets)

    def turns(self) -> Iterator[str]:
        """Each target once, the one whose turn it is first."""
        self._targets.rotate(-1)
        return iter(tuple(self._targets))

    def be_well(self) -> None:
        self.rate = self.delay = 0.0
        self.closed, self.loses = lambda _: False, lambda _: False
        self.drops, self.repeats = lambda _: False, lambda _: 1


class Proxy:
    """Runs in a thread of its own, from `start` to `stop`; the same seed gives the same row of faults."""

    def __init__(self, seed: int, **routes: tuple[str, ...]) -> None:
        self.routes = {name: Route(kinds) for name, kinds in routes.items()}
        self._chance, self._loop = random.Random(seed), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def rate(self, rate: float, *names: str) -> None:
        for name in names or self.routes:
            self.routes[name].rate = rate

    async def _open(self) -> None:
        quiet = aiohttp.ClientTimeout(total=120)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=quiet, auto_decompress=False
        )
        self._runners: list[web.ServerRunner] = []
        for route in self.routes.values():
            # the whole target goes through as it is: room ids hold characters that a router would decode
            server = web.Server(partial(self._serve, route), access_log=None)
            runner = web.ServerRunner(server)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            route.url = f"http://127.0.0.1:{port}"
            self._runners.append(runner)

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    async def _serve(self, route: Route, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if route.closed(request.path):
            return _hang_up(request)
        if route.drops(body):
            route.counts["dropped"] += 1
            return web.Response()
        kind = self._chance.choice(route.kinds) if route.kinds and self._chance.random() < route.rate else ""
        if route.loses(request.path):
            kind = "answer lost"
        if kind == "405 page" and request.method == "GET":
            kind = "500"
        route.counts[kind or "well"] += 1
        if kind in SPOILED:
            return SPOILED[kind](request)
        await asyncio.sleep(SLOW if kind == "slow" else 0)
        try:
            times = range(route.repeats(body))
            answer, *_ = await asyncio.gather(*(self._forwarded(route, request, body) for _ in times))
        except (aiohttp.ClientError, OSError):
            return _hang_up(request)
        if kind == "answer lost":
            return _hang_up(request)
        if kind == "half a JSON":
            answer.body = _half(answer)
        if route.delay:
            await asyncio.sleep(route.delay)
        return answer

    async def _forwarded(self, route: Route, request: web.BaseRequest, body: bytes) -> web.Response:
        """By the first target that is up; what one has begun is never given to another."""
        for target in route.turns():
            with contextlib.suppress(aiohttp.ClientConnectorError):
                return await self._asked(target, request, body)
        raise ConnectionRefusedError

    async def _asked(self, target: str, request: web.BaseRequest, body: bytes) -> web.Response:
        url = URL(f"{target}{request.raw_path}", encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        asked = self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        async with asked as answer:
            kept = [
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in HOP - {"content-encoding"}
            ]
            response = web.Response(status=answer.status, body=await answer.read())
            response.headers.clear()
            response.headers.extend(kept)
            return response


def _half(answer: web.Response) -> bytes:
    whole = answer.body if isinstance(answer.body, bytes) else b""
    return whole[: len(whole) // 2]


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


def _page(status: int, text: str) -> Callable[[web.BaseRequest], web.Response]:
    return lambda _: web.Response(status=status, text=text, content_type="text/html")


def _limited(_request: web.BaseRequest) -> web.Response:
    said = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": LIMIT_MS}
    return web.json_response(said, status=429, headers={"Retry-After": "1"})


SPOILED: dict[str, Callable[[web.BaseRequest], web.Response]] = {
    "refused": _hang_up,
    "500": lambda _: web.json_response({"errcode": "M_UNKNOWN", "error": "Internal server error"}, status=500),
    "502 page": _page(502, PAGE),
    "405 page": _page(405, ""),
    "429": _limited,
}
"""Before the neighbour has heard of it."""
