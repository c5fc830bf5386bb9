"""Muster's admin as it would be with every import at the top: the price of not being lazy."""

import fastapi  # noqa: F401
import httpx  # noqa: F401
import jwt  # noqa: F401
import nio  # noqa: F401
from functions_framework.aio import http
from google.cloud import firestore, secretmanager, tasks_v2  # noqa: F401
from starlette.requests import Request
from starlette.responses import Response

import functions.admin.app
import functions.hooks.enrollment
import functions.jobs.resume_onboardings
import functions.tasks.deliver_welcome
import shared.adapters.authentik
import shared.adapters.cloud_tasks
import shared.adapters.firestore
import shared.adapters.jwt
import shared.adapters.matrix
import shared.adapters.secret_manager  # noqa: F401


@http
async def hello(request: Request) -> Response:
    return await functions.admin.handle(request)
