"""/api/sponsors: looked at, paused and resumed in one call each."""

from __future__ import annotations

from tests.functions.served import Service
from tests.world import World

SPONSOR = "@bob:fake.test/of the north"


async def test_paused_and_resumed(service: Service, world: World) -> None:
    """All open invites of a sponsor by their name as it stands, slashes and all; each act in the audit."""
    for label in ("One", "Two"):
        await world.invite(label, sponsor=SPONSOR)
    path, whom = "/api/sponsors", {"sponsor": SPONSOR}
    found = (await service.api("GET", path, params=whom)).json()
    assert (found["sponsor"], found["paused"], [one["label"] for one in found["invites"]]) == (
        SPONSOR,
        False,
        ["One", "Two"],
    )
    shown = (await service.api("POST", f"{path}/pause?dry_run=true", json=whom)).json()
    assert (shown["paused"], (await service.api("GET", path, params=whom)).json()["paused"]) == (True, False)
    paused = (await service.api("POST", f"{path}/pause", json=whom | {"note": "wait"})).json()
    assert (paused["paused"], paused["paused_by"], paused["note"]) == (True, "key:ops", "wait")
    assert (await service.api("GET", path, params=whom)).json() == paused
    assert (await service.api("POST", f"{path}/resume", json=whom)).json()["paused"] is False
    assert [len(await service.audit(f"sponsor.{act}")) for act in ("pause", "resume")] == [1, 1]


async def test_a_sponsor_whom_no_invite_names(service: Service) -> None:
    """Has no invites, and is no error: their next one may come any moment."""
    found = (await service.api("GET", "/api/sponsors", params={"sponsor": "nobody"})).json()
    assert (found["invites"], found["came"], found["paused"]) == ([], 0, False)
