"""What the clients cost by themselves: the calls that an entry point makes, straight on the vendors' libraries.

No checks, no records, no idempotency: only the clients that cannot be done without, on the server that
Muster is served by. The calls are of the same kind and number, to the same neighbours.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
from typing import Any

from functions_framework.aio import http
from starlette.requests import Request

NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusted behind plain HTTP, as Muster does: to read all authorities would take 28 ms."""


@http
async def floor_webhook(request: Request) -> str:
    """Read three documents, one account and one invite, commit the onboarding, enqueue its tasks."""
    import httpx
    from google.cloud.firestore_v1 import AsyncClient

    asked = json.loads(await request.body())
    store = documents(AsyncClient)
    await read(store, "floor/event")
    base, token = os.environ["AUTHENTIK_URL"], os.environ["AUTHENTIK_API_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, verify=NOBODY) as client:
        (await client.get(f"/api/v3/core/users/{asked['pk']}/")).raise_for_status()
    for path in ("floor/onboarding", "floor/onboarding", "floor/invite"):
        await read(store, path)
    await commit(store, asked["steps"] + 4)
    await enqueue(asked["tasks"])
    return "done"


@http
async def floor_account(request: Request) -> str:
    """Read the step, claim it, ask Authentik twice, record, look what is still open."""
    import httpx
    from google.cloud.firestore_v1 import AsyncClient

    asked = await invoker(request)
    store = documents(AsyncClient)
    await read(store, *(f"floor/{name}" for name in "abcd"))
    await commit(store, 1)
    base, token = os.environ["AUTHENTIK_URL"], os.environ["AUTHENTIK_API_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, verify=NOBODY) as client:
        for path in ("core/groups/", f"core/users/{asked['pk']}/"):
            (await client.get(f"/api/v3/{path}")).raise_for_status()
    await commit(store, 2)
    await store.collection("floor").limit(1).get()
    return "done"


@http
async def floor_invite(request: Request) -> str:
    """Read the step, claim it, invite, record, look what is still open."""
    import nio
    from google.cloud.firestore_v1 import AsyncClient

    asked = await invoker(request)
    store, chat = documents(AsyncClient), matrix(nio)
    await read(store, *(f"floor/{name}" for name in "abcd"))
    await commit(store, 1)
    await chat.room_invite(asked["room"], f"@floor-{secrets.token_hex(5)}:{os.environ['MATRIX_DOMAIN']}")
    await commit(store, 2)
    await store.collection("floor").limit(1).get()
    await chat.close()
    return "done"


@http
async def floor_welcome(request: Request) -> str:
    """Read the step, claim it, make the direct room, render the text and write it, record, enqueue the welcome."""
    import nio
    from google.cloud.firestore_v1 import AsyncClient

    await invoker(request)
    store, chat = documents(AsyncClient), matrix(nio)
    await read(store, *(f"floor/{name}" for name in "abcde"))
    await chat.whoami()
    await commit(store, 1)
    for path in ("floor/direct", "floor/salt"):
        await read(store, path)
    member = f"@floor-{secrets.token_hex(5)}:{os.environ['MATRIX_DOMAIN']}"
    room = await chat.room_create(alias=secrets.token_hex(8), name="Welcome", is_direct=True, invite=[member])
    await chat.room_get_state_event(room.room_id, "m.room.encryption")
    await commit(store, 1)
    content = {
        "msgtype": "m.text",
        "body": "Hello",
        "formatted_body": html("Hello **{{ name }}**, good to have you here."),
    }
    await chat.room_send(room.room_id, "m.room.message", content, secrets.token_hex(8))
    await commit(store, 3)
    await enqueue(1)
    await chat.close()
    return "done"


# ------------------------------------------------------------------ the calls


async def invoker(request: Request) -> Any:
    """The caller's token, verified where it has a signature; then what is asked."""
    token = request.headers["authorization"].partition(" ")[2]
    if not token.endswith("SIGNATURE_REMOVED_BY_GOOGLE"):
        import httpx
        import jwt

        async with httpx.AsyncClient(trust_env=False, verify=NOBODY) as client:
            keys = (await client.get(os.environ["TASKS_OIDC_JWKS"])).json()["keys"]
        jwt.decode(token, jwt.PyJWK(keys[0]).key, algorithms=["RS256"], options={"verify_aud": False})
    return json.loads(await request.body())


def documents(kind: Any) -> Any:
    return kind(project=os.environ["GOOGLE_CLOUD_PROJECT"])


def html(source: str) -> str:
    """Of a template, by the libraries that Muster renders it with."""
    import nh3
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from markdown_it import MarkdownIt

    text = ImmutableSandboxedEnvironment().from_string(source).render(name="Ada")
    return nh3.clean(MarkdownIt("commonmark").render(text))


async def read(store: Any, *paths: str) -> None:
    async for _ in store.get_all([store.document(path) for path in paths]):
        pass


async def commit(store: Any, writes: int) -> None:
    batch = store.batch()
    for number in range(writes):
        batch.set(store.document(f"floor/{secrets.token_hex(8)}"), {"number": number, "state": "scheduled"})
    await batch.commit()


async def enqueue(count: int) -> None:
    import grpc
    from google.cloud import tasks_v2

    transport = tasks_v2.CloudTasksAsyncClient.get_transport_class("grpc_asyncio")
    channel = grpc.aio.insecure_channel(
        os.environ["CLOUD_TASKS_EMULATOR_HOST"], options=(("grpc.enable_http_proxy", 0),)
    )
    client = tasks_v2.CloudTasksAsyncClient(transport=transport(channel=channel))
    queue = client.queue_path(os.environ["GOOGLE_CLOUD_PROJECT"], os.environ["TASKS_LOCATION"], os.environ["QUEUE"])

    async def one() -> None:
        post = tasks_v2.HttpRequest(url=os.environ["PUBLIC_URL"], body=b"{}")
        task = tasks_v2.Task(name=f"{queue}/tasks/{secrets.token_hex(16)}", http_request=post)
        await client.create_task(request=tasks_v2.CreateTaskRequest(parent=queue, task=task))

    await asyncio.gather(*(one() for _ in range(count)))


def matrix(nio: Any) -> Any:
    user = os.environ["MATRIX_USER_ID"]
    config = nio.AsyncClientConfig(encryption_enabled=False, store_sync_tokens=False)
    client = nio.AsyncClient(os.environ["MATRIX_HOMESERVER"], user, config=config)
    client.access_token, client.user_id = os.environ["MATRIX_ACCESS_TOKEN"], user
    return client
