"""The tool's message texts by their names, proposed as templates and brought in on the fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from legacy.importing_texts import ImportTexts
from legacy.names import TEXTS
from legacy.report import Entry
from legacy.sources import open_source
from legacy.text_files import of_settings
from legacy.texts import OldText, Texts, drafts_of, is_text_setting
from shared.domain.errors import Misconfigured, Unreachable
from shared.domain.templates import PURPOSES
from shared.rarer_repositories import REMOVAL_REASONS
from shared.services import template_edits
from shared.settings import BY_NAME
from tests.world import ADMIN, World


def of(name: str, value: Any = "Hi {name}", **chosen: str) -> Texts:
    return drafts_of([OldText(name, name.split("/"), value)], chosen)


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("welcome_message", "welcome"),
        ("WELCOME_MESSAGE", "welcome"),
        ("MATRIX_WELCOME_MESSAGE_DE", "welcome.language.de"),
        ("messages/de/welcome", "welcome.language.de"),
        ("welcome/de", "welcome.language.de"),
        ("welcome.en", "welcome"),
        ("welcome.bundle.hikers", "welcome.bundle.hikers"),
        ("welcomeMessage", "welcome"),
        ("invite/message", "invite_text"),
        ("invite_email_template", "email_invite"),
        ("indoc/farewell", "indoc_farewell"),
        ("default_greeting", "hello"),
        ("indoc_message", ""),
        ("sponsors", ""),
        ("motd", ""),
    ],
)
def test_which_template(name: str, template: str) -> None:
    """By the names that there are, with the language; what may be several or none is left out, with what to say."""
    found = of(name)
    assert [draft.template for draft in found.drafts] == ([template] if template else [])
    assert ["--text" in entry.reason for entry in found.entries] == ([] if template else [True])


def test_somebody_says_which() -> None:
    """A text of any name is what --text says."""
    assert of("indoc_message", INDOC_MESSAGE="indoc_farewell").drafts[0].template == "indoc_farewell"
    assert of("welcome", welcome="hello.language.de").drafts[0].template == "hello.language.de"
    assert of("why", why="removal_reasons").reasons[0].reason == "Hi {name}"


def test_what_is_left_out_has_its_reason() -> None:
    """Empty, no text, unreadable, about what nobody knows, or a second one of its kind: each is named."""
    texts = [OldText(str(number), ["welcome"], value) for number, value in enumerate(
        ["Hi", "Ho", "Hi ", " ", ["x"], "a\x00b", "{% if vip %}x{% endif %}"]
    )]  # fmt: skip
    found = drafts_of(texts, {})
    assert [draft.old.origin for draft in found.drafts] == ["0"]
    assert [(entry.key, entry.reason.split(":")[0]) for entry in found.entries] == [
        ("1", "0 gave welcome already"),
        ("3", "is empty"),
        ("4", "is no text, as welcome would need"),
        ("5", "has control characters in it, which nobody can read"),
        ("6", "has conditions about what nobody here knows"),
    ]
    assert drafts_of([OldText("WELCOME_MESSAGE", ["WELCOME_MESSAGE"], "a\\nb")], {}).drafts[0].text.source == "a\nb"


def test_texts_among_settings() -> None:
    """Taken out by a name with an end such as MESSAGE; Muster's own settings and other names stay."""
    settings = {"WELCOME_MESSAGE": "Hi", "INDOC_MESSAGE": "x", "INVITE_TEXT_DE": "y", "HELLO": "z", "MOTD_TEXT": "m"}
    settings["REMOVAL_REASONS"] = "a"
    assert [old.origin for old in of_settings(settings)] == [
        "WELCOME_MESSAGE", "INDOC_MESSAGE", "INVITE_TEXT_DE", "REMOVAL_REASONS",
    ]  # fmt: skip
    assert settings.keys() == {"HELLO", "MOTD_TEXT"}
    assert not [name for name in BY_NAME if is_text_setting(name)]


def test_the_table_names_templates_that_there_are() -> None:
    """Every entry is one of Muster's purposes, and no name means two of them."""
    assert TEXTS.keys() <= PURPOSES.keys()
    names = [name for each in TEXTS.values() for name in each]
    assert len(names) == len(set(names))


