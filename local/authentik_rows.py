"""The stand-in's rows: how each kind is shown, which input it refuses with which words, and what is there at first."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.authentik_state import Row, State, ident, now, stamp

RECOVERY = "default-recovery-flow"
FIXED: Row = json.loads(Path(__file__).with_name("authentik_fixed.json").read_text(encoding="utf-8"))
"""Tables (the resources, their columns and what is refused in the words of Django) and rows that hardly change."""


class Fault(Exception):
    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def _partial(user: Row | None) -> Row:
    keys = ("pk", "username", "name", "is_active", "last_login", "email", "attributes", "uid")
    return {key: user[key] for key in keys} if user else {}


def show(state: State, kind: str, row: Row, query: Mapping[str, str]) -> Row:
    """A row as the API answers it."""
    if kind == "user":
        groups = [state.get("group", pk) for pk in row["groups"]]
        roles = [state.get("role", pk) for pk in row["roles"]]
        return row | {"is_superuser": state.is_superuser(row), "groups_obj": groups, "roles_obj": roles, "avatar": ""}
    if kind == "invitation":
        flow = state.get("flow", row["flow"]) if row["flow"] else None
        return row | {"created_by": _partial(state.get("user", row["created_by"])), "flow_obj": flow}
    if kind == "token":
        owner = show(state, "user", state.get("user", row["user"]) or {}, query)
        return {key: value for key, value in row.items() if key != "key"} | {"user_obj": owner}
    if kind == "group":
        users = [user for user in state.all("user") if row["pk"] in user["groups"]]
        partial = [_partial(user) for user in users] if query.get("include_users") != "false" else None
        parents = [(state.get("group", pk) or {}) | {"group_uuid": pk} for pk in row["parents"]]
        above = parents if query.get("include_parents") == "true" else None
        row = row | {"users": [user["pk"] for user in users], "users_obj": partial, "parents_obj": above}
        return row | {"roles": [], "roles_obj": [], "inherited_roles_obj": None, "children": [], "children_obj": None}
    return row


def written(state: State, kind: str, body: Row, old: Row | None = None, user: Row | None = None) -> Row:
    """Keeps the row of a POST (no `old`) or PATCH. Columns that nobody knows are ignored, a `password` among them."""
    columns = FIXED["columns"][kind]
    problems = {column: _problem(state, kind, column, body, old) for column in columns}
    if errors := {column: [problem] for column, problem in problems.items() if problem}:
        raise Fault(400, errors)
    row = old or {column: rule.get("default") for column, rule in columns.items()} | _made(state, kind, user or {})
    row = row | {column: body[column] for column in columns if column in body}
    if kind == "invitation" and row["expires"] is None:
        row["expires"] = stamp(datetime.now(UTC) + timedelta(minutes=30))
    row |= {"last_updated": now()} if kind == "user" else {}
    return state.put(kind, row["identifier" if kind == "token" else "pk"], row)


def _problem(state: State, kind: str, column: str, body: Row, old: Row | None) -> str:
    rule, value = FIXED["columns"][kind][column], body.get(column)
    if column not in body:
        return "This field is required." if "required" in rule and not old else ""
    if value is None:
        return "" if rule.get("default", "") is None else "This field may not be null."
    if value == "" and "required" in rule and "pattern" in rule:
        return "This field may not be blank."
    if not re.fullmatch(rule.get("pattern", ".*"), str(value), re.DOTALL):
        return str(rule["says"])
    if column == "flow" and not state.get("flow", value):
        return f'Invalid pk "{value}" - object does not exist.'
    taken = state.one(kind, **{column: value}) if "unique" in rule else None
    return "This field must be unique." if taken and taken is not old else ""


def _made(state: State, kind: str, user: Row) -> Row:
    """What Authentik itself puts into a new row."""
    if kind == "user":  # 1 is AnonymousUser; the number of a deleted user is not given again
        pk = (state.get("last", "user") or {"pk": 1})["pk"] + 1
        state.put("last", "user", {"pk": pk})
        made = {"pk": pk, "uid": secrets.token_hex(32), "uuid": str(uuid4()), "roles": [], "last_login": None}
        return made | dict.fromkeys(("date_joined", "password_change_date"), now())
    own: dict[str, Row] = {
        "group": {"num_pk": secrets.randbelow(2**31)},
        "role": {},
        "invitation": {"created_by": user.get("pk")},
        "token": {"managed": None, "user": user.get("pk"), "key": secrets.token_urlsafe(45)},
        "blueprint": FIXED["blueprint"] | {"last_applied": now()},
    }
    return {"pk": str(uuid4())} | own[kind]


def seed(state: State, config: Row, webhook_url: str) -> None:
    """Makes what the configuration names, where it is missing. A token without `permissions` is a superuser's."""
    member, admin = config.get("member_group", "muster-members"), config.get("admin_group", "muster-admins")
    first = [{"name": "authentik Admins", "superuser": True}, {"name": "muster-webhook-destination"}]
    for group in [*first, {"name": member}, {"name": admin}, *config.get("groups", ())]:
        if not state.one("group", name=group["name"]):
            made = {"is_superuser": group.get("superuser", False), "parents": _pks(state, group.get("parents", ()))}
            written(state, "group", {"name": group["name"]} | made)
    admins = [{"groups": [admin]} | config["admin"]] if "admin" in config else []
    for person in [
        {"username": "muster-webhook", "groups": ["muster-webhook-destination"]},
        *config.get("users", ()),
        *admins,
    ]:
        _person(state, person)
    for token in config.get("tokens", ()):
        user = _person(state, token | {"groups": [] if "permissions" in token else ["authentik Admins"]})
        if "permissions" in token and not state.one("role", name=token["username"]):
            role = written(state, "role", {"name": token["username"]})["pk"]
            state.put("grants", role, {"permissions": token["permissions"]})
            user = state.update_user(user, roles=[role])
        body = {"identifier": f"{token['username']}-api", "user": user["pk"], "expiring": False}
        kept = state.get("token", body["identifier"]) or written(state, "token", body)
        state.put("token", body["identifier"], kept | {"key": token["key"]})
    slug = config.get("flow_slug", "muster-enrollment")
    for name, use in ((slug, "enrollment"), (RECOVERY, "recovery")):
        own = {"pk": ident("flow", name), "slug": name, "name": name, "designation": use}
        state.put("flow", own["pk"], FIXED["flow"] | own)
    group = show(state, "group", state.one("group", name="muster-webhook-destination") or {}, {})
    rule = {"destination_group": group["pk"], "destination_group_obj": group}
    varying = {"binding": {"target": ident("flow", slug)}, "transport": {"webhook_url": webhook_url}, "rule": rule}
    for kind in ("binding", "transport", "rule", "policybinding"):
        state.put(kind, FIXED[kind]["pk"], FIXED[kind] | varying.get(kind, {}))


def _pks(state: State, names: Any) -> list[str]:
    return [group["pk"] for name in names if (group := state.one("group", name=name))]


def _person(state: State, person: Row) -> Row:
    if found := state.one("user", username=person["username"]):
        return found
    body = {"name": person["username"]} | person | {"groups": _pks(state, person.get("groups", ()))}
    user = written(state, "user", body)
    return state.set_password(user, person["password"]) if "password" in person else user
