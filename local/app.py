"""All entry points of `main.py` on one port, each as the functions-framework serves it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

PATHS = {"hook": ["/hooks/authentik"], "task": ["/tasks/{}"], "job": ["/jobs/{}", "/tasks/{}"]}
"""A schedule's work that is too long for one run goes on as a task."""


def application(source: Path) -> Any:
    """ASGI: hands each path to its entry point, every other one to `admin`. The module is loaded once: the
    entry points share their clients, as the requests of one instance do."""
    from functions_framework import _function_registry, aio

    registry, framework = cast("Any", _function_registry), cast("Any", aio)
    module, spec = registry.load_function_module(str(source))
    spec.loader.exec_module(module)

    def served(name: str) -> Any:
        return framework.create_asgi_app_from_module(name, str(source), None, module, spec)

    admin = served("admin")
    apps = {name: served(name) for name, kind in module.ENTRY_POINTS.items() if kind in PATHS}
    paths = {path.format(name): app for name, app in apps.items() for path in PATHS[module.ENTRY_POINTS[name]]}

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await paths.get(scope["path"], admin)(scope, receive, send)

    return dispatch


def main() -> None:
    import uvicorn

    from shared import logs

    parser = argparse.ArgumentParser(prog="local.app")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    app = application(Path(__file__).parent.parent / "main.py")
    logs.configure()
    quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", timeout_graceful_shutdown=5, **quiet)


if __name__ == "__main__":
    main()
