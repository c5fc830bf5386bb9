"""Imports: the table of a simulation is that of the real run, no line is made twice, and what is left can be told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, NotFound, Refused, TryLater, Unreachable
from shared.domain.imports import Kind, Line, LineState
from shared.domain.syncs import SOURCES
from shared.ports import Put
from shared.repositories import BUNDLES
from shared.services import bundles, imports, invites, sync
from shared.services.imports import Table, Wanted
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

COLUMNS = ("first_name", "email")


def world(**more: Any) -> World:
    made = World()
    made.furnish(2)
    made.authentik.add_group("friends")
    return made


def line(number: int, name: str = "", **fields: Any) -> Line:
    """A member as the file has them."""
    first = name or f"Member{number}"
    cells = {"first_name": first} | {key: str(value) for key, value in fields.items()}
    return Line(line=number, cells=cells, fields={"first_name": first, **fields})


def members(count: int, **fields: Any) -> list[Line]:
    return [line(number, email=f"m{number}@b.test", **fields) for number in range(2, count + 2)]


def wanted(lines: Sequence[Line], kind: Kind = "users", **more: Any) -> Wanted:
    return Wanted(kind, COLUMNS, lines, **more)


async def imported(world: World, lines: Sequence[Line], **more: Any) -> Table:
    """Started and worked off."""
    started = await imports.start(world, ADMIN, wanted(lines, **more))
    await world.work(1000)
    return await imports.table(world, started.imported.id)


def states(table: Table) -> dict[LineState, int]:
    return dict(Counter(each.state for each in table.lines))


async def test_members() -> None:
    """Each line becomes one account with its onboarding; nobody gets a way in that nobody would see."""
    made = world()
    table = await imported(made, members(7, groups=("friends",)))
    assert (states(table), table.job.state, table.imported.counts) == ({"created": 7}, "done", {"created": 7})
    accounts = (await made.authentik.accounts()).items
    assert [account.email for account in accounts] == [f"m{number}@b.test" for number in range(2, 9)]
    assert all(account.groups == ("friends",) for account in accounts)
    assert {each.id for each in table.lines} == {str(account.pk) for account in accounts}
    assert {each.username for each in table.lines} == {account.username for account in accounts}
    for each in table.lines:
        assert (await made.view(each.onboarding)).onboarding.username == each.username
    assert "recovery_link" not in made.authentik.calls
    assert made.authentik.passwords == {}
    assert not any(each.cells or each.fields for each in table.lines)


async def test_invites() -> None:
    """Each line becomes one invite, whose link can be had afterwards."""
    made = world()
    lines = [Line(line=n, label=f"Guest {n}", fields={"label": f"Guest {n}", "max_uses": 1}) for n in range(2, 9)]
    table = await imported(made, lines, kind="invites")
    assert states(table) == {"created": 7}
    found = await imports.made_invites(made, table.imported.id)
    assert [(each.line, invite.label) for each, invite in found] == [(n, f"Guest {n}") for n in range(2, 9)]
    assert {invite.link for _, invite in found} == {found.link for found, _ in made.authentik.invitations.values()}


async def test_a_simulation_is_the_real_run() -> None:
    """A dry run answers the very table that the real one ends with, and does nothing."""
    made = world()
    made.authentik.add_account("taken", email="There@b.test")
    lines = [
        line(2, email="a@b.test"),
        line(3, email="there@B.test"),
        line(4, username="taken"),
        line(5, email="A@b.test"),
        line(6, groups=("nobody",)),
        line(7, rooms=("!nowhere",)),
        line(8, username="Not Good"),
        replace(line(9), errors=(("email", "expected an e-mail address"),)),
        line(10, username="free", rooms=made.policy.default_rooms, groups=("friends",)),
        line(11, username="free"),
    ]
    calls = len(made.authentik.calls)
    dry = await imports.start(made, ADMIN, wanted(lines, on_conflict="skip"), dry_run=True)
    assert not {"create_account", "add_to_group"} & set(made.authentik.calls[calls:])
    assert (await made.documents_in("imports"), await made.documents_in("jobs"), made.queue.tasks) == ([], [], {})
    real = await imported(made, lines, on_conflict="skip")
    expected = ["would_create", *["skipped"] * 3, *["failed"] * 4, "would_create", "skipped"]
    assert [each.state for each in dry.lines] == expected
    assert [each.state.replace("created", "would_create") for each in real.lines] == expected
    assert [(each.line, each.cause, each.fix) for each in dry.lines] == [
        (each.line, each.cause, each.fix) for each in real.lines
    ]
    assert all(each.cause and each.fix for each in real.lines if each.state != "created")
    _, left = await imports.left(made, real.imported.id)
    assert [each.line for each in left] == [3, 4, 5, 6, 7, 8, 9, 11]
    assert all(each.cells for each in left)


async def test_stop() -> None:
    """With `stop`, what comes before the first line that cannot be made is made, and nothing that comes after it."""
    made = world()
    lines = [line(2), line(3), line(4, groups=("nobody",)), line(5), line(6)]
    dry = await imports.start(made, ADMIN, wanted(lines), dry_run=True)
    assert [each.state for each in dry.lines] == ["would_create", "would_create", "failed", "left", "left"]
    table = await imported(made, lines)
    assert [each.state for each in table.lines] == ["created", "created", "failed", "left", "left"]
    assert (table.job.state, len((await made.authentik.accounts()).items)) == ("done", 2)


async def test_stopped_while_it_runs() -> None:
    """A username that somebody takes after the check stops the import there, exactly."""
    made = world()
    lines = [line(number, username=f"m{number}") for number in range(2, 62)]
    started = await imports.start(made, ADMIN, wanted(lines))
    made.authentik.add_account("m31")
    await made.work(1000)
    table = await imports.table(made, started.imported.id)
    assert [each.state for each in table.lines] == ["created"] * 29 + ["failed"] + ["left"] * 30
    assert (table.imported.stopped_at, table.job.state) == (31, "done")
    assert table.imported.counts == {"created": 29, "failed": 1, "left": 30}
    assert len((await made.authentik.accounts(size=100)).items) == 30


async def test_skipped_while_it_runs() -> None:
    """With `skip` the others are made; an e-mail address that came in after the check counts too."""
    made = world()
    started = await imports.start(made, ADMIN, wanted(members(9), on_conflict="skip"))
    made.authentik.add_account("quicker", email="M5@b.test")
    await made.work(1000)
    table = await imports.table(made, started.imported.id)
    assert states(table) == {"created": 8, "skipped": 1}
    assert "quicker" in next(each.cause for each in table.lines if each.state == "skipped")


async def test_a_group_with_power() -> None:
    """A group that gives administrative power is granted by no file."""
    made = world()
    made.authentik.add_group("root", superuser=True)
    table = await imported(made, [line(2, groups=("root",)), line(3)], on_conflict="skip")
    assert [each.state for each in table.lines] == ["failed", "created"]
    assert "GRANTABLE_GROUPS" in table.lines[0].cause


async def test_who_is_invited_already() -> None:
    """An invite to somebody who has an account, or an invite that is still good, is a conflict."""
    made = world()
    made.authentik.add_account("ada", email="ada@b.test")
    old = await made.invite(email="bob@b.test")
    await made.invite(email="cleo@b.test")
    await invites.revoke(made, ADMIN, old.id)
    lines = [
        Line(line=number, fields={"label": "x", "email": email})
        for number, email in enumerate(("ada@b.test", "bob@b.test", "Cleo@b.test"), 2)
    ]
    table = await imported(made, lines, kind="invites", on_conflict="skip")
    assert [each.state for each in table.lines] == ["skipped", "created", "skipped"]


async def test_a_thousand_lines() -> None:
    """An import of 1,000 goes on from task to task, and every line is made once; its pages hold all of them."""
    made = World()  # no rooms: what the onboardings do is tested elsewhere
    started = await imports.start(made, ADMIN, wanted([line(n, send_welcome=False) for n in range(2, 1002)]))
    await made.work(1000)
    assert len([step for step, _ in made.log if step == "lines"]) == 5
    seen: list[Line] = []
    cursor = None
    while True:
        page = await imports.table(made, started.imported.id, 130, cursor)
        seen += page.lines
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [each.line for each in seen] == list(range(2, 1002))
    assert {each.state for each in seen} == {"created"}
    assert len({each.username for each in seen}) == 1000
    assert (await made.authentik.accounts(size=1)).total == 1000
    assert page.job.state == "done"


@pytest.mark.parametrize("after", [False, True])
async def test_killed_anywhere(after: bool) -> None:
    """Whatever write the process dies at, before it or after it, each line is one account, and one onboarding."""
    for number in range(1, 60):
        made = world()
        made.policy = replace(made.policy, default_rooms=(), indoc="")
        started = await imports.start(made, ADMIN, wanted(members(3, send_welcome=False)))
        made.documents.fail_at(number, Killed(), after=after)
        await made.work(1000)
        made.documents.mend()
        await made.live(hours=1)
        table = await imports.table(made, started.imported.id)
        assert (number, states(table), table.job.state) == (number, {"created": 3}, "done")
        assert (await made.authentik.accounts()).total == 3
        assert len(await made.documents_in("onboardings")) == 3


async def test_killed_after_authentik_has_made_it() -> None:
    """An account whose answer was lost is found again, and is that line's."""
    made = world()
    started = await imports.start(made, ADMIN, wanted(members(2), on_conflict="skip"))
    create = made.authentik.create_account

    async def dies(**fields: Any) -> Any:
        made.authentik.create_account = create  # type: ignore[method-assign]
        await create(**fields)
        raise Killed

    made.authentik.create_account = dies  # type: ignore[method-assign]
    await made.live()
    table = await imports.table(made, started.imported.id)
    assert (states(table), (await made.authentik.accounts()).total) == ({"created": 2}, 2)


