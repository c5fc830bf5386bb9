"""/api/invites/{id}/email and /api/users/{pk}/recovery/email: shown beforehand, sent, and each outcome told."""

from __future__ import annotations

import json

import pytest

from shared.domain.errors import Refused
from tests.fakes.post import FakePost
from tests.functions.served import Service, names, problem
from tests.world import World

ADA, BEA = "ada@example.test", "bea@example.test"


@pytest.fixture
def post(world: World) -> FakePost:
    world.letterbox = FakePost()
    return world.letterbox


async def test_an_invite_by_mail(service: Service, world: World, post: FakePost) -> None:
    """A dry run shows the e-mail; then each recipient is an item of the job, and of the invite's own list."""
    invite = (await service.api("POST", "/api/invites", json={"label": "Ada", "email": ADA, "max_uses": 2})).json()
    path = f"/api/invites/{invite['id']}/email"
    before = service.acts()
    shown = await service.api("POST", f"{path}?dry_run=true")
    assert (shown.status_code, service.acts()) == (202, before)
    preview = shown.json()["preview"]
    assert (preview["to"], preview["via"], invite["link"] in preview["plain"]) == (ADA, "smtp", True)
    post.fail(BEA, Refused("there is no such mailbox", "Ask them.", "550"))
    answer = await service.api("POST", path, json={"emails": [ADA, BEA]}, headers={"Idempotency-Key": "k"})
    assert shown.json().keys() == answer.json().keys()
    again = await service.api("POST", path, json={"emails": [ADA, BEA]}, headers={"Idempotency-Key": "k"})
    job = answer.json()["job"]
    assert (job["id"], job["kind"], job["target"]) == (again.json()["job"]["id"], "email", invite["id"])
    await service.work()
    done = (await service.api("GET", f"/api/jobs/{job['id']}")).json()
    assert {(item["name"], item["state"]) for item in done["items"]} == {(ADA, "done"), (BEA, "failed")}
    found = (await service.api("GET", path)).json()
    assert [(item["email"], item["state"], item["fix"], item["via"]) for item in found["items"]] == [
        (BEA, "failed", "Ask them.", ""),
        (ADA, "done", "", "smtp"),
    ]
    retry = await service.api("POST", f"/api/jobs/{job['id']}/retry", json={"steps": [found["items"][0]["step"]]})
    assert retry.status_code == 200
    await service.work()
    assert sorted(mail.to for mail in post.sent) == [ADA, BEA]
    [record] = await service.audit("invite.email")
    assert (record["target"], record["detail"]["recipients"]) == (invite["id"], 2)


async def test_a_recovery_link_by_mail(service: Service, world: World, post: FakePost) -> None:
    """It goes to their own address, and no answer, record or log has the link."""
    account = world.authentik.add_account("ada", email=ADA)
    path = f"/api/users/{account.pk}/recovery/email"
    shown = (await service.api("POST", f"{path}?dry_run=true")).json()
    job = (await service.api("POST", path)).json()["job"]
    await service.work()
    [mail] = post.sent
    token = mail.plain.partition("flow_token=")[2].split()[0].rstrip(")")
    service.shown.append(token)  # no log has it, which is looked at after each test
    seen = json.dumps(
        [shown, (await service.api("GET", f"/api/jobs/{job['id']}")).json(), await service.audit("step.email")],
        default=str,
    )
    assert (mail.to, len(token) > 20, token in seen, token in repr(service.acts()["documents"])) == (
        ADA,
        True,
        False,
        False,
    )


async def test_off(service: Service, world: World) -> None:
    """With e-mail off, both say what to set, and nothing is begun."""
    account = world.authentik.add_account("ada", email=ADA)
    invite = (await service.api("POST", "/api/invites", json={"label": "Ada"})).json()
    before = service.acts()
    for path in (f"/api/invites/{invite['id']}/email", f"/api/users/{account.pk}/recovery/email"):
        answer = problem(await service.api("POST", path, json={"emails": [ADA]} if "invites" in path else {}), 503)
        assert "SMTP_HOST" in answer["fix"]
    assert service.acts() == before


@pytest.mark.parametrize("emails", [5, [5], ["a" * 201], [None], ["x@example.org"] * 451, ["a\x00b"]])
async def test_wrong_addresses(service: Service, post: FakePost, emails: object) -> None:
    """What is no list of lines is a 400 that names the field."""
    answer = problem(await service.api("POST", "/api/invites/inv_x/email", json={"emails": emails}), 400)
    assert names(answer)[0].startswith("emails")


async def test_half_configured(service: Service) -> None:
    """Set up by half, e-mail is off, and what is missing is named among the settings and in the self-check."""
    service.env |= {"SMTP_HOST": "smtp.example.test", "SMTP_USERNAME": "muster", "SMTP_FROM": "m@example.test"}
    items = (await service.api("GET", "/api/settings")).json()["items"]
    [wrong] = [item for item in items if not item["ok"]]
    assert (wrong["name"], wrong["secret"], "e-mail is off" in wrong["problem"]) == ("SMTP_PASSWORD", True, True)
    checks = (await service.api("GET", "/api/self-check")).json()["items"]
    assert ["SMTP_PASSWORD is not set" in check["detail"] for check in checks if check["name"] == "settings"] == [True]
    assert ["off" in check["detail"] for check in checks if check["name"] == "mail server"] == [True]
