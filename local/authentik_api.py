"""The stand-in's REST API: lists by the table of resources, everything else by the table of routes at the end."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from local.authentik_hooks import Hooks
from local.authentik_rows import FIXED, RECOVERY, Fault, show, written
from local.authentik_state import Row, State, now, stamp


class Server(NamedTuple):
    state: State
    hooks: Hooks
    config: Row


class Call(NamedTuple):
    server: Server
    state: State
    user: Row
    query: Mapping[str, str]
    body: Row
    base: str


VERBS = {"GET": "view", "POST": "add", "PATCH": "change", "DELETE": "delete"}


async def api(request: Request, server: Server) -> Response:
    """Authenticates, then routes. What nobody foresaw is Authentik's empty 405 (500 for a GET)."""
    path = request.path_params["path"]
    try:
        user = {} if path == "core/brands/current/" else _caller(request, server.state)
        body = json.loads(await request.body() or "{}")
        call = Call(server, server.state, user, request.query_params, body, str(request.base_url))
        if path.startswith("events/transports/") and path.endswith("/test/"):
            return JSONResponse(await _test_transport(call))
        status, answer = _route(request.method, path, call)
        return Response(status_code=status) if answer is None else JSONResponse(answer, status)
    except Fault as fault:
        return JSONResponse(fault.body, fault.status)
    except Exception:
        return HTMLResponse("", 500 if request.method == "GET" else 405)


