"""Which steps an onboarding has, from where each starts, and what their states add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.onboarding import (
    ENTRY_POINTS,
    FOLLOWER,
    ON_MATRIX,
    Onboarding,
    Plan,
    Step,
    backoff,
    derived_state,
    looks_up_presence,
    steps_of,
)
from shared.services.actions import ACTIONS, TABLES, actions_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FULL = Plan(rooms=("!a", "#b/c:d", "!a"), groups=("friends",), indoc="!indoc", closes_invite=True)


def onboarding(**fields: Any) -> Onboarding:
    given: dict[str, Any] = {
        "id": "ob_1",
        "source": "webhook",
        "account_pk": 1,
        "uid": "u",
        "username": "ada",
        "name": "Ada",
    }
    return Onboarding(**(given | {"created_at": NOW, "matrix_id": "@ada:fake.test"} | fields))


def states(plan: Plan, **fields: Any) -> dict[str, str]:
    return {step.name: step.state for step in steps_of(onboarding(**fields), plan, NOW)}


def test_all_steps() -> None:
    """Groups, one per room (each once), farewell and removal, hello and welcome, and the invite to be closed."""
    assert states(FULL) == {
        "invitation": "scheduled",
        "groups": "scheduled",
        "room:!a": "scheduled",
        "room:#b%2Fc:d": "scheduled",
        "indoc_farewell": "scheduled",
        "indoc_removal": "pending",
        "hello": "scheduled",
        "welcome": "pending",
    }


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (Plan(), ["hello", "welcome"]),
        (Plan(indoc="!i"), ["indoc_farewell", "indoc_removal", "hello", "welcome"]),
        (Plan(indoc="!i", remove_from_indoc=False), ["hello", "welcome"]),
        (Plan(indoc="!i", send_welcome=False), ["indoc_farewell", "indoc_removal"]),
        (Plan(send_welcome=False), []),
    ],
)
def test_only_what_was_asked_for(plan: Plan, names: list[str]) -> None:
    """Nothing that the settings or the admin did not want; leaving INDOC depends on no room."""
    assert list(states(plan)) == names


def test_held() -> None:
    """Held: the account is deactivated, and everything else waits to be started."""
    found = states(FULL, hold="pending")
    assert found.pop("deactivate") == "scheduled"
    assert found.pop("invitation") == "scheduled"
    assert set(found.values()) == {"pending"}


def test_nobody_knows_their_matrix_id() -> None:
    """What is done on Matrix waits for a person; the groups do not."""
    found = {step.name: step for step in steps_of(onboarding(matrix_id=""), FULL, NOW)}
    assert found["groups"].state == "scheduled"
    waiting = [step for step in found.values() if step.kind in ON_MATRIX]
    assert {(step.state, step.waits_for, step.due_at) for step in waiting} == {("waiting", "person", None)}
    assert all("matrix_id" in step.fix for step in waiting)


def test_one_looks_whether_they_have_logged_in() -> None:
    """One question a member: asked by the farewell, else by the hello, else by a room."""
    assert looks_up_presence(steps_of(onboarding(), FULL, NOW)) == "indoc_farewell"
    assert looks_up_presence(steps_of(onboarding(), Plan(rooms=("!a",)), NOW)) == "hello"
    assert looks_up_presence(steps_of(onboarding(), Plan(rooms=("!a", "!b"), send_welcome=False), NOW)) == "room:!a"
    assert looks_up_presence([]) == ""


@pytest.mark.parametrize(
    ("step_states", "state"),
    [
        ([], "done"),
        (["done", "skipped"], "done"),
        (["done", "waiting"], "waiting"),
        (["done", "pending"], "waiting"),
        (["failed", "waiting"], "failed"),
        (["failed", "scheduled"], "running"),
        (["running", "done"], "running"),
    ],
)
def test_what_the_states_add_up_to(step_states: list[Any], state: str) -> None:
    """Running while anything is open; failed before waiting, since somebody must act."""
    steps = [Step(parent="p", name=str(n), kind="room", state=found) for n, found in enumerate(step_states)]
    assert derived_state("", steps) == state
    assert derived_state("pending", steps) == "held"
    assert derived_state("rejected", steps) == state


def test_backoff() -> None:
    """2 s, doubling, at most five minutes, however many faults."""
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 8, 9, 60)] == [2, 4, 8, 256, 300, 300]


def test_a_new_try_has_a_new_generation() -> None:
    """Cloud Tasks blocks a used name: a step that is scheduled anew gets another one."""
    step = Step(parent="p", name="hello", kind="hello", state="waiting", waits_for="login")
    again = step.scheduled(NOW)
    assert (again.generation, again.state, again.waits_for, again.due_at) == (1, "scheduled", "", NOW)
    assert step.scheduled(NOW, anew=False).generation == 0


def test_an_end_leaves_no_cause_behind() -> None:
    """What went wrong on the way is forgotten with success, and kept with failure."""
    step = Step(parent="p", name="hello", kind="hello", cause="hiccup", fix="wait", code="X", due_at=NOW)
    done = step.ended("done", NOW + timedelta(seconds=1), result={"a": 1})
    assert (done.cause, done.fix, done.code, done.due_at, done.result) == ("", "", "", None, {"a": 1})
    assert step.ended("failed", NOW).cause == "hiccup"


def test_each_kind_has_its_action_and_entry_point() -> None:
    """No step without somebody to run it, and no entry point runs another one's steps."""
    assert set(ACTIONS) == set(ENTRY_POINTS)
    assert all(kind in table() for kind, table in TABLES.items())
    for entry_point in set(ENTRY_POINTS.values()):
        assert {ENTRY_POINTS[kind] for kind in actions_of(entry_point)} == {entry_point}
    assert {ENTRY_POINTS[leader] for leader in FOLLOWER} == {ENTRY_POINTS[name] for name in FOLLOWER.values()}
