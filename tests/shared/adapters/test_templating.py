"""Templates as they are rendered: what they may do, and that no value is ever more than text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.markdown import TAGS
from shared.adapters.templating import JinjaRenderer
from shared.domain.errors import Invalid
from shared.domain.template_defaults import BUILT_IN
from shared.domain.template_lint import sample_values, samples
from shared.domain.templates import REDACTED, VARIABLES, Link, Person, Rendered, Value, values_for

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
RENDERER = JinjaRenderer()
EVERYWHERE = """\
# {display_name} & {username}

Hi **{display_name}**, _{username}_, `{reason}` {sponsor}@{display_name} [{display_name}](https://e.test/{username})
[out]({display_name}) <https://e.test/{reason}> {% if sponsor %}{sponsor|upper}{% endif %} \\{display_name}

- {rooms}
{% for room in rooms %}
- {room}
{% endfor %}

> {text}

| {display_name} | b |
|---|---|
| {reason} | {rooms|join(" + ")} |

```{username}
{text}
```

    {display_name}

<b>{display_name}</b> {date}

[ref]

[ref]: https://e.test/?q={sponsor}
"""
NASTY = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="*_`[]()<>!#\\&;:/@{}%|\n\t ~-+.'\"=\ue000\ue0010123", max_size=60),
    st.sampled_from(
        [
            "**x** <img src=x> [a](javascript:alert(1))",
            "](https://evil.test) <script>alert(1)</script>",
            "https://evil.test www.evil.test @room @ada:fake.test #room:fake.test",
            "{recovery_link} {% for x in y %} {{7*7}} \ue0000\ue001",
            "&lt;img&gt; &#60;b&#62; &copy",
            "\n\n# head\n\n- item\n\n```\ncode",
            "\u202eabc\u2066\u200f\u05e9\u05dc\u05d5\u05dd",
            "javascript:alert(1)",
        ]
    ),
)


class Seen(HTMLParser):
    """The tags and addresses of a text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def render(source: str, name: str = "Ada", **values: Value) -> Rendered:
    person = Person("@ada:fake.test", name, "ada")
    return RENDERER.render(source, values_for(person, "fake.test", "@bot:fake.test", AT) | values)


@given(NASTY, NASTY, NASTY, st.lists(NASTY, min_size=1, max_size=3))
def test_no_value_is_markup(name: str, username: str, other: str, rooms: list[str]) -> None:
    """Whatever stands in the values: no tag, no link to elsewhere and no mention that the template does not have."""
    person = Person("@ada:fake.test", name, username)
    always = values_for(person, "fake.test", "@bot:fake.test", AT)
    more: dict[str, Value] = {"rooms": rooms, "sponsor": other, "reason": other, "text": other}
    seen = RENDERER.render(EVERYWHERE, always | more)
    found = Seen(seen.html)
    harmless = RENDERER.render(EVERYWHERE, always | dict.fromkeys(("username", "display_name"), "x") | {
        "rooms": ["x"] * len(rooms), "sponsor": "x" if other else "", "reason": "x", "text": "x"
    })  # fmt: skip
    assert set(found.tags) - {"br"} <= set(Seen(harmless.html).tags) <= TAGS
    assert found.tags.count("a") <= Seen(harmless.html).tags.count("a")
    assert all(link.startswith("https://e.test/") for link in found.links), found.links
    assert seen.mentions == ()
    assert "\ue000" not in seen.html + seen.plain


@given(NASTY)
def test_a_mention_is_of_its_member_alone(name: str) -> None:
    """A real pill: the id in the link and in m.mentions, their name to be read, never a bare id, never a double @."""
    seen = render("@{mention}, hi", name)
    assert seen.mentions == ("@ada:fake.test",)
    assert Seen(seen.html).links == ["https://matrix.to/#/@ada:fake.test"]
    assert Seen(seen.html).tags == ["a"]
    assert not seen.plain.startswith(("@@", "@ada:fake.test"))
    assert "matrix.to" not in seen.plain.removeprefix(name)


@given(st.text(max_size=200), st.text(alphabet="{}%#|*_`[]()<>-\n abrooms if else endif for in '\"~+", max_size=200))
def test_any_source_is_rendered_or_refused(text: str, odd: str) -> None:
    """Whatever an admin types is a message, or a refusal of the field `source`; never anything else."""
    for source in (text, odd, "{% if rooms %}" + odd + "{% endif %}"):
        refused: list[str] = []
        try:
            seen = render(source, rooms=["a", "b"])
        except Invalid as error:
            refused = [field for field, _ in error.errors]
        assert refused == ["source"] or set(Seen(seen.html).tags) <= TAGS


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{nobody}", "{nobody} is not known; expected one of {display_name}"),
        ("a\nb {% if %}", "line 2:"),
        ("{% if rooms %}", "line 1:"),
        ("{display_name.upper()}", "cannot do this (call)"),
        ("{display_name.__class__}", "cannot do this (getattr)"),
        ("{7 * 7}", "cannot do this (mul)"),
        ("{'x' * 10}", "cannot do this (mul)"),
        ("{range(9)}", "cannot do this (call)"),
        ("{% set x = 1 %}", "cannot do this (assign)"),
        ("{% include 'x' %}", "cannot do this (include)"),
        ("{% macro x() %}{% endmacro %}", "cannot do this (macro)"),
        ("{'x'|center(9999999)}", "there is no 'center'"),
        ("{% for a in display_name %}{% endfor %}", "a loop can only be"),
        ("{% for a in rooms %}{% for b in rooms %}{% endfor %}{% endfor %}", "not within another"),
        ("{% for a in rooms recursive %}{% endfor %}", "a loop can only be"),
        ("{rooms|join(', ', attribute='x')}", "one thing at most"),
        ("{% if rooms is divisibleby(3) %}{% endif %}", "there is no test"),
        ("<a href='{display_name}'>x</a>", "within an HTML tag"),
        ("{% if a %}" * 200 + "{% endif %}" * 200, "within one another"),
        ("{" + "(" * 5000 + "1" + ")" * 5000 + "}", "within one another"),
        ("x" * 20_001, "expected at most 20,000"),
        ("\ue0000\ue001", "private use"),
        ("{% if hours > 5 %}x{% endif %}", "cannot be filled in"),
    ],
)
def test_what_a_template_cannot_do(source: str, words: str) -> None:
    """It names variables, asks conditions and goes through the rooms: all else is refused, with the place and the reason."""
    with pytest.raises(Invalid, match=re.escape(words)):
        render(source, hours="4")


