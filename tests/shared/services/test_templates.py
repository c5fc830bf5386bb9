"""Templates: which one counts, that its version is in the message, and how admins change them without losing anything."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain import messages
from shared.domain.errors import Conflict, Invalid, NotFound
from shared.domain.template_defaults import BUILT_IN
from shared.domain.templates import REDACTED, Link, Name, Person, candidates, named
from shared.services import template_checks, template_edits, template_trials, templates
from shared.services.context import Actor
from tests.shared.services.test_encryption import keys, sealing
from tests.world import ADMIN, World

ADA = Person("@ada:fake.test", "Ada", "ada")


async def put(world: World, template: str, source: str, seen: int = 0) -> template_edits.Saved:
    return await template_edits.put(world, ADMIN, template, source, seen)


async def test_the_nearest_template_counts() -> None:
    """That of the invite before a bundle's, that before the language's, that before the default, that before the built-in."""
    world = World()
    where = {"invite": "inv_1", "bundles": ("hikers", "cooks"), "language": "de-AT"}
    order = ["welcome", "welcome.language.de", "welcome.bundle.cooks", "welcome.bundle.hikers", "welcome.invite.inv_1"]
    for template in order:
        found = await templates.chosen(world, "welcome", **where)  # type: ignore[arg-type]
        assert found.template != f"{template}@1"
        await put(world, template, f"{template}, {{display_name}}")
        found = await templates.chosen(world, "welcome", **where)  # type: ignore[arg-type]
        if template != "welcome" or "welcome.language.de" not in BUILT_IN:
            assert (found.template, found.source) == (f"{template}@1", f"{template}, {{display_name}}")
    assert (await templates.chosen(world, "welcome")).template == "welcome@1"
    assert (await templates.chosen(world, "hello")).template == "hello@0"
    await template_edits.remove(world, ADMIN, "welcome.invite.inv_1")
    assert (await templates.chosen(world, "welcome", **where)).template == "welcome.bundle.hikers@1"  # type: ignore[arg-type]


def test_odd_ids_are_no_templates() -> None:
    """An id is a purpose or a variant of it; what could not be one is no candidate and no document."""
    assert named("welcome.language.de") == Name("welcome", "language", "de")
    for odd in (
        "",
        "nothing",
        "welcome.",
        "welcome.moon.x",
        "welcome.language.",
        "welcome/versions",
        "welcome.language.a.b",
    ):
        with pytest.raises(NotFound):
            named(odd)
    assert candidates("hello", invite="a/b", bundles=["x y"], language="../de") == ["hello"]


async def test_a_message_says_what_it_was_made_from() -> None:
    """Template and version are in the content, beside the step; a text written for this once is named so."""
    world = World()
    await put(world, "hello", "Hi **{display_name}**")
    said = await templates.compose(world, "hello", ADA, {}, marker="m1")
    assert (said.template, said.content[messages.TEMPLATE], said.content[messages.MARKER]) == (
        "hello@1",
        "hello@1",
        "m1",
    )
    assert (said.content["body"], said.content["formatted_body"]) == ("Hi Ada", "Hi <strong>Ada</strong>")
    own = await templates.written(world, "{mention}: {rooms}", ADA, {"rooms": ["a"]}, marker="m2")
    assert (own.template, own.content["m.mentions"]) == ("written", {"user_ids": [ADA.matrix_id]})
    with pytest.raises(Invalid, match="sponsor"):
        await templates.written(world, "{sponsor}", ADA, {}, marker="m3")


async def test_a_recovery_link_is_sent_and_not_kept() -> None:
    """The link is in the message alone: what may be kept of it has words in its place."""
    link = Link("https://id.test/?token=s3cret", REDACTED)
    said = await templates.compose(World(), "welcome", ADA, {"recovery_link": link}, marker="m")
    assert "s3cret" in said.content["body"]
    assert "s3cret" in said.content["formatted_body"]
    assert "s3cret" not in said.kept
    assert REDACTED in said.kept


async def test_nobody_stays_without_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """A stored text that this release cannot use, or that comes to nothing, is said in the log; the built-in one is sent."""
    world = World()
    await put(world, "hello", "{% if sponsor %}{sponsor} says hello{% endif %}{% if not sponsor %}Hi{% endif %}")
    path = templates.TEMPLATES.path("hello")
    for broken in ("{gone}", "{% if sponsor %}x{% endif %}", "{% nonsense %}"):
        document = await world.documents.get(path)
        assert document is not None
        stored = templates.TEMPLATES.stored(document)
        await world.documents.write(stored.replaced(stored.record.but(source=broken)))
        caplog.clear()
        said = await templates.compose(world, "hello", ADA, {}, marker="m")
        assert (said.template, said.content["body"][:9]) == ("hello@0", "Hello Ada")
        assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_versions_never_change() -> None:
    """Each save is a new number; older texts can be read and restored; a removed variant keeps its versions and numbers."""
    world = World()
    for number, text in enumerate(("one", "two")):
        await put(world, "hello.language.fr", text, number)
    restored = await template_edits.restore(world, ADMIN, "hello.language.fr", 1, 2)
    assert (restored.template.current, restored.template.source) == (3, "one")
    await template_edits.remove(world, ADMIN, "hello.language.fr", 3)
    assert "hello.language.fr" not in [each.id for each in await template_edits.listing(world)]
    saved = await put(world, "hello.language.fr", "four", 0)
    assert saved.template.current == 4
    detail = await template_edits.detail(world, "hello.language.fr")
    assert [(each.number, each.source, each.restored) for each in detail.versions] == [
        (4, "four", None), (3, "one", 1), (2, "two", None), (1, "one", None),
    ]  # fmt: skip
    assert sorted(each["action"] for each in await world.audits()) == [
        "template.delete", "template.put", "template.put", "template.put", "template.restore",
    ]  # fmt: skip
    back = await template_edits.restore(world, ADMIN, "hello", 0, 0)
    assert back.template.current == 0
    with pytest.raises(NotFound):
        await template_edits.version(world, "hello.language.fr", 0)


async def test_two_admins_at_once() -> None:
    """Of two who have seen the same version one is told; the same text again is no new version."""
    world = World()
    found = await asyncio.gather(*(put(world, "hello", f"text {n}") for n in range(8)), return_exceptions=True)
    won = [each for each in found if isinstance(each, template_edits.Saved)]
    lost = [each for each in found if isinstance(each, Conflict)]
    assert (len(won), len(lost)) == (1, 7)
    assert all("another version by now" in each.cause and each.fix for each in lost)
    again = await put(world, "hello", won[0].template.source)
    assert (again.template.current, again.template.latest) == (1, 1)
    with pytest.raises(Conflict):
        await template_edits.remove(world, ADMIN, "hello")


async def test_the_linter() -> None:
    """Each fault is found where it stands; what is only doubtful is a warning, and can be saved."""
    world = World()
    [room] = world.furnish(1, alias="ops")
    cases = {
        "Hi {nobody}": ("error", "unknown_variable", 1),
        "Hi\n{invite_link}": ("error", "unknown_variable", 2),
        "a\nb {% if %}": ("error", "syntax", 2),
        "{% if sponsor %}": ("error", "syntax", 1),
        "Hi @{mention}": ("error", "double_at", 1),
        "Hi @@room": ("error", "double_at", 1),
        "{% if date == '' %}x{% endif %}": ("error", "no_text", 0),
        "{sponsor}": ("warning", "no_text", 0),
        "{% for room in rooms %}" + "{display_name} " * 60 + "{% endfor %}": ("error", "too_large", 0),
        "{% for room in rooms %}" + "{display_name} " * 4 + "{% endfor %}": ("error", "too_large", 0),
        "x\n<font>x</font>": ("warning", "dropped_html", 2),
        "Come to #gone:fake.test": ("warning", "dead_room", 1),
        "See\n\nhttps://matrix.to/#/!gone:fake.test": ("warning", "dead_room", 3),
        "[x](https://matrix.to/#/%23gone:fake.test?via=a)": ("warning", "dead_room", 1),
    }
    for source, expected in cases.items():
        found = [
            (each.level, each.code, each.line) for each in await template_checks.findings(world, "welcome", source)
        ]
        assert expected in found, (source, found)
    good = f"Hi {{mention}}, see #ops:fake.test or https://matrix.to/#/{room}; write to {{bot}} at 12:00. #1 & !x"
    assert await template_checks.findings(world, "welcome", good) == []
    for purpose in ("indoc_farewell", "invite_text", "notice"):
        codes = [each.code for each in await template_checks.findings(world, purpose, "x {recovery_link}")]
        assert codes == ["recovery_link"]
    assert [each.code for each in await template_checks.findings(world, "indoc_nudge", "{matrix_id}!")] == ["bare_id"]
    with pytest.raises(Invalid, match="nobody"):
        await put(world, "welcome", "Hi {nobody}")
    saved = await put(world, "welcome", "Come to #gone:fake.test")
    assert [each.code for each in saved.findings] == ["dead_room"]


@pytest.mark.parametrize("template", BUILT_IN)
async def test_built_in_texts_have_no_findings(template: str) -> None:
    """What we ship passes its own linter."""
    found = await template_checks.findings(World(), named(template).purpose, BUILT_IN[template])
    assert found == []


async def test_an_onboarding_by_own_words() -> None:
    """Each message of an onboarding follows the admin's template, and its step says which version it was."""
    world = World()
    world.furnish(2)
    await put(world, "hello", "Hi {display_name} ({username})")
    await put(world, "welcome", "Rooms: {rooms}")
    await put(world, "indoc_farewell", "Bye {mention}")
    account = await world.member("ada")
    verdict = await world.enrolled("ada")
    await world.live()
    steps = await world.steps(verdict.onboarding)
    made = {name: steps[name].result["template"] for name in ("hello", "welcome", "indoc_farewell")}
    assert made == {"hello": "hello@1", "welcome": "welcome@1", "indoc_farewell": "indoc_farewell@1"}
    [direct] = world.direct_rooms_of(f"@{account.username}:fake.test")
    assert [event["content"]["body"] for event in direct.events][1] == "Rooms: Room 0, Room 1"
    assert [event["content"][messages.TEMPLATE] for event in direct.events] == ["hello@1", "welcome@1"]


