"""/api/users/{pk}/signal, and Signal numbers wherever the API takes them."""

from __future__ import annotations

from tests.fakes.signal_bridge import bridged
from tests.functions.served import Service
from tests.world import World

ADA = "+491701234567"


async def made(service: Service, **fields: object) -> dict[str, object]:
    answer = await service.api("POST", "/api/users", json={"first_name": "Ada", **fields})
    assert answer.status_code == 201, answer.json()
    return dict(answer.json()["user"])


async def test_a_number_is_kept_in_e164(service: Service, world: World) -> None:
    """Of a new user, of a changed one and of a line of a file; emptied, it is taken away; odd, its field is named."""
    user = await made(service, signal_number="+49 (0)170 1234567")
    assert user["attributes"] == {**user["attributes"], "signal_number": ADA}  # type: ignore[dict-item]
    path = f"/api/users/{user['pk']}"
    changed = await service.api("PATCH", path, json={"attributes": {"signal_number": "0044 20 7946 0958"}})
    assert changed.json()["attributes"]["signal_number"] == "+442079460958"
    gone = await service.api("PATCH", path, json={"attributes": {"signal_number": "none"}})
    assert "signal_number" not in gone.json()["attributes"]
    for answer, field in (
        (await service.api("PATCH", path, json={"attributes": {"signal_number": "x y"}}), "attributes.signal_number"),
        (
            await service.api("POST", "/api/users", json={"first_name": "A", "signal_number": "0170 1234567"}),
            "signal_number",
        ),
    ):
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert "+49 170 1234567" in answer.json()["errors"][0]["message"]


async def test_from_the_number_to_the_chat(service: Service, world: World) -> None:
    """A dry run does nothing; then a job, shown with its state until the chat is there; the number is in no answer but
    the member's own, and in no audit."""
    bridge = bridged(world, {ADA: "Ada L."})
    service.env["MATRIX_SIGNAL_BRIDGE_ROOM_ID"] = bridge.room
    path = f"/api/users/{(await made(service, signal_number=ADA))['pk']}/signal"
    assert (await service.api("POST", f"{path}?dry_run=true")).status_code == 202
    assert (await service.api("GET", path)).json()["job"] == ""
    begun = await service.api("POST", path)
    assert begun.status_code == 202
    assert ADA not in str(begun.json())
    for _ in range(8):
        await world.work()
        await bridge.work()
        world.pause(seconds=5)
    shown = (await service.api("GET", path)).json()
    assert (shown["set_up"], shown["number"], shown["bridge"]) == (True, ADA, "Signal")
    assert (shown["room_id"], shown["state"]) == (bridge.bridge.rooms[ADA], "done")
    [record] = await service.audit("user.signal")
    assert ADA not in str(record)


async def test_without_a_bridge(service: Service) -> None:
    """Said as what it is, and an account that is not there is a 404."""
    path = f"/api/users/{(await made(service, signal_number=ADA))['pk']}/signal"
    assert (await service.api("GET", path)).json()["set_up"] is False
    assert (await service.api("POST", path)).status_code == 409
    assert (await service.api("GET", "/api/users/999/signal")).status_code == 404
