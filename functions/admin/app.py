"""The API as a FastAPI application, made at the first request that needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import compile_path

from functions import http
from functions.admin import (
    assistant,
    audit,
    bulk,
    bundles,
    categories,
    checks,
    conversation,
    emails,
    exports,
    figures,
    groups,
    imports,
    indoc,
    invites,
    jobs,
    messages,
    onboardings,
    plans,
    recommendations,
    removal_reasons,
    room,
    rooms,
    settings,
    signal,
    sponsors,
    standing,
    status,
    sync,
    templates,
    users,
)
from functions.admin.models import Problem
from shared.domain.errors import Invalid, MusterError, NotFound, Rejected
from shared.settings import Concern
from shared.wiring import wiring

PROBLEM = {"model": Problem, "description": "What went wrong, and what to do about it"}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {**PROBLEM, "content": {"application/problem+json": {}}}
    for status in (400, 401, 403, 404, 409, 413, 429, 502, 503)
}
NO_JSON = ("body", "expected a JSON object in UTF-8")
PACKED_FROM = 1000
"""Bytes of an answer: a smaller one gains nothing."""
MOST_ERRORS = 100
"""An answer stays readable, and smaller than what was sent."""


NEEDS: dict[ModuleType, tuple[tuple[Concern, ...], tuple[Concern, ...]]] = {
    imports: (("store",), ("store", "authentik", "onboarding", "tasks")),  # /invites/batch before /invites/{invite_id}
    invites: (("store",), ("store", "authentik", "onboarding")),
    emails: (("store",), ("store", "authentik", "onboarding", "tasks")),
    bulk: (("store",), ("store", "authentik", "onboarding", "tasks")),  # /users/bulk before /users/{pk}
    users: (("store", "authentik"), ("store", "authentik", "onboarding", "tasks")),
    standing: (("store", "authentik", "onboarding"), ("store",)),
    sponsors: (("store",), ("store",)),
    signal: (("store", "authentik", "onboarding"), ("store", "authentik", "onboarding", "tasks")),
    groups: (("store", "authentik", "onboarding"), ("store",)),
    onboardings: (("store",), ("store", "onboarding", "tasks")),
    bundles: (("store",), ("store", "authentik", "matrix", "onboarding")),
    plans: (("store",), ("store", "authentik", "matrix", "onboarding", "tasks")),
    conversation: (("store",), ("store", "matrix", "onboarding", "tasks")),
    rooms: (("store", "matrix"), ("store", "matrix", "onboarding", "tasks")),
    room: (("store", "matrix", "onboarding"), ("store",)),
    recommendations: ((), ("store", "matrix", "onboarding")),
    categories: (("store",), ("store",)),
    assistant: (("store", "onboarding"), ("store", "matrix", "onboarding")),
    jobs: (("store",), ("store", "onboarding", "tasks")),
    messages: (("store",), ("store", "authentik", "matrix", "onboarding", "tasks")),
    removal_reasons: (("store",), ("store",)),
    templates: (("store",), ("store", "matrix", "onboarding", "tasks")),
    indoc: (("store", "matrix", "onboarding"), ("store",)),
    sync: (("store",), ("store", "onboarding", "tasks")),
    audit: (("store",), ("store",)),
    checks: ((), ()),
    settings: ((), ()),
    status: ((), ()),
    figures: (("store", "watch"), ("store",)),
    exports: (("store",), ("store",)),
}
"""Which settings a route needs to read and to act: all that is missing is said at once, before anything is done.
Self-check, settings and status need none, because they name them."""


async def _known_parameters(request: Request) -> None:
    """A misspelt `dry_run` must not act as if it were not there."""
    known = _asked_for(request.scope["route"].dependant)
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        expected = f"expected one of {', '.join(sorted(known))}" if known else "expected no parameter"
        raise Invalid("a query parameter is not known here", [(name[:100], expected) for name in unknown[:MOST_ERRORS]])


def _asked_for(dependant: Any) -> set[str]:
    """By the route itself, and by what it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_asked_for(each) for each in dependant.dependencies))


def _needs(to_read: Sequence[Concern], to_act: Sequence[Concern]) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        concerns = to_read if request.method == "GET" else to_act
        if concerns:
            wiring().settings.require(*concerns)

    return check


@cache
def app() -> FastAPI:
    """Authentication has happened before (`functions.admin`): no route can be added without it."""
    api = FastAPI(
        title="Muster admin API",
        version="0.1.0",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=PROBLEMS,
    )
    # A phone's first view is mostly answers; events of a stream are left as they are (GZipMiddleware's own list).
    api.add_middleware(GZipMiddleware, minimum_size=PACKED_FROM, compresslevel=6)
    for module, (to_read, to_act) in NEEDS.items():
        first = [Depends(_known_parameters), Depends(_needs(to_read, to_act))]
        api.include_router(module.router, prefix="/api", dependencies=first)
    api.add_exception_handler(MusterError, _muster)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _crashed)
    api.openapi = lambda: _documented(api)  # type: ignore[method-assign]
    return api


async def _muster(_: Request, error: Exception) -> Response:
    return http.problem(error if isinstance(error, MusterError) else MusterError(str(error)))


async def _crashed(request: Request, error: Exception) -> Response:
    return http.crashed(request, error)


async def _invalid(_: Request, error: Exception) -> Response:
    """Every wrong field in one answer, with what is expected of it."""
    found = error.errors()[:MOST_ERRORS] if isinstance(error, RequestValidationError) else []
    errors = [_error(entry) for entry in found]
    detail = "; ".join(f"{field}: {message}" for field, message in errors)
    return http.problem(Invalid(detail or "the request is not valid", errors))


def _error(entry: dict[str, Any]) -> tuple[str, str]:
    if entry["loc"] == ("body",) or entry["type"] == "json_invalid":
        return NO_JSON
    return _field(entry["loc"]), str(entry["msg"]).removeprefix("Value error, ")


def _field(location: tuple[Any, ...]) -> str:
    """ "body.rooms.0" without the "body"."""
    parts = [str(part)[:100] for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or "body"


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 404:
        return http.problem(NotFound("there is no such route", "GET /api/openapi.json lists them."))
    if status == 400:  # FastAPI's way of saying that the body was not even UTF-8, or too deep
        return http.problem(Invalid.field(*NO_JSON))
    rejected = Rejected("this method is not understood here" if status == 405 else "the request was rejected")
    rejected.status = status  # an instance's own: 405 and its kin come from the router alone
    answer = http.problem(rejected)
    if status == 405:
        answer.headers["Allow"] = ", ".join(_methods_of(request.url.path))
    return answer


def _methods_of(path: str) -> list[str]:
    """All of them: the router names those of the first route at this path only."""
    paths = app().openapi()["paths"]
    matching = [path] if path in paths else [known for known in paths if compile_path(known)[0].match(path)]
    return sorted({method.upper() for known in matching for method in paths[known]})


def _documented(api: FastAPI) -> dict[str, Any]:
    """The generated document, with the one way in, and without FastAPI's own 422, which never comes."""
    if api.openapi_schema is None:
        document = FastAPI.openapi(api)
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or an access token of Authentik",
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["security"] = [] if path == "/api/health" else [{"bearer": []}]
                for status, answer in operation["responses"].items():
                    if status.startswith(("4", "5")):
                        answer["content"] = {
                            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                        }
        api.openapi_schema = document
    return api.openapi_schema
