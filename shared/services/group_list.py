"""Every group of Authentik with how many are in it, and whether a form may grant it: from the cache, which knows who is
in which; from Authentik itself while there is none, and where the cache has no group of that name."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.cache import Users
from shared.domain.errors import Limited, Unreachable
from shared.ports import Group
from shared.services import cache
from shared.services.context import Ports
from shared.services.groups import all_groups, guarded_because


class Listed(Struct, frozen=True):
    """`members`: as the cache has them; None where there is none, or the group is newer than it. `why`: it may not be
    granted; "" where it may."""

    id: str
    name: str
    members: int | None
    grantable: bool
    why: str


class Groups(Struct, frozen=True):
    """By name. `synced_at`: how old they may be at most."""

    items: Sequence[Listed]
    synced_at: datetime


async def groups(ports: Ports, words: str = "") -> Groups:
    """`words`: each of them somewhere in the name. Raises what Authentik raises where the cache cannot answer."""
    known = await cache.users(ports)
    if known is None or known.sync.synced_at is None:
        return await _live(ports, words, {})
    counts = members_of(known)
    found = _listed(ports, _groups(known), counts, words)
    if words and not found:
        with contextlib.suppress(Unreachable, Limited):  # nobody is wrong about a name that nobody has
            return await _live(ports, words, counts)
    return Groups(found, known.sync.synced_at)


def members_of(users: Users) -> dict[str, int]:
    """By pk. Thousands share the same few sets of groups: each set is looked at once."""
    counts = dict.fromkeys(users.groups, 0)
    for held, people in Counter(row.groups for row in users).items():
        for pk in held:
            counts[pk] = counts.get(pk, 0) + people
    return counts


def _groups(users: Users) -> Iterable[Group]:
    return (Group(pk, name, superuser) for pk, (name, superuser) in users.groups.items())


async def _live(ports: Ports, words: str, counts: Mapping[str, int]) -> Groups:
    at = ports.now()
    return Groups(_listed(ports, await all_groups(ports), counts, words), at)


def _listed(ports: Ports, found: Iterable[Group], counts: Mapping[str, int], words: str) -> list[Listed]:
    wanted = words.casefold().split()
    fitting = [group for group in found if all(word in group.name.casefold() for word in wanted)]
    return [_one(ports, group, counts) for group in sorted(fitting, key=lambda each: (each.name.casefold(), each.pk))]


def _one(ports: Ports, group: Group, counts: Mapping[str, int]) -> Listed:
    why = guarded_because(group, ports.policy)
    return Listed(group.pk, group.name, counts.get(group.pk), not why, why)
