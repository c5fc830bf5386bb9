"""/api/users/bulk: one act on everybody whom a filter finds; who is left out says why, and nobody is done twice."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from shared.domain.errors import Invalid, Unreachable
from shared.services import sync
from tests.functions.served import Service, names, problem
from tests.world import World

EVERYBODY: dict[str, Any] = {"filter": {}}


async def crowd(world: World, *usernames: str) -> dict[str, int]:
    return {name: world.authentik.add_account(name, name.title(), f"{name}@x.test").pk for name in usernames}


async def bulk(service: Service, dry_run: bool = False, key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/api/users/bulk{'?dry_run=true' if dry_run else ''}"
    return await service.api("POST", path, json=EVERYBODY | body if "pks" not in body else body, headers=headers)


async def job_of(service: Service, answer: httpx.Response) -> dict[str, Any]:
    """As it is once all is worked off."""
    assert answer.status_code == 202, answer.text
    await service.work()
    found = await service.api("GET", f"/api/jobs/{answer.json()['job']['id']}")
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


def said(job: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["username"]: (item["state"], item["cause"]) for item in job["items"]}


async def test_a_whole_filter(service: Service, world: World) -> None:
    """Everybody whom the filter finds is done, as the dry run has foreseen; admins, superusers and the bot are not."""
    pks = await crowd(world, "ada", "bee", "cyd", "muster", "muster-service", "root", "off")
    world.policy = replace(world.policy, bot="@muster:fake.test")
    await world.authentik.add_to_group(world.authentik.add_group("muster-admins"), pks["cyd"])
    await world.authentik.add_to_group(world.authentik.add_group("gods", superuser=True), pks["root"])
    await world.authentik.update_account(pks["off"], active=False)
    before = service.acts()
    dry = (await bulk(service, True, act="deactivate")).json()["job"]
    assert service.acts() == before
    assert said(dry) == {
        "ada": ("pending", ""),
        "bee": ("pending", ""),
        "cyd": ("skipped", "is an admin"),
        "muster": ("skipped", "is the bot"),
        "muster-service": ("skipped", "is no person: a system signs in with this account"),
        "root": ("skipped", "is a superuser of Authentik"),
        "off": ("skipped", "is deactivated already"),
    }
    assert (dry["counts"], dry["total"], dry["reason"]) == ({"pending": 2, "skipped": 5}, 7, "deactivate 2 people")
    job = await job_of(service, await bulk(service, act="deactivate", count=2))
    assert (job["state"], job["counts"]) == ("done", {"done": 2, "skipped": 5})
    off = {account.username for account in world.authentik._accounts.values() if not account.active}
    assert off == {"ada", "bee", "off"}
    [record] = await service.audit("users.deactivate")
    assert (record["target"], record["detail"]["counts"]) == (job["id"], {"pending": 2, "skipped": 5})
    assert sorted(each["target"] for each in await service.audit("user.deactivate")) == ["ada", "bee"]


async def test_not_oneself(service: Service, world: World) -> None:
    """Whoever asks with their own account does not switch it off."""
    await crowd(world, "ada", "bee")
    token = service.issuer.access(preferred_username="ada", groups=["muster-admins"])
    answer = await service.api(
        "POST", "/api/users/bulk", json={"act": "deactivate", "filter": {}, "count": 1}, token=token
    )
    assert said(await job_of(service, answer)) == {"ada": ("skipped", "is you"), "bee": ("done", "")}


async def test_who_has_come_since(service: Service, world: World) -> None:
    """With a filter the number that was seen has to be sent; where they are more by now, nothing is done."""
    await crowd(world, "ada", "bee")
    assert names(problem(await bulk(service, act="activate"), 400)) == ["count"]
    body = problem(await bulk(service, act="deactivate", count=1), 409)
    assert ("2 people now, not 1" in body["detail"], '"count": 2' in body["fix"]) == (True, True)
    assert not any(service.acts().values())
    assert (await bulk(service, act="deactivate", count=5)).status_code == 202


async def test_more_than_ten_are_typed(service: Service, world: World) -> None:
    """More than ten deactivations need their very number, also when each is named."""
    pks = list((await crowd(world, *(f"m{n}" for n in range(12)))).values())
    for count in ({}, {"count": 11}, {"count": 100}):
        problem(await bulk(service, act="deactivate", pks=pks, **count), 409)
    problem(await bulk(service, act="deactivate", count=1000), 409)
    assert not any(service.acts().values())
    assert (await job_of(service, await bulk(service, act="deactivate", pks=pks, count=12)))["counts"] == {"done": 12}
    assert (await job_of(service, await bulk(service, act="activate", pks=pks)))["counts"] == {"done": 12}


async def test_groups(service: Service, world: World) -> None:
    """Into a group and out of it; one that gives power is refused, one that is not there is named."""
    await crowd(world, "ada", "bee")
    crew = world.authentik.add_group("crew")
    world.authentik.add_group("gods", superuser=True)
    for group in ("gods", "nobody", ""):
        assert names(problem(await bulk(service, act="add_group", group=group, count=9), 400)) == ["group"]
    assert names(problem(await bulk(service, act="activate", group="crew", count=9), 400)) == ["group"]
    job = await job_of(service, await bulk(service, act="add_group", group="crew", count=2))
    assert (job["counts"], job["reason"]) == ({"done": 2}, "2 people into crew")
    assert all(crew in account.group_pks for account in world.authentik._accounts.values())
    again = await job_of(service, await bulk(service, act="add_group", group="crew", count=2))
    assert (again["state"], again["counts"]) == ("done", {"skipped": 2})
    out = await bulk(service, act="remove_group", group="crew", count=2, filter={"q": "ada", "group": "crew"})
    assert said(await job_of(service, out)) == {"ada": ("done", "")}
    assert [a.username for a in world.authentik._accounts.values() if crew in a.group_pks] == ["bee"]


async def test_invited_to_rooms(service: Service, world: World) -> None:
    """Each gets a job of their own, not listed beside the others; a person is done once they are invited everywhere."""
    room, other = world.homeserver.add_room("Ops", alias="ops"), world.homeserver.add_room("Club")
    await crowd(world, "ada", "bee")
    assert names(problem(await bulk(service, act="invite", rooms=["!no:fake.test"], count=2), 400)) == ["rooms"]
    assert names(problem(await bulk(service, act="invite", count=2), 400)) == ["rooms"]
    world.homeserver.homes[other].members["@bee:fake.test"] = "ban"
    answer = await bulk(service, act="invite", rooms=["#ops:fake.test", other], count=2)
    for _round in range(4):
        await service.work()
        world.pause(minutes=2)
    job = await job_of(service, answer)
    assert (job["state"], job["counts"]) == ("failed", {"done": 1, "failed": 1})
    [failed] = [item for item in job["items"] if item["state"] == "failed"]
    assert (failed["cause"], bool(failed["fix"])) == ("not invited to every room", True)
    assert [each["id"] for each in (await service.api("GET", "/api/jobs")).json()["items"]] == [job["id"]]
    parts = (await service.api("GET", f"/api/jobs?part_of={job['id']}")).json()["items"]
    assert {part["id"] for part in parts} == {item["result"]["job"] for item in job["items"]}

    tried = await service.api("POST", f"/api/jobs/{job['id']}/retry?dry_run=true")
    assert (tried.status_code, tried.json()["state"]) == (200, "running")
    del world.homeserver.homes[other].members["@bee:fake.test"]
    answer = await service.api("POST", f"/api/jobs/{job['id']}/retry")
    assert answer.json()["counts"] == {"done": 1, "pending": 1}
    for _round in range(4):
        await service.work()
        world.pause(minutes=2)
    done = (await service.api("GET", f"/api/jobs/{job['id']}")).json()
    assert (done["state"], done["counts"]) == ("done", {"done": 2})
    assert all(world.homeserver.homes[place].members[f"@{name}:fake.test"] == "invite"
               for place in (room, other) for name in ("ada", "bee"))  # fmt: skip


async def test_brought_in(service: Service, world: World) -> None:
    """An onboarding begins for each, and is named; who is deactivated is left out."""
    pks = await crowd(world, "ada", "bee")
    await world.authentik.update_account(pks["bee"], active=False)
    job = await job_of(service, await bulk(service, act="onboard", count=1))
    assert said(job) == {"ada": ("done", ""), "bee": ("skipped", "is deactivated")}
    begun = job["items"][0]["result"]["onboarding"]
    assert (await service.api("GET", f"/api/onboardings/{begun}")).json()["member"]["username"] == "ada"


async def test_who_is_held_stays_so(service: Service, world: World) -> None:
    """Whoever an admin has not decided upon is not let in by activating everybody."""
    made = (await service.api("POST", "/api/invites", json={"label": "x", "email": "other@x.test"})).json()
    world.authentik.enroll(made["code"], "eve")
    await world.enrolled("eve")
    await service.work()
    assert said((await bulk(service, True, act="activate")).json()["job"])["eve"][0] == "skipped"


async def test_from_the_cache(service: Service, world: World) -> None:
    """Where there is a cache it says who is meant, by pk too; each is looked at once more before anything is done."""
    pks = await crowd(world, "ada", "bee", "cyd")
    await sync.run(world, "authentik")
    admins = world.authentik.add_group("muster-admins")
    answer = await bulk(service, act="deactivate", pks=[*pks.values(), 999])
    await world.authentik.add_to_group(admins, pks["bee"])
    await world.authentik.delete_account(pks["cyd"])
    assert said(await job_of(service, answer)) == {
        "ada": ("done", ""),
        "bee": ("skipped", "is an admin"),
        "cyd": ("skipped", "the account is gone from Authentik"),
        "": ("skipped", "there is no such account in Authentik"),
    }


async def test_what_failed_is_tried_again(service: Service, world: World) -> None:
    """What Authentik would not do for one fails for that one, with its cause; retried it is done, the others not again."""
    await crowd(world, "ada", "bee")
    world.authentik.fail("update_account", Invalid.field("is_active", "Authentik does not take it"), 1)
    job = await job_of(service, await bulk(service, act="deactivate", count=2))
    assert (job["state"], job["counts"]) == ("failed", {"done": 1, "failed": 1})
    before = len(await service.audit("user.deactivate"))
    again = await service.api("POST", f"/api/jobs/{job['id']}/retry")
    assert (await job_of(service, httpx.Response(202, json={"job": again.json()})))["counts"] == {"done": 2}
    assert (before, len(await service.audit("user.deactivate"))) == (1, 2)
    assert len(await service.audit("job.retry")) == 1


async def test_authentik_is_down(service: Service, world: World) -> None:
    """During an outage nobody has failed: the job waits, says why, and everybody is still to come."""
    await crowd(world, "ada", "bee")
    answer = await bulk(service, act="deactivate", count=2)
    world.authentik.fail("account", Unreachable("authentik", "it is down"), 50)
    for _round in range(8):
        for task in world.queue.take(world.now()):
            await service.deliver(task)
        world.pause(minutes=5)
        await world.sweep()
    job = (await service.api("GET", f"/api/jobs/{answer.json()['job']['id']}")).json()
    assert (job["counts"], "down" in job["notes"][0]) == ({"pending": 2}, True)


async def test_the_same_key(service: Service, world: World) -> None:
    """The same key is the same job with everybody in it; another body is a 409."""
    await crowd(world, "ada", "bee")
    first, again = [await bulk(service, act="deactivate", count=2, key="k") for _ in range(2)]
    assert first.json() == again.json()
    problem(await bulk(service, act="deactivate", count=3, key="k"), 409)


async def test_five_thousand(service: Service, world: World) -> None:
    """So many are one job in a bounded number of documents; the job shows the first, its items come page by page; more
    are refused."""
    for n in range(5_001):
        world.authentik.add_account(f"m{n}")
    await sync.run(world, "authentik")
    assert names(problem(await bulk(service, act="activate", count=6000), 400)) == ["filter"]
    await world.authentik.delete_account(2)
    await sync.run(world, "authentik", "full")
    writes = len(service.acts()["documents"])
    answer = await bulk(service, act="onboard", filter={"q": "m"}, count=5_000)
    assert (answer.status_code, len(answer.json()["job"]["items"])) == (202, 5_000)
    assert len(service.acts()["documents"]) - writes <= 210
    path = f"/api/jobs/{answer.json()['job']['id']}"
    job = (await service.api("GET", path)).json()
    assert (len(job["items"]), job["total"], job["counts"]) == (100, 5_000, {"pending": 5_000})
    page = (await service.api("GET", f"{path}/items?state=open&limit=200")).json()
    assert (len(page["items"]), page["next_cursor"], page["total"]) == (200, "200", 5_000)
    last = (await service.api("GET", f"{path}/items?limit=200&cursor=4900")).json()
    assert (len(last["items"]), last["next_cursor"]) == (100, None)
    assert (await service.api("GET", f"{path}/items?state=failed")).json()["items"] == []
    for cursor in ("x", "5000"):
        assert names(problem(await service.api("GET", f"{path}/items?cursor={cursor}"), 400)) == ["cursor"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "act"),
        ({"act": "delete", "filter": {}}, "act"),
        ({"act": "activate"}, "body"),
        ({"act": "activate", "filter": {}, "pks": [2]}, "body"),
        ({"act": "activate", "pks": []}, "pks"),
        ({"act": "activate", "pks": [0]}, "pks.0"),
        ({"act": "activate", "pks": [2] * 501}, "pks"),
        ({"act": "activate", "filter": {"active": "yes"}}, "filter.active"),
        ({"act": "activate", "filter": {"qq": ""}}, "filter.qq"),
        ({"act": "activate", "filter": {}, "count": -1}, "count"),
        ({"act": "activate", "filter": {}, "count": "2"}, "count"),
        ({"act": "activate", "filter": {}, "rooms": ["!a:b.test"]}, "rooms"),
        ({"act": "activate", "filter": {"q": "nobody"}, "count": 1}, "filter"),
        ({"act": "activate", "filter": {"group": "nobody"}, "count": 1}, "group"),
    ],
)
async def test_wrong_bodies(service: Service, body: dict[str, Any], field: str) -> None:
    """Each wrong field is named, and nothing is done."""
    assert names(problem(await service.api("POST", "/api/users/bulk", json=body), 400)) == [field]
    assert not any(service.acts().values())
