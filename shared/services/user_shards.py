"""Accounts in their shards, during a sync: taken over, put, removed. Nothing is written before the run commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.domain import cached_users, ids
from shared.domain.cached_users import UserRow
from shared.ports import Account
from shared.services.shards import Run

PREFIX = "users-"


def row_of(account: Account) -> UserRow:
    named = account.attributes.get("matrix_id")
    return UserRow(
        pk=account.pk,
        username=account.username,
        name=account.name,
        email=account.email,
        active=account.active,
        superuser=account.superuser,
        groups=tuple(sorted(account.group_pks)),
        matrix_id=named if isinstance(named, str) else "",
        onboarding=ids.onboarding_id(account.uid) if account.uid else "",
        joined_at=cached_users.seconds(account.joined_at),
        last_login=cached_users.seconds(account.last_login),
    )


def names(run: Run) -> list[str]:
    return run.names(PREFIX) or [cached_users.FIRST]


def count(run: Run) -> int:
    return run.rows(PREFIX)


async def rows_in(run: Run, name: str) -> list[UserRow]:
    data = await run.read(name)
    return cached_users.within(cached_users.decoded(data), name, names(run)) if data else []


async def upsert(run: Run, accounts: Iterable[Account]) -> None:
    known = names(run)
    by_shard: dict[str, list[UserRow]] = {}
    for account in accounts:
        by_shard.setdefault(cached_users.shard_of(account.pk, known), []).append(row_of(account))
    for name, new in by_shard.items():
        rows = {row.pk: row for row in await rows_in(run, name)}
        _put(run, name, rows | {row.pk: row for row in new})


async def remove(run: Run, pks: Iterable[int]) -> None:
    known = names(run)
    by_shard: dict[str, set[int]] = {}
    for pk in pks:
        by_shard.setdefault(cached_users.shard_of(pk, known), set()).add(pk)
    for name, gone in by_shard.items():
        _put(run, name, {row.pk: row for row in await rows_in(run, name) if row.pk not in gone})


def _put(run: Run, name: str, rows: Mapping[int, UserRow]) -> None:
    """Stages the rows of one shard, which may have become too many for one document."""
    left = [rows[pk] for pk in sorted(rows)]
    shards = cached_users.cut(name, left)
    for shard, data in sorted(shards.items()):
        mine = cached_users.within(left, shard, sorted(shards))
        run.stage(shard, data, len(mine))
