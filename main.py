"""Every deployed entry point, one lazy line each; nothing else."""

from functions_framework.aio import http
from starlette.requests import Request
from starlette.responses import Response

ENTRY_POINTS = {
    "admin": "admin",
    "create_invite": "admin",
    "create_user": "admin",
    "enrollment_webhook": "hook",
    "invite_to_room": "task",
    "remove_from_indoc": "task",
    "deliver_welcome": "task",
    "update_account": "task",
    "remove_from_room": "task",
    "set_power_level": "task",
    "apply_plan": "task",
    "send_message": "task",
    "resume_onboardings": "job",
    "sync_directory": "job",
}
"""Name to kind. README, Terraform and the embedded stack are held against it."""


@http
async def admin(request: Request) -> Response:
    from functions.admin import handle

    return await handle(request)


@http
async def create_invite(request: Request) -> Response:
    from functions.admin import handle_as

    return await handle_as(request, "/api/invites")


@http
async def create_user(request: Request) -> Response:
    from functions.admin import handle_as

    return await handle_as(request, "/api/users")


@http
async def enrollment_webhook(request: Request) -> Response:
    from functions.hooks.enrollment import handle

    return await handle(request)


@http
async def invite_to_room(request: Request) -> Response:
    from functions.tasks.invite_to_room import handle

    return await handle(request)


@http
async def remove_from_indoc(request: Request) -> Response:
    from functions.tasks.remove_from_indoc import handle

    return await handle(request)


@http
async def deliver_welcome(request: Request) -> Response:
    from functions.tasks.deliver_welcome import handle

    return await handle(request)


@http
async def update_account(request: Request) -> Response:
    from functions.tasks.update_account import handle

    return await handle(request)


@http
async def remove_from_room(request: Request) -> Response:
    from functions.tasks.remove_from_room import handle

    return await handle(request)


@http
async def set_power_level(request: Request) -> Response:
    from functions.tasks.set_power_level import handle

    return await handle(request)


@http
async def apply_plan(request: Request) -> Response:
    from functions.tasks.apply_plan import handle

    return await handle(request)


@http
async def send_message(request: Request) -> Response:
    from functions.tasks.send_message import handle

    return await handle(request)


@http
async def resume_onboardings(request: Request) -> Response:
    from functions.jobs.resume_onboardings import handle

    return await handle(request)


@http
async def sync_directory(request: Request) -> Response:
    from functions.jobs.sync_directory import handle

    return await handle(request)
