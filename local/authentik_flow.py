"""The stand-in's flow executor: enrollment by invitation, and setting a password by a recovery link.

GET answers a challenge, POST its fields; a good POST answers 302 to itself, and the GET after it acts (so that
events say GET, as Authentik's do). Progress is kept behind a cookie. A refused field is a 200 with `response_errors`.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
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
GONE = "This invitation is not valid: it was used up, withdrawn or has expired."


async def page(_request: Request, _server: Server) -> Response:
    """For a person. Looking at it uses nothing up: only its script calls the executor."""
    return HTMLResponse(Path(__file__).with_name("authentik_page.html").read_text(encoding="utf-8"))


async def executor(request: Request, server: Server) -> Response:
    slug = request.path_params["slug"]
    if not server.state.one("flow", slug=slug):
        return JSONResponse({"detail": "No Flow matches the given query."}, 404)
    key = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
    session = server.state.get("session", key) or {}
    args = {name: values[0] for name, values in parse_qs(request.query_params.get("query", "")).items()}
    answer = await _step(request, server, session, slug, args)
    server.state.put("session", key, session)
    answer.set_cookie(COOKIE, key, httponly=True, samesite="lax")
    return answer


async def _step(request: Request, server: Server, session: Row, slug: str, args: dict[str, str]) -> Response:
    plan = session.get("plan")
    if not plan or (plan["slug"], plan["args"]) != (slug, args):
        data = _recovery_data(server, args) if slug == RECOVERY else _invitation_data(request, server, slug, args)
        session["plan"] = plan = {"slug": slug, "args": args, "data": data, "answer": None}
    if plan["data"] is None:
        session["plan"] = None
        denied = {"pending_user": "", "pending_user_avatar": "", "error_message": GONE}
        return _challenge("ak-stage-access-denied", **denied)
    prompts = PASSWORDS if slug == RECOVERY else PROMPTS
    if request.method == "POST":
        body = json.loads(await request.body())
        if errors := _errors(server, prompts, body):
            return _challenge("ak-stage-prompt", fields=_fields(prompts, plan["data"] | body), response_errors=errors)
        plan["answer"] = body
        return RedirectResponse(f"{request.url.path}?{request.url.query}", 302)
    if plan["answer"] is None:
        return _challenge("ak-stage-prompt", fields=_fields(prompts, plan["data"]))
    session["plan"] = None
    session["user"] = (_reset if slug == RECOVERY else _enroll)(request, server, plan)
    return _challenge("xak-flow-redirect", to="/")


def _challenge(component: str, **more: Any) -> Response:
    info = {"title": "Welcome!", "cancel_url": "/flows/-/cancel/", "layout": "stacked"}
    return JSONResponse({"flow_info": info, "component": component, **more})


def _fields(prompts: list[tuple[str, str, str]], data: Row) -> list[Row]:
    """`fixed_data` only pre-fills."""
    texts = {"sub_text": "", "choices": None, "required": True}
    rows = [{"field_key": key, "label": label, "placeholder": label, "type": kind} for key, label, kind in prompts]
    known = [str(data.get(row["field_key"], "")) if row["type"] != "password" else "" for row in rows]
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


def _seen(request: Request, args: dict[str, str]) -> Row:
    agent = request.headers.get("user-agent", "")
    known = {"args": args, "path": request.url.path, "method": "GET", "request_id": secrets.token_hex(16)}
    return known | {"user_agent": agent}


def _invitation_data(request: Request, server: Server, slug: str, args: dict[str, str]) -> Row | None:
    """What the invitation brings along; `single_use` is used up by this look, be it a GET or a HEAD."""
    invitation = server.state.get("invitation", args.get("itoken"))
    flow = server.state.one("flow", slug=slug) or {}
    if not invitation or past(invitation["expires"]) or invitation["flow"] not in (None, flow["pk"]):
        return None
    context = {"invitation_uuid": UUID(invitation["pk"]).hex}
    server.hooks.record("invitation_used", ANONYMOUS, context, _seen(request, args))
    if invitation["single_use"]:
        server.state.drop("invitation", invitation["pk"])
    return dict(invitation["fixed_data"])


def _recovery_data(server: Server, args: dict[str, str]) -> Row | None:
    kept = server.state.get("recovery", args.get("flow_token"))
    return kept if kept and not past(kept["expires"]) else None


def _enroll(request: Request, server: Server, plan: Row) -> int:
    state, answer = server.state, plan["answer"]
    asked = {key: answer[key] for key, _, _ in PROMPTS}
    member = state.one("group", name=server.config.get("member_group", "muster-members")) or {}
    extra = {"attributes": plan["data"].get("attributes", {}), "path": "users/muster", "groups": [member["pk"]]}
    try:
        user = state.put("user", (row := written(state, "user", asked | extra, None, {}))["pk"], row)
    except Fault:  # another member was faster with this name
        return 0
    state.set_password(user, answer["password"])
    who = {"pk": user["pk"], "email": user["email"], "username": user["username"]}
    server.hooks.record("user_write", who, plan["data"] | asked | {"created": True}, _seen(request, plan["args"]))
    return int(user["pk"])


def _reset(request: Request, server: Server, plan: Row) -> int:
    user = server.state.get("user", plan["data"]["user"]) or {}
    server.state.set_password(user, plan["answer"]["password"])
    server.state.drop("recovery", plan["args"]["flow_token"])
    who = {"pk": user["pk"], "email": user["email"], "username": user["username"]}
    server.hooks.record("user_write", who, {"created": False}, _seen(request, plan["args"]))
    return int(user["pk"])
