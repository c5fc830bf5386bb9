"""scripts/setup bot as a person calls it, against a real Synapse; what it tells others to do is done and works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from local.loopback import LOOPBACK
from shared.adapters.matrix_bot import BotHands
from shared.domain.errors import Refused
from shared.services.bot_setup import look, mend
from tests.contracts.chat_worlds import SynapseWorld

if TYPE_CHECKING:
    from tests.contracts.synapse_server import Homeserver

pytest_plugins = ("tests.contracts.synapse_server",)
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def world(homeserver: Homeserver) -> AsyncIterator[SynapseWorld]:
    """Its bot is a server admin."""
    one = SynapseWorld(homeserver)
    yield one
    await one.close()


@pytest.fixture
async def plain(world: SynapseWorld) -> SynapseWorld:
    """Its bot is nobody in particular, and the default limits apply to it."""
    one = await world.plain()
    await world.admin_makes("DELETE", f"/_synapse/admin/v1/users/{one.bot}/override_ratelimit")
    return one


def token(world: SynapseWorld) -> str:
    return world._tokens[world.bot]


def hands(world: SynapseWorld, admin: str = "") -> BotHands:
    return BotHands(world.homeserver.url, token(world), world.bot, admin_token=admin)


def set_up(world: SynapseWorld, data: Path, rooms: list[str], indoc: str, *options: str, **environment: str) -> Ran:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MATRIX_", "MUSTER_"))}
    given = {
        "MATRIX_HOMESERVER": world.homeserver.url,
        "MATRIX_ACCESS_TOKEN": token(world),
        "MATRIX_USER_ID": world.bot,
        "MATRIX_DOMAIN": world.domain,
        "MATRIX_DEFAULT_ROOMS": ",".join(rooms),
        "MATRIX_INDOC_ROOM_ID": indoc,
        "MUSTER_DATA_DIR": str(data),
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "shared.bot_setup", *options],
        cwd=ROOT,
        env=clean | given | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


Ran = subprocess.CompletedProcess[str]


async def run_as_admin(world: SynapseWorld, command: str) -> None:
    """The curl command as it was printed, with the server admin's token in the variable that it names."""
    words = [word.replace("$SERVER_ADMIN_TOKEN", world.homeserver.token) for word in shlex.split(command)]
    assert words[:3] == ["curl", "-fsS", "-H"]
    name, _, value = words[3].partition(": ")
    async with httpx.AsyncClient(timeout=60, **LOOPBACK) as http:
        answer = await http.post(words[6], headers={name: value}, content=words[5])
        answer.raise_for_status()


async def test_from_nothing_to_all_well(plain: SynapseWorld, world: SynapseWorld, tmp_path: Path) -> None:
    """What the bot can mend is mended with --yes, the rest is said; once others have done their part the next run is
    content, and another one changes nothing."""
    other = await plain.user()
    indoc = await plain.room("INDOC", by=other, bot_inside=False)  # public, and asks for 50
    invited = await plain.room("Invited", by=other, public=False, bot_inside=False)
    await plain.call("POST", "rooms", invited, "invite", by=other, body={"user_id": plain.bot})
    closed = await plain.room("Closed", by=other, public=False, bot_inside=False)
    rooms = [invited, closed]

    shown = set_up(plain, tmp_path, rooms, indoc, "--dry-run")
    assert shown.returncode == 1
    assert "done:" not in shown.stdout
    assert not {indoc, *rooms} & set(await plain.chat.joined_rooms())

    first = set_up(plain, tmp_path, rooms, indoc, "--yes", MATRIX_ADMIN_TOKEN=world.homeserver.token)
    assert first.returncode == 1, first.stdout + first.stderr
    assert {indoc, invited} <= set(await plain.chat.joined_rooms())
    last = first.stdout[first.stdout.rindex("ok    token") :]
    assert f"room {closed}: the bot is not in it" in last
    assert f"/invite {plain.bot}" in last
    assert "INDOC: the bot has power 0" in last
    assert "removing needs 50" in last
    assert "ok    limits" in last

    await plain.call("POST", "rooms", closed, "invite", by=other, body={"user_id": plain.bot})
    (raising,) = set(re.findall(r"Or a server admin runs: (curl .*make_room_admin')", first.stdout))
    await run_as_admin(world, raising)
    second = set_up(plain, tmp_path, rooms, indoc, "--yes")
    assert "done: join" in second.stdout
    # Without a server admin's token the limits cannot be seen any more: that, and nothing else, is left.
    assert second.stdout.count("todo", second.stdout.rindex("ok    token")) == 1
    third = set_up(plain, tmp_path, rooms, indoc, "--yes", MATRIX_ADMIN_TOKEN=world.homeserver.token)
    assert third.returncode == 0, third.stdout
    assert "done" not in third.stdout
    assert "All is well" in third.stdout
    for run in (shown, first, second, third):
        assert not [secret for secret in (token(plain), world.homeserver.token) if secret in run.stdout + run.stderr]


