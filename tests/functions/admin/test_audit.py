"""/api/audit: who did what to whom, when, from where."""

from __future__ import annotations

import pytest

from shared.services import audit_listing
from tests.functions.served import API_KEY, OTHER_API_KEY, Service, names, problem, walk
from tests.world import World


async def test_every_act_of_an_admin_is_there(service: Service, world: World) -> None:
    """Each act that changed something is one record with actor, target, time and source; reads and tries are none."""
    pk = world.authentik.add_account("ada").pk
    await service.api("POST", "/api/invites", json={"label": "x"})
    await service.api("POST", "/api/invites?dry_run=true", json={"label": "y"})
    await service.api("PATCH", f"/api/users/{pk}", json={"name": "Ada"})
    await service.api("POST", f"/api/users/{pk}/deactivate")
    await service.api("POST", f"/api/users/{pk}/onboard")
    await service.api("POST", "/api/rooms/invite", json={"matrix_id": "@ada:fake.test", "rooms": ["!a:fake.test"]})
    await service.api("GET", "/api/users")
    items = (await service.api("GET", "/api/audit")).json()["items"]
    acts = {"invite.create", "user.edit", "user.deactivate", "onboarding.begin", "rooms.invite"}
    assert {item["action"] for item in items} == acts
    assert len(items) == len(acts)
    assert {(item["actor"], item["source"]) for item in items} == {("key:ops", "192.0.2.7")}
    assert all(item["at"] and item["target"] and item["outcome"] for item in items)


async def test_page_by_page_the_newest_first(service: Service, world: World) -> None:
    """Every record exactly once, the newest first, whole and of one target."""
    pks = [world.authentik.add_account(f"ada{count}").pk for count in range(3)]
    for count in range(7):
        world.pause(seconds=1)
        act = "activate" if count % 2 else "deactivate"
        await service.api("POST", f"/api/users/{pks[count % 3]}/{act}")
    items = await walk(service, "/api/audit", 2)
    assert len({item["id"] for item in items}) == len(items) == 7
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    assert len(await walk(service, "/api/audit", 1, target="ada0")) == 3
    assert (await service.api("GET", "/api/audit?target=ada0")).json()["total"] == 3


async def test_a_target_that_cannot_be(service: Service) -> None:
    """A target with control characters, or one too long, is a 400 on `target`."""
    for target in ("%00", "a%1Bb", "x" * 301):
        assert names(problem(await service.api("GET", f"/api/audit?target={target}"), 400)) == ["target"]


async def acts(service: Service, world: World) -> None:
    """Two admins, two people, an act a minute: 8 records, of which the script's about ada are numbers 0 and 4."""
    pks = [world.authentik.add_account(name).pk for name in ("ada", "bea")]
    for count in range(8):
        act = "activate" if count % 4 < 2 else "deactivate"
        token = API_KEY if count % 2 else OTHER_API_KEY
        await service.api("POST", f"/api/users/{pks[count // 2 % 2]}/{act}", token=token)
        world.pause(seconds=60)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"actor": "key:script"}, 4),
        ({"action": "user.activate"}, 4),
        ({"target": "bea"}, 4),
        ({"outcome": "done"}, 8),
        ({"outcome": "failed"}, 0),
        ({"actor": "key:script", "target": "ada"}, 2),
        ({"actor": "key:ops", "action": "user.deactivate", "outcome": "done"}, 2),
        ({"actor": "key:nobody", "target": "ada"}, 0),
    ],
)
@pytest.mark.parametrize("limit", [1, 3])
async def test_filters(service: Service, world: World, filters: dict[str, str], count: int, limit: int) -> None:
    """By each filter and by several at once: all that fit and no other, each once, page by page."""
    await acts(service, world)
    items = await walk(service, "/api/audit", limit, **filters)
    assert len({item["id"] for item in items}) == len(items) == count
    assert all(item[name] == value for item in items for name, value in filters.items())
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)


async def test_a_span_of_time(service: Service, world: World) -> None:
    """From a moment on, and before another one: the first counts, the last does not; with a filter as well."""
    await acts(service, world)
    at = [item["at"] for item in reversed((await service.api("GET", "/api/audit")).json()["items"])]
    span = {"since": at[2], "until": at[6]}
    assert [item["at"] for item in await walk(service, "/api/audit", 3, **span)] == at[2:6][::-1]
    assert len(await walk(service, "/api/audit", 3, **span, target="ada")) == 2
    assert len(await walk(service, "/api/audit", 3, **span, target="ada", actor="key:ops")) == 1
    for odd in ("yesterday", "2026", "2026-01-01T00:00:00"):
        assert names(problem(await service.api("GET", f"/api/audit?since={odd}"), 400)) == ["since"]


async def test_narrowing_is_bounded(service: Service, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several filters only so many records are looked at in one answer, which says how many, and goes on."""
    monkeypatch.setattr(audit_listing, "PAGE", 2)
    await acts(service, world)
    filters = {"actor": "key:ops", "outcome": "failed"}
    monkeypatch.setattr(audit_listing, "AT_ONCE", 2)
    first = (await service.api("GET", "/api/audit", params=filters)).json()
    assert (first["items"], first["looked"], first["total"], bool(first["next_cursor"])) == ([], 2, 4, True)
    assert len(await walk(service, "/api/audit", 5, actor="key:script", outcome="done")) == 4
    for cursor in ("x", "9999~", "~", "-1~"):
        odd = await service.api("GET", "/api/audit", params=filters | {"cursor": cursor})
        assert names(problem(odd, 400)) == ["cursor"]


async def test_as_a_file(service: Service, world: World) -> None:
    """The same by the same filters as a table; taking it is recorded, and is not in it."""
    await acts(service, world)
    answer = await service.api("GET", "/api/audit.csv?target=ada&actor=key:ops")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    head, *rows = answer.text.splitlines()
    assert head.lstrip("\ufeff").startswith("id,at,actor")
    assert len(rows) == 2
    world.pause(seconds=1)
    assert len((await service.api("GET", "/api/audit.csv")).text.splitlines()) == 1 + 8 + 1
    [first, _] = await service.audit("export")
    assert first["detail"] == {"form": "csv", "target": "ada", "actor": "key:ops"}
