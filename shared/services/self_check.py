"""Is everything as it must be? Each finding says what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from shared.domain.errors import MusterError, Refused
from shared.ports import Chat, Finding, Put
from shared.services import breakers, cache_check, device_watch, signal_bridge, watch_check
from shared.services.context import Policy, Ports, log
from shared.services.enroll import LAST_WEBHOOK
from shared.services.managed import room_id_of
from shared.services.resume import HEARTBEAT

STALE = timedelta(minutes=30)


async def self_check(ports: Ports, problems: Sequence[str], where: str = "") -> list[Finding]:
    """`problems`: what the settings say of themselves. `where`: for commands, the options that name region and project
    in Google Cloud. Every part is looked at, side by side; one that cannot be is a finding of its own."""
    parts: dict[str, Callable[[Ports], Awaitable[list[Finding]]]] = {
        "store": _store,
        "tasks": lambda p: p.queue.check(),
        "authentik": _authentik,
        "matrix": _matrix,
        "matrix device": _device,
        "matrix sync device": watch_check.seen,
        signal_bridge.CHECK: signal_bridge.check,
        "mail": _mail,
        "cache": cache_check.check,
        "neighbours": _neighbours,
        "sweep": lambda p: _sweep(p, where),
        "webhook": _webhook,
    }
    found = await asyncio.gather(*(_safely(ports, name, part) for name, part in parts.items()))
    return [*_settings(problems), *(finding for findings in found for finding in findings)]


async def _safely(ports: Ports, name: str, part: Callable[[Ports], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        async with asyncio.timeout(25):
            return await part(ports)
    except MusterError as error:
        return [Finding(name, ok=False, detail=error.cause, fix=error.fix)]
    except TimeoutError:
        return [Finding(name, ok=False, detail="no answer within 25 seconds", fix=f"Look whether {name} is reachable.")]
    except Exception as error:  # a mistake of ours in one part hides none of the others
        log.exception("a part of the self-check crashed", extra={"fields": {"part": name}})
        detail = f"Muster failed ({type(error).__name__})"
        return [Finding(name, ok=False, detail=detail, fix="Look into the logs.")]


def _settings(problems: Sequence[str]) -> list[Finding]:
    fix = "Set it in the function's environment (or .env), then deploy again."
    return [Finding("settings", ok=False, detail=problem, fix=fix) for problem in problems] or [
        Finding("settings", ok=True, detail="complete")
    ]


async def _store(ports: Ports) -> list[Finding]:
    await ports.documents.write(Put("heartbeats/self_check", {"v": 1, "at": ports.now()}))
    read = await ports.documents.get("heartbeats/self_check")
    return [Finding("store", ok=read is not None, detail="written and read back" if read else "written, not found")]


async def _authentik(ports: Ports) -> list[Finding]:
    return await (await ports.directory()).check()


async def _matrix(ports: Ports) -> list[Finding]:
    chat, policy = await ports.chat(), ports.policy
    found: dict[str, str] = {}
    unknown: list[Finding] = []
    for room in dict.fromkeys((*policy.default_rooms, policy.indoc)):
        try:
            found[room] = await room_id_of(ports, room) if room else ""
        except Refused as error:
            unknown.append(Finding(f"matrix room {room}", ok=False, detail=error.cause, fix=error.fix))
    rooms = [found[room] for room in policy.default_rooms if room in found]
    return [*await chat.check(rooms, found.get(policy.indoc, "")), *await _membership(chat, policy), *unknown]


async def _membership(chat: Chat, policy: Policy) -> list[Finding]:
    """Whether members can be joined at once, where that is wanted."""
    if policy.membership != "join":
        return []
    if await chat.may_join_members():
        return [Finding("matrix membership", ok=True, detail="members are joined at once")]
    detail = "MATRIX_MEMBERSHIP is join, and the bot is no admin of the homeserver: members are invited instead"
    user = (await chat.whoami()).user_id
    fix = (
        f'Let an admin of the homeserver make it one: PUT /_synapse/admin/v2/users/{user} {{"admin": true}}. '
        "It may then do everything there. Or set MATRIX_MEMBERSHIP=invite."
    )
    return [Finding("matrix membership", ok=False, detail=detail, fix=fix)]


async def _device(ports: Ports) -> list[Finding]:
    return await device_watch.seen(ports) if ports.policy.encrypt else []


async def _mail(ports: Ports) -> list[Finding]:
    """Set up by half, the settings say so."""
    post = await ports.post()
    return await post.check() if post else [Finding("mail server", ok=True, detail="e-mail is off")]


async def _neighbours(ports: Ports) -> list[Finding]:
    down = await breakers.all_open(ports)
    if not down:
        return [Finding("neighbours", ok=True, detail="none is down")]
    fix = "Bring it back; what waits for it then goes on by itself."
    return [Finding("neighbours", ok=False, detail=breaker.words(), fix=fix) for breaker in down]


async def _sweep(ports: Ports, where: str) -> list[Finding]:
    command = f"gcloud scheduler jobs run muster-resume-onboardings {where}" if where else ""
    document = await ports.documents.get(HEARTBEAT)
    if document is None:
        return [
            Finding(
                "sweep", ok=False, detail="resume_onboardings never ran", fix="Set up its schedule.", command=command
            )
        ]
    age = ports.now() - document.data["at"]
    failed = [f"{part}: {cause}" for part, cause in document.data.get("failed", {}).items()]
    detail = f"last run {int(age.total_seconds())} s ago" + (f"; failed: {'; '.join(failed)}" if failed else "")
    fix = "Look at the schedule and its logs."
    return [Finding("sweep", ok=age < STALE and not failed, detail=detail, fix=fix, command=command)]


async def _webhook(ports: Ports) -> list[Finding]:
    document = await ports.documents.get(LAST_WEBHOOK)
    if document is None:
        return [Finding("webhook", ok=True, detail="none has come yet", fix="Send one: Authentik, transport, Test.")]
    age = int((ports.now() - document.data["at"]).total_seconds())
    return [Finding("webhook", ok=True, detail=f"the last accepted one came {age} s ago")]
