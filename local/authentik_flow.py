"""The stand-in's flow executor: enrollment by invitation, and setting a password by a recovery link.

GET answers a challenge, POST its fields; a good POST answers 302 to itself, and the GET after it acts (so that
events say GET, as Authentik's do). Progress is kept behind a cookie. A refused field is a 200 with `response_errors`.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from local.authentik_api import Server
from local.authentik_rows import RECOVERY, Fault, written
from local.authentik_state import Row, past

COOKIE = "authentik_session"
ANONYMOUS = {"pk": 1, "email": "", "username": "AnonymousUser", "is_anonymous": True}
PASSWORDS = [("password", "Password", "password"), ("password_repeat", "Password (repeat)", "password")]
PROMPTS = [("username", "Username", "username"), ("name", "Name", "text"), ("email", "Email", "email"), *PASSWORDS]
GONE = "This link is not valid: it was used up, withdrawn or has expired. Please ask for a new one."


async def page(_request: Request) -> Response:
    """For a person. Looking at it uses nothing up: only its script calls the executor."""
    return HTMLResponse(Path(__file__).with_name("authentik_page.html").read_text(encoding="utf-8"))


async def executor(request: Request, server: Server) -> Response:
    slug, key = request.path_params["slug"], request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
    if not server.state.one("flow", slug=slug):
        return JSONResponse({"detail": "No Flow matches the given query."}, 404)
    session = server.state.get("session", key) or {}
    answer = await _step(request, server, session, slug, dict(parse_qsl(request.query_params.get("query", ""))))
    server.state.put("session", key, session)
    answer.set_cookie(COOKIE, key, httponly=True, samesite="lax")
    return answer


async def _step(request: Request, server: Server, session: Row, slug: str, args: dict[str, str]) -> Response:
    prompts, begin, finish = (PASSWORDS, _link, _reset) if slug == RECOVERY else (PROMPTS, _invitation, _enroll)
    seen = {"args": args, "path": request.url.path, "method": "GET", "request_id": secrets.token_hex(16)}
    seen["user_agent"] = request.headers.get("user-agent", "")
    plan = session.get("plan")
    if not plan or (plan["slug"], plan["args"]) != (slug, args):
        plan = {"slug": slug, "args": args, "data": begin(server, slug, seen), "answer": None}
    session["plan"] = plan if plan["data"] is not None else None
    if plan["data"] is None:
        return _challenge("ak-stage-access-denied", pending_user="", pending_user_avatar="", error_message=GONE)
    if request.method == "POST":
        body = json.loads(await request.body())
        if errors := _errors(server, prompts, body):
            return _challenge("ak-stage-prompt", fields=_fields(prompts, plan["data"] | body), response_errors=errors)
        plan["answer"] = {key: body[key] for key, _, _ in prompts}
        return RedirectResponse(f"{request.url.path}?{request.url.query}", 302)
    if plan["answer"] is None:
        return _challenge("ak-stage-prompt", fields=_fields(prompts, plan["data"]))
    session |= {"plan": None, "user": finish(server, plan, seen)}
    return _challenge("xak-flow-redirect", to="/")


def _challenge(component: str, **more: Any) -> Response:
    info = {"title": "Welcome!", "cancel_url": "/flows/-/cancel/", "layout": "stacked"}
    return JSONResponse({"flow_info": info, "component": component, **more})


def _fields(prompts: list[tuple[str, str, str]], data: Row) -> list[Row]:
    """`fixed_data` only pre-fills."""
    texts = {"sub_text": "", "choices": None, "required": True}
    rows = [{"field_key": key, "label": label, "placeholder": label, "type": kind} for key, label, kind in prompts]
    known = ["" if kind == "password" else str(data.get(key, "")) for key, _, kind in prompts]
    return [row | texts | {"order": n, "initial_value": known[n]} for n, row in enumerate(rows)]


def _errors(server: Server, prompts: list[tuple[str, str, str]], body: Row) -> Row:
    found = {key: "This field may not be blank." for key, _, _ in prompts if not body.get(key)}
    if body.get("password") != body.get("password_repeat"):
        found["non_field_errors"] = "Passwords don't match."
    if body.get("username") and server.state.one("user", username=body["username"]):
        found["username"] = "Username is already taken."
    if body.get("email") and "@" not in body["email"]:
        found["email"] = "Enter a valid email address."
    return {key: [{"string": text, "code": "invalid"}] for key, text in found.items()}


def _invitation(server: Server, slug: str, seen: Row) -> Row | None:
    """What the invitation brings along; `single_use` is used up by this look, be it a GET or a HEAD."""
    found = server.state.get("invitation", seen["args"].get("itoken"))
    flow = server.state.one("flow", slug=slug) or {}
    if not found or past(found["expires"]) or found["flow"] not in (None, flow["pk"]):
        return None
    context = {"invitation_uuid": UUID(found["pk"]).hex, "http_request": seen}
    server.hooks.record("invitation_used", ANONYMOUS, context)
    if found["single_use"]:
        server.state.drop("invitation", found["pk"])
    return dict(found["fixed_data"])


def _link(server: Server, _slug: str, seen: Row) -> Row | None:
    kept = server.state.get("recovery", seen["args"].get("flow_token"))
    return kept if kept and not past(kept["expires"]) else None


def _enroll(server: Server, plan: Row, seen: Row) -> int:
    member = server.state.one("group", name=server.config.get("member_group", "muster-members")) or {}
    extra = {"attributes": plan["data"].get("attributes", {}), "path": "users/muster", "groups": [member["pk"]]}
    try:
        user = written(server.state, "user", plan["answer"] | extra)
    except Fault:  # another member was faster with this name
        return 0
    return _wrote(server, user, plan, plan["data"] | plan["answer"] | {"created": True, "http_request": seen})


def _reset(server: Server, plan: Row, seen: Row) -> int:
    server.state.drop("recovery", seen["args"]["flow_token"])
    user = server.state.get("user", plan["data"]["user"]) or {}
    return _wrote(server, user, plan, {"created": False, "http_request": seen})


def _wrote(server: Server, user: Row, plan: Row, context: Row) -> int:
    server.state.set_password(user, plan["answer"]["password"])
    server.hooks.record("user_write", {key: user[key] for key in ("pk", "email", "username")}, context)
    return int(user["pk"])
