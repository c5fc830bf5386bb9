"""What Authentik's webhook says, in both shapes; anything else is named or ignored, and never runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Invalid
from shared.domain.webhook import Notice, parse

CONTEXT = {"created": True, "username": "ada", "name": "Ada"}
MAPPED = {"event_id": "e-1", "action": "user_write", "context": CONTEXT, "user": {"pk": 7, "username": "ada"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(body: dict[str, Any]) -> Notice:
    return parse(body, json.dumps(body).encode())


def default(text: str, **more: Any) -> dict[str, Any]:
    return {"body": text, "severity": "notice", "event_user_username": "ada", **more}


def test_our_mapping() -> None:
    """Event, action and who it is about."""
    assert read(MAPPED) == Notice("e-1", "user_write", enrolled=True, pk=7, username="ada")


@pytest.mark.parametrize(
    "context", [{}, None, "x", {"created": False, "username": "ada"}, {"created": "true"}, {"created": 1}]
)
def test_only_the_newly_created(context: Any) -> None:
    """`user_write` fires for profile and password changes too: only `created` that is really true counts."""
    assert not read(MAPPED | {"context": context}).enrolled


@pytest.mark.parametrize(
    "action", ["login", "model_created", "invitation_used", "custom_notification_test", "user_write "]
)
def test_other_actions(action: str) -> None:
    """Any other action is no enrollment."""
    assert read(MAPPED | {"action": action}) == Notice("e-1", action, enrolled=False)


def test_who_acted_is_not_always_whom_it_is_about() -> None:
    """The event's user is trusted only where it bears the new account's name."""
    notice = read(MAPPED | {"user": {"pk": 1, "username": "akadmin"}})
    assert (notice.pk, notice.username) == (None, "ada")


@pytest.mark.parametrize("pk", [True, 0, -1, "7", 7.0, None, 2**31, [7]])
def test_a_pk_that_is_none(pk: Any) -> None:
    """Then the username must do."""
    assert read(MAPPED | {"user": {"pk": pk, "username": "ada"}}).pk is None


def test_the_username_of_the_user() -> None:
    """A context without a username: the event's user has it."""
    assert read(MAPPED | {"context": {"created": True}}).username == "ada"


@pytest.mark.parametrize(
    ("field", "value"),
    [("event_id", value) for value in (None, 7, "", "x" * 201, "a\nb", "\ud800", ["e"])]
    + [("action", value) for value in (None, 7, "", "\ud800", "x" * 201)],
)
def test_bad_fields(field: str, value: Any) -> None:
    """A field that is wrong is named."""
    with pytest.raises(Invalid) as raised:
        read(MAPPED | {field: value})
    assert raised.value.errors[0][0] == field


@pytest.mark.parametrize("username", ["", "x" * 151, "a\ud800", None, 7])
def test_a_bad_username(username: Any) -> None:
    """Without a name that can be looked up, nobody is looked up."""
    with pytest.raises(Invalid):
        read(MAPPED | {"context": {"created": True, "username": username}, "user": {}})


@pytest.mark.parametrize("body", [{}, {"a": 1}, {"body": "user_write: {}"}, {"body": 7, "event_user_username": "x"}])
def test_no_notification(body: dict[str, Any]) -> None:
    """What is no notification of Authentik is refused."""
    with pytest.raises(Invalid):
        read(body)


def test_the_default_shape() -> None:
    """Without our mapping the body is a Python repr: read as a literal, its id from the bytes, which retries share."""
    body = default("user_write: {'created': True, 'username': 'ada', 'name': \"O'Neil\"}")
    notice = read(body)
    assert (notice.enrolled, notice.pk, notice.username) == (True, None, "ada")
    assert notice == read(dict(body))
    assert notice.event_id != read(body | {"severity": "alert"}).event_id


@pytest.mark.parametrize(
    "text",
    [
        "login: {}",
        "user_write: {'created': False, 'username': 'ada'}",
        "user_write: {'created': True}",
        "user_write: {'created': True, 'username': ['ada']}",
        "user_write: __import__('os').system('true')",
        "user_write: {'created': True, 'username': open('x').read()}",
        "user_write: {'created': True, 'username': 'ada'",
        "user_write: " + "(" * 5_000,
        "user_write: " + "-" * 5_000 + "1",
        "user_write: {{}: 1}",
        "user_write: {'created': True, 'username': '" + "x" * 151 + "'}",
        "user_write: {'created': True, 'username': '\\ud800'}",
        "user_write: {'n': " + "9" * 6_000 + "}",
        "user_write: \x00",
        "",
        "\ud800: {}",
        "user_write",
    ],
)
def test_a_default_body_that_says_nothing(text: str) -> None:
    """Anything but a literal that says "created" is no enrollment; nothing in it is ever run."""
    assert not parse(default(text), b"raw").enrolled


@given(st.dictionaries(st.sampled_from(["event_id", "action", "context", "user", "body", "event_user_username"]), JSON))
def test_no_body_is_too_odd(body: dict[str, Any]) -> None:
    """Whatever JSON comes, it is read or refused."""
    try:
        notice = parse(body, b"raw")
    except Invalid:
        return
    assert notice.event_id
    notice.username.encode()


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    """Nor any text in Authentik's default shape."""
    assert parse(default("user_write: " + text), b"raw").event_id
