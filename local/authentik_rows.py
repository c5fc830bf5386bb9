"""The stand-in's rows: how each kind is shown, which input it refuses with which words, and what is there at first."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.authentik_state import Row, State, ident, now, stamp

RECOVERY = "default-recovery-flow"
FIXED: Row = json.loads(Path(__file__).with_name("authentik_fixed.json").read_text(encoding="utf-8"))
"""Answers that never change, and rows of which only a few columns do."""


class Fault(Exception):
    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def _partial(user: Row) -> Row:
    keys = ("pk", "username", "name", "is_active", "last_login", "email", "attributes", "uid")
    return {key: user[key] for key in keys}


def show_user(state: State, row: Row, _query: Mapping[str, str]) -> Row:
    groups = [group for pk in row["groups"] if (group := state.get("group", pk))]
    return row | {"is_superuser": state.is_superuser(row), "groups_obj": groups, "roles_obj": [], "avatar": ""}


def show_group(state: State, row: Row, query: Mapping[str, str]) -> Row:
    users = [user for user in state.all("user") if row["pk"] in user["groups"]]
    partial = [_partial(user) for user in users] if query.get("include_users") != "false" else None
    parents = [group | {"group_uuid": pk} for pk in row["parents"] if (group := state.get("group", pk))]
    above = parents if query.get("include_parents") == "true" else None
    row = row | {"users": [user["pk"] for user in users], "users_obj": partial, "parents_obj": above}
    return row | {"roles": [], "roles_obj": [], "inherited_roles_obj": None, "children": [], "children_obj": None}


def show_invitation(state: State, row: Row, _query: Mapping[str, str]) -> Row:
    creator = _partial(state.get("user", row["created_by"]) or {})
    return row | {"created_by": creator, "flow_obj": state.get("flow", row["flow"]) if row["flow"] else None}


def show_token(state: State, row: Row, query: Mapping[str, str]) -> Row:
    shown = {key: value for key, value in row.items() if key != "key"}
    return shown | {"user_obj": show_user(state, state.get("user", row["user"]) or {}, query)}


Show = Callable[[State, Row, Mapping[str, str]], Row]
SHOW: dict[str, Show] = {"user": show_user, "group": show_group, "invitation": show_invitation, "token": show_token}

ANY, FLAG, MAP, TIME, SLUG = ".*", "True|False", r"\{.*\}", r"\d{4}-\d\d-\d\dT\d\d:\d\d.*", "[-a-zA-Z0-9_]+"
MUST: Any = ...
COLUMNS: dict[str, dict[str, tuple[str, Any]]] = {  # kind -> column -> pattern of its text, default
    "user": {"username": (".{1,150}", MUST), "name": (ANY, MUST), "email": (r"|[^@\s]+@[^@\s]+\.[^@\s]+", "")}
    | {"is_active": (FLAG, True), "attributes": (MAP, {}), "path": (ANY, "users"), "type": (ANY, "internal")}
    | {"groups": (ANY, [])},
    "group": {"name": (".+", MUST), "is_superuser": (FLAG, False), "parents": (ANY, []), "attributes": (MAP, {})},
    "invitation": {"name": (SLUG, MUST), "expires": (TIME, None), "fixed_data": (MAP, {}), "single_use": (FLAG, False)}
    | {"flow": (ANY, None)},
    "token": {"identifier": (SLUG, MUST), "intent": (ANY, "api"), "expires": (TIME, None), "expiring": (FLAG, True)}
    | {"user": (ANY, None), "description": (ANY, "")},
    "blueprint": {"name": (".+", MUST), "enabled": (FLAG, True), "content": (ANY, ""), "context": (MAP, {})},
}
UNIQUE = (("user", "username"), ("group", "name"), ("token", "identifier"))
WORDS = {
    "username": "Ensure this field has no more than 150 characters.",
    "email": "Enter a valid email address.",
    "name": "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens.",
    "expires": "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]].",
    "is_active": "Must be a valid boolean.",
}


def written(state: State, kind: str, body: Row, old: Row | None, user: Row) -> Row:
    """The row after a POST (no `old`) or PATCH. Columns that nobody knows are ignored, a `password` among them."""
    columns = COLUMNS[kind]
    problems = {column: _problem(state, kind, column, body, old) for column in columns}
    if errors := {column: [problem] for column, problem in problems.items() if problem}:
        raise Fault(400, errors)
    made = old or _made(state, kind, user)
    row = {column: made.get(column, default) for column, (_, default) in columns.items()}
    row = made | row | {column: body[column] for column in columns if column in body}
    if kind == "invitation" and row["expires"] is None:
        row["expires"] = stamp(datetime.now(UTC) + timedelta(minutes=30))
    return row | ({"last_updated": now()} if kind == "user" else {})


def _problem(state: State, kind: str, column: str, body: Row, old: Row | None) -> str:
    pattern, default = COLUMNS[kind][column]
    if column not in body:
        return "This field is required." if default is MUST and not old else ""
    value = body[column]
    if value is None:
        return "" if default is None else "This field may not be null."
    if value == "" and default is MUST and pattern != ANY:
        return "This field may not be blank."
    if not re.fullmatch(pattern, str(value), re.DOTALL):
        return WORDS.get(column, "Not a valid value.")
    if column == "flow" and not state.get("flow", value):
        return f'Invalid pk "{value}" - object does not exist.'
    taken = state.one(kind, **{column: value}) if (kind, column) in UNIQUE else None
    return "This field must be unique." if taken and taken is not old else ""


def _made(state: State, kind: str, user: Row) -> Row:
    """What Authentik itself puts into a new row."""
    if kind == "user":
        made = {"pk": state.next_pk(), "uid": secrets.token_hex(32), "uuid": str(uuid4()), "roles": []}
        return made | {"last_login": None, "date_joined": now(), "password_change_date": now()}
    own: dict[str, Row] = {
        "group": {"num_pk": secrets.randbelow(2**31)},
        "invitation": {"created_by": user.get("pk")},
        "token": {"managed": None, "user": user.get("pk"), "key": secrets.token_urlsafe(45)},
        "blueprint": FIXED["blueprint"] | {"last_applied": now()},
    }
    return {"pk": str(uuid4())} | own[kind]


def add(state: State, kind: str, **body: Any) -> Row:
    row = written(state, kind, body, None, {})
    return state.put(kind, row["pk"], row)


def seed(state: State, config: Row, webhook_url: str) -> None:
    """Makes what the configuration names, where it is missing. A token without `permissions` is a superuser's."""
    member, admin = config.get("member_group", "muster-members"), config.get("admin_group", "muster-admins")
    first = [{"name": "authentik Admins", "superuser": True}, {"name": member}, {"name": admin}]
    for group in [*first, {"name": "muster-webhook-destination"}, *config.get("groups", ())]:
        if not state.one("group", name=group["name"]):
            parents = [pk["pk"] for name in group.get("parents", ()) if (pk := state.one("group", name=name))]
            add(state, "group", name=group["name"], is_superuser=group.get("superuser", False), parents=parents)
    seed_user(state, {"username": "muster-webhook", "groups": ["muster-webhook-destination"]})
    for person in [*config.get("users", ()), *([{"groups": [admin]} | config["admin"]] if "admin" in config else ())]:
        seed_user(state, person)
    for token in config.get("tokens", ()):
        user = seed_user(state, token | {"groups": [] if "permissions" in token else ["authentik Admins"]})
        state.put("grants", user["pk"], {"permissions": token.get("permissions", [])})
        identifier = f"{token['username']}-api"
        kept = state.get("token", identifier) or written(state, "token", {"identifier": identifier}, None, user)
        state.put("token", identifier, kept | {"key": token["key"], "expiring": False})
    _seed_fixed(state, config.get("flow_slug", "muster-enrollment"), webhook_url)


def seed_user(state: State, person: Row) -> Row:
    if found := state.one("user", username=person["username"]):
        return found
    groups = [group["pk"] for name in person.get("groups", ()) if (group := state.one("group", name=name))]
    user = add(state, "user", **({"name": person["username"]} | person | {"groups": groups}))
    if "password" in person:
        state.set_password(user, person["password"])
    return user


def _seed_fixed(state: State, slug: str, webhook_url: str) -> None:
    """The two flows, and the rule whose transport calls us."""
    for name, use in ((slug, "enrollment"), (RECOVERY, "recovery")):
        own = {"pk": ident("flow", name), "slug": name, "name": name, "designation": use}
        state.put("flow", own["pk"], FIXED["flow"] | own)
    destination = show_group(state, state.one("group", name="muster-webhook-destination") or {}, {})
    rule = {"destination_group": destination["pk"], "destination_group_obj": destination}
    own_columns = {"binding": {"target": ident("flow", slug)}, "transport": {"webhook_url": webhook_url}, "rule": rule}
    for kind in ("binding", "transport", "rule", "policybinding"):
        state.put(kind, FIXED[kind]["pk"], FIXED[kind] | own_columns.get(kind, {}))
