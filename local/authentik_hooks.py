"""Events of the stand-in, and the webhooks that its notification rule sends for two of them.

As observed: one POST per event, tried at 0, 39, 70, 125, 214 and 425 s until the answer is below 400, then the
event is lost without a trace. With our mappings the body is that of infra/authentik/blueprint.yaml; without,
Authentik's own, where a shared secret is all that can vouch for it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from local.authentik_state import Row, State, now

ATTEMPTS = (0, 39, 70, 125, 214, 425)  # seconds after the event
MASKED = re.compile("API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE", re.IGNORECASE)
AGENT = "authentik@2026.5.0-rc1"


class Hooks:
    def __init__(self, state: State, url: str, secret: str, config: Row) -> None:
        self._state, self.url, self._secret = state, url, secret
        self._mapped = config.get("webhook_body", "mapped") == "mapped"
        self._factor = float(config.get("retry_factor", 1.0))
        self._client = httpx.AsyncClient(timeout=30, trust_env=False)
        self._sending: set[asyncio.Task[None]] = set()

    def record(self, action: str, user: Row, context: Row, http_request: Row | None = None) -> Row:
        """Keeps the event and, where the rule's policies match, starts to send it."""
        context = context | ({"http_request": http_request} if http_request else {})
        event: Row = {"pk": str(uuid4()), "user": user, "action": action, "app": "authentik.events.signals"}
        event |= {"context": masked(context), "client_ip": "127.0.0.1", "created": now(), "expires": None, "brand": {}}
        self._state.put("event", event["pk"], event)
        if self.url and (action == "invitation_used" or (action == "user_write" and context.get("created") is True)):
            task = asyncio.get_running_loop().create_task(self._deliver(event))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return event

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
        body = json.dumps(mapped_body(event) if self._mapped else default_body(event), allow_nan=False).encode()
        headers = {"User-Agent": AGENT, "Content-Type": "application/json", "X-Authentik-Event": UUID(event["pk"]).hex}
        if self._mapped:
            headers |= signed(self._secret, UUID(event["pk"]).hex, body)
        return await self._client.post(self.url, content=body, headers=headers | {"X-Muster-Secret": self._secret})


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "*" * 20 if MASKED.search(key) else masked(inner) for key, inner in value.items()}
    return value


def mapped_body(event: Row) -> Row:
    keys = ("action", "app", "created", "client_ip", "user", "context")
    return {"event_id": UUID(event["pk"]).hex, **{key: event[key] for key in keys}}


def default_body(event: Row) -> Row:
    """A Python repr in `body`, for people to read."""
    email, username = event["user"].get("email", ""), event["user"].get("username", "")
    context = {key: value for key, value in event["context"].items() if key != "http_request"}
    return {
        "body": f"{event['action']}: {context}",
        "severity": "notice",
        "user_email": email,
        "user_username": username,
        "event_user_email": email,
        "event_user_username": username,
    }


def signed(secret: str, event_id: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks. A secret that is not base64 is taken as it is, as the blueprint does."""
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = text.encode()
    timestamp = str(int(time.time()))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
