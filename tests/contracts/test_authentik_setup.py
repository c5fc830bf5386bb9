"""scripts/setup authentik: as a person calls it, on the stand-in; its requests against Authentik's own models."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters import authentik as adapter
from shared.adapters.authentik import AuthentikDirectory
from shared.adapters.authentik_admin import AuthentikAdmin
from shared.adapters.authentik_permissions import DELETE_USER, PERMISSIONS
from shared.adapters.vault import FileVault
from shared.domain.errors import Conflict, Forbidden, Invalid, MusterError, Refused, Unreachable
from shared.domain.service_account import ACCOUNT, ROLE, SETTING, TOKEN
from shared.services.service_account import Wanted, apply, look, plan
from tests.contracts.authentik_models import models
from tests.contracts.authentik_server import TOKEN as ADMIN
from tests.contracts.authentik_server import Answer, Authentik, receiver, standin
from tests.contracts.test_directory import SOON, fresh

ROOT = Path(__file__).parents[2]
WANTED = Wanted(tuple(PERMISSIONS), (DELETE_USER,))
PERSON = {"username": "no-admin", "key": "a-persons-token", "permissions": ["authentik_core.view_user"]}
FEW = [
    {"username": f"few-{number}", "key": f"few-token-{number}", "permissions": sorted(PERMISSIONS.keys() - {name})}
    for number, name in enumerate(PERMISSIONS)
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authentik]:
    tokens = [{"username": "muster-bot", "key": ADMIN}, PERSON, *FEW]
    with standin(tmp_path_factory.mktemp("authentik") / "state.sqlite", tokens=tokens) as server:
        yield server


@pytest.fixture
def server(running: Authentik) -> Iterator[Authentik]:
    """With nothing of ours in it."""
    with running.client() as api:
        for path, field, name, key in (
            ("core/tokens/", "identifier", TOKEN, "identifier"),
            ("core/users/", "username", ACCOUNT, "pk"),
            ("rbac/roles/", "name", ROLE, "pk"),
        ):
            for row in api.get(path, params={field: name}).json()["results"]:
                api.delete(f"{path}{row[key]}/").raise_for_status()
        yield running


@pytest.fixture
def vault(tmp_path: Path) -> FileVault:
    return FileVault(tmp_path / "authentik.json")


@pytest.fixture
async def admin(server: Authentik) -> AsyncIterator[AuthentikAdmin]:
    one = AuthentikAdmin(server.url, ADMIN)
    yield one
    await one.close()


def set_up(server: Authentik, data: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHENTIK_", "MUSTER_"))}
    given = {"AUTHENTIK_URL": server.url, "MUSTER_DATA_DIR": str(data), "AUTHENTIK_BOOTSTRAP_TOKEN": ADMIN}
    command = [sys.executable, "-m", "shared.authentik_setup", *options]
    return subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=clean | given | environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def state(server: Authentik) -> dict[str, Any]:
    """All that the command could have changed."""
    with server.client() as api:
        users = api.get("core/users/").json()["results"]
        roles = {row["name"]: row["pk"] for row in api.get("rbac/roles/").json()["results"]}
        granted = {
            name: [row["codename"] for row in api.get("rbac/permissions/", params={"role": pk}).json()["results"]]
            for name, pk in roles.items()
        }
        tokens = api.get("core/tokens/").json()["results"]
    return {
        "users": {user["username"]: (user["pk"], user["roles"], user["type"], user["groups"]) for user in users},
        "roles": granted,
        "tokens": {token["identifier"]: (token["user"], token["intent"], token["expiring"]) for token in tokens},
    }


# ---------------------------------------------------------------- the command


def test_once_and_again(server: Authentik, tmp_path: Path) -> None:
    """The first run makes account, role and token, and keeps the key for its owner alone; Muster works with it. The
    second changes nothing, not even the file."""
    first = set_up(server, tmp_path, "--yes")
    assert (first.returncode, first.stderr) == (0, "")
    assert "finds everything well" in first.stdout
    file = tmp_path / "authentik.json"
    key = json.loads(file.read_text())[SETTING]
    before, kept = state(server), file.stat()
    pk, roles, kind, groups = before["users"][ACCOUNT]
    assert (len(roles), kind, groups) == (1, "service_account", [])
    assert len(before["roles"][ROLE]) == len(PERMISSIONS)
    assert before["tokens"][TOKEN] == (pk, "api", False)
    assert [name for name, (owner, *_) in before["tokens"].items() if owner == pk] == [TOKEN], "no password besides"
    again = set_up(server, tmp_path, "--yes")
    assert again.returncode == 0
    assert "nothing was changed" in again.stdout
    assert (state(server), file.stat().st_mtime_ns, file.stat().st_mode & 0o777) == (before, kept.st_mtime_ns, 0o600)
    for run in (first, again):
        assert not [secret for secret in (key, ADMIN) if secret in run.stdout + run.stderr]


@pytest.mark.parametrize(("options", "code"), [(["--dry-run"], 0), ([], 1)])
def test_nothing_changes_unasked(server: Authentik, tmp_path: Path, options: list[str], code: int) -> None:
    """A dry run, and a run in which nobody can be asked, show what is to be done and do none of it."""
    before = state(server)
    shown = set_up(server, tmp_path, *options)
    assert shown.returncode == code
    assert f"make the role {ROLE}" in shown.stdout
    assert all(name in shown.stdout for name in PERMISSIONS)
    assert state(server) == before
    assert not (tmp_path / "authentik.json").exists()


def test_a_lost_file_is_mended(server: Authentik, tmp_path: Path) -> None:
    """Where the kept key is gone or dead, the same token's key is kept again: nothing changes in Authentik."""
    set_up(server, tmp_path, "--yes")
    before, file = state(server), tmp_path / "authentik.json"
    key = json.loads(file.read_text())[SETTING]
    for text in ("{}", json.dumps({SETTING: "dead"})):
        file.write_text(text)
        mended = set_up(server, tmp_path, "--yes")
        assert mended.returncode == 0
        assert mended.stdout.split("Done:")[1].split("With")[0].strip() == f"keep its key as {SETTING}"
        assert json.loads(file.read_text())[SETTING] == key
    assert state(server) == before