async def test_delivered_twice_at_once() -> None:
    """Two deliveries of its task at the same moment make nothing twice."""
    made = world()
    await imports.start(made, ADMIN, wanted(members(5)))
    answers = await made.twice(made.due("lines"), 3)
    assert sorted(answers) == ["Claimed", "Claimed", "done"]
    assert (await made.authentik.accounts()).total == 5


async def test_authentik_is_down_for_a_while() -> None:
    """An outage costs no line: the import waits for Authentik and goes on where it was."""
    made = world()
    started = await imports.start(made, ADMIN, wanted(members(9), on_conflict="skip"))
    made.authentik.fail("create_account", Unreachable("authentik", "it is down"), 25)
    await made.live(hours=6)
    table = await imports.table(made, started.imported.id)
    assert (states(table), table.job.state) == ({"created": 9}, "done")


async def test_a_line_that_never_works() -> None:
    """A line whose fault never passes is given up, shown, and keeps none of the others waiting."""
    made = world()
    create = made.authentik.create_account

    async def broken(*, username: str, **fields: Any) -> Any:
        if username == "m3":
            raise RuntimeError("Authentik answers this one with its HTML page")
        return await create(username=username, **fields)

    made.authentik.create_account = broken  # type: ignore[method-assign]
    lines = [line(number, username=f"m{number}") for number in range(2, 7)]
    started = await imports.start(made, ADMIN, wanted(lines, on_conflict="skip"))
    await made.live()
    table = await imports.table(made, started.imported.id)
    assert [each.state for each in table.lines] == ["created", "failed", "created", "created", "created"]
    assert "given up" in table.lines[1].cause
    assert table.job.state == "done"