async def test_their_language_and_who_vouched() -> None:
    """A member is greeted in the language that Authentik keeps of them, and hears who vouched for them."""
    world = World()
    world.furnish(1)
    account = await world.member("ada", sponsor="Eve")
    world.authentik._accounts[account.pk] = replace(
        account, attributes=account.attributes | {"settings": {"locale": "de_AT"}}
    )
    await world.enrolled("ada")
    await world.live()
    [direct] = world.direct_rooms_of("@ada:fake.test")
    hello, welcome = (event["content"] for event in direct.events)
    assert (hello["body"][:9], hello[messages.TEMPLATE]) == ("Hallo Ada", "hello.language.de@0")
    assert "Eve hat für dich gebürgt" in welcome["body"]
    assert "- Room 0" in welcome["body"]


async def test_a_stored_letter_keeps_its_version() -> None:
    """A sealed message that is sent again is the one that was made before: the step names that version, not today's."""
    world = sealing(rooms=1)
    keys(world).add_device("@ada:fake.test", "PHONE", name="Phone")
    await world.member("ada")
    verdict = await world.enrolled("ada")
    await world.work()
    steps = await world.steps(verdict.onboarding)
    assert steps["hello"].result["template"] == "hello@0"
    [letter] = [each for each in await world.documents_in("letters") if each["step"].endswith("/hello")]
    assert letter["template"] == "hello@0"


