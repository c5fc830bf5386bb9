"""Called by Cloud Tasks. Each entry point has its own identity and limits; all run a step the same way.

Idempotent by the step's document (see `shared.services.steps`): delivered twice, or twice at
once, a task acts once.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions import http
from shared import logs
from shared.domain.errors import Invalid, MusterError, NotFound, TryLater
from shared.repositories import usable_id
from shared.services.actions import actions_of
from shared.services.breakers import neighbour_of
from shared.services.context import whose
from shared.services.steps import run_step
from shared.settings import Concern
from shared.wiring import wiring

PARENTS = {"onboarding": "onboardings", "job": "jobs", "indoc": "indoc", "message": "messages"}


class Again(MusterError):
    """A passing fault, as a task tells it: Cloud Tasks answers 429 and 503 by slowing the whole queue, and one member's
    bad luck must not keep the others waiting. After a 500 only this task waits, by the queue's own backoff."""

    title = "Not possible just now"


async def run(request: Request, entry_point: str) -> Response:
    """200 ends the task: done, waiting, failed for good, or gone. 409 and 500: Cloud Tasks tries again."""

    async def handle(request: Request) -> Response:
        http.only(request, "POST")
        await verify_invoker(request, entry_point, "store", "onboarding", neighbour_of(entry_point))
        parent, step, generation = parse(http.read_json(await http.read_body(request)))
        logs.within(**whose(f"{parent}/steps/{step}"))
        try:
            state = await run_step(wiring(), parent, step, generation, actions_of(entry_point))
        except NotFound:
            state = "gone"
        except TryLater as error:
            raise Again(error.cause, error.fix) from error
        return JSONResponse({"state": state})

    return await http.answer(handle, request)


async def verify_invoker(request: Request, entry_point: str, *needs: Concern) -> None:
    """Cloud Tasks or Cloud Scheduler, by the OIDC token of their account. Raises `Unauthenticated`; before that
    `Misconfigured`, naming every missing setting of what the entry point `needs` for its work."""
    wired = wiring()
    wired.settings.require("tasks", *needs)
    audience = task_url(wired.settings["TASKS_URL_TEMPLATE"], entry_point)
    accounts = {wired.settings["TASKS_SERVICE_ACCOUNT"], wired.settings["SCHEDULER_SERVICE_ACCOUNT"]} - {""}
    header = request.headers.get("authorization")
    await wired.invokers.verify(header, audience, accounts, wired.settings.production)


def task_url(template: str, entry_point: str) -> str:
    """A task's URL, which is its audience too; Cloud Run's names have dashes."""
    return template.replace("{entry_point}", entry_point).replace("{entry-point}", entry_point.replace("_", "-"))


def parse(payload: dict[str, object]) -> tuple[str, str, int | None]:
    """The parent's path, the step's name and the generation (absent in a task written by hand)."""
    kind = next((kind for kind in PARENTS if kind in payload), None)
    name, step, generation = payload.get(kind or ""), payload.get("step"), payload.get("generation")
    if not isinstance(name, str) or not isinstance(step, str) or not usable_id(name) or not _usable_step(step):
        raise Invalid(
            "this is not a task of ours", [("onboarding", "expected ids of an onboarding (or job) and a step")]
        )
    return f"{PARENTS[kind or '']}/{name}", step, generation if isinstance(generation, int) else None


def _usable_step(name: str) -> bool:
    """Named after a room, which may have 255 characters, and each slash in it takes three (see `ids.room_step`)."""
    return 0 < len(name) <= 800 and "/" not in name and name.isprintable()
