"""`Directory` on Authentik's REST API (2026.2 to 2026.8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.adapters.authentik_http import PAGE_SIZE, Api, results, shaped
from shared.adapters.authentik_rows import iso, merged, read_account, read_groups, read_invitation
from shared.domain.errors import Conflict, Invalid, NotFound, Refused
from shared.ports import Account, Accounts, Data, Finding, Group, Invitation

if TYPE_CHECKING:
    from shared.adapters.authentik_sign_in_verdicts import SignIn

INVITATIONS = "stages/invitation/invitations/"
USERS = "core/users/"
RECOVERY_VALIDITY = "hours=24"


class AuthentikDirectory:
    """One Authentik, seen by one API token and through one enrollment flow.

    `flow_slug`: the flow that invitations lead to. `admin_group`, `sign_in`: for the self-check. `timeout`:
    seconds for each call as a whole. Every call repeats safely but `create_invitation` (see `find_invitation`).
    """

    def __init__(
        self,
        url: str,
        token: str,
        flow_slug: str,
        admin_group: str = "",
        ca_bundle: str | None = None,
        timeout: float = 10.0,
        sign_in: Callable[[], SignIn | None] = lambda: None,
    ) -> None:
        self._api = Api(url, token, ca_bundle, timeout)
        self._slug = flow_slug
        self._admin_group, self._sign_in, self._ca_bundle = admin_group, sign_in, ca_bundle
        self._flow_pk: str | None = None

    # -------------------------------------------------------------- invitations

    async def create_invitation(self, name: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        # `expires` left out means 30 minutes
        body = {"name": name, "expires": iso(expires_at), "fixed_data": fixed_data, "single_use": False}
        try:
            return await self._invite(body)
        except Invalid as error:
            if "flow" not in dict(error.errors):
                raise
            self._flow_pk = None  # made anew under the same slug: its uuid is another one
            return await self._invite(body)

    async def _invite(self, body: Mapping[str, Any]) -> Invitation:
        flow = await self._flow()
        row = await self._api.post(INVITATIONS, {**body, "flow": flow}, "authentik_stages_invitation.add_invitation")
        return self._invitation(row)

    async def _flow(self) -> str:
        """The flow's uuid, looked up once."""
        if self._flow_pk is None:
            rows = await self._rows("flows/instances/", "authentik_flows.view_flow", slug=self._slug)
            flows = [row for row in rows if row.get("slug") == self._slug]
            if not flows:
                raise Refused(
                    f"Authentik has no flow with the slug {self._slug!r}.",
                    "Apply infra/authentik/blueprint.yaml, or name an existing enrollment flow in AUTHENTIK_FLOW_SLUG.",
                )
            self._flow_pk = shaped(lambda: str(flows[0]["pk"]))
        return self._flow_pk

    async def find_invitation(self, name: str) -> Invitation | None:
        rows = await self._rows(INVITATIONS, "authentik_stages_invitation.view_invitation", name=name)
        return next((self._invitation(row) for row in rows if row.get("name") == name), None)

    async def invitation(self, pk: str) -> Invitation | None:
        try:
            row = await self._api.get(f"{INVITATIONS}{_segment(pk)}/", "authentik_stages_invitation.view_invitation")
        except NotFound:
            return None
        return self._invitation(row)

    async def update_invitation(self, pk: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        body = {"expires": iso(expires_at), "fixed_data": fixed_data, "single_use": False}
        row = await self._api.patch(
            f"{INVITATIONS}{_segment(pk)}/", body, "authentik_stages_invitation.change_invitation"
        )
        return self._invitation(row)

    async def delete_invitation(self, pk: str) -> None:
        await self._api.delete(f"{INVITATIONS}{_segment(pk)}/", "authentik_stages_invitation.delete_invitation")

    def _invitation(self, row: Any) -> Invitation:
        return read_invitation(row, self._api.base, self._slug)

    # -------------------------------------------------------------- accounts

    async def account(self, pk: int) -> Account:
        return read_account(await self._api.get(f"{USERS}{pk}/", "authentik_core.view_user"))

    async def account_named(self, username: str) -> Account | None:
        rows = await self._rows(USERS, "authentik_core.view_user", username=username)
        return next((read_account(row) for row in rows if row.get("username") == username), None)

    async def account_marked(self, attribute: str, value: str) -> Account | None:
        """The oldest, when several bear it."""
        wanted = json.dumps({attribute: value})
        rows = await self._rows(USERS, "authentik_core.view_user", attributes=wanted, ordering="date_joined,pk")
        found = (read_account(row) for row in rows)
        return next((account for account in found if account.attributes.get(attribute) == value), None)

    async def accounts(
        self,
        *,
        search: str = "",
        active: bool | None = None,
        group: str = "",
        joined_after: datetime | None = None,
        updated_after: datetime | None = None,
        page: int = 1,
        size: int = 50,
    ) -> Accounts:
        """At most 100 on a page, whatever `size` asks for."""
        filters: dict[str, Any] = {
            "search": search or None,
            "is_active": None if active is None else str(active).lower(),
            "groups_by_name": group or None,
            "date_joined__gt": iso(joined_after) if joined_after else None,
            "last_updated__gt": iso(updated_after) if updated_after else None,
        }
        params = {key: value for key, value in filters.items() if value is not None}
        paging = {"ordering": "date_joined,pk", "page": page, "page_size": min(size, PAGE_SIZE)}
        try:
            answer = await self._api.get(USERS, "authentik_core.view_user", **params, **paging)
        except NotFound:  # a page out of range; Authentik does not say how many there are
            return Accounts((), None, 0)
        return shaped(
            lambda: Accounts(
                tuple(read_account(row) for row in answer["results"]),
                int(answer["pagination"]["next"]) or None,
                int(answer["pagination"]["count"]),
            )
        )

    async def create_account(self, *, username: str, name: str, email: str, attributes: Data) -> Account:
        body = {"username": username, "name": name, "email": email, "attributes": attributes, "is_active": True}
        return await self._write("POST", USERS, body, "authentik_core.add_user")

    async def update_account(
        self,
        pk: int,
        *,
        name: str | None = None,
        email: str | None = None,
        username: str | None = None,
        active: bool | None = None,
        attributes: Data | None = None,
    ) -> Account:
        wanted = {"name": name, "email": email, "username": username, "is_active": active}
        body: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        if attributes is not None:
            body["attributes"] = merged((await self.account(pk)).attributes, attributes)
        if not body:
            return await self.account(pk)
        return await self._write("PATCH", f"{USERS}{pk}/", body, "authentik_core.change_user")

    async def _write(self, method: str, path: str, body: Mapping[str, Any], needs: str) -> Account:
        call = self._api.post if method == "POST" else self._api.patch
        try:
            return read_account(await call(path, body, needs))
        except Invalid as error:
            if any(field == "username" and "unique" in message for field, message in error.errors):
                raise Conflict(f"The username {body['username']!r} is taken.", "Choose another one.") from error
            raise

    async def delete_account(self, pk: int) -> None:
        await self._api.delete(f"{USERS}{pk}/", "authentik_core.delete_user")

    async def recovery_link(self, pk: int) -> str | None:
        """Valid for a day. Whoever has it can take the account over: show it once, log it never."""
        body = {"token_duration": RECOVERY_VALIDITY}
        try:
            answer = await self._api.post(f"{USERS}{pk}/recovery/", body, "authentik_core.reset_user_password")
        except Invalid as error:
            if {field for field, _ in error.errors} == {"non_field_errors"}:  # "No recovery flow set."
                return None
            raise
        return shaped(lambda: str(answer["link"]))

    async def set_password(self, pk: int, password: str) -> None:
        body = {"password": password}
        await self._api.post(f"{USERS}{pk}/set_password/", body, "authentik_core.reset_user_password")

    async def enrolled_by_flow(self, username: str) -> bool:
        """Authentik's `user_write` event says `created` and names the path of the flow that wrote."""
        path = f"/flows/executor/{self._slug}/"
        params = {"action": "user_write", "username": username, "ordering": "-created"}
        async for event in self._api.pages("events/events/", "authentik_events.view_event", **params):
            context = event.get("context") or {}
            written = (event.get("user") or {}).get("username") == username and context.get("created") is True
            if written and path in str((context.get("http_request") or {}).get("path")):
                return True
        return False

    # -------------------------------------------------------------- groups

    async def groups(self) -> list[Group]:
        params = {"include_users": "false", "include_parents": "true", "ordering": "name"}
        rows = [row async for row in self._api.pages("core/groups/", "authentik_core.view_group", **params)]
        return read_groups(rows)

    async def add_to_group(self, group_pk: str, account_pk: int) -> None:
        needs = "authentik_core.add_user_to_group"
        await self._api.post(f"core/groups/{_segment(group_pk)}/add_user/", {"pk": account_pk}, needs)

    async def remove_from_group(self, group_pk: str, account_pk: int) -> None:
        needs = "authentik_core.remove_user_from_group"
        await self._api.post(f"core/groups/{_segment(group_pk)}/remove_user/", {"pk": account_pk}, needs)

    # -------------------------------------------------------------- the rest

    async def check(self) -> list[Finding]:
        from shared.adapters.authentik_check import findings
        from shared.adapters.authentik_sign_in import sign_in_findings

        about, entering = await asyncio.gather(
            findings(self._api, self._slug, self._admin_group),
            sign_in_findings(self._api, self._sign_in(), self._ca_bundle),
        )
        return [*about, *entering]

    async def close(self) -> None:
        await self._api.close()

    async def _rows(self, path: str, needs: str, **params: Any) -> list[Data]:
        """The first page of a list narrowed by exact filters; callers match exactly all the same."""
        return results(await self._api.get(path, needs, page_size=PAGE_SIZE, **params))


def _segment(pk: str) -> str:
    """One path segment, whatever a caller handed in as an id."""
    return quote(pk, safe="")