def _caller(request: Request, state: State) -> Row:
    """The user behind a token of intent api. Every other credential is a 403."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    token = state.one("token", key=key, intent="api") if scheme == "Bearer" and key else None
    user = state.get("user", token["user"]) if token else None
    if not user or not user["is_active"]:
        raise Fault(403, {"detail": "Token invalid/expired"})
    return user


def _require(call: Call, permission: str) -> None:
    granted = [name for role in call.user.get("roles", ()) for name in _granted(call, role)]
    if permission and permission not in granted and not call.state.is_superuser(call.user):
        raise Fault(403, {"detail": "You do not have permission to perform this action."})


def _granted(call: Call, role: str) -> list[str]:
    return list((call.state.get("grants", role) or {}).get("permissions", []))


def _route(method: str, path: str, call: Call) -> tuple[int, Any]:
    for verb, pattern, permission, action in ROUTES:
        if verb == method and (match := re.fullmatch(pattern, path)):
            _require(call, permission)
            answer = action(call, *match.groups())
            return (204 if answer is None else 200), answer
    if not (match := re.fullmatch(f"({'|'.join(FIXED['resources'])})/(?:([^/]+)/)?", path)):
        raise Fault(404, {"detail": "Not found."})
    return _resource(method, FIXED["resources"][match[1]], match[2], call)


def _resource(method: str, table: Row, key: str | None, call: Call) -> tuple[int, Any]:
    kind = table["kind"]
    _require(call, table["label"].replace(".", f".{VERBS[method]}_"))
    if method != "GET" and (kind not in FIXED["columns"] or (method == "POST") is (key is not None)):
        raise Fault(405, {"detail": f'Method "{method}" not allowed.'})
    old = _found(call, kind, key) if key is not None else None
    if method == "GET":
        return 200, show(call.state, kind, old, call.query) if old else _listed(table, call)
    if method == "DELETE":
        return 204, _delete(call, kind, str(key))
    row = written(call.state, kind, call.body, old, call.user)
    if kind == "user" and not old:
        who = {name: call.user[name] for name in ("pk", "email", "username")}
        call.server.hooks.record("model_created", who, {"model": {"pk": row["pk"], "app": "authentik_core"}})
    return (200 if old else 201), show(call.state, kind, row, call.query)


def _found(call: Call, kind: str, key: object) -> Row:
    if (row := call.state.get(kind, key)) is None:
        raise Fault(404, {"detail": f"No {kind.capitalize()} matches the given query."})
    return row


def _delete(call: Call, kind: str, key: str) -> Any:
    call.state.drop(kind, key)
    owned = (("invitation", "created_by", "pk"), ("token", "user", "identifier")) if kind == "user" else ()
    for other, owner, pk in owned:  # a user's invitations and tokens go with them
        for row in [row for row in call.state.all(other) if str(row[owner]) == key]:
            call.state.drop(other, row[pk])


def _listed(table: Row, call: Call) -> Row:
    tests = [_filter(call.state, table, name, value) for name, value in call.query.items() if value]
    rows = [row for row in call.state.all(table["kind"]) if all(test(row) for test in tests if test)]
    for name in reversed(call.query.get("ordering", table["exact"][0]).split(",")):
        rows.sort(key=itemgetter(name.lstrip("-")), reverse=name.startswith("-"))
    return _paged(call, rows, lambda row: show(call.state, table["kind"], row, call.query))


def _paged(call: Call, rows: list[Row], shape: Callable[[Row], Row]) -> Row:
    size = min(max(int(call.query.get("page_size", 20)), 1), 100)
    page, pages = int(call.query.get("page", 1)), max(math.ceil(len(rows) / size), 1)
    if not 1 <= page <= pages:
        raise Fault(404, {"detail": "Invalid page."})
    start = (page - 1) * size
    shown = [shape(row) for row in rows[start : start + size]]
    paging = {"next": page + 1 if page < pages else 0, "previous": page - 1, "count": len(rows), "current": page}
    paging |= {"total_pages": pages, "start_index": start + 1 if shown else 0, "end_index": start + len(shown)}
    return {"pagination": paging, "results": shown, "autocomplete": {}}


def _filter(state: State, table: Row, name: str, value: str) -> Callable[[Row], object] | None:
    """None for a parameter that is no filter: Authentik ignores those."""
    field, _, comparison = name.partition("__")
    if comparison in ("gt", "lt"):
        limit, sign = datetime.fromisoformat(value), 1 if comparison == "gt" else -1
        return lambda row: (datetime.fromisoformat(row[field]) - limit).total_seconds() * sign > 0
    if name == "groups_by_name":
        if not (group := state.one("group", name=value)):
            raise Fault(400, {name: [f"Select a valid choice. {value} is not one of the available choices."]})
        return lambda row: group["pk"] in row["groups"]
    if name in table["exact"]:
        return lambda row: str(row[name]) == value
    columns = table.get("search", ["name"])
    tests: dict[str, Callable[[Row], object]] = {
        "search": lambda row: any(value.lower() in str(row[column]).lower() for column in columns),
        "is_active": lambda row: row["is_active"] is (value.lower() == "true"),
        "attributes": lambda row: json.loads(value).items() <= row["attributes"].items(),
        "action": lambda row: value in row["action"],
        "username": lambda row: row["user"].get("username") == value,
    }
    return tests.get(name)


# ---------------------------------------------------------------- routes beyond the lists


def _me(call: Call) -> Row:
    keys = ("pk", "username", "name", "is_active", "email", "uid", "type")
    groups = [{"name": group["name"], "pk": group["pk"]} for group in call.state.groups_of(call.user)]
    roles = [_found(call, "role", pk) for pk in call.user["roles"]]
    row = {key: call.user[key] for key in keys} | {"avatar": "", "settings": {}, "system_permissions": []}
    row |= {"is_superuser": call.state.is_superuser(call.user), "is_current": True, "groups": groups, "roles": roles}
    return {"user": row, "users": [row]}


def _permissions(call: Call) -> Row:
    """Of the role that is asked for."""

    def shape(row: Row) -> Row:
        label, _, codename = row["name"].partition(".")
        about = {
            "id": 1,
            "name": codename,
            "model": codename.rpartition("_")[2],
            "model_verbose": "",
            "app_label_verbose": "",
        }
        return about | {"app_label": label, "codename": codename}

    return _paged(call, [{"name": name} for name in sorted(_granted(call, call.query.get("role", "")))], shape)


def _assign(call: Call, role: str, verb: str) -> Any:
    _found(call, "role", role)
    names = set(call.body["permissions"])
    if unknown := sorted(name for name in names if not re.fullmatch(r"authentik_\w+\.\w+", name)):
        raise Fault(400, {"permissions": [f'"{unknown[0]}" is not a valid choice.']})
    has = set(_granted(call, role))
    call.state.put("grants", role, {"permissions": sorted(has | names if verb == "assign" else has - names)})
    return [{"id": name} for name in sorted(names)] if verb == "assign" else None


def _role_user(call: Call, role: str) -> None:
    _found(call, "role", role)
    user = _found(call, "user", call.body.get("pk"))
    call.state.update_user(user, roles=[*(pk for pk in user["roles"] if pk != role), role])


def _brand(call: Call) -> Any:
    return FIXED["brand"] | {"flow_recovery": RECOVERY if call.server.config.get("recovery", True) else None}


def _recovery(call: Call, pk: str) -> Row:
    user, key = _found(call, "user", pk), secrets.token_urlsafe(32)
    if not call.server.config.get("recovery", True):
        raise Fault(400, {"non_field_errors": "No recovery flow set."})
    pairs = [part.split("=") for part in call.body.get("token_duration", "minutes=30").split(";")]
    expires = datetime.now(UTC) + timedelta(**{unit: float(amount) for unit, amount in pairs})
    call.state.put("recovery", key, {"user": user["pk"], "expires": stamp(expires)})
    return {"link": f"{call.base}if/flow/{RECOVERY}/?flow_token={key}"}


def _send_email(call: Call, pk: str) -> None:
    """Goes into a queue, which here nobody empties. A server without it (`send_email` in the configuration) has no
    such route: its page for 404 knows GET alone, and so a POST is a 405."""
    if not call.server.config.get("send_email", True):
        raise LookupError("no such route")
    _found(call, "invitation", pk)
    addresses = call.body.get("email_addresses") or []
    if not addresses:
        raise Fault(400, {"error": "No email addresses provided"})
    call.state.put("mail", uuid4(), {"invitation": pk, "to": addresses})


def _see_email(call: Call, _: str) -> None:
    if not call.server.config.get("send_email", True):
        raise Fault(404, {"detail": "Not found."})
    raise Fault(405, {"detail": 'Method "GET" not allowed.'})


def _set_password(call: Call, pk: str) -> None:
    user, password = _found(call, "user", pk), call.body.get("password")
    if not password:
        raise Fault(400, {"password": ["This field may not be blank."]})
    call.state.set_password(user, password)


def _member(call: Call, group_pk: str, verb: str) -> None:
    group, user = _found(call, "group", group_pk), _found(call, "user", call.body.get("pk"))
    others = [pk for pk in user["groups"] if pk != group["pk"]]
    call.state.update_user(user, groups=[*others, group["pk"]] if verb == "add" else others)


def _service_account(call: Call) -> Row:
    """Its token is an app password: good for client_credentials, refused as Bearer."""
    name = call.body.get("name")
    user = written(call.state, "user", {"username": name, "name": name, "type": "service_account"})
    body = {"identifier": f"service-account-{name}-password", "intent": "app_password", "user": user["pk"]}
    key = written(call.state, "token", body)["key"]
    return {"username": name, "token": key, "user_uid": user["uid"], "user_pk": user["pk"]}


async def _test_transport(call: Call) -> Row:
    _require(call, "authentik_events.change_notificationtransport")
    event = {"pk": str(uuid4()), "action": "custom_notification_test", "app": "authentik.events.api", "user": {}}
    answer = await call.server.hooks.post(event | {"created": now(), "client_ip": None, "context": {}})
    return {"messages": [str(answer.status_code), answer.text]}


ROUTES: list[tuple[str, str, str, Callable[..., Any]]] = [
    ("GET", r"core/users/me/", "", _me),
    ("GET", r"rbac/permissions/", "", _permissions),
    (
        "POST",
        r"rbac/permissions/assigned_by_roles/([^/]+)/(assign)/",
        "authentik_rbac.assign_role_permissions",
        _assign,
    ),
    (
        "PATCH",
        r"rbac/permissions/assigned_by_roles/([^/]+)/(un)assign/",
        "authentik_rbac.unassign_role_permissions",
        _assign,
    ),
    ("POST", r"rbac/roles/([^/]+)/add_user/", "authentik_rbac.change_role", _role_user),
    ("GET", r"core/brands/current/", "", _brand),
    ("GET", r"admin/version/", "", lambda _: FIXED["version"]),
    (
        "POST",
        r"stages/invitation/invitations/([^/]+)/send_email/",
        "authentik_stages_invitation.add_invitation",
        _send_email,
    ),
    ("GET", r"stages/invitation/invitations/([^/]+)/send_email/", "", _see_email),
    ("POST", r"core/users/service_account/", "authentik_core.add_user", _service_account),
    ("POST", r"core/users/(\d+)/recovery/", "authentik_core.reset_user_password", _recovery),
    ("POST", r"core/users/(\d+)/set_password/", "authentik_core.reset_user_password", _set_password),
    ("POST", r"core/groups/([^/]+)/(add)_user/", "authentik_core.add_user_to_group", _member),
    ("POST", r"core/groups/([^/]+)/(remove)_user/", "authentik_core.remove_user_from_group", _member),
    ("GET", r"core/(token)s/([^/]+)/view_key/", "authentik_core.view_token_key", _found),
    ("POST", r"managed/(blueprint)s/([^/]+)/apply/", "authentik_blueprints.change_blueprintinstance", _found),
]
