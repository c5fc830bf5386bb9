"""An OpenAI-compatible API on loopback, which speaks the protocol well or badly, as a test asks it to."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.fakes.assistant import ANSWER

KEY = "sk-assistant-4f8e21"
USAGE = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
SLOW = 0.3
"""Seconds between two pieces."""


class AssistantServer:
    """`manner`: how it answers; `says`: what. `asked`: the bodies of the questions, `headers` what came with them.
    `came`: set with the first. `gate`: in the manner "held", what comes after the first half waits for it."""

    def __init__(self) -> None:
        self.manner, self.says, self.retry_after, self.status = "well", ANSWER, "7", 500
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gate, self.came = threading.Event(), threading.Event()
        self.url = ""

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        self.came.set()
        refused = self._refusal(request, body)
        if refused is not None:
            return refused
        if self.manner == "whole":
            message = {"role": "assistant", "content": self.says}
            return JSONResponse({"choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE})
        return StreamingResponse(self._chunks(body), media_type="text/event-stream")

    def _refusal(self, request: Request, body: dict[str, Any]) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            said = f"Incorrect API key provided: {request.headers.get('authorization')}"
            return JSONResponse({"error": {"message": said, "code": "invalid_api_key"}}, 401)
        for name in ("max_tokens", "stream_options"):
            if self.manner == "choosy" and name in body:
                return JSONResponse({"error": {"message": f"Unsupported parameter: '{name}'"}}, 400)
        if self.manner == "status":
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            error = {"message": f"you asked {body['messages']}", "code": "server_error"}
            return JSONResponse({"error": error}, self.status, headers)
        if self.manner == "no quota":
            return JSONResponse({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)
        return JSONResponse({"hello": "there"}) if self.manner == "other json" else None

    async def _chunks(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        """The stream's bytes, cut where the manner says."""
        text = "".join(self._events(body)).encode()
        match self.manner:
            case "odd":  # within characters, lines and line ends
                for at in range(0, len(text), 3):
                    yield text[at : at + 3]
                    await asyncio.sleep(0)
            case "slow" | "stalled":
                for event in text.split(b"\n\n"):
                    yield event + b"\n\n"
                    await asyncio.sleep(SLOW if self.manner == "slow" else 60)
            case "held":
                yield text[: len(text) // 2]
                await asyncio.to_thread(self.gate.wait, 60)
                yield text[len(text) // 2 :]
            case "cut":
                yield text[: len(text) // 2]
                raise ConnectionResetError("as the test wants it")
            case "ended early":
                yield b"\n\n".join(text.split(b"\n\n")[:4]) + b"\n\n"
            case _:
                yield text

    def _events(self, body: dict[str, Any]) -> Iterator[str]:
        yield ": a comment\r\n\r\n" if self.manner == "odd" else ": a comment\n\n"
        end = "\r\n\r\n" if self.manner == "odd" else "\n\n"

        def row(data: Any) -> str:
            return f"data: {json.dumps(data, ensure_ascii=False)}{end}"

        yield row({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        yield row({"choices": [{"delta": {"reasoning_content": "let me think"}, "finish_reason": None}]})
        for at in range(0, len(self.says), 9):
            if at > 20 and self.manner == "garbage":
                yield f"data: <html>oops{end}"
            if at > 20 and self.manner == "error within":
                yield row({"error": {"message": "overloaded", "code": 502}})
            yield row({"choices": [{"delta": {"content": self.says[at : at + 9]}, "finish_reason": None}]})
        yield row({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        if self.manner != "no usage" and body.get("stream_options"):
            yield row({"choices": [], "usage": USAGE})
        if self.manner != "no done":
            yield f"data: [DONE]{end}"


@contextmanager
def serving() -> Iterator[AssistantServer]:
    """On a thread with an event loop of its own: a browser's test has this one's."""
    made = AssistantServer()
    app = Starlette(routes=[Route("/v1/chat/completions", made.complete, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as bound:
        made.url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=lambda: server.run([bound]), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.gate.set()
            server.should_exit = True
            thread.join(10)


def settings_for(server: AssistantServer) -> dict[str, str]:
    """Of an installation that asks it."""
    asked = {"ASSISTANT_URL": server.url, "ASSISTANT_API_KEY": KEY, "ASSISTANT_MODEL": "a-model"}
    return asked | {"ASSISTANT_REQUESTS_PER_MINUTE": "600"}
