"""Placeholders of the old tool's texts: what is known becomes a variable, what is not stays as text and is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy.names import PLACEHOLDERS
from legacy.placeholders import translate, variable_of
from shared.adapters.templating import JinjaRenderer
from shared.domain.errors import Invalid
from shared.domain.templates import VARIABLES, Link, Person, Value, values_for

VALUES: dict[str, Value] = {"rooms": ["Hiking", "Chess"], "sponsor": "Bob", "recovery_link": Link("https://x.test/r")}


def said(source: str) -> str:
    always = values_for(Person("@ada:x.test", "Ada", "ada"), "x.test", "@bot:x.test", datetime(2030, 1, 31, tzinfo=UTC))
    return JinjaRenderer().render(source, always | VALUES).plain


@pytest.mark.parametrize(
    ("text", "plain", "left"),
    [
        ("Hi {name}", "Hi Ada", []),
        ("Hi {name!r:>10}, {user.username} of {server_name}", "Hi Ada, ada of x.test", []),
        ("Hi {{ user.name }}, {{name | upper}}", "Hi Ada, ADA", []),
        ("Hi {name}, write {{code}} and {{ }}", "Hi Ada, write {code} and { }", ["{{code}}"]),
        ("Hi %(username)s, 100%% yours", "Hi ada, 100% yours", []),
        ("Hi %s, 100%% yours", "Hi %s, 100% yours", ["%s"]),
        ("100%% {name}, 50% sure, $5", "100%% Ada, 50% sure, $5", []),
        ("Hi $name, ${user}, $$5, $cost", "Hi Ada, ada, $5, $cost", ["$cost"]),
        ("Hi <username>, <b>look</b> <your town>", "Hi ada, look <your town>", ["<your town>"]),
        ("Hi {}, {0}, {town}", "Hi {}, {0}, {town}", ["{}", "{0}", "{town}"]),
        ("{room.name} {name}", "{room.name} Ada", ["{room.name}"]),
        ("Hi @{mxid}", "Hi @ada:x.test", []),
        ("{# a note #}{% if inviter %}by {{ inviter }}{% endif %}", "by Bob", []),
        ("{% for r in room_list %}{{ r.name }} {{ r }}.{% endfor %}", "Hiking Hiking.Chess Chess.", []),
        ("[reset]({reset_link})", "reset (https://x.test/r)", []),
        ("a { b } c", "a { b } c", []),
    ],
)
def test_as_python_tools_write_them(text: str, plain: str, left: list[str]) -> None:
    """Each way of writing says the same as it did, and what nobody understands is named."""
    found = translate(text, "welcome")
    assert (said(found.source), found.left, found.blocks) == (plain, left, [])
    assert translate(found.source, "welcome").source == found.source


def test_a_name_that_means_several_is_what_the_template_has() -> None:
    """A link is the invite's in an invite, the recovery link in a welcome; where there is none, it stays as text."""
    assert variable_of("link", "invite_text") == "invite_link"
    assert variable_of("link", "email_recovery") == "recovery_link"
    assert translate("{link} {reset_link}", "indoc_farewell").left == ["{link}", "{reset_link}"]
    assert variable_of("temp_password", "welcome") == ""


def test_conditions_about_what_nobody_knows() -> None:
    """They are named: without them the text would say something else."""
    found = translate("{% if is_admin %}x{% endif %}{% for row in table %}{{ row }}{% endfor %}", "welcome")
    assert found.blocks == ["{% if is_admin %}", "{% for row in table %}"]


def test_the_table_names_variables_that_there_are() -> None:
    """Every entry is one of Muster's variables."""
    assert PLACEHOLDERS.keys() <= VARIABLES.keys()


@given(
    st.lists(
        st.sampled_from(
            ["{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "%", "s", "$", "<", ">", "name", " ", "'", "@", "\\"]
        ),
        max_size=12,
    )
)
def test_odd_braces_never_make_a_hole(parts: list[str]) -> None:
    """Whatever signs stand there: no error but that of a block."""
    found = translate("".join(parts), "welcome")
    try:
        said(f"x {found.source}")
    except Invalid:
        assert "{%" in "".join(parts)