def test_deleting_accounts_is_granted_when_asked(server: Authentik, tmp_path: Path) -> None:
    """--with-deletion grants one more permission, and a later run without it leaves it there."""
    set_up(server, tmp_path, "--yes", "--with-deletion")
    assert "delete_user" in state(server)["roles"][ROLE]
    assert "nothing was changed" in set_up(server, tmp_path, "--yes").stdout


def test_the_question_is_asked_of_a_person(server: Authentik, tmp_path: Path) -> None:
    """On a terminal the token is asked for without showing it, then whether to do it: no means no, yes does it."""
    pty = pytest.importorskip("pty")
    before = state(server)
    for answer, code in (("n", 1), ("y", 0)):
        master, slave = pty.openpty()
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHENTIK_", "MUSTER_"))}
        env = clean | {"AUTHENTIK_URL": server.url, "MUSTER_DATA_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "shared.authentik_setup"]
        run = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        shown = _dialogue(master, [("not shown", ADMIN), ("[y/N]", answer)])
        assert run.wait(60) == code
        assert ADMIN not in shown
        assert (state(server) == before) is (answer == "n")


def _dialogue(terminal: int, lines: list[tuple[str, str]]) -> str:
    """All that was shown, the given lines typed when asked for."""
    shown = ""
    while True:
        try:
            more = os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            return shown
        shown += more
        if lines and lines[0][0] in shown:
            os.write(terminal, f"{lines.pop(0)[1]}\n".encode())


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AUTHENTIK_URL": ""}, "AUTHENTIK_URL is not set"),
        ({"AUTHENTIK_BOOTSTRAP_TOKEN": ""}, "AUTHENTIK_BOOTSTRAP_TOKEN is not set"),
        ({"AUTHENTIK_BOOTSTRAP_TOKEN": "wrong"}, "refuses the one-time token"),
        ({"AUTHENTIK_BOOTSTRAP_TOKEN": "two words"}, "the one-time token is empty or malformed"),
        ({"AUTHENTIK_BOOTSTRAP_TOKEN": PERSON["key"]}, "is no administrator"),
        ({"AUTHENTIK_URL": "http://127.0.0.1:9"}, "could not be reached"),
    ],
)
def test_what_a_person_must_mend_is_said(
    server: Authentik, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    """Every stop is two lines, cause and fix, before anything was changed, and never quotes the token."""
    before = state(server)
    stopped = set_up(server, tmp_path, "--yes", **environment)
    assert stopped.returncode == 1
    assert words in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) == 2
    assert str(environment.get("AUTHENTIK_BOOTSTRAP_TOKEN") or "nothing") not in stopped.stderr
    assert state(server) == before


# ---------------------------------------------------------------- what it finds


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ({"type": "internal"}, "is no service account"),
        ({"type": "service_account", "is_active": False}, "deactivated"),
        ({"type": "service_account", "groups": ["authentik Admins"]}, "is a superuser"),
    ],
)
async def test_a_strangers_account_is_left_alone(
    server: Authentik, admin: AuthentikAdmin, vault: FileVault, account: dict[str, Any], words: str
) -> None:
    """An account of that name which is a person's, a superuser's or deactivated stops it: a person must decide."""
    with server.client() as api:
        names = account.get("groups", ())
        groups = [api.get("core/groups/", params={"name": name}).json()["results"][0]["pk"] for name in names]
        api.post("core/users/", json={"username": ACCOUNT, "name": "x"} | account | {"groups": groups})
    with pytest.raises(Conflict, match=words) as stopped:
        await look(admin, vault, WANTED)
    assert "Nothing was changed" in stopped.value.fix or "made anew" in stopped.value.fix


