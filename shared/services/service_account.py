"""Muster's service account in Authentik: what is missing is found first, then made in an order that can be cut short.

Each part is found by its name, so a second run goes on where the first one stopped, and changes nothing at the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from shared.domain.errors import Conflict, Forbidden
from shared.domain.service_account import ACCOUNT, ROLE, SETTING, TOKEN, Admin, ServiceAccount, Token
from shared.services.device_ports import Vault


class Authentik(Protocol):
    """As an administrator. Each method is one call or two; nothing repeats by itself."""

    async def whoami(self) -> Admin: ...
    async def account(self, name: str) -> ServiceAccount | None: ...
    async def make_account(self, name: str) -> ServiceAccount: ...
    async def role(self, name: str) -> str | None: ...
    async def make_role(self, name: str) -> str: ...
    async def granted(self, role: str) -> set[str]: ...
    async def grant(self, role: str, permissions: Sequence[str]) -> None: ...
    async def withdraw(self, role: str, permissions: Sequence[str]) -> None: ...
    async def give_role(self, role: str, account: int) -> None: ...
    async def token(self, name: str) -> Token | None: ...
    async def make_token(self, name: str, account: int) -> None: ...
    async def key(self, name: str) -> str: ...
    async def works(self, key: str, account: int) -> bool:
        """Whether this API token is one of that account."""
        ...


class Wanted(Struct, frozen=True):
    """`needed`: exactly these; `optional`: neither missed nor taken away."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    account: ServiceAccount | None
    role: str | None
    missing: tuple[str, ...]
    excess: tuple[str, ...]
    token: Token | None
    kept: bool

    @property
    def has_role(self) -> bool:
        return bool(self.account and self.role in self.account.roles)


async def look(authentik: Authentik, vault: Vault, wanted: Wanted) -> Found:
    """Changes nothing. Raises `Forbidden` or `Conflict` where a person must decide first."""
    admin = await authentik.whoami()
    if not admin.superuser:
        cause = f"the one-time token is of {admin.username}, who is no administrator of Authentik"
        raise Forbidden(cause, "Make one as an administrator: Directory, Tokens, Create, intent API.")
    account = await authentik.account(ACCOUNT)
    if account:
        _ours(account)
    role, token = await authentik.role(ROLE), await authentik.token(TOKEN)
    _usable(token, account)
    has = await authentik.granted(role) if role else set()
    key = await vault.read(SETTING)
    return Found(
        account,
        role,
        tuple(name for name in wanted.needed if name not in has),
        tuple(sorted(has - {*wanted.needed, *wanted.optional})),
        token,
        bool(key and account and await authentik.works(key, account.pk)),
    )


def _ours(account: ServiceAccount) -> None:
    if not account.service:
        raise Conflict(
            f"the user {ACCOUNT} is no service account", "Rename that user in Authentik. Nothing was changed."
        )
    if account.superuser:
        fix = "Take it out of the groups that make superusers. Nothing was changed."
        raise Conflict(f"the service account {ACCOUNT} is a superuser", fix)
    if not account.active:
        fix = "Activate it in Authentik, or delete it so that it is made anew. Nothing was changed."
        raise Conflict(f"the service account {ACCOUNT} is deactivated", fix)


def _usable(token: Token | None, account: ServiceAccount | None) -> None:
    if token and not (token.lasting and account and token.owner == account.pk):
        fix = "Delete it in Authentik (Directory, Tokens), then run this again. Nothing was changed."
        raise Conflict(f"the token {TOKEN} is another user's, of another intent, or will expire", fix)


def plan(found: Found) -> list[str]:
    """In words, in the order in which it would be done; empty when all is well."""
    steps = [
        (found.role is None, f"make the role {ROLE}"),
        (bool(found.missing), f"grant it {', '.join(found.missing)}"),
        (bool(found.excess), f"take from it {', '.join(found.excess)}"),
        (found.account is None, f"make the service account {ACCOUNT}, without a password"),
        (not found.has_role, f"give {ACCOUNT} the role {ROLE}"),
        (found.token is None, f"make the token {TOKEN}: intent API, no end"),
        (not found.kept, f"keep its key as {SETTING}"),
    ]
    return [words for needed, words in steps if needed]


async def apply(authentik: Authentik, vault: Vault, found: Found, told: Callable[[str], None]) -> None:
    """Does what `plan` says; `told` hears of each step that is done. The account has its rights before its token."""
    steps = iter(plan(found))

    async def step(doing: Awaitable[None]) -> None:
        await doing
        told(next(steps))

    role = found.role or await authentik.make_role(ROLE)
    if found.role is None:
        told(next(steps))
    if found.missing:
        await step(authentik.grant(role, found.missing))
    if found.excess:
        await step(authentik.withdraw(role, found.excess))
    account = found.account or await authentik.make_account(ACCOUNT)
    if found.account is None:
        told(next(steps))
    if not found.has_role:
        await step(authentik.give_role(role, account.pk))
    if found.token is None:
        await step(authentik.make_token(TOKEN, account.pk))
    if not found.kept:
        await step(vault.keep({SETTING: await authentik.key(TOKEN)}))