@pytest.mark.parametrize(("actor", "to"), [(ADMIN, "@eve:fake.test"), (Actor("user:eve"), "")])
async def test_send_to_me(actor: Actor, to: str) -> None:
    """A template is said to one person by a job of one step, filled with samples; a key needs somebody named."""
    world = World()
    member = world.homeserver.add_user("@eve:fake.test")
    await put(world, "welcome", "Draft {rooms} {recovery_link}")
    tried = await template_trials.start(world, actor, template_trials.Wanted("welcome", to), dry_run=True)
    assert (tried.job.matrix_id, world.queue.tasks) == (member, {})
    job = await template_trials.start(world, actor, template_trials.Wanted("welcome", to, key="k", body="b"))
    again = await template_trials.start(world, actor, template_trials.Wanted("welcome", to, key="k", body="b"))
    assert again.job.id == job.job.id
    await world.work()
    [direct] = world.direct_rooms_of(member)
    [event] = direct.events
    assert event["content"]["body"].startswith("Draft Hiking, Board games")
    assert event["content"][messages.TEMPLATE] == "welcome@1"
    with pytest.raises(Invalid, match="nobody"):
        await template_trials.start(world, actor, template_trials.Wanted("welcome", to, source="{nobody}"))
    with pytest.raises(Invalid, match="an API key is nobody's"):
        await template_trials.start(world, ADMIN, template_trials.Wanted("welcome"))


async def test_a_choice_is_remembered_but_not_for_each_invite() -> None:
    """A process reads once for many messages; what it would keep for ever, one for each invite, it does not keep."""
    world = World()
    asked: list[str] = []

    async def remember(key: str, seconds: float, find):  # type: ignore[no-untyped-def]
        asked.append(key)
        assert 0 < seconds <= 60
        return await find()

    world.remember = remember  # type: ignore[method-assign]
    await templates.compose(world, "hello", ADA, {}, marker="m", language="de")
    await templates.compose(world, "hello", ADA, {}, marker="m", invite="inv_1")
    assert asked == ["template hello.language.de hello"]


async def test_a_room_without_an_answer_has_no_name() -> None:
    """A welcome does not wait for names: a room that cannot be asked for is one without a name."""
    from shared.services.room_names import UNNAMED, names_of

    world = World(policy=replace(World().policy, welcome_delay=timedelta(0).total_seconds()))
    [room] = world.furnish(1)
    assert await names_of(world, [room, "!gone:fake.test", "#gone:fake.test"]) == ["#gone:fake.test", UNNAMED, "Room 0"]