async def test_a_strangers_token_is_left_alone(server: Authentik, admin: AuthentikAdmin, vault: FileVault) -> None:
    """A token of that name which is somebody else's, or will end, is never read."""
    with server.client() as api:
        api.post("core/tokens/", json={"identifier": TOKEN, "intent": "api", "expiring": False})
    with pytest.raises(Conflict, match="another user's"):
        await look(admin, vault, WANTED)


async def test_a_role_that_may_more_is_cut_back(server: Authentik, admin: AuthentikAdmin, vault: FileVault) -> None:
    """The role ends with exactly the permissions of the list; what it may besides is shown before it is taken."""
    role = await admin.make_role(ROLE)
    await admin.grant(role, ["authentik_core.view_user", "authentik_core.view_token_key"])
    found = await look(admin, vault, WANTED)
    assert "take from it authentik_core.view_token_key" in plan(found)
    await apply(admin, vault, found, lambda _: None)
    assert await admin.granted(role) == set(PERMISSIONS)


class Cut(Exception):
    """The power went off."""


@pytest.mark.parametrize("after", range(6))
async def test_a_run_that_was_cut_short_is_finished_by_the_next(
    server: Authentik, admin: AuthentikAdmin, vault: FileVault, after: int
) -> None:
    """After any of its steps the next run does the rest, and nothing twice."""
    found = await look(admin, vault, WANTED)
    steps, done = plan(found), []

    def told(words: str) -> None:
        done.append(words)
        if len(done) == after + 1:
            raise Cut

    if after < len(steps):
        with pytest.raises(Cut):
            await apply(admin, vault, found, told)
    rest = await look(admin, vault, WANTED)
    assert plan(rest) == steps[after + 1 :]
    await apply(admin, vault, rest, lambda _: None)
    assert plan(await look(admin, vault, WANTED)) == []


async def test_only_an_administrator_may(server: Authentik, vault: FileVault) -> None:
    """A token that may only some of it is refused before anything was begun."""
    person = AuthentikAdmin(server.url, str(PERSON["key"]))
    try:
        with pytest.raises(Forbidden, match="no-admin"):
            await look(person, vault, WANTED)
    finally:
        await person.close()


# ---------------------------------------------------------------- exactly these permissions


def test_the_list_is_that_of_the_calls() -> None:
    """Every permission that the adapter names at a call is in the list, and the list names no other."""
    tree = ast.parse(Path(adapter.__file__).read_text())
    named = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).startswith("authentik_") and "." in str(node.value)
    }
    assert named == {*PERMISSIONS, DELETE_USER}


async def every_call(directory: AuthentikDirectory) -> None:
    """All that Muster does in Authentik, but deleting accounts."""
    made = await directory.create_account(username=fresh(), name="Ada", email="", attributes={})
    await directory.account(made.pk)
    await directory.account_named(made.username)
    await directory.account_marked("muster_user", "nobody")
    await directory.accounts()
    await directory.update_account(made.pk, name="Ada L.")
    await directory.recovery_link(made.pk)
    await directory.set_password(made.pk, "correct horse battery")
    choir = next(group.pk for group in await directory.groups() if group.name == "choir")
    await directory.add_to_group(choir, made.pk)
    await directory.remove_from_group(choir, made.pk)
    invitation = await directory.create_invitation(fresh("invite"), SOON, {})
    await directory.find_invitation(invitation.name)
    await directory.invitation(invitation.pk)
    await directory.update_invitation(invitation.pk, SOON, {})
    await directory.mails_invitations()
    await directory.mail_invitation(invitation.pk, "ada@example.org")
    await directory.delete_invitation(invitation.pk)
    await directory.enrolled_by_flow(made.username)


async def test_the_permissions_suffice(server: Authentik, admin: AuthentikAdmin, vault: FileVault) -> None:
    """With the token that set-up makes, every call of the adapter works, but deleting an account."""
    await apply(admin, vault, await look(admin, vault, WANTED), lambda _: None)
    directory = AuthentikDirectory(server.url, await vault.read(SETTING), server.slug)
    try:
        await every_call(directory)
        with pytest.raises(Refused, match="refuses"):
            await directory.delete_account(1)
    finally:
        await directory.close()


