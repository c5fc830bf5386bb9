"""The wiring: made late, once per event loop, and asking for no more than is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shared.wiring
from shared.domain.errors import Misconfigured, Unauthenticated, Unreachable
from shared.domain.onboarding import ENTRY_POINTS
from shared.ports import Put
from shared.settings import BY_NAME, Settings
from shared.wiring import QUEUES, Wiring, wiring
from tests.functions.tokens import TASKS_ACCOUNT, TASKS_URL, Issuer
from tests.shared.test_settings import COMPLETE

NAMED = "projects/p/secrets/s/versions/latest"


class FakeSecrets:
    """Secret Manager, with one value for all names."""

    def __init__(self, value: str) -> None:
        self.value, self.read_names = value, list[str]()

    async def read(self, name: str) -> str:
        self.read_names.append(name)
        return self.value

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def wired(secrets: FakeSecrets | None = None, **settings: str) -> Wiring:
    made = Wiring(Settings(COMPLETE | settings))
    if secrets:
        made.__dict__["secrets"] = secrets  # a cached property's own place
    return made


def test_one_wiring_per_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Async clients belong to the loop that first used them: each loop has a wiring of its own, and just one."""
    made: list[Wiring] = []

    def make(settings: Settings) -> Wiring:
        made.append(Wiring(settings))
        return made[-1]

    async def twice() -> Wiring:
        assert wiring() is wiring()
        return wiring()

    monkeypatch.setattr(shared.wiring, "factory", make)
    first, second = asyncio.run(twice()), asyncio.run(twice())
    assert made == [first, second]
    assert first is not second


async def test_what_is_found_is_remembered() -> None:
    """However many ask at once it is found once; after its time, or when asked to, anew."""
    found: list[int] = []

    async def find() -> int:
        await asyncio.sleep(0)
        found.append(len(found))
        return found[-1]

    made = wired()
    assert await asyncio.gather(*(made.remember("a", 60, find) for _ in range(16))) == [0] * 16
    assert await made.remember("b", 60, find) == 1
    assert await made.remember("a", 0, find) == 2
    assert await made.remember("a", 60, find) == 2


async def test_nothing_and_failures_are_not_remembered() -> None:
    """What is not there yet, or could not be asked for, is asked for again."""
    answers: list[Any] = [None, Unreachable("matrix", "no answer"), "!room"]

    async def find() -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = wired()
    assert await made.remember("a", 60, find) is None
    with pytest.raises(Unreachable):
        await made.remember("a", 60, find)
    assert [await made.remember("a", 60, find) for _ in range(2)] == ["!room", "!room"]


async def test_a_secret_from_the_environment_or_by_name() -> None:
    """A secret is its value, or a name that is read through Secret Manager at each use and parsed alike."""
    secrets = FakeSecrets("one, two")
    made = wired(secrets, AUTHENTIK_WEBHOOK_SECRETS=NAMED)
    assert await made.secret("AUTHENTIK_WEBHOOK_SECRETS") == ("one", "two")
    secrets.value = "three"
    assert await made.secret("AUTHENTIK_WEBHOOK_SECRETS") == ("three",)
    assert await made.secret("MATRIX_ACCESS_TOKEN") == "another-token"
    assert secrets.read_names == [NAMED, NAMED]


async def test_a_malformed_secret_is_named_and_not_shown() -> None:
    """What Secret Manager holds may be wrong as well: `Misconfigured` with the setting's name, never its value."""
    made = wired(FakeSecrets("hidden"), ADMIN_API_KEYS=NAMED)
    with pytest.raises(Misconfigured, match="ADMIN_API_KEYS") as caught:
        await made.secret("ADMIN_API_KEYS")
    assert "hidden" not in f"{caught.value.cause} {caught.value.fix}"


async def test_a_secret_that_is_missing() -> None:
    """A required secret that is not set is named."""
    with pytest.raises(Misconfigured, match="AUTHENTIK_API_TOKEN"):
        await wired(AUTHENTIK_API_TOKEN="").secret("AUTHENTIK_API_TOKEN")


async def test_what_watches_is_another_client() -> None:
    """Without a token of its own there is none; with one, by value or by name, it is made once, and is not what sends."""
    assert await wired().watcher() is None
    for made in (wired(MATRIX_SYNC_ACCESS_TOKEN="other"), wired(FakeSecrets("other"), MATRIX_SYNC_ACCESS_TOKEN=NAMED)):
        watcher = await made.watcher()
        assert watcher is await made.watcher()
        assert watcher not in (None, await made.chat())


async def test_a_new_version_of_a_token_takes_effect() -> None:
    """A client lives as long as its token is the same: a rotated one is used without starting a new instance."""
    secrets = FakeSecrets("one")
    made = wired(secrets, AUTHENTIK_API_TOKEN=NAMED, MATRIX_ACCESS_TOKEN=NAMED)
    directory, chat = await made.directory(), await made.chat()
    assert await made.directory() is directory
    assert await made.chat() is chat is await made.keys()
    secrets.value = "two"
    assert await made.directory() is not directory
    assert await made.chat() is not chat
    assert await made.chat() is await made.keys()