def test_what_becomes_too_long_is_refused() -> None:
    """A short template cannot make a message without end."""
    with pytest.raises(Invalid, match="longer than"):
        render("{% for room in rooms %}" + "{text}" * 20 + "{% endfor %}", rooms=["r"] * 500, text="x" * 500)


def test_the_forms_of_a_message() -> None:
    """Plain text to be read as it stands, and HTML of the specification's tags."""
    seen = render(
        "## Hi {display_name}\n\nOne\ntwo [site](https://e.test/a?b=1&c=2), <https://e.test>\n\n"
        "1. first\n2. second\n   - *inner*\n\n> said\n> **so**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n~~no~~ `code`"
    )
    assert seen.plain == (
        "Hi Ada\n\nOne\ntwo site (https://e.test/a?b=1&c=2), https://e.test\n\n"
        "1. first\n2. second\n   - inner\n\n> said\n> so\n\na | b\n1 | 2\n\n---\n\nno code"
    )
    assert "<h2>Hi Ada</h2>" in seen.html
    assert 'One<br>\ntwo <a href="https://e.test/a?b=1&amp;c=2">site</a>' in seen.html
    assert set(Seen(seen.html).tags) <= TAGS


@pytest.mark.parametrize(
    ("source", "html", "dropped"),
    [
        ("<font color='red'>x</font>", "x", ("<font>",)),
        ("<span data-mx-color='#ff0000' style='x'>x</span>", '<span data-mx-color="#ff0000">x</span>', ("style of <span>",)),
        ("x <script>alert(1)</script>", "x ", ("<script>",)),
        ("<a href='javascript:x'>x</a>", "<a>x</a>", ("href of <a>",)),
        ("<img src='https://e.test/x.png'>", "<img>", ("src of <img>",)),
        ("<u>x</u><br>y", "<u>x</u><br>y", ()),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))", ()),
    ],
)  # fmt: skip
def test_html_of_a_template(source: str, html: str, dropped: tuple[str, ...]) -> None:
    """What clients would drop is dropped here, and named."""
    seen = render(source)
    assert (seen.html.strip(), seen.dropped) == (html.strip(), dropped)


def test_a_recovery_link_is_not_kept() -> None:
    """The link is in what is sent, as text and as link, and in nothing that is kept of it."""
    secret = "https://id.test/recovery/?token=s3cret&x=1"
    seen = render(
        "Go: {recovery_link}, or [here]({recovery_link}) {recovery_link|upper}", recovery_link=Link(secret, REDACTED)
    )
    assert seen.plain.count(secret) == 2
    assert Seen(seen.html).links == [secret, secret]
    assert "s3cret" not in seen.kept
    assert seen.kept.count(REDACTED) == 2


def test_what_is_not_there_is_empty() -> None:
    """A variable without a value leaves no hole that anybody could see, and is false in a condition."""
    assert render("Hi{sponsor}!{% if sponsor %} {sponsor}{% endif %}{% for r in rooms %}{r}{% endfor %}").plain == "Hi!"
    assert render("{rooms}", rooms=["a", "b"]).plain == "a, b"
    assert render("{{ display_name }}").plain == "Ada"


@pytest.mark.parametrize("template", BUILT_IN)
def test_built_in_texts(template: str) -> None:
    """Each of them is a message for every sample, with everything known and with nothing."""
    for sample in samples("fake.test"):
        always = values_for(sample.person, "fake.test", "@bot:fake.test", AT)
        seen = RENDERER.render(BUILT_IN[template], always | sample_values(sample, "fake.test"))
        assert seen.plain
        assert not re.search(r"[{}]|%\}|\ue000| ,|  ", seen.plain), seen.plain
        assert len(seen.html) < 20_000
    assert RENDERER.variables(BUILT_IN[template]) <= VARIABLES.keys()
