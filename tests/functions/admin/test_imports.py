"""/api/imports and /api/invites/batch: files as people have them, simulated first, then made; what was left again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.domain import sheets
from tests.functions.served import Service, names, problem, walk
from tests.world import World

FILE = """\
First Name;E-Mail;Groups;Send welcome;Matrix;Signal
Ada;ada@b.test;staff;yes;'@ada:b.test;'+49 30 1234
Bob;bob@b.test;;no;;
Cleo;cleo@b.test;"staff; choir";;;
Dora;not an address;staff;perhaps;;
Emil;ADA@b.test;;;;
"""


async def send(service: Service, file: str | bytes, kind: str = "users", **params: Any) -> httpx.Response:
    headers = {"Content-Type": "text/csv"} | ({"Idempotency-Key": params.pop("key")} if "key" in params else {})
    return await service.api("POST", "/api/imports", content=file, params={"kind": kind, **params}, headers=headers)


async def started(service: Service, file: str, kind: str = "users", **params: Any) -> dict[str, Any]:
    answer = await send(service, file, kind, **params)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def states(items: list[dict[str, Any]]) -> list[str]:
    return [item["state"] for item in items]


async def test_from_a_file_to_members(service: Service, world: World) -> None:
    """A simulation tells each line's outcome; the real run comes to the same; what was left is corrected and imported."""
    world.authentik.add_group("staff")
    dry = await started(service, FILE, on_conflict="skip", dry_run="true")
    assert states(dry["table"]["items"]) == ["would_create", "would_create", "failed", "failed", "skipped"]
    assert not any(service.acts().values())
    real = await started(service, FILE, on_conflict="skip")
    name = real["table"]["imported"]["id"]
    assert (real["job"]["id"], real["job"]["kind"], real["job"]["state"]) == (name, "import", "running")
    await service.work()
    done = (await service.api("GET", f"/api/imports/{name}")).json()
    assert (done["state"], done["total"]) == ("done", 5)
    assert states(done["items"]) == ["created", "created", "failed", "failed", "skipped"]
    assert done["imported"]["counts"] == {"created": 2, "failed": 2, "skipped": 1}
    ada, _, cleo, dora, emil = done["items"]
    account = (await service.api("GET", f"/api/users/{ada['id']}")).json()
    assert (account["username"], account["groups"]) == (ada["username"], ["staff"])
    assert account["attributes"]["signal_number"] == "+49301234"
    onboarding = (await service.api("GET", f"/api/onboardings/{ada['onboarding']}")).json()
    assert onboarding["member"]["matrix_id"] == "@ada:b.test"
    assert ("welcome" in onboarding["steps"]) is True
    assert "'choir'" in cleo["cause"]
    assert [error["field"] for error in dora["errors"]] == ["send_welcome"]
    assert "line 2" in emil["cause"]
    assert (await service.api("GET", f"/api/jobs/{name}")).json()["items"][0]["result"]["created"] == 2

    left = await service.api("GET", f"/api/imports/{name}/left.csv")
    assert (left.headers["content-type"], left.headers["cache-control"]) == ("text/csv; charset=utf-8", "no-store")
    assert left.text.splitlines()[0].lstrip("\ufeff").endswith(",reason")
    world.authentik.add_group("choir")
    mended = left.text.replace("not an address", "dora@b.test").replace("perhaps", "no").replace("ADA@", "emil@")
    again = (await started(service, mended))["table"]
    assert states(again["items"]) == ["pending"] * 3
    await service.work()
    assert (await world.authentik.accounts()).total == 5
    [one, two] = await service.audit("import.users")
    assert one["detail"]["lines"] + two["detail"]["lines"] == 8
    assert len(await service.audit("user.create")) == 5