async def test_each_port_is_made_once(tmp_path: Path) -> None:
    """With all settings every port is made, at its first use and only once, without asking anybody anything."""
    made = wired(MUSTER_STORE="sqlite", MUSTER_DATA_DIR=str(tmp_path), CLOUD_TASKS_EMULATOR_HOST="127.0.0.1:1")
    assert made.documents is made.documents
    assert made.queue is made.queue
    directories = await asyncio.gather(*(made.directory() for _ in range(4)))
    chats = await asyncio.gather(*(made.chat() for _ in range(4)))
    assert len(set(map(id, directories))) == len(set(map(id, chats))) == 1
    for port in (made.documents, made.queue, directories[0], chats[0]):
        await port.close()


async def test_the_store_is_where_the_settings_say(tmp_path: Path) -> None:
    """The embedded store keeps its file in MUSTER_DATA_DIR and makes the folder."""
    made = wired(MUSTER_STORE="sqlite", MUSTER_DATA_DIR=str(tmp_path / "new" / "folder"))
    await made.documents.write(Put("a/b", {"c": 1}))
    await made.documents.close()
    again = wired(MUSTER_STORE="sqlite", MUSTER_DATA_DIR=str(tmp_path / "new" / "folder"))
    document = await again.documents.get("a/b")
    assert document is not None
    assert document.data == {"c": 1}
    await again.documents.close()


@pytest.mark.parametrize("missing", sorted(COMPLETE))
async def test_only_what_needs_it_is_stopped(missing: str, tmp_path: Path) -> None:
    """One missing setting stops the port or policy of its concern, and none of the others."""
    made = wired(**{missing: "", "MUSTER_STORE": "sqlite", "MUSTER_DATA_DIR": str(tmp_path)})
    uses: dict[str, Any] = {
        "authentik": made.directory,
        "matrix": made.chat,
        "onboarding": lambda: made.policy,
        "store": lambda: made.documents,
    }
    for concern, use in uses.items():
        if concern == BY_NAME[missing].concern:
            with pytest.raises(Misconfigured, match=missing):
                await _used(use)
        else:
            await _used(use)


async def _used(use: Any) -> Any:
    found = use()
    return await found if asyncio.iscoroutine(found) else found


def test_the_policy_is_the_settings() -> None:
    """The community's choices come from the settings, each with its default."""
    policy = wired(
        MATRIX_INDOC_ROOM_ID="#indoc:x.test",
        MATRIX_DEFAULT_ROOMS="#a:x.test,#b:x.test",
        AUTO_REMOVE_FROM_INDOC="off",
        WELCOME_DELAY_SECONDS="0",
        GRANTABLE_GROUPS="crew",
        AUTHENTIK_DEFAULT_GROUP="members",
    ).policy
    assert (policy.domain, policy.indoc, policy.default_rooms) == (
        "example.test",
        "#indoc:x.test",
        ("#a:x.test", "#b:x.test"),
    )
    assert (policy.auto_remove, policy.welcome_delay, policy.grantable, policy.default_group) == (
        False,
        0.0,
        ("crew",),
        "members",
    )
    assert (wired().policy.auto_remove, wired().policy.welcome_delay, wired().policy.admin_group) == (
        True,
        5.0,
        "muster-admins",
    )


def test_every_kind_of_step_has_a_queue() -> None:
    """Each entry point that runs steps has a queue, and each queue a setting."""
    assert set(QUEUES) == set(ENTRY_POINTS.values())
    assert {f"TASKS_QUEUE_{name}" for name in QUEUES.values()} <= set(BY_NAME)


async def test_googles_keys_do_not_need_authentiks_certificate(issuer: Issuer) -> None:
    """AUTHENTIK_CA_BUNDLE is for Authentik: tokens of Cloud Tasks are verified whatever it is."""
    made = wired(
        AUTHENTIK_CA_BUNDLE="no-such-file.pem",
        TASKS_OIDC_ISSUER=issuer.google,
        TASKS_OIDC_JWKS=f"{issuer.base}/google/jwks/",
        TASKS_URL_TEMPLATE=TASKS_URL,
    )
    audience = TASKS_URL.format(entry_point="invite_to_room")
    header = f"Bearer {issuer.task('invite_to_room')}"
    claims = await made.invokers.verify(header, audience, {TASKS_ACCOUNT}, False)
    assert claims["email"] == TASKS_ACCOUNT


async def test_access_tokens_are_pinned(issuer: Issuer) -> None:
    """An access token counts for our issuer and client only, and needs a scope: an ID token has none."""
    made = wired(AUTHENTIK_ISSUER=issuer.authentik, AUTHENTIK_CLIENT_ID="muster-admin")
    assert (await made.access_claims(issuer.access()))["preferred_username"] == "ada"
    for token in (issuer.access(scope=None), issuer.access(azp=None), issuer.access(iss=issuer.google)):
        with pytest.raises(Unauthenticated):
            await made.access_claims(token)


def test_time_and_chance() -> None:
    """The clock knows its zone, and chance is 128 bits that do not repeat."""
    made = wired()
    assert made.now().utcoffset() is not None
    rolls = {made.chance() for _ in range(100)}
    assert len(rolls) == 100
    assert max(rolls) < 2**128
    assert max(rolls).bit_length() > 64
