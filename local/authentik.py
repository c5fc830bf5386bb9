"""A stand-in for Authentik, which is in no package registry: what Muster uses of it, with its refusals and its quirks.

`python -m local.authentik --port P --data FILE --config JSON` (a file's name, or the JSON itself). Loopback only.
As in a real worker, MUSTER_WEBHOOK_URL and MUSTER_WEBHOOK_SECRET in the environment switch the webhook on.
tests/contracts/test_authentik.py holds its answers against Authentik's own client. The configuration, all optional:

    tokens          [{"username", "key", "permissions"?}]: API tokens; without permissions a superuser's
    groups          [{"name", "superuser"?, "parents"?}]
    users           [{"username", "name"?, "email"?, "password"?, "groups"?}]
    admin           one more user, made a member of `admin_group` (default muster-admins)
    member_group    where enrolled members land (muster-members); flow_slug: their flow (muster-enrollment)
    send_email      whether it mails invitations itself, as 2026.5 and later do (true)
    recovery        whether the brand has a recovery flow (true)
    oidc            {"slug", "client_id", "redirect_uris"}
    retry_factor    scales the webhook's retries (1.0); webhook_body: "mapped" or "default"
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
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
    views: list[tuple[str, Callable[..., Awaitable[Response]], str]] = [
        ("/-/health/ready/", page, "GET"),
        ("/if/flow/{slug}/", page, "GET"),
        ("/api/v3/flows/executor/{slug}/", partial(executor, server=server), "GET POST"),
        ("/api/v3/{path:path}", partial(api, server=server), "GET POST PATCH DELETE"),
        (f"/application/o/{oauth.slug}/.well-known/openid-configuration", oauth.discovery, "GET"),
        (f"/application/o/{oauth.slug}/jwks/", oauth.keys, "GET"),
        (f"/application/o/{oauth.slug}/end-session/", oauth.end_session, "GET"),
        ("/application/o/authorize/", oauth.authorize, "GET POST"),
        ("/application/o/token/", oauth.token, "POST OPTIONS"),
        ("/application/o/userinfo/", oauth.userinfo, "GET POST OPTIONS"),
        ("/application/o/revoke/", oauth.revoke, "POST"),
    ]
    return Starlette(routes=[Route(path, view, methods=methods.split()) for path, view, methods in views])


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
