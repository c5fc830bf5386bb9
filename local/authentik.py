"""A stand-in for Authentik, which is in no package registry: what Muster uses of it, with its refusals and its quirks.

`python -m local.authentik --port P --data FILE --config JSON` (a file's name, or the JSON itself). Loopback only.
As in a real worker, MUSTER_WEBHOOK_URL and MUSTER_WEBHOOK_SECRET in the environment switch the webhook on.
tests/contracts/test_authentik.py holds its answers against Authentik's own client. The configuration, all optional:

    tokens          [{"username", "key", "permissions"?}]: API tokens; without permissions a superuser's
    groups          [{"name", "superuser"?, "parents"?}]
    users           [{"username", "name"?, "email"?, "password"?, "groups"?}]
    admin           one more user, made a member of `admin_group` (default muster-admins)
    member_group    where enrolled members land (muster-members); flow_slug: their flow (muster-enrollment)
    recovery        whether the brand has a recovery flow (true)
    oidc            {"slug", "client_id", "redirect_uris"}
    retry_factor    scales the webhook's retries (1.0); webhook_body: "mapped" or "default"
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.authentik_api import Server, api
from local.authentik_flow import executor, page
from local.authentik_hooks import Hooks
from local.authentik_oidc import Oauth
from local.authentik_rows import seed
from local.authentik_state import Row, State


def application(file: str, config: Row, webhook_url: str = "", webhook_secret: str = "") -> Starlette:
    state = State(file)
    seed(state, config, webhook_url)
    server = Server(state, Hooks(state, webhook_url, webhook_secret, config), config)
    oauth = Oauth(server)
    base, own = "/application/o", f"/application/o/{oauth.slug}"

    def bound(view: Callable[[Request, Server], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await view(request, server)

        return endpoint

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("")

    return Starlette(
        routes=[
            Route("/-/health/ready/", ready),
            Route("/api/v3/flows/executor/{slug}/", bound(executor), methods=["GET", "POST"]),
            Route("/api/v3/{path:path}", bound(api), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            Route("/if/flow/{slug}/", bound(page)),
            Route(f"{own}/.well-known/openid-configuration", oauth.discovery),
            Route(f"{own}/jwks/", oauth.keys),
            Route(f"{own}/end-session/", oauth.end_session),
            Route(f"{base}/authorize/", oauth.authorize, methods=["GET", "POST"]),
            Route(f"{base}/token/", oauth.token, methods=["POST", "OPTIONS"]),
            Route(f"{base}/userinfo/", oauth.userinfo, methods=["GET", "POST", "OPTIONS"]),
            Route(f"{base}/revoke/", oauth.revoke, methods=["POST"]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Authentik on loopback")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True, help="SQLite file that keeps its state")
    parser.add_argument("--config", default="{}", help="JSON, or the name of a file that holds it")
    args = parser.parse_args()
    text = args.config if args.config.lstrip().startswith("{") else Path(args.config).read_text(encoding="utf-8")
    hook = (os.environ.get("MUSTER_WEBHOOK_URL", ""), os.environ.get("MUSTER_WEBHOOK_SECRET", ""))
    app = application(args.data, json.loads(text), *hook)
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
