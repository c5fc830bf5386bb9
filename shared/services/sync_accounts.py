"""Authentik's accounts and groups into the cache.

Full: every page, eight at once, a checkpoint every few; who was on no page is asked for by number, and goes when
Authentik does not know them. Light: who was written since, all groups, and whoever the total says is missing. What
leaves no trace on an account (coming into a group, leaving one, logging in) is found by a full one alone, unless the
account was written within an hour, as it is when Muster itself changes its groups.
"""

from __future__ import annotations

import asyncio
import zlib
from datetime import datetime, timedelta
from typing import Any

from shared.domain import packing
from shared.domain.cached_users import Numbers
from shared.ports import Account, Directory
from shared.services import user_shards
from shared.services.absent import absent, looked_up
from shared.services.shards import Run

GROUPS = "groups"
PAGE, AT_ONCE, CHECKPOINT = 100, 8, 49
"""Accounts on a page (Authentik gives no more), pages at once, pages between two checkpoints."""
ASKED = 400
"""Accounts that are asked for one by one between two checkpoints."""
OVERLAP = timedelta(hours=1)
"""Who was written within it is looked at again: Authentik's clock and ours differ, and new accounts come into their
groups moments later, which leaves no trace."""
LIGHT_UP_TO = 2_000
"""Changed accounts beyond which a full sync, which has checkpoints, is the better one."""


async def full(run: Run) -> dict[str, Any] | None:
    """What its end changes in the state document; None: time was up, and the next run goes on from the checkpoint."""
    directory = await run.ports.directory()
    began = run.sync.begun_at or run.ports.now()
    progress = run.sync.progress or {"page": 1, "seen": b"", "position": (began - OVERLAP).isoformat()}
    seen, page = Numbers(zlib.decompress(progress["seen"]) if progress["seen"] else b""), int(progress["page"])
    while page:
        accounts, page, of = await _pages(run, directory, page)
        seen.add(account.pk for account in accounts)
        await user_shards.upsert(run, accounts)
        progress = progress | {"page": page, "seen": zlib.compress(seen.data()), "of": of, "done": (page or of + 1) - 1}
        await run.commit(progress=progress)
        if page and run.out_of_time():
            return None
    if not await _drop_unseen(run, directory, seen):
        return None
    await _groups(run, directory)
    return {"position": progress["position"], "counts": _counts(run)}


async def light(run: Run) -> dict[str, Any] | None:
    """What its end changes in the state document; None: it takes a full one."""
    directory = await run.ports.directory()
    await _groups(run, directory)
    for _ in range(2):  # somebody may join between the two questions: then once more
        if not await _changed(run, directory):
            return None
        total = (await directory.accounts(size=1)).total
        missing = user_shards.count(run) - total
        if missing >= 0:
            break
    else:
        return None
    if missing:
        gone = await absent(run, directory, missing)
        if gone is None:
            return None
        await user_shards.remove(run, gone)
    began = run.sync.begun_at or run.ports.now()
    return {"position": (began - OVERLAP).isoformat(), "counts": _counts(run)}


async def _changed(run: Run, directory: Directory) -> bool:
    """Takes over who was written since; False where that is too much."""
    position = datetime.fromisoformat(run.sync.position)
    page: int | None = 1
    while page:
        found = await directory.accounts(updated_after=position, page=page, size=PAGE)
        if found.total > LIGHT_UP_TO:
            return False
        await user_shards.upsert(run, found.items)
        page = found.next_page
    return True


async def _pages(run: Run, directory: Directory, page: int) -> tuple[list[Account], int, int]:
    """The accounts of some pages, the page after them (0: there is none), and how many pages there are."""
    first = await directory.accounts(page=page, size=PAGE)
    of = -(-first.total // PAGE)
    found = [first]
    while len(found) < CHECKPOINT and page + len(found) <= of and not (len(found) > 1 and run.out_of_time()):
        numbers = range(page + len(found), min(page + len(found) + AT_ONCE, of + 1))
        found += await asyncio.gather(*(directory.accounts(page=number, size=PAGE) for number in numbers))
    accounts = [account for each in found for account in each.items]
    return accounts, (page + len(found) if found[-1].next_page else 0), of


async def _drop_unseen(run: Run, directory: Directory, seen: Numbers) -> bool:
    """Pages shift when somebody is deleted meanwhile, so that others may have been on none: each is asked for."""
    for name in user_shards.names(run):
        unseen = [row.pk for row in await user_shards.rows_in(run, name) if row.pk not in seen]
        for start in range(0, len(unseen), ASKED):
            there, gone = await looked_up(directory, unseen[start : start + ASKED])
            seen.add(account.pk for account in there)
            await user_shards.upsert(run, there)
            await user_shards.remove(run, gone)
            await run.commit(progress=run.sync.progress | {"seen": zlib.compress(seen.data())})
            if run.out_of_time():
                return False
    return True


async def _groups(run: Run, directory: Directory) -> None:
    groups = {group.pk: (group.name, group.superuser) for group in await directory.groups()}
    run.stage(GROUPS, packing.encoded(groups), len(groups))


def _counts(run: Run) -> dict[str, int]:
    return {"users": user_shards.count(run), "groups": run.rows(GROUPS)}
