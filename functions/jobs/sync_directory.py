"""Called by Cloud Scheduler, for whatever is due, and by Cloud Tasks, for one source: the cache of who is where."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions import http
from functions.tasks import Again, verify_invoker
from shared.domain.errors import Abandoned, Invalid, TryLater
from shared.domain.syncs import SOURCES, Kind, Source
from shared.services import sync
from shared.services.sync_requests import ENTRY_POINT
from shared.wiring import wiring

KINDS = ("light", "full")


async def handle(request: Request) -> Response:
    """Idempotent by the state document of the source (see `shared.services.sync`), for as long as there is a cache."""

    async def directory(request: Request) -> Response:
        http.only(request, "POST")
        await verify_invoker(request, ENTRY_POINT, "store", "onboarding", "authentik", "matrix")
        body = await http.read_body(request)
        source, kind = parse(http.read_json(body)) if body.strip() else (None, None)
        if source is None:
            return JSONResponse({name: plain(told) for name, told in (await sync.due(wiring())).items()})
        try:
            return JSONResponse(plain(await sync.run(wiring(), source, kind)))
        except TryLater as error:
            raise Again(error.cause, error.fix) from error
        except Abandoned as error:  # kept for the page; only a person can mend it
            return JSONResponse({"failed": error.cause})

    return await http.answer(directory, request)


def parse(body: dict[str, Any]) -> tuple[Source | None, Kind | None]:
    """A scheduled run says nothing, or {}. Raises `Invalid`."""
    source, kind = body.get("source"), body.get("kind")
    if source not in (None, *SOURCES):
        raise Invalid.field("source", f"expected {' or '.join(SOURCES)}")
    if kind not in (None, *KINDS):
        raise Invalid.field("kind", f"expected {' or '.join(KINDS)}")
    return cast("Source | None", source), cast("Kind | None", kind)


def plain(told: sync.Report | str) -> Any:
    return asdict(told) if isinstance(told, sync.Report) else told