async def test_way_in(service: Service) -> None:
    """An import makes no recovery link and no password; an admin makes one for whom they speak to."""
    await started(service, "first_name\nAda\n")
    await service.work()
    assert "recovery_link" not in service.acts()["authentik"]
    [user] = (await service.api("GET", "/api/users")).json()["items"]
    assert (await service.api("POST", f"/api/users/{user['pk']}/recovery")).json()["recovery_link"]


async def test_invites_from_a_file(service: Service, world: World) -> None:
    """Invites have the fields of POST /api/invites, written as people write them; their links come as CSV."""
    room = world.homeserver.add_room("Ops", alias="ops")
    file = (
        "label,rooms,expires in hours,max uses,e-mail,note\r\n"
        f'Ada,"{room}, #ops:fake.test","1,5",2,ada@b.test,"two\nlines"\r\n=Bob,,,,,\r\n'
    )
    body = await started(service, file, "invites")
    await service.work()
    listed = await service.api("GET", f"/api/jobs/{body['job']['id']}/invites.csv")
    invites = {each["label"]: each for each in (await service.api("GET", "/api/invites")).json()["items"]}
    assert (invites["Ada"]["rooms"], invites["Ada"]["max_uses"]) == ([room, "#ops:fake.test"], 2)
    assert invites["Ada"]["note"] == "two\nlines"
    assert all(invite["link"] in listed.text for invite in invites.values())
    assert "'=Bob" in listed.text
    again = await started(service, listed.text, "invites", dry_run="true", on_conflict="skip")
    assert states(again["table"]["items"]) == ["skipped", "would_create"]


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("", ["file"]),
        ("first_name\n", ["file"]),
        ("email\nada@b.test\n", ["file"]),
        ("first_name,emial,shoe size\nAda,x,42\n", ["emial", "shoe size"]),
        ('first_name\n"Ada\n', ["row 2"]),
        ("first_name\nAda,Bob\n", ["row 2"]),
        ("first_name\nJos\u00e9\n".encode("latin-1"), ["file"]),
        (b"\x00\x01\x02", ["file"]),
        ("first_name\n" + "Ada\n" * 5001, ["file"]),
        ('{"first_name": "Ada"}', ['{"first_name": "Ada"}']),
    ],
)
async def test_wrong_files(service: Service, file: str | bytes, fields: list[str]) -> None:
    """A file that cannot be read whole is a 400 that says where, and nothing is done."""
    assert names(problem(await send(service, file), 400)) == fields
    assert not any(service.acts().values())


@pytest.mark.parametrize(
    ("params", "field"),
    [({"kind": "rooms"}, "kind"), ({"on_conflict": "x"}, "on_conflict"), ({"dryrun": "true"}, "dryrun")],
)
async def test_wrong_questions(service: Service, params: dict[str, str], field: str) -> None:
    """A parameter that is wrong, or misspelt, is named; nothing is done as if it were not there."""
    answer = await service.api("POST", "/api/imports", content="first_name\nAda\n", params={"kind": "users"} | params)
    assert names(problem(answer, 400)) == [field]
    assert not any(service.acts().values())


@pytest.mark.parametrize(
    ("kind", "column", "cell"),
    [
        ("users", "email", "ada@b"),
        ("users", "matrix_id", "ada"),
        ("users", "rooms", "ops"),
        ("users", "username", "Ada L."),
        ("users", "signal_number", "4.93012E+11"),
        ("users", "skip_indoc_removal", "maybe"),
        ("users", "intro", "x" * 4001),
        ("users", "last_name", "a\x1bb"),
        ("invites", "max_uses", "many"),
        ("invites", "max_uses", "0"),
        ("invites", "expires_in_hours", "1e400"),
        ("invites", "expires_in_hours", "nan"),
        ("invites", "expires_at", "31.12.2030"),
        ("invites", "expires_at", "2001-01-01T00:00:00Z"),
    ],
)
async def test_wrong_fields(service: Service, kind: str, column: str, cell: str) -> None:
    """What is wrong with a field is said on its line and by its name, as in a request for one."""
    first = "first_name" if kind == "users" else "label"
    file = sheets.write([first, column], [["Ada", cell], ["Bob", ""]])
    body = await started(service, file, kind, on_conflict="skip", dry_run="true")
    wrong, right = body["table"]["items"]
    assert (wrong["line"], wrong["state"], right["state"]) == (2, "failed", "would_create")
    assert [error["field"] for error in wrong["errors"]] == [column]
    assert column in wrong["cause"]


