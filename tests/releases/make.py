"""Writes what this release leaves behind, for the next one to read: python -m tests.releases.make

Stories on the fakes, at a fixed time, until every kind of record and every task has been written; then all
documents and all tasks into tests/releases/VERSION/, and the one secret that we make. Run it whenever a format has
changed; once the version stands in the CHANGELOG, its files never change again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tomllib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from shared.adapters.olm import make_account
from shared.domain.device_account import DeviceAccount
from shared.domain.imports import Line
from shared.domain.members import member_id
from shared.domain.syncs import SOURCES
from shared.services import (
    answers,
    assistant,
    breakers,
    broadcasts,
    bulk,
    bundles,
    categories,
    imports,
    inbox,
    indoc_clock,
    indoc_pauses,
    invites,
    jobs,
    leases,
    limits,
    lists,
    mails,
    new_users,
    offboarding,
    onboardings,
    plan_apply,
    plans,
    reader,
    reasons,
    signal_jobs,
    sponsors,
    sync,
    sync_requests,
    template_edits,
    template_trials,
)
from shared.services.broadcast_acts import act_on
from shared.services.broadcast_choice import To
from shared.services.context import Terms
from shared.services.removals import Words
from shared.services.resume import LEASE, LEASE_FOR
from shared.services.self_check import self_check
from tests.fakes.post import FakePost
from tests.fakes.signal_bridge import bridged
from tests.fakes.task_queue import FakeTaskQueue
from tests.shared.services.test_encryption import PICKLE_KEY, keys, sealing
from tests.world import ADMIN, DOMAIN, World

FOLDER = Path(__file__).parent
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Remembering(FakeTaskQueue):
    """Keeps every task that was ever handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Any] = []

    async def enqueue(self, *tasks: Any) -> int:
        self.all += tasks
        return await super().enqueue(*tasks)


def world() -> World:
    made = sealing(rooms=2)
    made.queue = Remembering()
    made._now = AT
    made.authentik.add_group("friends")
    made.policy = replace(made.policy, notice=True)
    return made


async def at_home(world: World) -> None:
    """Invited by link, enrolled, sealed hello and welcome on one device, a second device later; and an answer."""
    member = f"@ada:{DOMAIN}"
    phone = keys(world).add_device(member, "PHONE", name="Phone")
    await world.member(groups=("friends",), rooms=(world.policy.default_rooms[0],))
    await world.enrolled("ada")
    await world.work()
    for room in world.direct_rooms_of(member):
        world.homeserver.join(member, room.room_id)
    await world.live(hours=1)
    keys(world).add_device(member, "LAPTOP", name="Laptop")
    await world.live(hours=2, on=True)
    [direct] = world.direct_rooms_of(member)
    keys(world).read(phone, direct.room_id)
    keys(world).write(phone, direct.room_id, {"msgtype": "m.text", "body": "thank you"})
    await reader.read(world)
    await answers.start(world, ADMIN, answers.Wanted(member, "you are welcome", "k0", "b0"))
    await world.work()


async def without_device(world: World) -> None:
    """Nobody to encrypt to for 14 days, then the plain notice."""
    await world.member("bob")
    await world.enrolled("bob", "e2")
    await world.work()
    for _ in range(4):
        world.pause(days=5)
        await world.sweep()
        await world.work()


async def held(world: World) -> None:
    """With another e-mail than the invited one: held, looked at, approved."""
    invite = await world.invite(email="cleo@example.test")
    world.arrive("cleo")
    world.authentik.enroll(invite.code, "cleo", email="other@example.test")
    verdict = await world.enrolled("cleo", "e3")
    await world.work()
    await onboardings.approve(world, ADMIN, verdict.onboarding)


