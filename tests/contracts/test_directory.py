"""The contract of `Directory`, on the fake and on the adapter; then the adapter against a server that misbehaves. What a
sync asks is held to it on the Authentik of the benchmarks as well."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.neighbours import running
from shared.adapters.authentik import AuthentikDirectory
from shared.adapters.authentik_check import clock_finding
from shared.adapters.authentik_permissions import PERMISSIONS
from shared.domain.errors import (
    Conflict,
    Invalid,
    Limited,
    Misconfigured,
    MusterError,
    NotFound,
    Refused,
    Unreachable,
)
from shared.ports import Account, Directory
from tests.contracts.authentik_server import (
    TOKEN,
    Answer,
    Authentik,
    Receiver,
    enroll,
    free_port,
    receiver,
    self_signed,
    standin,
)
from tests.fakes.directory import FakeDirectory

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
LEAST = [{"username": "least", "key": "least-token", "permissions": list(PERMISSIONS)}]
FEWER = [{"username": "fewer", "key": "fewer-token", "permissions": ["authentik_core.view_user"]}]


@dataclass
class World:
    directory: Directory
    enroll: Callable[[str, str], object]
    recovery: Callable[[bool], Directory]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authentik]:
    tokens = [{"username": "muster-bot", "key": TOKEN}, *LEAST, *FEWER]
    with standin(tmp_path_factory.mktemp("authentik") / "state.sqlite", tokens=tokens) as running:
        yield running


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authentik]:
    """One whose brand has no recovery flow, and which mails no invitations, being older."""
    with standin(tmp_path_factory.mktemp("authentik") / "state.sqlite", recovery=False, send_email=False) as running:
        yield running


@pytest.fixture(scope="module")
def computed() -> Iterator[str]:
    with running(users=250, rooms=1) as settings:
        yield settings["AUTHENTIK_URL"]


synced = pytest.mark.parametrize("world", ["fake", "authentik", "computed"], indirect=True)


@pytest.fixture(params=["fake", "authentik"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        fake = FakeDirectory()
        for name, superuser, parents in (("choir", False, ()), ("root", True, ()), ("deputies", False, ("root",))):
            fake.add_group(name, superuser, parents)

        def switched(on: bool) -> FakeDirectory:
            fake.recovery = fake.mails = on
            return fake

        yield World(fake, lambda itoken, username: fake.enroll(itoken, username), switched)
        return
    if request.param == "computed":
        async with adapter(request.getfixturevalue("computed")) as directory:
            yield World(directory, lambda *_: None, lambda _: directory)
        return
    server: Authentik = request.getfixturevalue("server")
    bare: Authentik = request.getfixturevalue("bare")
    directories = {on: AuthentikDirectory(one.url, TOKEN, one.slug) for on, one in ((True, server), (False, bare))}
    yield World(directories[True], lambda itoken, username: enroll(server, itoken, username=username), directories.get)  # type: ignore[arg-type]
    for directory in directories.values():
        await directory.close()


def fresh(prefix: str = "ada") -> str:
    return f"{prefix}-{uuid4().hex[:10]}"


async def person(directory: Directory, **more: Any) -> Account:
    fields: dict[str, Any] = {"username": fresh(), "name": "Ada L.", "email": "ada@example.test", "attributes": {}}
    return await directory.create_account(**(fields | more))


async def group_pk(directory: Directory, name: str) -> str:
    return next(group.pk for group in await directory.groups() if group.name == name)


# ---------------------------------------------------------------- invitations


async def test_an_invitation_has_a_link_and_the_expiry_asked_for(world: World) -> None:
    """An invitation's link leads to the enrollment flow with its pk, and it expires when we said."""
    made = await world.directory.create_invitation(fresh("invite"), SOON, {"name": "李"})
    assert made.link.endswith(f"/if/flow/muster-enrollment/?itoken={made.pk}")
    assert made.expires_at == SOON


async def test_an_invitation_is_mailed_where_the_server_can(world: World) -> None:
    """Whether it can is known without sending; then it takes one address at a time, and knows its invitations."""
    able = world.recovery(True)
    assert await able.mails_invitations()
    made = await able.create_invitation(fresh("invite"), SOON, {})
    await able.mail_invitation(made.pk, "ada@example.org")
    with pytest.raises(NotFound):
        await able.mail_invitation(str(uuid4()), "ada@example.org")
    unable = world.recovery(False)
    assert not await unable.mails_invitations()