async def test_each_change_is_asked_for(plain: SynapseWorld, tmp_path: Path) -> None:
    """Where nobody is there to be asked, and without --yes, nothing is joined."""
    room = await plain.room("Public", by=await plain.user(), bot_inside=False)
    run = set_up(plain, tmp_path, [room], "")
    assert run.returncode == 1
    assert f"join {room}? Nobody is there to ask: add --yes" in run.stdout
    assert room not in await plain.chat.joined_rooms()


async def test_a_server_admin_bot_lifts_its_own_limits(world: SynapseWorld) -> None:
    """Where the bot itself is a server admin it needs nobody else's token; the second look finds it well."""
    await world.limit()
    bot = hands(world)
    try:
        limits = (await look(bot, [], ""))[-1]
        assert (limits.ok, limits.mend) == (False, f"lift the limits for {world.bot}")
        assert await mend(limits) == ""
        assert (await look(bot, [], ""))[-1].ok
    finally:
        await bot.close()


async def test_what_is_printed_for_the_limits_lifts_them(plain: SynapseWorld, world: SynapseWorld) -> None:
    """The command for a server admin, run as it stands, lifts the limits."""
    bot, seeing = hands(plain), hands(plain, world.homeserver.token)
    try:
        limits = (await look(bot, [], ""))[-1]
        assert not limits.mend
        await run_as_admin(world, limits.fix.partition(": ")[2])
        assert (await look(seeing, [], ""))[-1].ok
    finally:
        await bot.close()
        await seeing.close()


@pytest.mark.parametrize("version", ["10", "12"])
async def test_what_is_printed_for_power_gives_it(plain: SynapseWorld, world: SynapseWorld, version: str) -> None:
    """The command for a server admin, run as it stands, gives the bot the power that INDOC needs; before that, the
    level is named for whoever is admin of the room."""
    indoc = await plain.room("INDOC", by=await plain.user(), version=version)
    bot = hands(plain)
    try:
        weak = (await look(bot, [], indoc))[1]
        assert f"/op {plain.bot} 50" in weak.fix
        assert not weak.mend
        await run_as_admin(world, weak.fix.partition("runs: ")[2])
        assert (await look(bot, [], indoc))[1].ok
    finally:
        await bot.close()


async def test_an_alias_is_looked_up(plain: SynapseWorld) -> None:
    """A room may be named by its alias; one that leads nowhere names the setting to correct."""
    alias = f"here-{plain.bot[1:8]}"
    await plain.room("Here", alias=alias)
    bot = hands(plain)
    try:
        token, gone, here, _ = await look(bot, [f"#{alias}:{plain.domain}"], f"#gone:{plain.domain}")
        assert (token.ok, here.ok, gone.ok) == (True, True, False)
        assert "MATRIX_INDOC_ROOM_ID" in gone.fix
    finally:
        await bot.close()


async def test_looking_takes_nothing_from_the_reader_of_the_device(plain: SynapseWorld) -> None:
    """Messages to the bot's device are still there after a look."""
    bot = hands(plain)
    try:
        who = await bot.whoami()
        await plain.call(
            "PUT",
            *("sendToDevice", "muster.test", "one"),
            body={"messages": {plain.bot: {who.device_id: {"still": "there"}}}},
        )
        await look(bot, ["!nowhere:contract.test"], "")
        await look(bot, ["!nowhere:contract.test"], "")
        said = (await bot.client.call("GET", "/_matrix/client/v3/sync?timeout=0")).data
        assert [event["content"] for event in said["to_device"]["events"]] == [{"still": "there"}]
    finally:
        await bot.close()


async def test_a_dead_token_says_how_to_log_in(plain: SynapseWorld) -> None:
    """A token that does not work ends the look, with the way to a new one."""
    bot = BotHands(plain.homeserver.url, "syt_dead", plain.bot)
    try:
        with pytest.raises(Refused) as dead:
            await look(bot, [], "")
        assert "scripts/setup matrix --new-device" in dead.value.fix
    finally:
        await bot.close()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MATRIX_ACCESS_TOKEN": ""}, "MATRIX_ACCESS_TOKEN is not set"),
        ({"MATRIX_ACCESS_TOKEN": "syt_wrong"}, "M_UNKNOWN_TOKEN"),
        ({"MATRIX_USER_ID": "@another:contract.test"}, "MATRIX_USER_ID is @another"),
        ({"MATRIX_DOMAIN": "", "MATRIX_HOMESERVER": ""}, "MATRIX_HOMESERVER is not set"),
    ],
)
async def test_what_a_person_must_mend_is_said(
    plain: SynapseWorld, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    """Every stop is two lines, cause and fix, and never quotes a token."""
    run = set_up(plain, tmp_path, [], "", "--yes", **environment)
    assert run.returncode == 1, run.stdout
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 2
    assert "syt_" not in run.stderr


async def test_the_token_is_the_one_that_the_functions_use(plain: SynapseWorld, tmp_path: Path) -> None:
    """What `scripts/setup matrix` has kept is read: the bot's own token needs no setting."""
    (tmp_path / "matrix.json").write_text(json.dumps({"MATRIX_ACCESS_TOKEN": token(plain)}))
    run = set_up(plain, tmp_path, [], "", MATRIX_ACCESS_TOKEN="")
    assert f"signed in as {plain.bot}" in run.stdout