@pytest.mark.parametrize("number", range(len(FEW)), ids=list(PERMISSIONS))
async def test_each_permission_is_needed(server: Authentik, number: int) -> None:
    """With any one of them missing a call is refused, and the refusal names it."""
    directory = AuthentikDirectory(server.url, str(FEW[number]["key"]), server.slug)
    try:
        with pytest.raises(Refused) as refused:
            await every_call(directory)
    finally:
        await directory.close()
    assert list(PERMISSIONS)[number] in refused.value.fix


# ---------------------------------------------------------------- shapes

USER = {"pk": 7, "type": "service_account", "is_active": True, "is_superuser": False, "roles": []}
Call = Callable[[AuthentikAdmin], Awaitable[Any]]
REQUESTS: list[tuple[Call, str, str, Any, Any]] = [
    (lambda one: one.make_account(ACCOUNT), "POST", "/api/v3/core/users/", models.UserRequest, USER),
    (lambda one: one.make_role(ROLE), "POST", "/api/v3/rbac/roles/", models.RoleRequest, {"pk": "r"}),
    (
        lambda one: one.grant("r", list(PERMISSIONS)),
        "POST",
        "/api/v3/rbac/permissions/assigned_by_roles/r/assign/",
        models.PermissionAssignRequest,
        [],
    ),
    (
        lambda one: one.withdraw("r", ["authentik_core.view_user"]),
        "PATCH",
        "/api/v3/rbac/permissions/assigned_by_roles/r/unassign/",
        models.PatchedPermissionAssignRequest,
        None,
    ),
    (
        lambda one: one.give_role("r", 7),
        "POST",
        "/api/v3/rbac/roles/r/add_user/",
        models.UserAccountSerializerForRoleRequest,
        None,
    ),
    (lambda one: one.make_token(TOKEN, 7), "POST", "/api/v3/core/tokens/", models.TokenRequest, {}),
]


@pytest.mark.parametrize(("call", "method", "path", "model", "answer"), REQUESTS)
async def test_requests_are_what_the_official_client_sends(
    call: Call, method: str, path: str, model: Any, answer: Any
) -> None:
    """Each body is one of Authentik's own models, with no key that it does not know."""
    with receiver() as odd:
        odd.answers = [Answer(body=b"" if answer is None else json.dumps(answer).encode())]
        one = AuthentikAdmin(odd.url, ADMIN)
        await call(one)
        await one.close()
    (got,) = odd.received
    sent = json.loads(got.body)
    assert (got.method, got.path) == (method, path)
    read = json.loads(model.from_dict(sent).to_json())
    assert {name: value for name, value in read.items() if value is not None} == sent


def test_the_stand_in_answers_what_the_official_client_reads(server: Authentik, tmp_path: Path) -> None:
    """Roles, permissions, what assigning answers, and a user with a role deserialize with Authentik's own models."""
    set_up(server, tmp_path, "--yes")
    with server.client() as api:
        roles = api.get("rbac/roles/", params={"name": ROLE}).json()
        models.PaginatedRoleList.from_dict(roles)
        role = roles["results"][0]["pk"]
        permissions = api.get("rbac/permissions/", params={"role": role}).json()
        models.PaginatedPermissionList.from_dict(permissions)
        assert permissions["results"]
        assigning = {"permissions": ["authentik_core.view_user"]}
        for row in api.post(f"rbac/permissions/assigned_by_roles/{role}/assign/", json=assigning).json():
            models.PermissionAssignResult.from_dict(row)
        user = api.get("core/users/", params={"username": ACCOUNT}).json()["results"][0]
        assert models.User.from_dict(user).roles_obj[0].name == ROLE  # type: ignore[index, union-attr]
        bad = api.post(f"rbac/permissions/assigned_by_roles/{role}/assign/", json={"permissions": ["nonsense"]})
        assert bad.status_code == 400
        assert models.UserSelf.from_dict(own(server, tmp_path)["user"]).roles[0].pk == role


def own(server: Authentik, data: Path) -> dict[str, Any]:
    key = json.loads((data / "authentik.json").read_text())[SETTING]
    with server.client(key) as api:
        return dict(api.get("core/users/me/").json())


@pytest.mark.parametrize(
    ("status", "error"), [(400, Invalid), (403, Refused), (404, Refused), (405, Unreachable), (502, Unreachable)]
)
async def test_an_odd_answer_is_one_of_our_errors(status: int, error: type[MusterError]) -> None:
    """An older Authentik (404), a refusal and a fault each end in words, never in a crash."""
    with receiver() as odd:
        odd.answers = [
            Answer(status, b'{"detail": "no"}' if status in (403, 404) else b'{"x": ["y"]}' * (status == 400))
        ]
        one = AuthentikAdmin(odd.url, ADMIN)
        with pytest.raises(error) as told:
            await one.give_role("r", 1)
        await one.close()
    assert status != 404 or "2026.2" in told.value.fix
