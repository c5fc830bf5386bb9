"""The tool's .env, proposed as Muster's: nothing is dropped in silence, and no value is shown."""

from __future__ import annotations

import pytest

from legacy.names import NOT_NEEDED, SETTINGS
from legacy.report import as_csv
from legacy.settings import as_env, parse, propose
from shared.settings import BY_NAME, Settings
from shared.settings import SETTINGS as OURS

OLD = """
# the tool's own
export HOMESERVER=https://matrix.example.org
MATRIX_ACCESS_TOKEN="syt_old_token"   # the bot's
MATRIX_BOT_USERNAME=onboarding-bot
MATRIX_BOT_DISPLAY_NAME=Bot
MATRIX_DOMAIN=example.org
MATRIX_WELCOME_ROOM_ID=!welcome:example.org
INDOC_ROOM_ID='!indoc:example.org'
MATRIX_DEFAULT_ROOM_ID=!default:example.org
MATRIX_ROOM_IDS_NAME_CATEGORY='[
  {"id": "!a:example.org", "name": "Hiking"}
]'
CATEGORY_OUTDOORS=hiking,climbing
ROOM_HIKING=!a:example.org|Outdoors
INTEREST_KEYWORD_EXPANSIONS={"hike": ["walk", "trek"]}
AUTHENTIK_API_URL=https://auth.example.org/api/v3/
AUTHENTIK_API_TOKEN=old-api-token
FLOW_ID=11111111-2222-3333-4444-555555555555
MAIN_GROUP_ID=99999999-2222-3333-4444-555555555555
WEBHOOK_SECRET=old-webhook-secret
MAILER_PASSWORD=old-mailer-password
EMPTY_ONE=
MATRIX_ENABLE_ENCRYPTION=perhaps
"""


def test_known_names_become_ours() -> None:
    """Each known name is taken over under Muster's, in Muster's form."""
    assert propose(parse(OLD)).values == {
        "AUTHENTIK_URL": "https://auth.example.org",
        "AUTHENTIK_API_TOKEN": "old-api-token",
        "AUTHENTIK_DEFAULT_GROUP": "99999999-2222-3333-4444-555555555555",
        "AUTHENTIK_WEBHOOK_SECRETS": "old-webhook-secret",
        "MATRIX_HOMESERVER": "https://matrix.example.org",
        "MATRIX_ACCESS_TOKEN": "syt_old_token",
        "MATRIX_USER_ID": "@onboarding-bot:example.org",
        "MATRIX_DOMAIN": "example.org",
        "MATRIX_INDOC_ROOM_ID": "!indoc:example.org",
        "MATRIX_DEFAULT_ROOMS": "!default:example.org",
    }


def test_every_name_has_its_entry() -> None:
    """Whatever stands in the file is in the report once: taken, kept, or left out with a reason."""
    given = parse(OLD)
    entries = {entry.key: entry for entry in propose(given).entries}
    assert entries.keys() == given.keys()
    assert all(entry.reason for entry in entries.values() if entry.outcome == "skipped")
    reasons = {name: entry.reason for name, entry in entries.items() if entry.outcome == "skipped"}
    assert reasons == {
        "MATRIX_WELCOME_ROOM_ID": "INDOC_ROOM_ID gave MATRIX_INDOC_ROOM_ID already",
        "FLOW_ID": "is a flow's id; Muster wants the slug of its enrollment flow (Authentik, Flows)",
        "MATRIX_BOT_DISPLAY_NAME": NOT_NEEDED["MATRIX_BOT_DISPLAY_NAME"],
        "MAILER_PASSWORD": "nobody knows this name here: look whether Muster needs it (.env.example)",
        "EMPTY_ONE": "nobody knows this name here: look whether Muster needs it (.env.example)",
        "MATRIX_ENABLE_ENCRYPTION": "cannot be MATRIX_ENABLE_ENCRYPTION: expected true or false",
    }


def test_the_report_holds_no_value() -> None:
    """Neither a secret nor any other value of the .env is in the report."""
    text = as_csv(propose(parse(OLD)).entries)
    assert not [value for value in parse(OLD).values() if len(value) > 3 and value in text]


def test_settings_about_rooms_are_kept_as_they_are() -> None:
    """Rooms, categories and interests wait for the room directory, JSON read as JSON."""
    assert propose(parse(OLD)).rooms == {
        "MATRIX_ROOM_IDS_NAME_CATEGORY": [{"id": "!a:example.org", "name": "Hiking"}],
        "CATEGORY_OUTDOORS": "hiking,climbing",
        "ROOM_HIKING": "!a:example.org|Outdoors",
        "INTEREST_KEYWORD_EXPANSIONS": {"hike": ["walk", "trek"]},
    }


def test_the_proposal_is_an_env_file_that_muster_reads() -> None:
    """Written and read back it is the same, and what is needed still is named in it."""
    text = as_env(propose(parse(OLD)))
    assert parse(text) == propose(parse(OLD)).values
    assert not Settings(parse(text)).problems("authentik", "matrix", "onboarding")
    for setting in OURS:
        if setting.default is None:
            assert setting.name in text


def test_ours_counts_before_theirs() -> None:
    """Where a name of Muster's own is there as well, it wins; an empty one does not."""
    both = propose({"HOMESERVER": "https://old.example", "MATRIX_HOMESERVER": "https://new.example"})
    assert both.values == {"MATRIX_HOMESERVER": "https://new.example"}
    empty = propose({"HOMESERVER": "https://old.example", "MATRIX_HOMESERVER": ""})
    assert empty.values == {"MATRIX_HOMESERVER": "https://old.example"}


@pytest.mark.parametrize(
    ("name", "domain", "expected"),
    [
        ("@bot:example.org", "", "@bot:example.org"),
        ("bot:example.org", "", "@bot:example.org"),
        ("bot", "example.org", "@bot:example.org"),
        ("bot", "", None),
    ],
)
def test_the_bots_name_becomes_its_id(name: str, domain: str, expected: str | None) -> None:
    """With or without @ and server; without any server nothing is guessed."""
    proposal = propose({"MATRIX_BOT_USERNAME": name} | ({"SERVER_NAME": domain} if domain else {}))
    assert proposal.values.get("MATRIX_USER_ID") == expected


def test_the_table_names_settings_that_there_are() -> None:
    """Every entry of the table is one of Muster's settings, no alias means two things, and none is one of ours."""
    assert SETTINGS.keys() <= BY_NAME.keys()
    aliases = [alias for names in SETTINGS.values() for alias in names]
    assert len(aliases) == len(set(aliases))
    assert not {*aliases, *NOT_NEEDED} & BY_NAME.keys()
    assert not set(aliases) & NOT_NEEDED.keys()
