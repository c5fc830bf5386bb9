"""What an admin does with an account: in Authentik, never only here."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from shared.domain.audit import audit
from shared.domain.errors import Forbidden, MusterError
from shared.ports import Account, Directory, Group
from shared.repositories import audit_write
from shared.services.context import Actor, Ports, log
from shared.services.groups import check_grantable
from shared.services.sync_requests import nudge


class WayIn(Struct, frozen=True):
    """One of the two, shown once; both empty in a dry run."""

    account: Account
    recovery_link: str = ""
    temporary_password: str = ""


async def way_in(ports: Ports, directory: Directory, pk: int) -> tuple[str, str]:
    """A recovery link; where the brand has no recovery flow, a password of 96 random bits."""
    link = await directory.recovery_link(pk)
    if link:
        return link, ""
    password = "-".join(f"{ports.chance() & 0xFFFFFFFF:08x}" for _ in range(3))
    await directory.set_password(pk, password)
    return "", password


async def edit(ports: Ports, actor: Actor, pk: int, changes: dict[str, Any], *, dry_run: bool = False) -> Account:
    """`groups`, when given, is the whole list that they are to be in; attributes are merged."""
    directory = await ports.directory()
    before = no_superuser(await directory.account(pk))
    wanted: list[str] | None = changes.pop("groups", None)
    new = await check_grantable(
        ports, [name for name in wanted or () if name not in (*before.groups, *before.group_pks)]
    )
    if dry_run or (not changes and wanted is None):
        return before
    after = await directory.update_account(pk, **changes) if changes else before
    if wanted is not None:
        await _regroup(directory, before, wanted, new)
        # Groups leave no trace on an account. Writing it leaves one, by which a light sync finds it.
        after = await directory.update_account(pk, name=after.name)
    await audited(
        ports, actor, "user.edit", after, {"fields": sorted([*changes, *(["groups"] if wanted is not None else [])])}
    )
    return after


async def _regroup(directory: Directory, account: Account, wanted: list[str], new: list[Group]) -> None:
    """Leaves alone what they keep: also a privileged group that a form could not grant."""
    for group in new:
        await directory.add_to_group(group.pk, account.pk)
    for name, group_pk in zip(account.groups, account.group_pks, strict=False):
        if name not in wanted and group_pk not in wanted:
            await directory.remove_from_group(group_pk, account.pk)


async def set_active(ports: Ports, actor: Actor, pk: int, *, active: bool, dry_run: bool = False) -> Account:
    directory = await ports.directory()
    before = no_superuser(await directory.account(pk))
    if not active:
        not_oneself(actor, before)
    if dry_run:
        return before
    account = await directory.update_account(pk, active=active)
    await audited(ports, actor, "user.activate" if active else "user.deactivate", account)
    return account


async def regroup(ports: Ports, actor: Actor, account: Account, group: Group, *, member: bool) -> Account:
    """Into one group, or out of it. Raises `Forbidden` for a superuser, `Invalid` for one that may not be granted."""
    directory = await ports.directory()
    no_superuser(account)
    if member:
        await check_grantable(ports, [group.pk])
        await directory.add_to_group(group.pk, account.pk)
    else:
        await directory.remove_from_group(group.pk, account.pk)
    after = await directory.update_account(account.pk, name=account.name)  # as `edit`: or no light sync finds it
    await audited(ports, actor, "user.edit", after, {"fields": ["groups"], "group": group.name, "member": member})
    return after


async def recovery(ports: Ports, actor: Actor, pk: int, *, dry_run: bool = False) -> WayIn:
    directory = await ports.directory()
    account = no_superuser(await directory.account(pk))
    if dry_run:
        return WayIn(account)
    link, password = await way_in(ports, directory, pk)
    await audited(ports, actor, "user.recovery", account)
    return WayIn(account, link, password)


async def delete(ports: Ports, actor: Actor, pk: int, *, dry_run: bool = False) -> None:
    """In Authentik. The onboarding's record stays, as the answer to "who was that"."""
    directory = await ports.directory()
    account = not_oneself(actor, no_superuser(await directory.account(pk)))
    if dry_run:
        return
    await directory.delete_account(pk)
    await audited(ports, actor, "user.delete", account)


def not_oneself(actor: Actor, account: Account) -> Account:
    """Raises `Forbidden`: who shuts their own account cannot open it again. An actor's name holds username or uid."""
    kind, _, me = actor.name.partition(":")
    if kind == "user" and me in (account.username, account.uid):
        raise Forbidden("this is your own account", "Ask another admin: you would shut yourself out.")
    return account


def no_superuser(account: Account) -> Account:
    """Raises `Forbidden`: an admin of Muster must not become one of Authentik: by a way in, or by a changed e-mail."""
    if account.superuser:
        raise Forbidden(f"{account.username} is a superuser", "Change administrators in Authentik itself.")
    return account


async def audited(
    ports: Ports, actor: Actor, action: str, account: Account, detail: dict[str, Any] | None = None
) -> None:
    await nudge(ports, "authentik")
    record = audit(ports.now(), actor.name, action, account.username, str(account.pk), source=actor.source)
    try:
        await ports.documents.write(audit_write(record.but(detail={"pk": account.pk} | (detail or {}))))
    except MusterError as error:
        # The act is done in Authentik; hiding that from the admin would be worse.
        log.error("audit record not written", extra={"fields": {"action": action, "cause": error.cause}})