async def test_an_invitation_is_found_by_its_exact_name(world: World) -> None:
    """A lost answer costs nothing: the invitation is found again by name, and by no part of it."""
    name = fresh("invite")
    made = await world.directory.create_invitation(name, SOON, {})
    assert await world.directory.find_invitation(name) == made
    assert await world.directory.find_invitation(name[:-1]) is None


async def test_an_invitation_is_found_by_its_code(world: World) -> None:
    """By the code in its link it is found whatever its name; another code is none, not an error."""
    made = await world.directory.create_invitation(fresh("invite"), SOON, {})
    assert await world.directory.invitation(made.pk) == made
    assert await world.directory.invitation(str(uuid4())) is None
    assert await world.directory.invitation("no uuid, and a / in it") is None


async def test_an_invitation_is_changed_and_deleted(world: World) -> None:
    """A change answers the new expiry, deleting twice is fine, and changing a deleted one is NotFound."""
    made = await world.directory.create_invitation(fresh("invite"), SOON, {})
    later = SOON + timedelta(days=1)
    assert (await world.directory.update_invitation(made.pk, later, {"name": "Eve"})).expires_at == later
    await world.directory.delete_invitation(made.pk)
    await world.directory.delete_invitation(made.pk)
    assert await world.directory.find_invitation(made.name) is None
    with pytest.raises(NotFound):
        await world.directory.update_invitation(made.pk, later, {})


async def test_a_name_that_is_no_slug_is_invalid(world: World) -> None:
    """A name that Authentik cannot take is Invalid and names the field."""
    with pytest.raises(Invalid) as caught:
        await world.directory.create_invitation("two words", SOON, {})
    assert [field for field, _ in caught.value.errors] == ["name"]


async def test_an_enrolled_member_bears_our_mark(world: World) -> None:
    """Whoever enrolls by our invitation is found by our attribute, and the event log confirms the flow."""
    mark, username = fresh("inv"), fresh()
    invitation = await world.directory.create_invitation(fresh("invite"), SOON, {"attributes": {"muster_invite": mark}})
    world.enroll(invitation.pk, username)
    found = await world.directory.account_marked("muster_invite", mark)
    assert found is not None
    assert found.username == username
    assert await world.directory.enrolled_by_flow(username)


async def test_an_account_made_by_the_api_did_not_enroll(world: World) -> None:
    """An account that an admin made is not taken for an enrollment."""
    made = await person(world.directory)
    assert not await world.directory.enrolled_by_flow(made.username)
    assert not await world.directory.enrolled_by_flow(fresh("nobody"))


# ---------------------------------------------------------------- accounts


@synced
async def test_a_created_account_reads_back(world: World) -> None:
    """What is created is what is read, by pk and by name."""
    made = await person(world.directory, name="José 李", attributes={"signal": "+1"})
    assert (made.name, made.active, made.superuser, made.attributes) == ("José 李", True, False, {"signal": "+1"})
    assert len(made.uid) == 64
    assert made.joined_at is not None
    assert made.joined_at.tzinfo is UTC
    assert await world.directory.account(made.pk) == made
    assert await world.directory.account_named(made.username) == made


async def test_names_match_exactly(world: World) -> None:
    """A look-up by name never answers somebody with a similar one."""
    made = await person(world.directory)
    assert await world.directory.account_named(made.username.upper()) is None
    assert await world.directory.account_named(made.username[:-1]) is None
    assert await world.directory.account_marked("muster_invite", fresh("never")) is None


async def test_a_taken_username_is_a_conflict(world: World) -> None:
    """A username that is taken is a Conflict, when creating and when renaming."""
    one, two = await person(world.directory), await person(world.directory)
    with pytest.raises(Conflict):
        await person(world.directory, username=one.username)
    with pytest.raises(Conflict):
        await world.directory.update_account(two.pk, username=one.username)


@pytest.mark.parametrize(("field", "value"), [("username", "x" * 151), ("username", ""), ("email", "no address")])
async def test_a_bad_field_is_named(world: World, field: str, value: str) -> None:
    """Invalid names the very field that is wrong."""
    with pytest.raises(Invalid) as caught:
        await person(world.directory, **{field: value})
    assert [name for name, _ in caught.value.errors] == [field]


