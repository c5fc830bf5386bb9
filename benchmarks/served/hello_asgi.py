"""The bare hello on ASGI, which is how Muster is served."""

from functions_framework.aio import http
from starlette.requests import Request


@http
async def hello(_: Request) -> str:
    return "hello"
