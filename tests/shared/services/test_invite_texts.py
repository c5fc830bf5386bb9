"""The text to hand over with an invite: all that a guest must know, by the community's own template, never a dead link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import Conflict, NotFound, Unreachable
from shared.domain.invites import Invite
from shared.domain.moments import in_words
from shared.repositories import INVITES
from shared.services import bundles, invites, template_edits
from shared.services.invite_texts import invite_text
from tests.world import ADMIN, World


async def made(world: World, **fields: Any) -> Invite:
    invite, _ = await invites.create(world, ADMIN, invites.Wanted("Ada", **fields))
    return invite


async def test_it_says_all_that_a_guest_must_know() -> None:
    """The link, how often it works, until when in which time zone, who vouches, and the rooms by name, once each, also
    those of bundles; in German where that is asked for."""
    world = World()
    first, second = world.furnish(2)
    bundle, _ = await bundles.create(world, ADMIN, bundles.Wanted("Hikers", rooms=(first, second)))
    invite = await made(world, rooms=(first,), bundles=(bundle.id,), max_uses=3, sponsor="@robin:fake.test")
    names = ["Room 0", "Room 1"]
    english, german = await invite_text(world, invite.id), await invite_text(world, invite.id, "de-AT")
    assert (english.template, german.template) == ("invite_text@0", "invite_text.language.de@0")
    until = in_words(invite.expires_at)
    for part in ("robin vouches", invite.link, f"It works for 3 people, until {until}.", f"rooms: {', '.join(names)}."):
        assert part in english.text
    assert "@robin" not in english.text
    for part in (
        "robin b\u00fcrgt",
        invite.link,
        "f\u00fcr 3 Leute, bis ",
        in_words(invite.expires_at, "de"),
        names[0],
    ):
        assert part in german.text
    used = (await INVITES.get(world.documents, invite.id)).replaced(invite.but(uses=2))
    await world.documents.write(used)
    assert "It works once" in (await invite_text(world, invite.id)).text


async def test_the_communitys_own_words_count() -> None:
    """The nearest template is used, and named; a room that has no name just now is left out."""
    world = World()
    (room,) = world.furnish(1)
    invite = await made(world, rooms=(room,))
    await template_edits.put(world, ADMIN, f"invite_text.invite.{invite.id}", "Come: {invite_link} ({rooms})", 0)
    world.homeserver.fail_next(Unreachable("matrix", "down"), method="room")
    found = await invite_text(world, invite.id)
    assert (found.text, found.template) == (f"Come: {invite.link} ()", f"invite_text.invite.{invite.id}@1")


async def test_no_text_with_a_link_that_lets_nobody_in() -> None:
    """Revoked, expired, used up or not yet in Authentik: a conflict that says so instead of a text."""
    world = World()
    with pytest.raises(NotFound):
        await invite_text(world, "inv_none")
    invite = await made(world)
    for changed, cause in (
        (invite.but(closed="revoked"), "was revoked"),
        (invite.but(uses=1), "is used up"),
        (invite.but(expires_at=world.now() - timedelta(1)), "has expired"),
        (invite.but(link=""), "has no link yet"),
    ):
        await world.documents.write((await INVITES.get(world.documents, invite.id)).replaced(changed))
        with pytest.raises(Conflict, match=cause):
            await invite_text(world, invite.id)


def test_a_moment_in_words() -> None:
    """With its time zone, in the reader's language or in figures."""
    at = datetime(2026, 3, 1, 18, 5, tzinfo=UTC)
    assert in_words(at) == in_words(at, "en-GB") == "Sunday, 1 March 2026, 18:05 UTC"
    assert in_words(at, "de-AT") == "Sonntag, 1. M\u00e4rz 2026, 18:05 UTC"
    assert in_words(at, "fr") == "2026-03-01 18:05 UTC"