async def test_refused_by_authentik() -> None:
    """A token that Authentik refuses ends the import with its cause, not each line of it: the rest is left."""
    made = world()
    started = await imports.start(made, ADMIN, wanted(members(9)))
    made.authentik.fail("create_account", Refused("the token is refused", "Make a new one.", "403"))
    await made.work()
    table = await imports.table(made, started.imported.id)
    assert (states(table), table.job.state) == ({"left": 9}, "failed")
    assert "the token is refused" in table.lines[0].cause
    assert len((await imports.left(made, started.imported.id))[1]) == 9


async def test_a_repeat() -> None:
    """The same key and body answer the same import, also at the same moment; another body is a conflict."""
    made = world()
    asked = wanted(members(3), key="k", body="b")
    tables = await asyncio.gather(*(imports.start(made, ADMIN, asked) for _ in range(3)))
    assert len({table.imported.id for table in tables}) == 1
    await made.work()
    again = await imports.start(made, ADMIN, asked)
    assert (states(again), (await made.authentik.accounts()).total) == ({"created": 3}, 3)
    with pytest.raises(Conflict):
        await imports.start(made, ADMIN, replace(asked, body="c"))


async def test_nothing_to_make() -> None:
    """An import of which no line can be made is done at once."""
    made = world()
    table = await imported(made, [line(2, groups=("nobody",))])
    assert (table.job.state, made.queue.tasks, states(table)) == ("done", {}, {"failed": 1})


async def test_lines_are_kept_for_a_month() -> None:
    """What was left holds names and addresses, and is gone after 30 days; how many there were stays."""
    made = world()
    table = await imported(made, [line(2), line(3, groups=("nobody",))])
    made.pause(days=31)
    later = await imports.table(made, table.imported.id)
    assert (later.lines, later.imported.counts) == ([], {"created": 1, "failed": 1})


