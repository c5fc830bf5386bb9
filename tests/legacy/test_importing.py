"""What was understood, brought in on the fakes: simulated it changes nothing, twice it is the same as once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from legacy.accounts import Accounts
from legacy.importing import NOTES, Import
from legacy.reading import MatrixId, Note, OldInvite, Understood, Who
from legacy.report import Entry
from shared.domain.errors import Unreachable
from shared.repositories import INVITES
from shared.services.enroll import Start, begin
from shared.services.matrix_ids import vouched
from tests.world import ADMIN, World

ADA = Who("ada")


@pytest.fixture
def world() -> World:
    one = World()
    one.furnish(1)
    for name in ("ada", "bea"):
        one.authentik.add_account(name, name.title(), f"{name}@example.test", {"intro": "hello"})
    return one


async def bring(world: World, *, apply: bool = True, **found: Any) -> list[Entry]:
    return await Import(world, Accounts(world.authentik), apply).run(Understood(**found))


def outcomes(entries: list[Entry]) -> list[tuple[str, str]]:
    return [(entry.kind, entry.outcome) for entry in entries]


async def ada(world: World) -> Any:
    return await world.authentik.account_named("ada")


def soon(world: World, days: int = 3) -> str:
    return str((world.now() + timedelta(days=days)).isoformat())


async def everything(world: World) -> dict[str, list[Any]]:
    old = await world.authentik.create_invitation("old", world.now() + timedelta(days=9), {"name": "x"})
    return {
        "matrix_ids": [MatrixId(ADA, "@adele:fake.test"), MatrixId(Who(email="BEA@example.test"), "@bea:fake.test")],
        "notes": [Note(ADA, "plays the cello", "eve", "2025-01-02T00:00:00+00:00"), Note(ADA, "came by Bob")],
        "invites": [OldInvite(old.pk, "Kept", soon(world), "eve"), OldInvite("gone", "New link", soon(world))],
    }


async def test_once_and_again(world: World) -> None:
    """The first run makes all of it, the second finds all of it and changes nothing."""
    found = await everything(world)
    first = await bring(world, **found)
    assert {outcome for _, outcome in outcomes(first)} == {"made"}
    account, upstream = await ada(world), dict(world.authentik.invitations)
    assert account.attributes["matrix_id"] == "@adele:fake.test"
    assert account.attributes["intro"] == "hello"
    assert [note["text"] for note in account.attributes[NOTES]] == ["plays the cello", "came by Bob"]
    world.pause(seconds=60)
    second = await bring(world, **found)
    assert {outcome for _, outcome in outcomes(second)} == {"unchanged"}
    assert await ada(world) == account
    assert world.authentik.invitations == upstream


async def test_a_simulation_changes_nothing(world: World) -> None:
    """It says the very same of each as the run that is for good, and writes nothing anywhere."""
    found = await everything(world)
    accounts, upstream = await ada(world), dict(world.authentik.invitations)
    calls = len(world.authentik.calls)
    simulated = await bring(world, apply=False, **found)
    assert (await ada(world), world.authentik.invitations) == (accounts, upstream)
    writing = {"update_account", "create_invitation", "update_invitation", "delete_invitation"}
    assert not writing & set(world.authentik.calls[calls:])
    assert (await INVITES.list(world.documents)).items == []
    assert simulated == await bring(world, **found)


async def test_a_link_is_kept_where_authentik_has_its_code(world: World) -> None:
    """Such an invitation gets our mark and keeps its code; of another code a new one is made."""
    found = await everything(world)
    kept, new = await bring(world, invites=found["invites"])
    assert (kept.reason, new.reason) == ("keeps its link", "gets a new link: Authentik has no invitation of its code")
    invites = {invite.label: invite for invite in (await INVITES.list(world.documents)).items}
    old = found["invites"][0].code
    assert invites["Kept"].code == old
    assert old in invites["Kept"].link
    assert world.authentik.invitations[old][1] == invites["Kept"].fixed_data()
    assert invites["New link"].code in world.authentik.invitations
    assert invites["Kept"].created_by == "import:eve"
    assert not any(invite.stale for invite in invites.values())


@pytest.mark.parametrize(
    ("invite", "outcome", "reason"),
    [
        (OldInvite(""), "skipped", "has no code"),
        (OldInvite("a", used=True), "skipped", "was used"),
        (OldInvite("a", max_uses=3, uses=3), "skipped", "was used"),
        (OldInvite("a", expires_at="2020-01-01T00:00:00+00:00"), "skipped", "expired on 2020-01-01"),
        (OldInvite("a"), "made", "gets a new link: Authentik has no invitation of its code; had no end: now 7 days"),
        (
            OldInvite("a", expires_at="2099-01-01T00:00:00+00:00"),
            "made",
            "gets a new link: Authentik has no invitation of its code; its end is cut to 366 days",
        ),
    ],
)
async def test_only_what_is_open_is_taken(world: World, invite: OldInvite, outcome: str, reason: str) -> None:
    """Used, expired and nameless ones are left out, each with its reason; a code is in no reason."""
    (entry,) = await bring(world, invites=[invite])
    assert (entry.outcome, entry.reason) == (outcome, reason)


async def test_an_invite_cut_short_is_finished(world: World) -> None:
    """Where Authentik failed between our record and its invitation, the next run settles that record."""
    invite = OldInvite("gone", "Label", soon(world))
    world.authentik.fail("create_invitation", Unreachable("authentik", "down"))
    (failed,) = await bring(world, invites=[invite])
    assert (failed.outcome, failed.data["code"]) == ("failed", "gone")
    assert outcomes(await bring(world, invites=[invite])) == [("invite", "unchanged")]
    (record,) = (await INVITES.list(world.documents)).items
    assert record.link
    assert not record.stale


async def test_an_onboarding_uses_what_was_vouched_for(world: World) -> None:
    """A Matrix id that no username gives is used when an admin begins the onboarding; one that a member wrote is not."""
    await bring(world, matrix_ids=[MatrixId(ADA, "@adele:fake.test")])
    bea = await world.authentik.account_named("bea")
    assert bea
    await world.authentik.update_account(bea.pk, attributes={"matrix_id": "@mallory:fake.test"})
    for name, expected in (("ada", "@adele:fake.test"), ("bea", "")):
        account = await world.authentik.account_named(name)
        assert account
        verdict = await begin(world, account, Start("api", ADMIN))
        assert (await world.view(verdict.onboarding)).onboarding.matrix_id == expected


@pytest.mark.parametrize(
    ("one", "outcome", "words"),
    [
        (MatrixId(Who("nobody"), "@x:fake.test"), "skipped", "Authentik has nobody"),
        (MatrixId(Who(), "@x:fake.test"), "skipped", "Authentik has nobody"),
        (MatrixId(Who("nobody", pk="2"), "@x:fake.test"), "skipped", "Authentik has nobody"),
        (MatrixId(ADA, "ada"), "failed", "expected a Matrix id"),
    ],
)
async def test_nobody_is_guessed(world: World, one: MatrixId, outcome: str, words: str) -> None:
    """An unknown name is nobody, even beside a number that Authentik gave to somebody else."""
    (entry,) = await bring(world, matrix_ids=[one])
    assert entry.outcome == outcome
    assert words in entry.reason
    assert entry.data["matrix_id"] == one.matrix_id


async def test_an_email_that_two_have_is_nobodys(world: World) -> None:
    """An e-mail of two accounts finds neither of them."""
    world.authentik.add_account("double", email="ada@example.test")
    (entry,) = await bring(world, matrix_ids=[MatrixId(Who(email="ada@example.test"), "@ada:fake.test")])
    assert entry.outcome == "skipped"


async def test_a_matrix_id_belongs_to_one(world: World) -> None:
    """Neither a second owner in the import nor another id that the account has already is written over."""
    both = [MatrixId(ADA, "@adele:fake.test"), MatrixId(Who("bea"), "@adele:fake.test")]
    assert [entry.outcome for entry in await bring(world, matrix_ids=both)] == ["made", "skipped"]
    (other,) = await bring(world, matrix_ids=[MatrixId(ADA, "@another:fake.test")])
    assert (other.outcome, "@adele:fake.test" in other.reason) == ("skipped", True)
    account = await ada(world)
    assert await vouched(world, account.uid) == account.attributes["matrix_id"] == "@adele:fake.test"


async def test_notes_that_are_there_stay(world: World) -> None:
    """A note that somebody else has written into the attribute, as text even, is kept beside the new one."""
    await world.authentik.update_account((await ada(world)).pk, attributes={NOTES: "an old one"})
    await bring(world, notes=[Note(ADA, "a new one")])
    assert [note["text"] for note in (await ada(world)).attributes[NOTES]] == ["an old one", "a new one"]


async def test_one_failure_stops_no_other(world: World) -> None:
    """When Authentik fails in the middle, that one is failed and can be tried again, and the rest is made."""
    world.authentik.fail("update_account", Unreachable("authentik", "down for a moment"))
    found = [MatrixId(ADA, "@ada:fake.test"), MatrixId(Who("bea"), "@bea:fake.test")]
    assert [entry.outcome for entry in await bring(world, matrix_ids=found)] == ["failed", "made"]
    assert [entry.outcome for entry in await bring(world, matrix_ids=found)] == ["made", "unchanged"]
