"""Whatever comes in whatever order, once it is over the member is at home and each message was said once."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain import ids
from shared.domain.errors import Limited, MusterError, Unreachable
from tests.fakes.faulty_documents import Killed
from tests.world import DOMAIN, World, at_home

MEMBER = f"@ada:{DOMAIN}"
METHODS = ("", "invite", "send", "kick", "create_direct_room", "membership", "whoami", "has_profile")
NUMBERS = st.integers(1, 6)

STEPS = st.one_of(
    st.tuples(st.just("webhook"), NUMBERS, st.booleans()),
    st.tuples(st.just("deliver"), NUMBERS, st.booleans()),
    st.tuples(st.just("sweep"), NUMBERS, st.booleans()),
    st.tuples(st.just("pause"), st.sampled_from([1, 5, 30, 100, 700, 50_000]), st.booleans()),
    st.tuples(st.just("matrix fails"), st.sampled_from(METHODS), st.booleans()),
    st.tuples(st.just("matrix limits"), st.sampled_from(METHODS), st.booleans()),
    st.tuples(st.just("authentik fails"), NUMBERS, st.booleans()),
    st.tuples(st.just("store fails"), NUMBERS, st.booleans()),
    st.tuples(st.just("dies"), NUMBERS, st.booleans()),
    st.tuples(st.just("tasks are lost"), NUMBERS, st.booleans()),
    st.tuples(st.just("another device"), NUMBERS, st.booleans()),
)


class Life:
    """One member's way, pushed around."""

    def __init__(self) -> None:
        self.world = World()
        self.world.furnish(3)

    async def step(self, what: str, how: object, much: bool) -> None:
        world, number = self.world, how if isinstance(how, int) else 1
        if what == "webhook":
            await self._survive(*(world.enrolled("ada", f"e{number}") for _ in range(4 if much else 1)))
        elif what == "deliver":
            due = world.queue.take(world.now())[:number]
            await self._survive(*(world.once(task) for task in due for _ in range(3 if much else 1)))
        elif what == "sweep":
            await self._survive(*(world.sweep() for _ in range(2 if much else 1)))
        elif what == "pause":
            world.pause(seconds=number)
        elif what == "matrix fails":
            world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=much, method=str(how))
        elif what == "matrix limits":
            world.homeserver.fail_next(Limited("slow down", 40 if much else 3), method=str(how))
        elif what == "authentik fails":
            world.authentik.fail("account_named", Unreachable("authentik", "no answer"))
        elif what == "store fails":
            world.documents.fail_at(number, Unreachable("firestore", "no answer"), after=much)
        elif what == "dies":
            world.documents.fail_at(number, Killed(), after=much)
        elif what == "tasks are lost":
            world.queue.swallow_next(number)
        else:
            world.homeserver.device_id = f"D{number}"

    async def _survive(self, *calls: object) -> None:
        """All at the same time; whatever they raise is what their caller gets."""
        answers = await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[call-overload]
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, MusterError | Killed):
                raise answer

    async def ends(self) -> None:
        """The faults are over; the sweep does the rest."""
        world = self.world
        world.homeserver._planned.clear()
        world.authentik._faults.clear()
        world.documents.mend()
        world.queue._losses = 0
        world.pause(minutes=10)
        await world.live(hours=30)
        account = await world.authentik.account_named("ada")
        assert account is not None
        await at_home(world, ids.onboarding_id(account.uid), MEMBER)
        assert len(await world.documents_in("onboardings")) == 1
        [invite] = await world.documents_in("invites")
        assert invite["uses"] == 1


@settings(max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=4, max_size=30))
def test_any_order_of_events(steps: list[tuple[str, object, bool]]) -> None:
    """Webhooks, deliveries, faults, deaths, lost tasks and sweeps in any order end at home, each message once."""

    async def life() -> None:
        one = Life()
        await one.world.member()
        for what, how, much in steps:
            await one.step(what, how, much)
        await one.ends()

    asyncio.run(life())
