"""Events of the stand-in, and the webhooks that its notification rule sends for two kinds of them.

As observed: one POST per event, tried at 0, 39, 70, 125, 214 and 425 s until the answer is below 400, then lost
without a trace. With our mappings the body is that of infra/authentik/blueprint.yaml, signed; without (a
`webhook_body` of "default") it is Authentik's own, and a shared secret is all that vouches for it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from local.authentik_state import Row, State, now
from local.loopback import LOOPBACK

ATTEMPTS = (0, 39, 70, 125, 214, 425)  # seconds after the event
MASKED = re.compile("API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE", re.IGNORECASE)


class Hooks:
    def __init__(self, state: State, url: str, secret: str, config: Row) -> None:
        self._state, self._url, self._secret = state, url, secret
        self._mapped = config.get("webhook_body", "mapped") == "mapped"
        self._factor = float(config.get("retry_factor", 1.0))
        self._client = httpx.AsyncClient(timeout=30, **LOOPBACK)
        self._sending: set[asyncio.Task[None]] = set()

    def record(self, action: str, user: Row, context: Row) -> None:
        """Keeps the event and, where the rule's policies match, starts to send it."""
        event: Row = {"pk": str(uuid4()), "user": user, "action": action, "app": "authentik.events.signals"}
        event |= {"context": masked(context), "client_ip": "127.0.0.1", "created": now(), "expires": None, "brand": {}}
        self._state.put("event", event["pk"], event)
        if self._url and (action == "invitation_used" or (action == "user_write" and context.get("created") is True)):
            task = asyncio.get_running_loop().create_task(self._deliver(event))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, event: Row) -> None:
        for before, due in zip((0, *ATTEMPTS), ATTEMPTS, strict=False):
            await asyncio.sleep((due - before) * self._factor)
            try:
                if (await self.post(event)).status_code < 400:
                    return
            except httpx.HTTPError:
                continue

    async def post(self, event: Row) -> httpx.Response:
        """Sent anew each time: the same event id, a new timestamp."""
        event_id = UUID(event["pk"]).hex
        body = json.dumps(_body(event_id, event) if self._mapped else _default(event), allow_nan=False).encode()
        headers = {"User-Agent": "authentik@2026.5.0-rc1", "Content-Type": "application/json"}
        headers |= {"X-Authentik-Event": event_id, "X-Muster-Secret": self._secret}
        headers |= signed(self._secret, event_id, body) if self._mapped else {}
        return await self._client.post(self._url, content=body, headers=headers)


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "*" * 20 if MASKED.search(key) else masked(inner) for key, inner in value.items()}
    return value


def _body(event_id: str, event: Row) -> Row:
    keys = ("action", "app", "created", "client_ip", "user", "context")
    return {"event_id": event_id} | {key: event[key] for key in keys}


def _default(event: Row) -> Row:
    """A Python repr in `body`, for people to read."""
    context = {key: value for key, value in event["context"].items() if key != "http_request"}
    who = {f"user_{key}": event["user"].get(key, "") for key in ("email", "username")}
    event_who = {f"event_{key}": value for key, value in who.items()}
    return {"body": f"{event['action']}: {context}", "severity": "notice"} | who | event_who


def signed(secret: str, event_id: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks. A secret that is not base64 is taken as it is, as the blueprint does."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = secret.encode()
    timestamp = str(int(time.time()))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
