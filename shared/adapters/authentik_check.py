"""The self-check of Authentik: what an admin must have set up for Muster to work, seen through the token itself.

A token of least privilege may not see everything. What it cannot see is reported as well, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from shared.adapters.authentik_http import Api, results, shaped
from shared.adapters.authentik_permissions import PERMISSIONS, SET_UP
from shared.domain.errors import Invalid, MusterError, NotFound, Refused
from shared.ports import Data, Finding

HIDDEN = "not visible to this token"
INVITATION_STAGE = "authentik_stages_invitation.invitationstage"
BLUEPRINT = "apply infra/authentik/blueprint.yaml"
MAX_SKEW = 60  # seconds; signed webhooks and tokens are refused beyond a few minutes


async def findings(api: Api, flow_slug: str, admin_group: str) -> list[Finding]:
    """Raises nothing: what goes wrong is a finding. Stops at the first two when nothing else can be seen."""
    try:
        response = await api.send("GET", "core/users/me/")
        me = shaped(lambda: dict(response.json()["user"]))
    except Refused as error:
        token = Finding("authentik token", False, error.cause, f"{error.fix} {SET_UP} makes a new one.", SET_UP)
        return [Finding("authentik server", True, "answers"), token]
    except MusterError as error:
        return [_failed("authentik server", error)]
    checks: list[tuple[str, Callable[[], Awaitable[list[Finding]]]]] = [
        ("authentik server", lambda: _server(api)),
        ("authentik permissions", lambda: _permissions(api, me)),
        ("authentik enrollment flow", lambda: _flow(api, flow_slug)),
        ("authentik recovery flow", lambda: _recovery(api)),
        ("authentik admin group", lambda: _admin_group(api, admin_group)),
        ("authentik webhook", lambda: _webhook(api)),
    ]
    token = Finding("authentik token", True, f"belongs to {me.get('username')}")
    results = await asyncio.gather(*(_guarded(name, check) for name, check in checks))
    server, *others = [finding for found in results for finding in found]
    return [server, token, *others, clock_finding(response.headers.get("Date", ""), datetime.now(UTC))]


async def _guarded(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await check()
    except Refused:
        return [Finding(name, True, HIDDEN)]
    except MusterError as error:
        return [_failed(name, error)]


def _failed(name: str, error: MusterError) -> Finding:
    return Finding(name, False, error.cause, error.fix)


async def _server(api: Api) -> list[Finding]:
    try:
        version = str((await api.get("admin/version/"))["version_current"])
    except (Refused, KeyError, TypeError):
        version = HIDDEN
    return [Finding("authentik server", True, f"answers; version {version}")]


async def _permissions(api: Api, me: Data) -> list[Finding]:
    if me.get("is_superuser"):
        detail = "the token is a superuser's: it works, and may do more than Muster needs"
        return [Finding("authentik permissions", True, detail, f"{SET_UP} makes one that may do less.", SET_UP)]
    granted = await _granted(api, me)
    return list(await asyncio.gather(*(_permission(api, name, path, granted) for name, path in PERMISSIONS.items())))


async def _granted(api: Api, me: Data) -> set[str]:
    """What the roles of the token's user give, as far as Authentik lists them."""
    roles = [str(role.get("pk")) for role in me.get("roles") or []]
    try:
        return {
            f"{row.get('app_label')}.{row.get('codename')}"
            for role in roles
            async for row in api.pages("rbac/permissions/", role=role)
        }
    except (Refused, NotFound, Invalid):
        return set()


async def _permission(api: Api, name: str, path: str, granted: Iterable[str]) -> Finding:
    label = f"authentik permission {name.partition('.')[2]}"
    if name in granted:
        return Finding(label, True, "granted")
    if not path:
        return Finding(label, True, HIDDEN)
    try:
        await api.get(path, name, page_size=1)
    except MusterError as error:
        if not isinstance(error, Refused):
            return Finding(label, False, error.cause, error.fix)
        fix = f"Grant {name} to the role of the token's user; {SET_UP} does."
        return Finding(label, False, error.cause, fix, SET_UP)
    return Finding(label, True, "granted")


