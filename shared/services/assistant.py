"""What an assistant suggests for somebody who is to be welcomed: a personal line, and rooms by their interests.

It only suggests: an admin looks at it, and nothing is sent by it. The assistant is told the introduction and nothing
else; rooms are found here. The same question is answered from what was kept, for 30 days. Whatever fails, the welcome
is its template alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from shared.domain import ids
from shared.domain import suggestions as s
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, Limited, MusterError
from shared.domain.introductions import normal
from shared.ports import Put, Used, Write
from shared.repositories import audit_write
from shared.services.assistant_budget import LONGEST_WAIT, Reserved, month, reserve, settle, slow_down
from shared.services.context import Actor, Ports, Terms, log
from shared.services.messaging import salt
from shared.services.recommendations import Recommendation, recommend

KEPT = timedelta(days=30)
MOST_ROOMS = 6

Tell = Callable[[str, dict[str, Any]], Awaitable[None]]
Pause = Callable[[float], Awaitable[Any]]


class Standing(Struct, frozen=True):
    """`tokens`: of this month, with what is reserved just now. `terms`: None while there is no assistant."""

    terms: Terms | None
    tokens: int = 0
    requests: int = 0


class Question(Struct, frozen=True):
    """One that may be asked: answered from what was `kept`, or with what was `reserved` for it."""

    terms: Terms
    introduction: str
    path: str
    kept: s.Suggested | None = None
    reserved: Reserved | None = None


class _Told(Struct):
    """What has come so far of one answer."""

    text: str = ""
    line: str = ""
    used: Used | None = None
    cause: str = "it was cancelled"


async def standing(ports: Ports) -> Standing:
    """Reads one document; asks nobody."""
    if ports.policy.assistant is None:
        return Standing(None)
    now = await month(ports)
    return Standing(ports.policy.assistant, now.tokens, now.requests)


async def question(ports: Ports, introduction: str) -> Question:
    """Raises `Conflict` while there is no assistant, `TooMany`, `Invalid`. What it reserves, `answer` settles."""
    terms = ports.policy.assistant
    if terms is None:
        fix = "Write a line yourself, or set ASSISTANT_URL, ASSISTANT_API_KEY and ASSISTANT_MODEL."
        raise Conflict("there is no assistant here", fix)
    text = s.sendable(introduction)
    if len(text) < 3:
        raise Invalid.field("introduction", "expected some words of what they wrote")
    path = await _path(ports, terms, text)
    document = await ports.documents.get(path)
    if document:
        return Question(terms, introduction, path, kept=s.Suggested.of(document.data))
    return Question(terms, introduction, path, reserved=await reserve(ports, terms, s.estimate(text)))


async def _path(ports: Ports, terms: Terms, text: str) -> str:
    """Keyed: the id must not tell who has guessed what somebody wrote that they were right."""
    words = " ".join(normal(text).split())
    return f"suggestions/{ids.digest(await salt(ports), s.VERSION, terms.host, terms.model, words, length=32)}"


async def answer(ports: Ports, actor: Actor, asked: Question, tell: Tell, pause: Pause) -> None:
    """Tells, in this order: `waiting` where it must wait for its turn, each `line` so far, the last one with `done`;
    `rooms`; `usage`. Raises what the assistant fails with. One audit record, whatever happens: who, how many tokens,
    never the text."""
    found, tokens, exact = await _suggestion(ports, actor, asked, tell, pause)
    await tell("line", {"line": found.line, "done": True, "why": found.why})
    await tell("rooms", await _rooms(ports, asked.introduction, found.interests))
    now = await month(ports)
    usage = {"tokens": tokens, "estimated": not exact, "kept": asked.kept is not None}
    await tell("usage", usage | {"month": now.tokens, "cap": asked.terms.monthly_tokens})


async def _suggestion(
    ports: Ports, actor: Actor, asked: Question, tell: Tell, pause: Pause
) -> tuple[s.Suggestion, int, bool]:
    """And the tokens, and whether who provides it has counted them."""
    if asked.reserved is None:
        kept = asked.kept
        await ports.documents.write(_audited(ports, actor, asked, "done", 0))
        return (s.Suggestion(kept.line, kept.interests, kept.why) if kept else s.Suggestion()), 0, True
    so_far, outcome = _Told(), "failed"
    try:
        await _asked(ports, asked, asked.reserved, so_far, tell, pause)
        outcome = "done"
    except MusterError as error:
        so_far.cause = error.cause
        raise
    finally:
        tokens = so_far.used.total if so_far.used else asked.reserved.tokens if so_far.text else 0
        found = s.understood(so_far.text)
        writes: list[Write] = [_audited(ports, actor, asked, outcome, tokens, so_far.cause)]
        if outcome == "done" and (found.line or found.interests):
            writes.append(_keep(ports, asked, found))
        await asyncio.shield(settle(ports, asked.reserved, tokens, writes))  # also where nobody waits for it any more
    return found, tokens, so_far.used is not None


async def _asked(ports: Ports, asked: Question, reserved: Reserved, so_far: _Told, tell: Tell, pause: Pause) -> None:
    """When its turn has come; once more where who provides it asks for a moment's patience."""

    async def told(piece: str) -> None:
        so_far.text += piece
        line = s.line_so_far(so_far.text)
        if line != so_far.line and line:
            so_far.line = line
            await tell("line", {"line": line, "done": False, "why": ""})

    async def waited(seconds: float) -> None:
        if seconds > 0:
            await tell("waiting", {"seconds": round(seconds, 1)})
            await pause(seconds)

    text = s.sendable(asked.introduction)
    assistant = await ports.assistant()
    await waited(reserved.wait)
    try:
        so_far.used = await assistant.answer(s.PROMPT, text, s.MOST_TOKENS, told)
    except Limited as error:
        await slow_down(ports, asked.terms, reserved, error.after)
        if reserved.wait + error.after > LONGEST_WAIT:
            raise
        await waited(error.after)
        so_far.used = await assistant.answer(s.PROMPT, text, s.MOST_TOKENS, told)