async def by_an_admin(world: World) -> None:
    """An account, an invite that is revoked, rooms for somebody and out of rooms again."""
    wanted = new_users.Wanted("Dora", "Day", "dora@example.test", groups=("friends",), key="k1", body="b1")
    await new_users.create(world, ADMIN, wanted)
    await invites.revoke(world, ADMIN, (await world.invite("not after all")).id)
    member = world.arrive("emil")
    await jobs.start(world, ADMIN, jobs.Wanted("invite", member, world.policy.default_rooms, key="k2", body="b2"))
    await world.work()
    for room in world.policy.default_rooms:
        world.homeserver.join(member, room)
    await jobs.start(world, ADMIN, jobs.Wanted("remove", member, world.policy.default_rooms, "moved away"))
    outdoors = categories.Wanted(
        "Outdoors", ("nature",), {"hiking": ["trail"]}, world.policy.default_rooms, key="k3", body="b3"
    )
    await categories.create(world, ADMIN, outdoors)
    await sponsors.pause(world, ADMIN, "@bob:fake.test", "too many at once")
    lines = [
        Line(line=2, cells={"first_name": "Gil"}, fields={"first_name": "Gil"}),
        Line(
            line=3, cells={"first_name": "Hal", "groups": "nobody"}, fields={"first_name": "Hal", "groups": ["nobody"]}
        ),
    ]
    wanted_lines = imports.Wanted("users", ("first_name", "groups"), lines, "skip", key="k4", body="b4")
    await imports.start(world, ADMIN, wanted_lines)
    everybody = bulk.Wanted("add_group", filter=lists.Wanted(), group="friends", count=9, key="k5", body="b5")
    await bulk.start(world, ADMIN, everybody)
    await self_check(world, [])


async def by_mail(world: World) -> None:
    """An invite to two addresses, one of which can be none."""
    world.letterbox = FakePost()
    invite = await world.invite("By mail", max_uses=2)
    await mails.mail_invite(world, ADMIN, invite.id, ["ivy@example.test", "nobody"], "k6", "b6")
    await world.work()


async def by_a_bundle(world: World) -> None:
    """Invited with a bundle that gives power in its rooms, and in a space."""
    space = world.homeserver.add_room("Club", kind="m.space")
    inner = world.homeserver.add_room("Inner circle", join_rule="restricted", allow=(space,))
    rooms = (world.policy.default_rooms[0], inner)
    wanted = bundles.Wanted("Moderators", rooms, ("friends",), ("friends",), {"*": 50}, removes=True)
    await bundles.create(world, ADMIN, wanted)
    await world.member("gail", bundles=("moderators",))
    await world.enrolled("gail", "e5")
    await world.work()
    plan, _ = await plans.create(world, ADMIN, plans.Wanted())
    await plan_apply.apply(world, ADMIN, plan.id, plan_apply.Wanted())
    await world.live(hours=1, on=True)
    await plan_apply.undo(world, ADMIN, plan.id, None)


async def on_signal(world: World) -> None:
    """A chat that the bridge has opened, and one that it has not answered for yet."""
    bridge = bridged(world, {"+491701234567": "Jon"})
    for number in ("+491701234567", "+4915112345678"):
        wanted = new_users.Wanted("Jon", attributes={"signal_number": number})
        made = await new_users.create(world, ADMIN, wanted)
        await signal_jobs.start(world, ADMIN, made.account.pk)
        await world.work()
        await bridge.work()
        world.pause(seconds=5)
    await world.work()


async def an_outage(world: World) -> None:
    """The homeserver is down while somebody comes in, and a sweep is under way."""
    await world.member("finn")
    await world.enrolled("finn", "e4")
    await breakers.trip(world, "matrix", "the homeserver did not answer")
    await world.work()
    await inbox.keep(
        world, [{"type": "m.room.encrypted", "sender": f"@finn:{DOMAIN}", "content": {"sender_key": "not known yet"}}]
    )
    await leases.take(world, LEASE, LEASE_FOR)
    await limits.proactive(world, f"@finn:{DOMAIN}", "jobs/job_x/steps/message:0000")


async def shown_out(world: World) -> None:
    """Told why and off-boarded; somebody nudged and removed by the clock of INDOC, somebody else whose clock is paused."""
    await reasons.put(world, ADMIN, "rules", "Rules", "{username} broke rule 3", "Goodbye, {name}.")
    account = await world.member("gwen")
    await world.enrolled("gwen", "e5")
    await world.work()
    wanted = offboarding.Wanted(Words(template="rules"), key="k3", body="b3")
    await offboarding.offboard(world, ADMIN, account.pk, wanted)
    await world.work()
    world.policy = replace(world.policy, clock=True)
    hugo, iris = world.arrive("hugo"), world.arrive("iris")
    for member in (hugo, iris):
        keys(world).add_device(member, "PHONE", name="Phone")
    await indoc_pauses.pause(world, ADMIN, member_id(iris), None, dry_run=False)
    for _ in range(3):
        world.pause(hours=20)
        await indoc_clock.clock(world)
        await world.work()


