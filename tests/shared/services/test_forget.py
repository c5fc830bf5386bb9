"""What is kept of a member who asks to be forgotten, and what stays."""

from __future__ import annotations

import json

import pytest

from shared.domain.errors import Conflict, NotFound
from shared.domain.indoc import pause_path
from shared.ports import Put, Query
from shared.services import crowds, jobs, new_users, users
from shared.services.enroll import Start, begin
from shared.services.forget import forget, traces
from shared.services.limits import proactive
from shared.services.new_users import Wanted
from tests.world import ADMIN, DOMAIN, World


async def member(world: World, name: str) -> tuple[str, int]:
    """Onboarded, removed again by a job; the onboarding's id and the account's number."""
    made = await new_users.create(world, ADMIN, Wanted(name, email=f"{name}@example.test", username=name.lower()))
    await world.work()
    matrix_id = made.view.onboarding.matrix_id
    await jobs.start(world, ADMIN, jobs.Wanted("remove", matrix_id, ("!somewhere:fake.test",), "asked for it"))
    await world.work()
    await world.documents.write(
        Put(f"letters/{name}", {"v": 1, "matrix_id": matrix_id, "step": "", "created_at": world.now()}),
        Put(f"letters/{name}/parts/0", {"v": 1, "to_device": {matrix_id: {}}}),
        Put(f"replies/{name}", {"v": 1, "matrix_id": matrix_id}),
        Put(f"room_keys/{name}", {"v": 1, "user_id": matrix_id}),
        Put(f"to_device/{name}", {"v": 1, "sender": matrix_id}),
        Put(f"indoc/{name}", {"v": 1, "matrix_id": matrix_id}),
        Put(f"indoc/{name}/steps/nudge", {"v": 1, "result": {"name": name.lower()}}),
        Put(pause_path(matrix_id), {"v": 1, "matrix_id": matrix_id}),
        Put(f"events/{name}", {"v": 1, "onboarding": made.view.onboarding.id}),
        Put(f"invites/{name}", {"v": 1, "label": name, "matrix_id": matrix_id, "max_uses": 1, "used_by": []}),
        Put(f"invites/{name}-open", {"v": 1, "label": "us", "max_uses": 9, "used_by": [made.view.onboarding.id]}),
    )
    await proactive(world, matrix_id, name)
    return made.view.onboarding.id, made.account.pk


async def everything(world: World) -> str:
    """All documents, as one text."""
    names = (
        "invites user_requests onboardings jobs events audit direct_rooms letters to_device room_keys replies indoc "
        "indoc_pauses".split()
    )
    found = [item for name in names for item in (await world.documents.query(Query(name, limit=200))).items]
    for name in ("steps", "parts"):
        found += (await world.documents.query(Query(name, limit=200, group=True))).items
    return json.dumps([(item.path, item.data) for item in found], default=str)


async def test_nothing_names_them_afterwards() -> None:
    """Once the account is deleted and the member forgotten, no document names them; a second member's are untouched."""
    world = World()
    world.furnish(1)
    await member(world, "Grace")
    others = (await everything(world)).count("grace")
    onboarding, pk = await member(world, "Ada")
    both = jobs.Wanted("invite", rooms=("!somewhere:fake.test",), people=(f"@ada:{DOMAIN}", f"@grace:{DOMAIN}"))
    among = await crowds.start(world, ADMIN, both)
    await world.work()
    await users.delete(world, ADMIN, pk)
    found = await traces(world, onboarding)
    assert await forget(world, ADMIN, found) == len(found.paths)
    left = (await everything(world)).lower()
    assert "ada@example" not in left
    assert f"@ada:{DOMAIN}" not in left
    assert '"ada"' not in left
    assert left.count("grace") >= others > 0
    assert len(await world.documents_in("proactive")) == 1  # the other one's
    assert [step.matrix_id for step in (await jobs.view(world, among.job.id)).steps] == [f"@grace:{DOMAIN}"]
    assert [record["action"] for record in await world.audits()].count("member.forget") == 1


async def test_nobody_is_forgotten_who_is_still_there() -> None:
    """While the account exists nothing is deleted: the sweep would begin its onboarding anew."""
    world = World()
    world.furnish(1)
    onboarding, _ = await member(world, "Ada")
    before = await everything(world)
    with pytest.raises(Conflict, match="still there"):
        await forget(world, ADMIN, await traces(world, onboarding))
    assert await everything(world) == before


async def test_an_unknown_one_is_said() -> None:
    """An onboarding that does not exist is named, and nothing is looked for by an empty id."""
    with pytest.raises(NotFound, match="ob_none"):
        await traces(World(), "ob_none")


async def test_who_has_no_matrix_id_takes_nobody_along() -> None:
    """A member whose Matrix id was never known: documents of others without one stay."""
    world = World()
    account = world.authentik.add_account("a b")
    invite = Put("invites/other", {"v": 1, "matrix_id": "", "max_uses": 1, "used_by": []})
    await world.documents.write(invite)
    begun = await begin(world, account, Start("api", ADMIN, send_welcome=False))
    found = await traces(world, begun.onboarding)
    assert {path.partition("/")[0] for path in found.paths} == {"audit", "onboardings"}