def _keep(ports: Ports, asked: Question, found: s.Suggestion) -> Put:
    now = ports.now()
    kept = s.Suggested(line=found.line, interests=found.interests, why=found.why, at=now, expire_at=now + KEPT)
    return Put(asked.path, kept.data())


def _audited(ports: Ports, actor: Actor, asked: Question, outcome: str, tokens: int, cause: str = "") -> Write:
    distinct = f"{ports.chance():032x}"
    record = audit(ports.now(), actor.name, "assistant.suggest", asked.terms.host, distinct, source=actor.source)
    detail: dict[str, Any] = {"tokens": tokens, "model": asked.terms.model, "kept": asked.kept is not None}
    return audit_write(record.but(outcome=outcome, detail=detail | ({"cause": cause} if outcome == "failed" else {})))


async def _rooms(ports: Ports, introduction: str, interests: Sequence[str]) -> dict[str, Any]:
    """What fails here leaves the line as it is."""
    try:
        items = await rooms_for(ports, introduction, interests)
    except MusterError as error:
        log.warning("no rooms for a suggestion", extra={"fields": {"cause": error.cause}})
        return {"items": [], "problem": {"detail": error.cause, "fix": error.fix}}
    rows = [{"room_id": each.room_id, "name": each.name, "because": each.because} for each in items]
    return {"items": rows, "problem": None}


async def rooms_for(ports: Ports, introduction: str, interests: Sequence[str]) -> Sequence[Recommendation]:
    """By the recommender alone, so only those that there are and that may be recommended. What the introduction
    refuses stays refused, whatever the assistant makes of it."""
    own = await recommend(ports, introduction, MOST_ROOMS)
    refused = {word for each in own.unwanted for word in each.casefold().split()}
    wanted = [each for each in interests if not refused & set(each.casefold().split())]
    return (await recommend(ports, ".\n".join(wanted), MOST_ROOMS)).items if wanted else own.items
