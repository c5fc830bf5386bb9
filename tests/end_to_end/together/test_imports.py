"""A community from a spreadsheet, on the real stack: real tasks, accounts read back from Authentik."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from local.stack import Stack
from shared.domain import sheets
from tests.end_to_end.together.test_main_job import authentik, until

pytestmark = pytest.mark.stack
CSV = {"Content-Type": "text/csv"}


async def test_twenty_members_from_a_file(stack: Stack, api: httpx.AsyncClient) -> None:
    """A file of twenty is tried, then imported: each is one account in Authentik with its onboarding begun, and the file
    a second time makes nobody."""
    mark = secrets.token_hex(4)
    people = [[f"Member {n}", f"m{n}-{mark}@example.test", "no"] for n in range(20)]
    file = sheets.write(["First name", "E-mail", "Send welcome"], people).encode()

    async def send(**params: Any) -> Any:
        answer = await api.post("/api/imports", content=file, headers=CSV, params={"kind": "users", **params})
        assert answer.status_code == 202, answer.text
        return answer.json()

    tried = (await send(dry_run=True))["table"]
    assert {item["state"] for item in tried["items"]} == {"would_create"}
    assert (await authentik(stack, "GET", f"core/users/?search={mark}")).json()["results"] == []

    name = (await send())["table"]["imported"]["id"]

    async def table() -> Any:
        return (await api.get(f"/api/imports/{name}", params={"limit": 200})).json()

    done = await until(table, lambda answer: answer["state"] == "done")
    assert done["imported"]["counts"] == {"created": 20}
    found = (await authentik(stack, "GET", f"core/users/?search={mark}&page_size=100")).json()["results"]
    assert sorted(user["email"] for user in found) == sorted(person[1] for person in people)
    assert {str(user["pk"]) for user in found} == {item["id"] for item in done["items"]}
    for item in done["items"]:
        begun = (await api.get(f"/api/onboardings/{item['onboarding']}")).json()
        assert (begun["source"], begun["member"]["username"]) == ("api", item["username"])

    again = (await send(on_conflict="skip"))["table"]
    assert {item["state"] for item in again["items"]} == {"skipped"}
    left = await api.get(f"/api/imports/{again['imported']['id']}/left.csv")
    assert left.text.count("has an account already") == 20
    exported = (await api.get("/api/export/users.csv")).text
    assert all(person[1] in exported for person in people)


async def test_a_batch_of_invites_and_their_links(api: httpx.AsyncClient) -> None:
    """Thirty invites at once, each with a link of its own that Authentik knows."""
    mark = secrets.token_hex(4)
    asked = {"count": 30, "label": f"Open day {mark} {{n}}", "expires_in_hours": 2}
    answer = await api.post("/api/invites/batch", json=asked, headers={"Idempotency-Key": mark})
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]["id"]

    async def state() -> Any:
        return (await api.get(f"/api/jobs/{job}")).json()

    await until(state, lambda answer: answer["state"] == "done")
    text = (await api.get(f"/api/jobs/{job}/invites.csv")).text
    links = {cell for line in text.splitlines() for cell in line.split(",") if "itoken=" in cell}
    assert len(links) == 30
