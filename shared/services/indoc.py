"""Who is in INDOC, since when, and what is to come of them; and who is left alone by its clock."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.domain.errors import Misconfigured
from shared.domain.indoc import Clock, Fate, Pause, Seen, fate, pause_path, stay_id
from shared.domain.onboarding import Onboarding, Step
from shared.ports import Data, Document, Query, Resident
from shared.repositories import ONBOARDINGS, every
from shared.services.context import Policy, Ports
from shared.services.managed import room_id_of

SEEN = "installation/indoc"
TRUSTED = timedelta(hours=1)
"""Whoever was there at a look so short a time ago has stayed; longer ago, their membership alone counts."""
ROWS_UP_TO = 900_000
"""Bytes of the packed rows: a document holds 1 MiB. About 50,000 people; beyond, only memberships count."""
TOGETHER = 30
"""Matrix ids in one query, at most."""


class Person(Struct, frozen=True):
    """Somebody in INDOC. `since`: when they came, as well as we know."""

    resident: Resident
    since: datetime
    exempt: str = ""
    onboarding: Onboarding | None = None

    @property
    def matrix_id(self) -> str:
        return self.resident.user_id


class Kept(Struct, frozen=True):
    """What is stored about one person's stay."""

    stay: Document | None
    nudge: Document | None
    removal: Document | None
    pause: Pause | None

    @property
    def steps(self) -> tuple[Step | None, Step | None]:
        nudge, removal = (Step.of(found.data) if found else None for found in (self.nudge, self.removal))
        return nudge, removal


class Row(Struct, frozen=True):
    person: Person
    fate: Fate
    pause: Pause | None


class Rows(Struct, frozen=True):
    """`on`: whether the clock runs."""

    items: Sequence[Row]
    total: int
    on: bool


def clock_of(policy: Policy) -> Clock:
    """Raises `Misconfigured` where nobody would have time between nudge and removal."""
    if policy.remove_hours <= policy.nudge_hours:
        raise Misconfigured("INDOC_REMOVE_HOURS is not above INDOC_NUDGE_HOURS", "Set both, and deploy.")
    return Clock(timedelta(hours=policy.nudge_hours), timedelta(hours=policy.remove_hours))


async def listing(ports: Ports, start: int, limit: int) -> Rows:
    """Live, who has been there longest first. Raises as `Chat.residents` does."""
    policy, now = ports.policy, ports.now()
    if not policy.indoc:
        return Rows([], 0, False)
    clock, room = clock_of(policy), await room_id_of(ports, policy.indoc)

    async def read() -> list[Resident]:
        return await (await ports.chat()).residents(room)

    residents = await ports.remember("residents of INDOC", 30, read)
    seen = seen_in(await ports.documents.get(SEEN), room)
    came = sorted(
        ((seen.came(each.user_id, each.since, now, TRUSTED), each) for each in residents),
        key=lambda pair: (pair[0], pair[1].user_id),
    )
    bot = (await (await ports.chat()).whoami()).user_id
    people = await looked_at(ports, came[start : start + limit], bot, power_of(residents, bot))
    kept = await kept_of(ports, room, people)
    rows = [_row(clock, person, kept[person.matrix_id], now, on=policy.clock) for person in people]
    return Rows(rows, len(residents), policy.clock)


def _row(clock: Clock, person: Person, kept: Kept, now: datetime, *, on: bool) -> Row:
    nudge, removal = kept.steps
    seen = fate(clock, person.since, now, exempt=person.exempt, pause=kept.pause, nudge=nudge, removal=removal)
    if not on:
        seen = Fate(seen.state, why=seen.why, fix=seen.fix)
    return Row(person, seen, kept.pause)


def power_of(residents: Sequence[Resident], user_id: str) -> int:
    return next((each.power for each in residents if each.user_id == user_id), 0)


async def looked_at(ports: Ports, came: Sequence[tuple[datetime, Resident]], bot: str, bots_power: int) -> list[Person]:
    """Each with the reason why the clock leaves them alone, "" where it does not."""
    theirs = await onboardings_of(ports, [each.user_id for _, each in came])
    return [
        Person(
            each,
            since,
            exemption(ports.policy, each, bot, bots_power, theirs.get(each.user_id)),
            theirs.get(each.user_id),
        )
        for since, each in came
    ]


def exemption(policy: Policy, resident: Resident, bot: str, bots_power: int, onboarding: Onboarding | None) -> str:
    if resident.user_id == bot:
        return "is the bot"
    if resident.power >= bots_power:
        return f"has power {resident.power} here, the bot {bots_power}"
    return left_alone(policy, resident.user_id) or under_way(onboarding)


def left_alone(policy: Policy, user_id: str) -> str:
    if policy.puppets and user_id.startswith(policy.puppets):
        return "is the puppet of a bridge"
    return "is named in PROTECTED_MEMBERS" if user_id in policy.protected else ""


def under_way(onboarding: Onboarding | None) -> str:
    """Also one that has failed: that is for an admin to mend, not for the member to pay for."""
    if onboarding is None:
        return ""
    if onboarding.state != "done":
        return f"their onboarding is under way ({onboarding.state})"
    return "an admin has asked for them to stay in INDOC" if onboarding.skip_indoc else ""


async def onboardings_of(ports: Ports, people: Sequence[str]) -> dict[str, Onboarding]:
    """By Matrix id; of several for one id, one that is under way."""
    found: dict[str, Onboarding] = {}
    for at in range(0, len(people), TOGETHER):
        query = Query("onboardings", [("matrix_id", "in", list(people[at : at + TOGETHER]))])
        for item in await every(ports.documents, query):
            onboarding = ONBOARDINGS.stored(item).record
            if not under_way(found.get(onboarding.matrix_id)):
                found[onboarding.matrix_id] = onboarding
    return found


async def kept_of(ports: Ports, room: str, people: Sequence[Person]) -> Mapping[str, Kept]:
    """In one round trip for all of them."""
    paths = []
    for person in people:
        stay = f"indoc/{stay_id(room, person.matrix_id, person.since)}"
        paths += [stay, f"{stay}/steps/nudge", f"{stay}/steps/removal", pause_path(person.matrix_id)]
    found = await ports.documents.get_many(paths) if paths else []
    kept = {}
    for number, person in enumerate(people):
        stay_document, nudge, removal, paused = found[4 * number : 4 * number + 4]
        pause = Pause.of(paused.data) if paused else None
        kept[person.matrix_id] = Kept(stay_document, nudge, removal, pause)
    return kept


# ------------------------------------------------------------------ what the last look has seen


def seen_in(document: Document | None, room: str) -> Seen:
    """Of another room, or unreadable: nothing."""
    if document is None or document.data.get("room") != room:
        return Seen()
    try:
        lines = zlib.decompress(base64.b64decode(document.data["rows"])).decode().splitlines()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return Seen()
    pairs = (line.partition(" ") for line in lines)
    return Seen(document.data["looked_at"], {user: _time(int(at)) for at, _, user in pairs})


def seen_data(room: str, looked_at: datetime, since: Mapping[str, datetime]) -> Data:
    lines = "\n".join(f"{round(at.timestamp() * 1000)} {user}" for user, at in since.items())
    rows = base64.b64encode(zlib.compress(lines.encode(), 6)).decode()
    if len(rows) > ROWS_UP_TO:
        rows = base64.b64encode(zlib.compress(b"")).decode()
    return {"v": 1, "room": room, "looked_at": looked_at, "rows": rows}


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