def test_files(tmp_path: Path) -> None:
    """JSON and YAML of texts by their names at any depth; what is no text, or cannot be read, is said."""
    (tmp_path / "a.json").write_text(json.dumps({"messages": {"welcome": {"de": "Hallo"}}, "invite": "Come", "n": 1}))
    (tmp_path / "b.yml").write_text("kick_message: |\n  Bye\nremoval_reasons: {rules: Our rules}\n")
    found = open_source(str(tmp_path))
    assert [(old.origin, old.value) for old in found.texts or ()] == [
        ("a.json messages.welcome.de", "Hallo"),
        ("a.json invite", "Come"),
        ("b.yml kick_message", "Bye\n"),
        ("b.yml removal_reasons", {"rules": "Our rules"}),
    ]
    assert [(entry.key, entry.reason) for entry in found.left or ()] == [("a.json n", "is no text")]
    for name, text, words in (
        ("c.json", "{", "c.json is no JSON"),
        ("d.yaml", "a: !!python/object:x y", "d.yaml is no YAML"),
        ("e.txt", b"\xff", "e.txt cannot be read"),
    ):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(Misconfigured, match=words):
            open_source(str(tmp_path / name))


async def bring(world: World, texts: Texts, *, apply: bool = True, look: bool = True) -> list[Entry]:
    return await ImportTexts(world, apply, look).run(texts.drafts, texts.reasons)


async def test_once_again_and_mended() -> None:
    """Simulated it says the same and writes nothing; the same text makes no second version, a mended one does; the
    audit names the import; what an admin has written since stays as it is."""
    world = World()
    simulated = await bring(world, of("welcome"), apply=False)
    assert (await template_edits.detail(world, "welcome")).template.current == 0
    first = await bring(world, of("welcome"))
    assert first == simulated
    assert (first[0].outcome, first[0].reason) == ("made", "becomes welcome@1; {name} is {display_name}")
    [again] = await bring(world, of("welcome"))
    assert (again.outcome, again.reason.split(";")[0]) == ("unchanged", "is welcome@1, which is in force")
    [mended] = await bring(world, of("welcome", "Ho {name}"))
    assert mended.reason.startswith("becomes welcome@2")
    assert (await template_edits.detail(world, "welcome")).template.updated_by == "import"
    await template_edits.put(world, ADMIN, "welcome", "Mine", 2)
    [old], [other] = await bring(world, of("welcome")), await bring(world, of("welcome", "Other"))
    assert old.reason.startswith("was brought in as welcome@1; by now welcome@3 is in force")
    assert (other.outcome, other.data["value"]) == ("skipped", "Other")
    assert "has written welcome@3, which stays as it is" in other.reason


async def test_what_the_linter_finds_is_said() -> None:
    """A warning is told and saved; an error leaves the text out, with the reason, to be mended."""
    world = World()
    [warned] = await bring(world, of("welcome", "<font>x</font>"))
    assert (warned.outcome, "font" in warned.reason) == ("made", True)
    for look in (True, False):
        [wrong] = await bring(world, of("hello", "{{ name|reverse }}"), look=look, apply=False)
        assert (wrong.outcome, wrong.reason.split(":")[0]) == ("skipped", "cannot be hello")
        assert wrong.data["value"] == "{{ name|reverse }}"


async def test_reasons_for_removals() -> None:
    """From objects, lists and lines; one that is there already stays; an unknown place leaves one out."""
    world = World()
    given = {"rules": "Rules, {{name}}", "gone": {"label": "Gone", "reason": "Away", "message": "Bye {name}"}}
    found = of("removal_reasons", given | {"odd": "{code}", "none": 1})
    assert {entry.key: entry.outcome for entry in found.entries} == dict.fromkeys(
        ("removal_reasons odd", "removal_reasons none"), "skipped"
    )
    entries = await bring(world, found)
    assert [(entry.kind, entry.outcome) for entry in entries] == [("removal reason", "made")] * 2
    stored = (await REMOVAL_REASONS.get(world.documents, "rules")).record
    assert (stored.label, stored.reason, stored.updated_by) == ("Rules", "Rules, {name}", "import")
    assert {entry.outcome for entry in await bring(world, found)} == {"unchanged"}
    lines = [
        of("removal_reasons", value).reasons
        for value in ("Was rude\n\nWas away", ["Was rude", "Was away"], '["Was rude", "Was away"]')
    ]
    assert lines[0] == lines[1] == lines[2]
    assert [(each.id, each.label) for each in lines[0]] == [("was-rude", "Was rude"), ("was-away", "Was away")]


async def test_a_store_that_is_down_fails_each() -> None:
    """Nothing is lost: each is failed, with its reason and what it takes to try it again."""
    world = World()
    texts = of("welcome")
    texts.reasons = of("removal_reasons", ["Was rude"]).reasons
    world.documents.fail_at(1, Unreachable("store", "down"))
    world.documents.fail_at(2, Unreachable("store", "down"))
    entries = await bring(world, texts)
    assert [(entry.outcome, bool(entry.data)) for entry in entries] == [("failed", True)] * 2
    again = drafts_of([OldText(**entry.data) for entry in entries], {})
    world.documents.mend()
    assert {entry.outcome for entry in await bring(world, again)} == {"made"}
