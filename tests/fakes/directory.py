"""`Directory` in memory, for the tests of the services. It passes the contract suite of the real adapter."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, MusterError, NotFound
from shared.ports import Account, Accounts, Data, Finding, Group, Invitation


@dataclass
class FakeDirectory:
    """`fail("account", Limited(...))` makes the next call of that method raise; `calls` lists the methods called."""

    base: str = "https://auth.example.test"
    recovery: bool = True
    mails: bool = False
    mailed: list[tuple[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    passwords: dict[int, str] = field(default_factory=dict)
    invitations: dict[str, tuple[Invitation, Data]] = field(default_factory=dict)
    _accounts: dict[int, Account] = field(default_factory=dict)
    _groups: dict[str, tuple[str, bool, tuple[str, ...]]] = field(default_factory=dict)
    _enrolled: set[str] = field(default_factory=set)
    _faults: dict[str, list[MusterError]] = field(default_factory=dict)
    _pks: itertools.count[int] = field(default_factory=lambda: itertools.count(2))

    # ---- what a test arranges

    def fail(self, method: str, error: MusterError, times: int = 1) -> None:
        self._faults.setdefault(method, []).extend([error] * times)

    def add_group(self, name: str, superuser: bool = False, parents: tuple[str, ...] = ()) -> str:
        pk = str(uuid4())
        self._groups[pk] = (
            name,
            superuser,
            tuple(key for key, (known, *_) in self._groups.items() if known in parents),
        )
        return pk

    def add_account(self, username: str, name: str = "", email: str = "", attributes: Data | None = None) -> Account:
        pk, at = next(self._pks), self.clock()
        account = Account(pk, hashlib.sha256(str(pk).encode()).hexdigest(), username, name, email, True)
        self._accounts[pk] = replace(account, attributes=attributes or {}, path="users", joined_at=at, updated_at=at)
        return self._accounts[pk]

    def enroll(self, itoken: str, username: str, name: str = "Ada L.", email: str = "ada@example.test") -> Account:
        """What a member does at the invite's link."""
        _, fixed_data = self.invitations[itoken]
        self._enrolled.add(username)
        return self.add_account(username, name, email, dict(fixed_data.get("attributes", {})))

    async def _enter(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(0)  # others have their turn, as with a real server
        if faults := self._faults.get(method):
            raise faults.pop(0)

    # ---- Directory

    async def create_invitation(self, name: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        await self._enter("create_invitation")
        if not re.fullmatch(r"[-a-zA-Z0-9_]+", name):
            raise Invalid.field("name", "letters, digits, hyphens and underscores only")
        pk = str(uuid4())
        link = f"{self.base}/if/flow/muster-enrollment/?itoken={pk}"
        self.invitations[pk] = (Invitation(pk, name, link, expires_at), dict(fixed_data))
        return self.invitations[pk][0]

    async def find_invitation(self, name: str) -> Invitation | None:
        await self._enter("find_invitation")
        return next((found for found, _ in self.invitations.values() if found.name == name), None)

    async def invitation(self, pk: str) -> Invitation | None:
        await self._enter("invitation")
        return self.invitations[pk][0] if pk in self.invitations else None

    async def update_invitation(self, pk: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        await self._enter("update_invitation")
        if pk not in self.invitations:
            raise NotFound("no such invitation")
        changed = replace(self.invitations[pk][0], expires_at=expires_at)
        self.invitations[pk] = (changed, dict(fixed_data))
        return changed

    async def delete_invitation(self, pk: str) -> None:
        await self._enter("delete_invitation")
        self.invitations.pop(pk, None)

    async def mails_invitations(self) -> bool:
        await self._enter("mails_invitations")
        return self.mails

    async def mail_invitation(self, pk: str, email: str) -> None:
        await self._enter("mail_invitation")
        if not self.mails or pk not in self.invitations:
            raise NotFound("no such invitation")
        self.mailed.append((pk, email))

    async def account(self, pk: int) -> Account:
        await self._enter("account")
        return self._account(pk)

    def _account(self, pk: int) -> Account:
        if pk not in self._accounts:
            raise NotFound("no such account")
        account = self._accounts[pk]
        grants = {group.pk for group in self._listed() if group.superuser}
        names = tuple(self._groups[key][0] for key in account.group_pks)
        return replace(account, groups=names, superuser=bool(grants & set(account.group_pks)))

    async def account_named(self, username: str) -> Account | None:
        await self._enter("account_named")
        return next((self._account(row.pk) for row in self._accounts.values() if row.username == username), None)

    async def account_marked(self, attribute: str, value: str) -> Account | None:
        await self._enter("account_marked")
        rows = self._accounts.values()
        return next((self._account(row.pk) for row in rows if row.attributes.get(attribute) == value), None)

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
        await self._enter("accounts")
        if group and group not in {name for name, *_ in self._groups.values()}:
            raise Invalid.field("groups_by_name", "no such group")
        rows = [
            row
            for row in (self._account(pk) for pk in self._accounts)
            if search.lower() in f"{row.username} {row.name} {row.email}".lower()
            and active in (None, row.active)
            and (not group or group in row.groups)
            and (joined_after is None or (row.joined_at is not None and row.joined_at > joined_after))
            and (updated_after is None or (row.updated_at is not None and row.updated_at > updated_after))
        ]
        size = min(size, 100)
        shown = tuple(rows[(page - 1) * size : page * size])
        if not shown:
            return Accounts((), None, 0 if page > 1 else len(rows))
        return Accounts(shown, page + 1 if page * size < len(rows) else None, len(rows))

    async def create_account(self, *, username: str, name: str, email: str, attributes: Data) -> Account:
        await self._enter("create_account")
        self._judge(username, email, None)
        return self.add_account(username, name, email, dict(attributes))

    def _judge(self, username: str | None, email: str | None, pk: int | None) -> None:
        if any(row.username == username and row.pk != pk for row in self._accounts.values()):
            raise Conflict("the username is taken")
        if username is not None and not 0 < len(username) <= 150:
            raise Invalid.field("username", "1 to 150 characters")
        if email and "@" not in email:
            raise Invalid.field("email", "an e-mail address")

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
        await self._enter("update_account")
        account = self._account(pk)
        self._judge(username, email, pk)
        merged = {
            key: value for key, value in {**account.attributes, **(attributes or {})}.items() if value is not None
        }
        self._accounts[pk] = replace(
            account,
            name=account.name if name is None else name,
            email=account.email if email is None else email,
            username=account.username if username is None else username,
            active=account.active if active is None else active,
            attributes=merged,
            updated_at=self.clock(),
        )
        return self._account(pk)

    async def delete_account(self, pk: int) -> None:
        await self._enter("delete_account")
        self._accounts.pop(pk, None)

    async def recovery_link(self, pk: int) -> str | None:
        await self._enter("recovery_link")
        self._account(pk)
        return f"{self.base}/if/flow/recovery/?flow_token={uuid4().hex}" if self.recovery else None

    async def set_password(self, pk: int, password: str) -> None:
        await self._enter("set_password")
        account = self._account(pk)
        if not password:
            raise Invalid.field("password", "must not be empty")
        self.passwords[pk] = password
        self._accounts[pk] = replace(account, updated_at=self.clock())

    async def groups(self) -> list[Group]:
        await self._enter("groups")
        return self._listed()

    def _listed(self) -> list[Group]:
        return [Group(pk, name, self._grants_all(pk)) for pk, (name, *_) in self._groups.items()]

    def _grants_all(self, pk: str) -> bool:
        _, superuser, parents = self._groups[pk]
        return superuser or any(self._grants_all(parent) for parent in parents)

    async def add_to_group(self, group_pk: str, account_pk: int) -> None:
        await self._enter("add_to_group")
        others = self._others(group_pk, account_pk)
        self._accounts[account_pk] = replace(self._accounts[account_pk], group_pks=(*others, group_pk))

    async def remove_from_group(self, group_pk: str, account_pk: int) -> None:
        await self._enter("remove_from_group")
        others = self._others(group_pk, account_pk)
        self._accounts[account_pk] = replace(self._accounts[account_pk], group_pks=others)

    def _others(self, group_pk: str, account_pk: int) -> tuple[str, ...]:
        if group_pk not in self._groups:
            raise NotFound("no such group")
        return tuple(pk for pk in self._account(account_pk).group_pks if pk != group_pk)

    async def enrolled_by_flow(self, username: str) -> bool:
        await self._enter("enrolled_by_flow")
        return username in self._enrolled

    async def check(self) -> list[Finding]:
        await self._enter("check")
        return self.findings or [Finding("authentik server", True, "a fake")]

    async def close(self) -> None:
        await self._enter("close")