async def test_what_there_is_not() -> None:
    """An import that there is none of, and a cursor that is none, are said to be so."""
    made = world()
    with pytest.raises(NotFound):
        await imports.table(made, "imp_x")
    table = await imported(made, members(1))
    for cursor in ("x", "1", "-1", "99999999"):
        with pytest.raises(Invalid):
            await imports.table(made, table.imported.id, 1, cursor)


@pytest.mark.parametrize("there", [0, 250])
async def test_few_calls(there: int) -> None:
    """Whether a community is small or large, a check asks no more than it must."""
    made = world()
    for number in range(there):
        made.authentik.add_account(f"old{number}", email=f"old{number}@b.test")
    made.authentik.calls.clear()
    lines = [line(2, email="old7@b.test"), line(3, email="new@b.test")]
    table = await imports.start(made, ADMIN, wanted(lines, on_conflict="skip"), dry_run=True)
    assert [each.state for each in table.lines] == ["skipped" if there else "would_create", "would_create"]
    assert len(made.authentik.calls) <= 3


async def test_it_takes_its_time() -> None:
    """A task begins no more lines once its time is over, and the next one goes on with them."""
    made = world()
    create = made.authentik.create_account

    async def slow(**fields: Any) -> Any:
        made._now += timedelta(seconds=9)
        return await create(**fields)

    made.authentik.create_account = slow  # type: ignore[method-assign]
    started = await imports.start(made, ADMIN, wanted(members(9), on_conflict="stop"))
    assert await made.once(made.due("lines")) == "scheduled"
    assert states(await imports.table(made, started.imported.id)) == {"created": 3, "pending": 6}
    await made.work()
    assert states(await imports.table(made, started.imported.id)) == {"created": 9}


async def test_a_line_that_a_dead_task_was_at() -> None:
    """A request that looks as if somebody were at it is no conflict of the line: it is waited for."""
    made = world()
    started = await imports.start(made, ADMIN, wanted(members(1)))
    task = made.due("lines")
    made.documents.fail_at(3, Killed())
    with pytest.raises(Killed):
        await made.once(task)
    made.pause(seconds=91)
    [request] = await made.documents_in("user_requests")
    busy = request | {"busy_until": made.now() + timedelta(seconds=30)}
    await made.store.write(Put(f"user_requests/{request['id']}", busy))
    with pytest.raises(TryLater):
        await made.once(task)
    await made.live()
    assert states(await imports.table(made, started.imported.id)) == {"created": 1}
    assert (await made.authentik.accounts()).total == 1


async def test_bundles_are_told_in_the_simulation() -> None:
    """One that does not exist, and one that gives a group which no form may, are named; the others are given."""
    made = world()
    made.authentik.add_group("staff", superuser=True)
    await bundles.create(made, ADMIN, bundles.Wanted("Garden", rooms=made.policy.default_rooms))
    root = (await bundles.read(made, "garden")).but(id="root", name="Root", groups=("staff",))
    await made.documents.write(Put(BUNDLES.path("root"), root.data()))
    lines = [line(2, bundles=("Garden",)), line(3, bundles=("Gone",)), line(4, bundles=("Root",))]
    dry = await imports.start(made, ADMIN, wanted(lines, on_conflict="skip"), dry_run=True)
    assert [each.state for each in dry.lines] == ["would_create", "failed", "failed"]
    assert "there is no bundle 'Gone'" in dry.lines[1].cause
    assert "gives administrative power" in dry.lines[2].cause
    table = await imported(made, lines, on_conflict="skip")
    assert (await made.view(table.lines[0].onboarding)).onboarding.bundles == ("garden",)


async def test_a_fresh_cache_is_asked_for_who_is_there() -> None:
    """No page of accounts and no list of rooms is read for the check; what came since is found live, or by the line."""
    made = world()
    made.authentik.add_account("taken", email="There@b.test")
    for source in SOURCES:
        await sync.run(made, source, "full")
    new = made.homeserver.add_room("New")
    made.authentik.add_account("newer", email="newer@b.test")
    made.authentik.calls.clear()
    lines = [
        line(2, email="there@B.test"),
        line(3, username="taken"),
        line(4, email="newer@b.test"),
        line(5, rooms=(made.policy.default_rooms[0], new)),
    ]
    dry = await imports.start(made, ADMIN, wanted(lines, on_conflict="skip"), dry_run=True)
    assert [each.state for each in dry.lines] == ["skipped", "skipped", "would_create", "would_create"]
    assert "accounts" not in made.authentik.calls
    table = await imported(made, lines, on_conflict="skip")
    assert [each.state for each in table.lines] == ["skipped", "skipped", "skipped", "created"]