async def _flow(api: Api, slug: str) -> list[Finding]:
    name, fix = "authentik enrollment flow", f"In Authentik, {BLUEPRINT}, or name another flow in AUTHENTIK_FLOW_SLUG."
    flow = await _first(api, "flows/instances/", "slug", slug)
    if flow is None:
        return [Finding(name, False, f"there is no flow {slug!r}", fix)]
    if flow.get("designation") != "enrollment":
        return [Finding(name, False, f"the flow {slug!r} is not for enrollment", fix)]
    found = Finding(name, True, f"{slug!r} exists")
    stage = "authentik invitation stage"
    bindings = await _visible(api, "flows/bindings/", target=str(flow.get("pk")))
    if bindings is None:
        return [found, Finding(stage, True, HIDDEN)]
    bound = any((row.get("stage_obj") or {}).get("meta_model_name") == INVITATION_STAGE for row in bindings)
    detail = f"bound to {slug!r}" if bound else f"{slug!r} has no invitation stage: its invites would be ignored"
    return [found, Finding(stage, bound, detail, "" if bound else fix)]


async def _recovery(api: Api) -> list[Finding]:
    name, brand = "authentik recovery flow", await api.get("core/brands/current/")
    slug = shaped(lambda: brand.get("flow_recovery"))
    if slug:
        return [Finding(name, True, f"{slug!r}")]
    fix = "Set a recovery flow on the brand; until then new members get a temporary password that is shown once."
    return [Finding(name, False, "the brand has none", fix)]


async def _admin_group(api: Api, group: str) -> list[Finding]:
    name = "authentik admin group"
    if not group:
        return [Finding(name, False, "none is named", "Set ADMIN_GROUP to the group whose members may administer.")]
    if await _first(api, "core/groups/", "name", group) is None:
        return [
            Finding(
                name,
                False,
                f"there is no group {group!r}",
                "Apply infra/authentik/admin-page.yaml, or correct ADMIN_GROUP.",
            )
        ]
    return [Finding(name, True, f"{group!r} exists")]


async def _webhook(api: Api) -> list[Finding]:
    """A rule fires only with a bound policy, and only for at least one destination user."""
    name, fix = "authentik webhook", f"In Authentik, {BLUEPRINT}; or bind a policy to the rule and give it a recipient."
    transports = await _visible(api, "events/transports/", mode="webhook")
    rules = await _visible(api, "events/rules/")
    if transports is None or rules is None:
        return [Finding(name, True, HIDDEN)]
    hooks = {row.get("pk") for row in transports}
    ours = [rule for rule in rules if hooks & set(rule.get("transports") or [])]
    if not ours:
        return [Finding(name, False, "no notification rule uses a webhook transport", fix)]
    for rule in ours:
        policies = await _visible(api, "policies/bindings/", target=str(rule.get("pk")))
        bound = policies is None or any(row.get("policy") and row.get("enabled", True) for row in policies)
        if bound and _has_destination(rule):
            return [Finding(name, True, f"the rule {rule.get('name')!r} is complete")]
    return [Finding(name, False, "no rule with a webhook has both a policy and a recipient: none ever fires", fix)]


def _has_destination(rule: Data) -> bool:
    group = rule.get("destination_group_obj") or {}
    # a release that leaves the members out of the answer gets the benefit of the doubt
    return bool(rule.get("destination_event_user") or (group and group.get("users", True)))


def clock_finding(date: str, now: datetime) -> Finding:
    name = "authentik clock"
    try:
        skew = abs((parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError):
        return Finding(name, True, HIDDEN)
    if skew < MAX_SKEW:
        return Finding(name, True, "agrees with ours")
    return Finding(name, False, f"differs from ours by {skew:.0f} s", "Let both machines set their clocks by NTP.")


async def _first(api: Api, path: str, field: str, value: str) -> Data | None:
    answer = await api.get(path, **{field: value})
    return next((row for row in results(answer) if row.get(field) == value), None)


async def _visible(api: Api, path: str, **params: Any) -> list[Data] | None:
    """None where the token may not look."""
    try:
        return [row async for row in api.pages(path, **params)]
    except Refused:
        return None
