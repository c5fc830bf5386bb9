"""Which groups a form may grant: never the admin group, never one that makes a superuser, unless the
settings name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.domain.errors import Invalid
from shared.ports import Group
from shared.services.context import Policy, Ports


async def all_groups(ports: Ports, *, fresh: bool = False) -> list[Group]:
    """Remembered for half a minute."""

    async def read() -> list[Group]:
        return await (await ports.directory()).groups()

    return await ports.remember("groups", 0 if fresh else 30, read)


def find(groups: Sequence[Group], wanted: str) -> Group | None:
    """By name or uuid."""
    return next((group for group in groups if wanted in (group.name, group.pk)), None)


def guarded_because(group: Group, policy: Policy) -> str:
    """Why no form may grant it; "" where one may."""
    named = {group.name, group.pk}
    if named & set(policy.grantable):
        return ""
    if group.superuser:
        return "its members are superusers of Authentik"
    return "its members are the admins of Muster" if policy.admin_group in named else ""


def is_guarded(group: Group, policy: Policy) -> bool:
    return bool(guarded_because(group, policy))


async def check_grantable(ports: Ports, wanted: Iterable[str]) -> list[Group]:
    """The groups behind these names. Raises `Invalid` on the field `groups`."""
    names = list(dict.fromkeys(wanted))
    if not names:
        return []
    groups = await all_groups(ports)
    if any(find(groups, name) is None for name in names):
        groups = await all_groups(ports, fresh=True)
    found: list[Group] = []
    for name in names:
        group = find(groups, name)
        if group is None:
            raise Invalid.field("groups", f"there is no group {name!r} in Authentik")
        if is_guarded(group, ports.policy):
            raise Invalid.field(
                "groups", f"{group.name!r} gives administrative power; name it in GRANTABLE_GROUPS to allow this"
            )
        found.append(group)
    return found