async def test_a_repeat(service: Service, world: World) -> None:
    """Under one Idempotency-Key a file is imported once; another file, or another way, is a conflict."""
    first = await started(service, FILE, on_conflict="skip", key="k")
    await service.work()
    again = await started(service, FILE, on_conflict="skip", key="k")
    assert again["job"]["id"] == first["job"]["id"]
    assert (await world.authentik.accounts()).total == 2
    problem(await send(service, FILE, on_conflict="stop", key="k"), 409)
    problem(await send(service, FILE.replace("Bob", "Rob"), on_conflict="skip", key="k"), 409)


async def test_pages(service: Service) -> None:
    """Page by page one sees every line once, and every import."""
    body = await started(service, "first_name\n" + "".join(f"Member {n}\n" for n in range(70)))
    await service.work()
    seen = await walk(service, f"/api/imports/{body['job']['id']}", 13)
    assert [item["line"] for item in seen] == list(range(2, 72))
    assert [item["id"] for item in await walk(service, "/api/imports", 1)] == [body["job"]["id"]]


async def test_a_batch_of_invites(service: Service, world: World) -> None:
    """So many invites for one use each, numbered, with their links as CSV; a repeat of the key makes no more."""
    room = world.homeserver.add_room("Ops")
    assert (await service.api("POST", "/api/bundles", json={"name": "Guests", "rooms": [room]})).status_code == 201
    asked = {"count": 30, "label": "Open day {n}", "rooms": [room], "bundles": ["guests"], "expires_in_hours": 48}
    before = service.acts()
    dry = await service.api("POST", "/api/invites/batch?dry_run=true", json=asked)
    assert (dry.status_code, states(dry.json()["table"]["items"])) == (202, ["would_create"] * 30)
    assert service.acts() == before
    for _ in range(2):
        answer = await service.api("POST", "/api/invites/batch", json=asked, headers={"Idempotency-Key": "day"})
        assert answer.status_code == 202, answer.text
        await service.work()
    job = answer.json()["job"]["id"]
    invites = await walk(service, "/api/invites", 50)
    assert {each["label"] for each in invites} == {f"Open day {n}" for n in range(1, 31)}
    assert {(each["max_uses"], *each["rooms"], *each["bundles"]) for each in invites} == {(1, room, "guests")}
    text = (await service.api("GET", f"/api/jobs/{job}/invites.csv")).text
    assert all(each["link"] in text for each in invites)
    problem(await service.api("GET", "/api/jobs/job_x/invites.csv"), 404)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"count": 0}, "count"),
        ({"count": 501}, "count"),
        ({"count": "5"}, "count"),
        ({"label": "the same for all"}, "label"),
        ({"label": "x" * 101 + " {n}"}, "label"),
        ({"groups": ["nobody"]}, "groups"),
        ({"bundles": ["nobody"]}, "bundles"),
        ({"max_uses": 2}, "max_uses"),
        ({"email": "ada@b.test"}, "email"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00Z", "expires_in_hours": 1}, "expires_at"),
    ],
)
async def test_wrong_batches(service: Service, fields: dict[str, Any], wrong: str) -> None:
    """What would be wrong with every invite is a 400 that names the field, and none is made."""
    answer = await service.api("POST", "/api/invites/batch", json={"count": 10, "label": "Day {n}"} | fields)
    assert names(problem(answer, 400)) == [wrong]
    assert not any(service.acts().values())
