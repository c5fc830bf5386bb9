"""Authentik as its administrator sees it, for set-up alone: service account, role, permissions, token.

For 2026.2 and later, where a user has roles of their own. Nothing here repeats by itself: the service looks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from shared.adapters.authentik_http import Api, results, shaped
from shared.domain.errors import Misconfigured, NotFound, Refused
from shared.domain.service_account import Admin, ServiceAccount, Token
from shared.ports import Data

USERS, ROLES, TOKENS = "core/users/", "rbac/roles/", "core/tokens/"
OLD = "This set-up needs Authentik 2026.2 or later; infra/authentik/README.md says how to do it by hand."


class AuthentikAdmin:
    """`token`: an administrator's, of intent api. It is held by the HTTP client alone."""

    def __init__(self, url: str, token: str, ca_bundle: str | None = None, timeout: float = 10.0) -> None:
        self._api = Api(url, token, ca_bundle, timeout, "the one-time token")
        self._connected = (url, ca_bundle, timeout)

    async def close(self) -> None:
        await self._api.close()

    async def whoami(self) -> Admin:
        me = await self._me(self._api)
        return shaped(lambda: Admin(me["username"], bool(me["is_superuser"])))

    async def works(self, key: str, account: int) -> bool:
        url, ca_bundle, timeout = self._connected
        api = Api(url, key, ca_bundle, timeout)
        try:
            me = await self._me(api)
        except (Refused, Misconfigured):  # gone, or never a token
            return False
        finally:
            await api.close()
        return me.get("pk") == account

    async def _me(self, api: Api) -> Data:
        answer = await api.get("core/users/me/")
        return shaped(lambda: dict(answer["user"]))

    # -------------------------------------------------------------- account

    async def account(self, name: str) -> ServiceAccount | None:
        row = await self._named(USERS, "username", name)
        return read_account(row) if row else None

    async def make_account(self, name: str) -> ServiceAccount:
        """Not by core/users/service_account/, which makes a password as well."""
        about = {"name": "Muster (service account)", "type": "service_account", "is_active": True}
        path = "goauthentik.io/service-accounts"
        return read_account(await self._api.post(USERS, {"username": name, "path": path, "attributes": {}} | about))

    # -------------------------------------------------------------- role

    async def role(self, name: str) -> str | None:
        try:
            row = await self._named(ROLES, "name", name)
        except NotFound as error:
            raise Refused("this Authentik has no roles that could be set up", OLD) from error
        return shaped(lambda: str(row["pk"])) if row else None

    async def make_role(self, name: str) -> str:
        row = await self._api.post(ROLES, {"name": name})
        return shaped(lambda: str(row["pk"]))

    async def granted(self, role: str) -> set[str]:
        rows = [row async for row in self._api.pages("rbac/permissions/", role=role, ordering="codename")]
        return shaped(lambda: {f"{row['app_label']}.{row['codename']}" for row in rows})

    async def grant(self, role: str, permissions: Sequence[str]) -> None:
        body = {"permissions": list(permissions)}
        await self._api.post(f"rbac/permissions/assigned_by_roles/{role}/assign/", body)

    async def withdraw(self, role: str, permissions: Sequence[str]) -> None:
        body = {"permissions": list(permissions)}
        await self._api.patch(f"rbac/permissions/assigned_by_roles/{role}/unassign/", body)

    async def give_role(self, role: str, account: int) -> None:
        try:
            await self._api.post(f"{ROLES}{role}/add_user/", {"pk": account})
        except NotFound as error:
            raise Refused("this Authentik cannot give a role to a user", OLD) from error

    # -------------------------------------------------------------- token

    async def token(self, name: str) -> Token | None:
        row = await self._named(TOKENS, "identifier", name)
        return shaped(lambda: Token(int(row["user"]), _lasts(row))) if row else None

    async def make_token(self, name: str, account: int) -> None:
        about = "Muster's own; made by scripts/setup authentik"
        body = {"identifier": name, "intent": "api", "user": account, "expiring": False, "description": about}
        await self._api.post(TOKENS, body)

    async def key(self, name: str) -> str:
        answer = await self._api.get(f"{TOKENS}{quote(name, safe='')}/view_key/")
        return shaped(lambda: str(answer["key"]))

    async def _named(self, path: str, field: str, name: str) -> Any:
        rows = results(await self._api.get(path, **{field: name}))
        return next((row for row in rows if row.get(field) == name), None)


def read_account(row: Any) -> ServiceAccount:
    return shaped(
        lambda: ServiceAccount(
            pk=int(row["pk"]),
            service=row.get("type") == "service_account",
            active=bool(row["is_active"]),
            superuser=bool(row.get("is_superuser")),
            roles=tuple(str(pk) for pk in row.get("roles") or ()),
        )
    )


def _lasts(row: Data) -> bool:
    return row.get("intent") == "api" and not row.get("expiring")
