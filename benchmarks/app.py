"""Muster on one port, as the embedded stack serves it, counting what it asks of its neighbours.

    python -m benchmarks.app --port PORT

`GET /benchmark/counts` answers what was counted since the last `DELETE`: by the kind of entry point that asked
("hooks", "tasks", "jobs", "api"), then by neighbour. Matrix and Authentik are counted by HTTP request,
the others at their ports.
"""

from __future__ import annotations

import argparse
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.common import HOST, ROOT
from benchmarks.counting import COUNTS, MOMENTS, SOURCE, CountingWiring, count
from local.app import application
from shared import wiring


def counted_application() -> Any:
    inner = application(ROOT / "main.py")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/benchmark/counts":
            answer = JSONResponse({"counts": COUNTS, "moments": MOMENTS})
            if Request(scope).method == "DELETE":
                COUNTS.clear()
                MOMENTS.clear()
            await answer(scope, receive, send)
            return
        SOURCE.set(scope["path"].split("/")[1] or "page")
        count("requests")

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 300:
                count(f"answered {message['status']}")
            await send(message)

        await inner(scope, receive, watched)

    return app


def main() -> None:
    import uvicorn

    from shared import logs

    parser = argparse.ArgumentParser(prog="benchmarks.app")
    parser.add_argument("--port", type=int, required=True)
    wiring.factory = CountingWiring
    logs.configure()
    quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off"}
    uvicorn.run(counted_application(), host=HOST, port=parser.parse_args().port, **quiet)


if __name__ == "__main__":
    main()