@synced
async def test_attributes_are_merged(world: World) -> None:
    """A change keeps the attributes it does not name, and None removes one."""
    made = await person(world.directory, attributes={"kept": 1, "changed": "old", "gone": True})
    changed = await world.directory.update_account(made.pk, attributes={"changed": "new", "gone": None, "added": []})
    assert changed.attributes == {"kept": 1, "changed": "new", "added": []}
    assert (await world.directory.update_account(made.pk, active=False)).attributes == changed.attributes


@synced
async def test_each_field_is_changed_alone(world: World) -> None:
    """A change touches the named fields only."""
    made = await person(world.directory)
    changed = await world.directory.update_account(made.pk, name="Eve", email="eve@example.test", active=False)
    assert (changed.username, changed.name, changed.email) == (made.username, "Eve", "eve@example.test")
    assert not changed.active
    assert (await world.directory.update_account(made.pk)).name == "Eve"


@synced
async def test_a_deleted_account_is_gone(world: World) -> None:
    """Deleting twice is fine; everything else about a deleted account is NotFound."""
    made = await person(world.directory)
    await world.directory.delete_account(made.pk)
    await world.directory.delete_account(made.pk)
    choir = await group_pk(world.directory, "choir")
    calls: list[Awaitable[object]] = [
        world.directory.account(made.pk),
        world.directory.update_account(made.pk, name="x"),
        world.directory.update_account(made.pk, attributes={"x": 1}),
        world.directory.recovery_link(made.pk),
        world.directory.set_password(made.pk, "long enough"),
        world.directory.add_to_group(choir, made.pk),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call


@synced
async def test_accounts_come_in_pages_oldest_first(world: World) -> None:
    """Pages cover everybody once, in the order of joining, and a page out of range is empty."""
    tag = fresh("page")
    made = [await person(world.directory, username=f"{tag}-{n}") for n in range(5)]
    seen, page = [], 1
    while page:
        found = await world.directory.accounts(search=tag, page=page, size=2)
        assert found.total == 5
        seen += [account.pk for account in found.items]
        page = found.next_page or 0
    assert seen == [account.pk for account in made]
    assert (await world.directory.accounts(search=tag, page=9)).items == ()


@synced
async def test_accounts_are_filtered(world: World) -> None:
    """Each filter narrows the list: activity, group, and joined after a moment."""
    tag = fresh("filter")
    one, two, three = [await person(world.directory, username=f"{tag}-{n}") for n in range(3)]
    await world.directory.update_account(one.pk, active=False)
    await world.directory.add_to_group(await group_pk(world.directory, "choir"), two.pk)

    async def pks(**filters: Any) -> list[int]:
        return [account.pk for account in (await world.directory.accounts(search=tag, **filters)).items]

    assert await pks(active=False) == [one.pk]
    assert await pks(active=True) == [two.pk, three.pk]
    assert await pks(group="choir") == [two.pk]
    assert await pks(joined_after=two.joined_at) == [three.pk]
    with pytest.raises(Invalid):
        await pks(group="no such group")


@synced
async def test_whose_row_was_written_later(world: World) -> None:
    """Who was changed after a moment is found by it; who only came into a group or left one is not."""
    tag = fresh("later")
    one, two, three = [await person(world.directory, username=f"{tag}-{n}") for n in range(3)]
    moment = three.updated_at
    await world.directory.update_account(one.pk, name="Ada Lovelace")
    await world.directory.set_password(three.pk, "correct horse battery")
    await world.directory.add_to_group(await group_pk(world.directory, "choir"), two.pk)
    found = await world.directory.accounts(search=tag, updated_after=moment)
    assert [account.pk for account in found.items] == [one.pk, three.pk]
    latest = max(account.updated_at for account in found.items if account.updated_at)
    assert (await world.directory.accounts(search=tag, updated_after=latest)).items == ()


async def test_a_recovery_link_where_the_brand_has_a_flow(world: World) -> None:
    """With a recovery flow there is a link, without one there is None."""
    directory = world.recovery(True)
    assert "/if/flow/" in (await directory.recovery_link((await person(directory)).pk) or "")
    directory = world.recovery(False)
    assert await directory.recovery_link((await person(directory)).pk) is None


async def test_a_password_is_set(world: World) -> None:
    """A password is accepted, an empty one is Invalid."""
    made = await person(world.directory)
    await world.directory.set_password(made.pk, "correct horse battery")
    with pytest.raises(Invalid):
        await world.directory.set_password(made.pk, "")


# ---------------------------------------------------------------- groups


async def test_superuser_groups_are_known_through_their_parents(world: World) -> None:
    """A group below one that makes superusers makes superusers."""
    found = {group.name: group.superuser for group in await world.directory.groups()}
    assert (found["choir"], found["root"], found["deputies"]) == (False, True, True)


async def test_members_come_and_go(world: World) -> None:
    """Adding twice and removing twice is fine, and a member of a superusers' subgroup is a superuser."""
    made = await person(world.directory)
    deputies = await group_pk(world.directory, "deputies")
    for _ in range(2):
        await world.directory.add_to_group(deputies, made.pk)
    joined = await world.directory.account(made.pk)
    assert (joined.groups, joined.group_pks, joined.superuser) == (("deputies",), (deputies,), True)
    for _ in range(2):
        await world.directory.remove_from_group(deputies, made.pk)
    assert (await world.directory.account(made.pk)).groups == ()
    with pytest.raises(NotFound):
        await world.directory.add_to_group(str(uuid4()), made.pk)


async def test_the_self_check_has_findings(world: World) -> None:
    """A check answers findings, never an exception."""
    assert all(finding.name for finding in await world.directory.check())


# ---------------------------------------------------------------- the adapter alone


@contextlib.asynccontextmanager
async def adapter(url: str, token: str = TOKEN, **more: Any) -> AsyncIterator[AuthentikDirectory]:
    directory = AuthentikDirectory(url, token, more.pop("slug", "muster-enrollment"), **more)
    try:
        yield directory
    finally:
        await directory.close()


@pytest.fixture
def odd() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


HTML = {"Content-Type": "text/html"}
MISBEHAVIOUR = [
    (Answer(405, b"", HTML), Unreachable),
    (Answer(200, b"<html>Login</html>", HTML), Unreachable),
    (Answer(200, b'{"pk": 1, "user'), Unreachable),
    (Answer(200, b'{"pk": 1', cut=True), Unreachable),
    (Answer(200, b"[]"), Unreachable),
    (Answer(200, b'{"pk": "seven"}'), Unreachable),
    (Answer(200, b""), Unreachable),
    (Answer(500, b"Server Error", HTML), Unreachable),
    (Answer(502, b"<html>Bad gateway</html>", HTML), Unreachable),
    (Answer(404, b"<html>Not here</html>", HTML), Unreachable),
    (Answer(400, b"<html>plain HTTP to HTTPS</html>", HTML), Unreachable),
    (Answer(302, b"", {"Location": "https://elsewhere.example.test/"}), Unreachable),
    (Answer(200, delay=2), Unreachable),
    (Answer(403, b'{"detail": "Token invalid/expired"}'), Refused),
    (Answer(401, b""), Refused),
    (Answer(418, b'{"detail": "teapot"}'), Refused),
    (Answer(404, b'{"detail": "No User matches"}'), NotFound),
    (Answer(409, b'{"detail": "busy"}'), Conflict),
    (Answer(400, b'{"non_field_errors": "No recovery"}'), Invalid),
]


@pytest.mark.parametrize(("answer", "expected"), MISBEHAVIOUR)
async def test_every_odd_answer_is_one_of_our_errors(
    odd: Receiver, answer: Answer, expected: type[MusterError]
) -> None:
    """Whatever comes back, the caller meets our errors alone, and none of them shows the token."""
    odd.answers = [answer]
    async with adapter(odd.url, timeout=0.5) as directory:
        with pytest.raises(expected) as caught:
            await directory.account(7)
    shown = f"{caught.value!r} {caught.value.cause} {caught.value.fix} {directory!r} {vars(directory)}"
    assert TOKEN not in shown
    assert len(odd.received) == 1, "a redirect was followed, or a call repeated"


@pytest.mark.parametrize(("header", "after"), [({"Retry-After": "17"}, 17), ({}, 5), ({"Retry-After": "soon"}, 5)])
async def test_a_rate_limit_says_how_long(odd: Receiver, header: dict[str, str], after: float) -> None:
    """A 429 is Limited with the seconds asked for, or 5."""
    odd.answers = [Answer(429, b"", header)]
    async with adapter(odd.url) as directory:
        with pytest.raises(Limited) as caught:
            await directory.account(7)
    assert caught.value.after == after


async def test_a_refused_call_names_the_permission(odd: Receiver) -> None:
    """A 403 tells the admin which permission the token's user lacks."""
    odd.answers = [Answer(403, b'{"detail": "no"}')]
    async with adapter(odd.url) as directory:
        with pytest.raises(Refused, match="AUTHENTIK_API_TOKEN") as caught:
            await directory.delete_account(7)
    assert "authentik_core.delete_user" in caught.value.fix
    assert caught.value.code == "403"


async def test_several_bad_fields_are_all_named(odd: Receiver) -> None:
    """Each of Authentik's field errors arrives, whether it is a list or a bare string."""
    odd.answers = [Answer(400, b'{"email": ["bad", "worse"], "non_field_errors": "both"}')]
    async with adapter(odd.url) as directory:
        with pytest.raises(Invalid) as caught:
            await directory.set_password(7, "x")
    assert caught.value.errors == (("email", "bad"), ("email", "worse"), ("non_field_errors", "both"))


async def test_nobody_listening_is_unreachable() -> None:
    """A refused connection is a passing fault of Authentik."""
    async with adapter(f"http://127.0.0.1:{free_port()}") as directory:
        with pytest.raises(Unreachable) as caught:
            await directory.groups()
    assert caught.value.neighbour == "authentik"
    async with adapter(f"http://127.0.0.1:{free_port()}") as directory:
        assert [finding.ok for finding in await directory.check()] == [False]


async def test_a_self_signed_certificate_needs_the_bundle(tmp_path: Path) -> None:
    """A certificate nobody vouches for is refused with the setting that helps, and accepted with it."""
    context, bundle = self_signed(tmp_path)
    with receiver(context) as one:
        one.answers = [Answer(200, json.dumps({"results": [], "pagination": {"next": 0}}).encode())]
        async with adapter(one.url) as directory:
            with pytest.raises(Unreachable) as caught:
                await directory.groups()
        assert "AUTHENTIK_CA_BUNDLE" in caught.value.fix
        async with adapter(one.url, ca_bundle=str(bundle)) as directory:
            assert await directory.groups() == []


@pytest.mark.parametrize(
    ("url", "token", "bundle", "named"),
    [
        ("authentik.example.test", TOKEN, None, "AUTHENTIK_URL"),
        ("http://127.0.0.1:port", TOKEN, None, "AUTHENTIK_URL"),
        ("http://127.0.0.1:1", "two\nlines", None, "AUTHENTIK_API_TOKEN"),
        ("http://127.0.0.1:1", "", None, "AUTHENTIK_API_TOKEN"),
        ("http://127.0.0.1:1", TOKEN, "no/such/file.pem", "AUTHENTIK_CA_BUNDLE"),
    ],
)
async def test_malformed_settings_are_named(url: str, token: str, bundle: str | None, named: str) -> None:
    """A setting that cannot work is named at the first use, without its value."""
    async with adapter(url, token, ca_bundle=bundle) as directory:
        with pytest.raises(Misconfigured, match=named) as caught:
            await directory.groups()
    assert not token or token not in str(caught.value)


async def test_the_flow_is_looked_up_once_and_anew_when_unknown(odd: Receiver) -> None:
    """The flow's uuid is kept, and asked for again only when Authentik no longer knows it."""
    flow = Answer(200, b'{"results": [{"pk": "f1", "slug": "muster-enrollment"}], "pagination": {"next": 0}}')
    made = Answer(201, b'{"pk": "i1", "name": "n", "flow_obj": {"slug": "renamed"}, "expires": null}')
    gone = Answer(400, b'{"flow": ["Invalid pk"]}')
    odd.answers = [flow, made, made, gone, flow, made]
    async with adapter(odd.url) as directory:
        links = [(await directory.create_invitation("n", SOON, {})).link for _ in range(3)]
    assert [one.method for one in odd.received] == ["GET", "POST", "POST", "POST", "GET", "POST"]
    assert links == [f"{odd.url}/if/flow/renamed/?itoken=i1"] * 3
    assert json.loads(odd.received[1].body)["expires"]


async def test_a_missing_flow_is_refused_with_a_fix(server: Authentik) -> None:
    """An enrollment flow that does not exist is a matter for the admin."""
    async with adapter(server.url, slug="no-such-flow") as directory:
        with pytest.raises(Refused) as caught:
            await directory.create_invitation("n", SOON, {})
    assert "AUTHENTIK_FLOW_SLUG" in caught.value.fix


@pytest.mark.parametrize("parents", [{"parent": "top"}, {"parents": ["top"]}, {"parents_obj": [{"pk": "top"}]}])
async def test_each_release_names_parents_its_own_way(odd: Receiver, parents: dict[str, Any]) -> None:
    """Superusers are found through parents in the spelling of every release, and a ring of parents ends."""
    rows = [
        {"pk": "leaf", "name": "leaf", "is_superuser": False, **parents},
        {"pk": "top", "name": "top", "is_superuser": True},
        {"pk": "ring", "name": "ring", "is_superuser": False, "parents": ["ring"]},
    ]
    odd.answers = [Answer(200, json.dumps({"results": rows, "pagination": {"next": 0}}).encode())]
    async with adapter(odd.url) as directory:
        assert {group.name: group.superuser for group in await directory.groups()} == {
            "leaf": True,
            "top": True,
            "ring": False,
        }


# ---------------------------------------------------------------- the self-check


async def test_the_self_check_of_a_good_set_up_is_well(server: Authentik) -> None:
    """With the blueprint applied, every finding is well."""
    async with adapter(server.url, admin_group="muster-admins") as directory:
        found = {finding.name: finding for finding in await directory.check()}
    assert all(finding.ok for finding in found.values()), found
    assert {"authentik webhook", "authentik recovery flow", "authentik clock"} <= found.keys()


async def test_the_least_privilege_suffices(server: Authentik) -> None:
    """A token with just the listed permissions passes the check, and what it cannot see says so."""
    async with adapter(server.url, "least-token", admin_group="muster-admins") as directory:
        found = {finding.name: finding for finding in await directory.check()}
        assert all(finding.ok for finding in found.values()), found
        assert found["authentik permission add_user"].detail == "granted"
        assert "not visible" in found["authentik webhook"].detail
        made = await person(directory)
        await directory.add_to_group(await group_pk(directory, "choir"), made.pk)
        invitation = await directory.create_invitation(fresh("invite"), SOON, {})
        await directory.delete_invitation(invitation.pk)
        assert await directory.recovery_link(made.pk)
        assert not await directory.enrolled_by_flow(made.username)


async def test_a_missing_permission_is_a_finding(server: Authentik) -> None:
    """A permission that is missing is named together with what to do."""
    async with adapter(server.url, "fewer-token") as directory:
        found = {finding.name: finding for finding in await directory.check()}
    assert found["authentik permission view_user"].ok
    assert not found["authentik permission view_event"].ok
    assert "authentik_events.view_event" in found["authentik permission view_event"].fix


async def test_a_bad_token_ends_the_self_check(server: Authentik) -> None:
    """With a wrong token the server is well, the token is not, and nothing else is guessed."""
    async with adapter(server.url, "wrong") as directory:
        found = await directory.check()
    assert [(finding.name, finding.ok) for finding in found] == [("authentik server", True), ("authentik token", False)]


async def test_what_is_missing_is_a_finding(bare: Authentik) -> None:
    """No recovery flow, no such group and no such enrollment flow are each reported with a fix."""
    async with adapter(bare.url, slug="nothing", admin_group="nobody") as directory:
        found = {finding.name: finding for finding in await directory.check() if not finding.ok}
    assert found.keys() == {"authentik enrollment flow", "authentik recovery flow", "authentik admin group"}
    assert all(finding.fix for finding in found.values())


def test_a_clock_that_is_off_is_a_finding() -> None:
    """A server whose clock is an hour off is reported, one of a few seconds is well, and no clock is not guessed."""
    here = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
    dates = ("Fri, 01 May 2026 12:00:05 GMT", "Fri, 01 May 2026 13:00:00 GMT", "", "now")
    assert [clock_finding(date, here).ok for date in dates] == [True, False, True, True]
