"""/api/export: all of everything, as CSV and as JSON, a page at a time; and who took it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest

from functions.admin.import_fields import read
from shared.domain.errors import Unreachable
from shared.domain.imports import Kind
from shared.services import sync
from shared.services.exports import SOURCES
from tests.functions.served import Service, names, problem
from tests.world import World

FORMULA = "=HYPERLINK(1)"


async def furnish(service: Service, world: World) -> None:
    world.authentik.add_group("staff; choir")
    world.homeserver.add_room("Ops", alias="ops", topic="@everybody")
    user = {"first_name": "Ada", "last_name": "Byron Lovelace", "email": "ada@b.test", "intro": FORMULA}
    await service.api("POST", "/api/users", json=user | {"groups": ["staff; choir"]})
    await service.api("POST", "/api/invites", json={"label": "@Bob", "note": "two\nlines", "groups": ["staff; choir"]})
    await service.api("POST", "/api/bundles", json={"name": "=Garden", "rooms": [], "for_groups": ["staff; choir"]})
    await service.api("POST", "/api/plans", json={})
    await service.api("PUT", "/api/removal_reasons/rules", json={"label": "@Rules", "reason": "broke them"})
    await service.api("POST", "/api/categories", json={"name": "-Outdoors", "keywords": ["hiking"]})
    await service.api("POST", "/api/imports?kind=users", content="first_name\nCleo\n")
    await service.work()


async def text(service: Service, what: str, form: str = "csv") -> str:
    answer = await service.api("GET", f"/api/export/{what}.{form}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{what}.{form}"'
    return answer.text


def _texts(items: list[dict[str, Any]], fields: Collection[str]) -> set[str]:
    assert len(fields) > 3 or not items
    return {json.dumps({name: item[name] for name in fields}, sort_keys=True) for item in items}


@pytest.mark.parametrize("what", SOURCES)
async def test_everything(service: Service, world: World, what: str) -> None:
    """Each kind comes as CSV and as JSON, with the same records as its list; no cell is a formula."""
    await furnish(service, world)
    whole = json.loads(await text(service, what, "json"))
    assert whole["total"] == len(whole["items"]) > 0
    listed = (await service.api("GET", f"/api/{what}")).json()["items"] if what != "jobs" else []
    fields = listed[0].keys() & whole["items"][0].keys() if listed else set()  # of a user the list shows less
    assert not listed or _texts(listed, fields) >= _texts(whole["items"], fields)
    csv = await text(service, what)
    assert csv.startswith("\ufeff")
    assert FORMULA not in csv.replace(f"'{FORMULA}", "")
    assert not any(line.startswith(("=", "+", "-", "@")) for line in csv.splitlines())


@pytest.mark.parametrize("kind", ["users", "invites"])
async def test_there_and_back(service: Service, world: World, kind: Kind) -> None:
    """What was exported can be imported elsewhere: names, groups and texts are the same."""
    await furnish(service, world)
    _, lines = read((await text(service, kind)).encode(), kind, world.now())
    assert not any(line.errors for line in lines)
    if kind == "users":
        ada = next(line.fields for line in lines if line.fields["first_name"] == "Ada")
        assert (ada["last_name"], ada["groups"], ada["attributes"]["intro"]) == (
            "Byron Lovelace",
            ("staff; choir",),
            FORMULA,
        )
    else:
        [bob] = [line.fields for line in lines]
        assert (bob["label"], bob["note"], bob["groups"]) == ("@Bob", "two\nlines", ("staff; choir",))


async def test_many_pages(service: Service, world: World) -> None:
    """More than a page: everybody once, the oldest first."""
    for number in range(450):
        await world.invite(f"Guest {number}")
        world.pause(seconds=1)
    whole = json.loads(await text(service, "invites", "json"))
    assert [item["label"] for item in whole["items"]] == [f"Guest {number}" for number in range(450)]
    assert len((await text(service, "invites")).splitlines()) == 451


async def test_nothing(service: Service) -> None:
    """Of nothing there is a header, and a JSON without items."""
    assert (await text(service, "invites")).count("\n") == 1
    assert json.loads(await text(service, "invites", "json")) == {"items": [], "next_cursor": None, "total": 0}


async def test_who_took_what(service: Service) -> None:
    """Each export is in the audit: who, what, in which form, from where."""
    await text(service, "invites")
    await text(service, "users", "json")
    found = [(each["actor"], each["target"], each["detail"], each["source"]) for each in await service.audit("export")]
    assert sorted(found, key=str) == [
        ("key:ops", "invites", {"form": "csv"}, "192.0.2.7"),
        ("key:ops", "users", {"form": "json"}, "192.0.2.7"),
    ]


async def test_whom_a_filter_finds(service: Service, world: World) -> None:
    """Users are exported by the filters of their list, live or by the cache, few or many; the audit says by which."""
    accounts = [world.authentik.add_account(f"m{n}", email=f"m{n}@b.test") for n in range(600)]
    await world.authentik.update_account(accounts[7].pk, active=False)

    async def exported(**params: str) -> int:
        answer = await service.api("GET", "/api/export/users.csv", params=params)
        assert answer.status_code == 200, answer.text
        return len(answer.text.splitlines()) - 1

    found = [
        {"q": "m59"},
        {"active": "false"},
        {"active": "true"},
        {"q": "nobody"},
        {"q": "", "active": "", "group": ""},
    ]
    for _ in range(2):
        assert [await exported(**params) for params in found] == [11, 1, 599, 0, 600]
        await sync.run(world, "authentik")
    await world.authentik.delete_account(accounts[59].pk)  # which the cache does not know yet
    assert await exported(q="m59") == 10
    assert {"form": "csv", "filter": {"active": False}} in [each["detail"] for each in await service.audit("export")]
    assert names(problem(await service.api("GET", "/api/export/invites.csv?q=a"), 400)) == ["q"]
    assert names(problem(await service.api("GET", "/api/export/users.csv?group=nobody"), 400)) == ["group"]


async def test_what_cannot_be_read(service: Service, world: World) -> None:
    """What there is not is a 400, and what cannot be read just now a 503: never a file that looks like everything."""
    problem(await service.api("GET", "/api/export/secrets.csv"), 400)
    world.authentik.fail("accounts", Unreachable("authentik", "it is down"))
    problem(await service.api("GET", "/api/export/users.csv"), 503)
    assert await service.audit("export") == []


async def test_one_that_breaks_off(service: Service, world: World) -> None:
    """When a later page cannot be read the answer is never ended, so that nobody takes it for all there is."""
    for number in range(120):
        world.authentik.add_account(f"m{number}")
    accounts, ends = world.authentik.accounts, []

    async def breaking(**asked: Any) -> Any:
        if asked.get("page") == 2:
            raise Unreachable("authentik", "it is down")
        return await accounts(**asked)

    world.authentik.accounts = breaking  # type: ignore[method-assign]
    try:
        answer = await service.api("GET", "/api/export/users.json")
        ends.append(answer.text)
    except Exception as error:  # the client's own way of saying that the answer had no end
        ends.append(type(error).__name__)
    with pytest.raises(json.JSONDecodeError):
        json.loads(ends[0])