async def worded(world: World) -> None:
    """An admin's own hello, a second version of it and one for German, tried on somebody."""
    await template_edits.put(world, ADMIN, "hello", "Hi {display_name}", 0)
    await template_edits.put(world, ADMIN, "hello", "Hi **{display_name}**", 1)
    await template_edits.restore(world, ADMIN, "hello", 1, 2)
    await template_edits.put(world, ADMIN, "hello.language.fr", "Salut {display_name}", 0)
    await template_trials.start(
        world, ADMIN, template_trials.Wanted("hello", world.arrive("jill"), key="k6", body="b6")
    )


async def broadcast(world: World) -> None:
    """Written to two, of whom one has it and one waits for a device; another is paused before anybody has it."""
    to = To("people", names=(f"@ada:{DOMAIN}", f"@bob:{DOMAIN}"))
    await broadcasts.start(world, ADMIN, broadcasts.Wanted(to, "Dear {display_name}, the party is on Sunday."))
    await world.live(hours=1)
    second = await broadcasts.start(world, ADMIN, broadcasts.Wanted(to, "Bring cake."))
    await act_on(world, ADMIN, second.message.id, "pause")
    await world.work()


async def cached(world: World) -> None:
    """Both sources synced, and a change that a light sync is asked for."""
    for source in SOURCES:
        await sync.run(world, source)
    await sync_requests.nudge(world, "matrix")


async def suggested(world: World) -> None:
    """An assistant has suggested a line for somebody, who is then made an account with it."""
    world.policy = replace(world.policy, assistant=Terms("models.example.test", "a-model", 10_000, 20))

    async def ignored(*_: Any) -> None:
        """Nobody listens."""

    asked = await assistant.question(world, "I sing, and I like books.")
    await assistant.answer(world, ADMIN, asked, ignored, ignored)
    wanted = new_users.Wanted("Jo", personal_line="Good to have you.", key="k6", body="b6")
    await new_users.create(world, ADMIN, wanted)


STORIES: tuple[Callable[[World], Awaitable[None]], ...] = (
    at_home,
    without_device,
    held,
    by_an_admin,
    by_mail,
    by_a_bundle,
    shown_out,
    worded,
    on_signal,
    broadcast,
    an_outage,
    cached,
    suggested,
)


def plain(value: Any) -> Any:
    """As JSON that no store's own spelling is needed for: a time is {"time": "..."}, bytes are in base64."""
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def data(value: Any) -> Any:
    """The opposite of `plain`."""
    if isinstance(value, dict):
        if set(value) == {"bytes"}:
            return base64.b64decode(value["bytes"])
        return (
            datetime.fromisoformat(value["time"]) if set(value) == {"time"} else {k: data(v) for k, v in value.items()}
        )
    return [data(item) for item in value] if isinstance(value, list) else value


async def written() -> dict[str, list[dict[str, Any]]]:
    made = world()
    for story in STORIES:
        await story(made)
    assert isinstance(made.queue, Remembering)
    paths = [line.partition(" ")[0].replace("\x01", "/") for line in made.rows().splitlines()]
    found = [each for each in await made.store.get_many(sorted(paths)) if each is not None]
    return {
        "documents": [{"path": each.path, "data": plain(each.data)} for each in found],
        "tasks": [{"entry_point": task.entry_point, "payload": task.payload} for task in made.queue.all],
        "secrets": [{"setting": "MATRIX_DEVICE_ACCOUNT", "value": device_account().text}],
    }


def device_account() -> DeviceAccount:
    """Pickled with `PICKLE_KEY`, as a secret would be."""
    user = f"@muster:{DOMAIN}"
    new = make_account(user, "MUSTER", PICKLE_KEY)
    ed25519 = new.device_keys["keys"]["ed25519:MUSTER"]
    return DeviceAccount(
        user_id=user, device_id="MUSTER", ed25519=ed25519, account=new.account, fallback_keys=new.fallback_keys
    )


def main() -> None:
    root = FOLDER.parents[1]
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if f"## {version}" in (root / "CHANGELOG.md").read_text():
        sys.exit(f"{version} is released: what it has written never changes. The next one has another version.")
    folder = FOLDER / version
    folder.mkdir(exist_ok=True)
    for name, rows in asyncio.run(written()).items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        print(f"{folder.name}/{name}.json: {len(rows)}")


if __name__ == "__main__":
    main()
