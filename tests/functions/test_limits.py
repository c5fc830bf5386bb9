"""Who calls too often is told 429 and when to come again: the API by its caller, the webhook by its address."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.functions.hooks.test_enrollment import ENROLLED, ada
from tests.functions.served import API_KEY, OTHER_API_KEY, Service, problem
from tests.functions.tokens import Issuer
from tests.world import World


@pytest.fixture
def strict(service: Service, world: World) -> Service:
    """Three requests a minute, of which 43 seconds are left."""
    service.env |= {"API_REQUESTS_PER_MINUTE": "3", "WEBHOOK_REQUESTS_PER_MINUTE": "3"}
    world._now = world.now().replace(second=17, microsecond=0)
    return service


def told_to_wait(answer: httpx.Response) -> dict[str, Any]:
    """A 429 that says for how long in its header, its body and its words; answers the body."""
    body = problem(answer, 429)
    assert (answer.headers["retry-after"], body["retry_after"]) == ("43", 43)
    assert body["fix"].startswith("Wait 43 seconds")
    return body


async def statuses(service: Service, times: int, path: str = "/api/invites", **more: Any) -> list[int]:
    return [(await service.api("GET", path, **more)).status_code for _ in range(times)]


async def test_a_key_that_asks_too_often(strict: Service, world: World) -> None:
    """The fourth request of a minute is refused before anything is done, with the key's name; another key has three of its
    own; in the next minute there are three again."""
    assert await statuses(strict, 3) == [200] * 3
    body = told_to_wait(await strict.api("POST", "/api/invites", json={"label": "One too many"}))
    assert body["detail"] == "there were more than 3 requests by key:ops within a minute"
    assert "API_REQUESTS_PER_MINUTE" in body["fix"]
    assert strict.acts()["documents"] == []
    assert await statuses(strict, 1, token=OTHER_API_KEY) == [200]
    world.pause(seconds=43)
    assert await statuses(strict, 4) == [200] * 3 + [429]


async def test_a_person_is_counted_by_name(strict: Service, issuer: Issuer) -> None:
    """Access tokens count for the person whom they are of, however many they have; the key at the same address goes on."""
    for at in range(3):
        assert (await strict.api("GET", "/api/invites", token=issuer.access(jti=str(at)))).status_code == 200
    told_to_wait(await strict.api("GET", "/api/invites", token=issuer.access(jti="another")))
    assert await statuses(strict, 1) == [200]


async def test_one_budget_for_all_functions_of_the_api(strict: Service) -> None:
    """`create_invite` is the same API: what a key has asked there counts."""
    for number in range(3):
        made = await strict.send("create_invite", "POST", "/", API_KEY, json={"label": f"n{number}"})
        assert made.status_code == 201, made.text
    told_to_wait(await strict.api("GET", "/api/invites"))


async def test_what_does_not_count(strict: Service) -> None:
    """Health, the page's files and following something are open to whoever has no request left."""
    assert await statuses(strict, 4) == [200] * 3 + [429]
    assert await statuses(strict, 5, "/api/onboardings/ob_x/events") == [404] * 5
    for path in ("/", "/api/health", "/static/page.css"):
        assert (await strict.send("admin", "GET", path)).status_code in (200, 404)


async def test_wrong_keys_are_slowed_down(strict: Service, issuer: Issuer, world: World) -> None:
    """After three wrong ones that address is told to wait, and then a right key is refused like a wrong one; a token, which
    nobody can guess, is let in; nothing was written for any of them."""
    for number in range(3):
        problem(await strict.api("GET", "/api/invites", token=f"mk-wrong-{number}"), 401)
    told_to_wait(await strict.api("GET", "/api/invites", token="mk-wrong-again"))
    told_to_wait(await strict.api("GET", "/api/invites"))
    assert await strict.stored("permits") == []
    assert (await strict.api("GET", "/api/invites", token=issuer.access())).status_code == 200
    world.pause(seconds=43)
    assert await statuses(strict, 1) == [200]


async def test_a_limit_that_cannot_be_read(service: Service) -> None:
    """A malformed limit keeps nobody from the self-check, which names it."""
    service.env["API_REQUESTS_PER_MINUTE"] = "many"
    items = (await service.api("GET", "/api/self-check")).json()["items"]
    assert [item for item in items if "API_REQUESTS_PER_MINUTE" in item["detail"]]


async def test_a_webhook_that_calls_too_often(strict: Service, world: World) -> None:
    """The fourth call of a minute leaves no trace; what Authentik sends again in the next minute is taken."""
    ada(world)
    assert [(await strict.hook(ENROLLED)).status_code for _ in range(3)] == [202, 200, 200]
    before = strict.acts()
    for other in ({"event_id": "another"}, {"action": "login"}):
        body = told_to_wait(await strict.hook(ENROLLED | other))
        assert body["detail"] == "there were more than 3 requests by 192.0.2.7 within a minute"
    assert strict.acts() == before
    world.pause(seconds=43)
    assert (await strict.hook(ENROLLED | {"event_id": "another"})).status_code == 200


async def test_wrong_secrets_are_slowed_down(strict: Service, world: World) -> None:
    """After three wrong ones the right secret is told to wait as well, until the minute is over."""
    ada(world)
    for _ in range(3):
        problem(await strict.hook(ENROLLED, {"X-Muster-Secret": "wrong"}), 401)
    told_to_wait(await strict.hook(ENROLLED, {"X-Muster-Secret": "wrong again"}))
    told_to_wait(await strict.hook(ENROLLED))
    world.pause(seconds=43)
    assert (await strict.hook(ENROLLED)).status_code == 202


@pytest.mark.parametrize(
    ("on_cloud_run", "forwarded", "source"),
    [
        (True, "203.0.113.5", "203.0.113.5"),
        (True, "1.2.3.4, 203.0.113.5", "203.0.113.5"),
        (False, "1.2.3.4", "192.0.2.7"),
    ],
)
async def test_whose_address(
    service: Service, monkeypatch: pytest.MonkeyPatch, on_cloud_run: bool, forwarded: str, source: str
) -> None:
    """On Cloud Run the address is what Google's front end has written last; elsewhere nobody's word is taken for it."""
    if on_cloud_run:
        monkeypatch.setenv("K_SERVICE", "muster-admin")
    sent = {"X-Forwarded-For": forwarded}
    assert (await service.api("POST", "/api/invites", json={"label": "x"}, headers=sent)).status_code == 201
    [record] = await service.audit("invite.create")
    assert record["source"] == source
