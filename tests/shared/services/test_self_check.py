"""The self-check: every part is looked at, and each finding that is not well says what to do."""

from __future__ import annotations

from msgspec.structs import replace

from shared.domain.errors import Misconfigured, Unreachable
from shared.ports import Finding
from shared.services import device_watch, sync
from shared.services.resume import resume
from shared.services.self_check import self_check
from tests.world import World


async def findings(world: World, *problems: str) -> dict[str, Finding]:
    return {finding.name: finding for finding in await self_check(world, problems)}


async def test_all_is_well() -> None:
    """Where everything is in order, every finding is well."""
    world = World()
    world.furnish(2)
    await resume(world)
    await sync.due(world)
    found = await findings(world)
    assert {finding.name for finding in found.values() if not finding.ok} == set()
    assert {"cache of authentik", "cache of matrix", "matrix sync device"} <= set(found)
    assert {"settings", "store", "neighbours", "sweep", "webhook", "matrix token", "authentik server"} <= set(found)


async def test_settings() -> None:
    """What the settings lack is a finding each."""
    found = await self_check(World(), ["AUTHENTIK_URL is missing", "MATRIX_DOMAIN is missing"])
    assert [finding.detail for finding in found if finding.name == "settings"] == [
        "AUTHENTIK_URL is missing",
        "MATRIX_DOMAIN is missing",
    ]
    assert all(finding.fix for finding in found if finding.name == "settings")


async def test_a_part_that_cannot_be_looked_at() -> None:
    """A neighbour that does not answer, or has no credentials, is a finding, and the others are looked at."""
    world = World()
    world.homeserver.fail_next(Unreachable("matrix", "no answer", "Look whether it runs."))
    world.authentik.fail("check", Misconfigured("AUTHENTIK_API_TOKEN is missing", "Set it."))
    found = await findings(world)
    assert (found["matrix"].ok, found["matrix"].detail, found["matrix"].fix) == (
        False,
        "no answer",
        "Look whether it runs.",
    )
    assert (found["authentik"].ok, found["authentik"].fix) == (False, "Set it.")
    assert found["store"].ok


async def test_rooms() -> None:
    """A room that the bot is not in, and an alias that nobody has, are named; the other rooms are looked at."""
    world = World()
    [good] = world.furnish(1)
    hidden = world.homeserver.add_room("Hidden", by="@root:fake.test")
    world.policy = replace(world.policy, default_rooms=(good, hidden, "#gone:fake.test"))
    found = await findings(world)
    assert found["matrix room Room 0"].ok
    assert not found[f"matrix room {hidden}"].ok
    assert found["matrix room #gone:fake.test"].detail == "there is no room #gone:fake.test"
    assert found["matrix room INDOC"].ok


async def test_power_in_indoc() -> None:
    """INDOC needs the power to remove and to write, and the finding says how much."""
    world = World()
    entry = world.homeserver.add_room("INDOC", by="@root:fake.test", version="10", kick=50)
    world.homeserver.join(world.homeserver.user_id, entry)
    world.policy = replace(world.policy, indoc=entry)
    finding = (await findings(world))["matrix room INDOC"]
    assert not finding.ok
    assert "50" in finding.fix


async def test_the_limiter() -> None:
    """The homeserver's limits for the bot are a finding, with how to lift them."""
    world = World()
    world.homeserver.limit_invites()
    finding = (await findings(world))["matrix limiter"]
    assert (finding.ok, bool(finding.fix)) == (False, True)


async def test_joining_needs_an_admin_of_the_homeserver() -> None:
    """With MATRIX_MEMBERSHIP=join the bot must be one; else the finding says how, and what happens meanwhile."""
    world = World()
    world.furnish(1)
    assert "matrix membership" not in await findings(world)
    world.policy = replace(world.policy, membership="join")
    assert (await findings(world))["matrix membership"].ok
    world.homeserver.server_admin = False
    found = (await findings(world))["matrix membership"]
    assert (found.ok, "invited instead" in found.detail, world.homeserver.user_id in found.fix) == (False, True, True)


async def test_the_sweep() -> None:
    """A sweep that never ran, long ago, or with failures is a finding."""
    world = World()
    assert not (await findings(world))["sweep"].ok
    world.authentik.fail("accounts", Unreachable("authentik", "no answer"))
    await resume(world)
    assert "enrollments: no answer" in (await findings(world))["sweep"].detail
    await resume(world)
    assert (await findings(world))["sweep"].ok
    world.pause(minutes=31)
    assert not (await findings(world))["sweep"].ok


async def test_the_bots_device() -> None:
    """The page cannot look at the device itself, so it tells what the sweep saw, and when; what is too old is told no more."""
    world = World()
    world.furnish(0)
    world.device_findings = [Finding("matrix device", ok=True, detail="token and account fit")]
    await resume(world)
    assert "matrix device" not in await findings(world)  # nothing is encrypted here
    world.policy = replace(world.policy, encrypt=True)
    assert not (await findings(world))["matrix device"].ok
    await device_watch.look(world)
    world.pause(minutes=4)
    assert (await findings(world))["matrix device"].detail == "token and account fit (the sweep looked 240 s ago)"
    assert (await findings(world))["matrix device"].ok
    world.pause(minutes=27)
    assert not (await findings(world))["matrix device"].ok


async def test_the_device_is_looked_at_now_and_then() -> None:
    """The sweep asks the homeserver about the device every five minutes, and tells what has changed."""
    world = World()
    world.policy = replace(world.policy, encrypt=True)
    world.device_findings = [Finding("matrix device", ok=False, detail="not cross-signed", fix="Sign it.")]
    assert [await device_watch.look(world) for _ in range(2)] == [1, 0]
    finding = (await findings(world))["matrix device"]
    assert (finding.ok, finding.fix) == (False, "Sign it.")
    world.device_findings = []
    world.pause(minutes=5)
    assert await device_watch.look(world) == 1
    assert "matrix device" not in await findings(world)


async def test_the_webhook() -> None:
    """When the last webhook came is told."""
    world = World()
    world.furnish(0)
    assert (await findings(world))["webhook"].detail == "none has come yet"
    await world.member()
    await world.enrolled("ada")
    world.pause(seconds=42)
    assert (await findings(world))["webhook"].detail == "the last accepted one came 42 s ago"


async def test_the_cache() -> None:
    """Never synced, too old, and failing are each said, with the fix; a first sync that goes on is well."""
    world = World()
    world.furnish(1)

    async def cache_of(source: str) -> tuple[bool, str, str]:
        found = (await findings(world))[f"cache of {source}"]
        return found.ok, found.detail, found.fix

    assert (await cache_of("matrix"))[:2] == (False, "never synced")
    await sync.run(world, "matrix", "full")
    assert (await cache_of("matrix"))[:2] == (True, "synced 0 s ago")
    world.pause(minutes=31)
    ok, detail, fix = await cache_of("matrix")
    assert (ok, detail) == (False, "synced 1860 s ago")
    assert "schedule of sync_directory" in fix
    world.homeserver.fail_next(Unreachable("matrix", "no answer", "Look whether it runs."))
    await sync.due(world)
    world.pause(seconds=5)
    said = "synced 1865 s ago; the last run failed 5 s ago: no answer"
    assert await cache_of("matrix") == (False, said, "Look whether it runs.")
