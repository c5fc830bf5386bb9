"""The embedded stack with bad luck put in: a proxy before Matrix, Authentik and the webhook, an app that fails by
plan."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.faults.plan import VARIABLE, Kill, Plan
from benchmarks.faults.ports import KILLED, SAID
from benchmarks.faults.proxy import ANYWHERE, AUTHENTIK, Proxy
from local.loopback import LOOPBACK
from local.processes import Part
from local.stack import Env, Stack

AT_ONCE = 8
"""Tasks per queue. Synapse does 20 invites in 0.9 s 8 at once and in 0.8 s 16 at once: it is the floor itself."""

MAX_BACKOFF = 5
"""Seconds. While the app is dead the dispatcher uses up an attempt of every task that is due; with half a minute
between two attempts most of a run would be spent waiting."""


class FaultyStack(Stack):
    """As `Stack`, and `env` too: whoever uses it meets the parts themselves; only Muster goes through the proxy.
    Everything is well until `faults` says otherwise."""

    def __init__(self, data: Path, given: Mapping[str, str], plan: Plan) -> None:
        super().__init__(data, given)
        self.plan_file, self.log_file = data / "faults.json", data / "logs" / "app.log"
        self.proxy = Proxy(plan.seed, matrix=ANYWHERE, authentik=AUTHENTIK, webhook=(), tasks=())
        self.kills, self._first_plan = 0, plan

    def start(self) -> FaultyStack:
        self.proxy.start()
        try:
            self.plan_file.parent.mkdir(parents=True, exist_ok=True)
            self._first_plan.keep(self.plan_file)
            super().start()
        except BaseException:
            self.proxy.stop()
            raise
        return self

    def stop(self) -> None:
        super().stop()
        if self.proxy.routes["matrix"].url:
            self.proxy.stop()

    def change(self, **changes: Any) -> None:
        """Of the plan: at once, but for the seconds, which hold from the app's next start."""
        dataclasses.replace(Plan.read(self.plan_file), **changes).keep(self.plan_file)

    def faults(self, rate: float) -> None:
        """At every outside call of Muster's, from now on."""
        self.change(rate=rate)
        self.proxy.rate(rate, "matrix", "authentik")

    def be_well(self) -> None:
        """As at the start."""
        for route in self.proxy.routes.values():
            route.be_well()
        impatient = Plan.read(self.plan_file).timeout is not None
        self._first_plan.keep(self.plan_file)
        if impatient or self.is_dead("app"):
            self.restart("app")

    @contextlib.contextmanager
    def killed_at(self, kill: Kill, seconds: float = 30) -> Iterator[None]:
        """Whatever is done within leads the app to its death at that point; afterwards it is up again."""
        self.change(kill=kill)
        try:
            yield
        except BaseException:
            self.change(kill=None)
            raise
        deadline = time.monotonic() + seconds
        while not self.is_dead("app"):
            if time.monotonic() > deadline:
                self.change(kill=None)
                raise TimeoutError(f"nobody came by at {kill}")
            time.sleep(0.02)
        self.restart("app")

    def is_dead(self, name: str) -> bool:
        part = self._parts[name]
        assert isinstance(part, Part)
        return part._process is None or part._process.poll() is not None

    def kill_app(self) -> None:
        """SIGKILL, and up again."""
        self.kills += 1
        self.kill("app")
        self.restart("app")

    def job(self, name: str = "resume_onboardings") -> dict[str, Any]:
        """Runs it now, as Cloud Scheduler does."""
        env = self.env
        audience = env["TASKS_URL_TEMPLATE"].format(entry_point=name)
        who = {"audience": audience, "email": env["SCHEDULER_SERVICE_ACCOUNT"]}
        with httpx.Client(timeout=60, **LOOPBACK) as http:
            token = http.post(f"{env['TASKS_OIDC_ISSUER']}/token", json=who).raise_for_status().json()["token"]
            headers = {"Authorization": f"Bearer {token}"}
            said = http.post(f"{env['PUBLIC_URL']}/jobs/{name}", headers=headers)
        return {"status": said.status_code, **said.json()}

    def injected(self) -> Counter[str]:
        """Every fault so far, by place and kind; the app's own as its log has them."""
        found = Counter[str]()
        for name, route in self.proxy.routes.items():
            found.update({f"{name}: {kind}": count for kind, count in route.counts.items() if kind != "well"})
        for line in self.log_lines():
            if line.get("message") == SAID:
                found[str(line["fault"]).replace(".", ": ", 1)] += 1
            if line.get("message") == KILLED:
                found[f"kill -9: {line['point']}"] += 1
        return found

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """Muster's."""
        yield from lines_of(self.log_file)

    def _module(self, name: str, config: dict[str, Any], *options: str) -> list[str]:
        """With as many tasks at once as one homeserver on a developer's machine can bear; more only makes it late."""
        if name == "tasks":
            queues = config["queues"].items()
            config |= {"queues": {queue: self._bearable(limits) for queue, limits in queues}}
        return super()._module(name, config, *options)

    def _bearable(self, limits: dict[str, Any]) -> dict[str, Any]:
        retry = limits["retry"] | {"max_backoff": MAX_BACKOFF}
        return limits | {"max_concurrent_dispatches": AT_ONCE, "retry": retry}

    def _spawn(
        self, name: str, title: str, about: str, command: Sequence[str], ready: str, more: Env | None = None
    ) -> None:
        """The same parts, but that some are told the proxy's address instead of the other's."""
        routes, more = self.proxy.routes, dict(more or {})
        if name == "authentik":
            routes["webhook"].aim(self._url)
            more["MUSTER_WEBHOOK_URL"] = more["MUSTER_WEBHOOK_URL"].replace(self._url, routes["webhook"].url)
        if command[2] == "local.app":
            routes["matrix"].aim(self.env["MATRIX_HOMESERVER"])
            routes["authentik"].aim(self.env["AUTHENTIK_URL"])
            more |= {"MATRIX_HOMESERVER": routes["matrix"].url, "AUTHENTIK_URL": routes["authentik"].url}
            more = {VARIABLE: str(self.plan_file.absolute())} | more
            command = [sys.executable, "-m", "benchmarks.faults.app", *command[3:]]
        super()._spawn(name, title, about, command, ready, more)


def lines_of(log_file: Path) -> Iterator[dict[str, Any]]:
    """One that a kill has cut short is left out."""
    with log_file.open(encoding="utf-8", errors="replace") as log:
        for line in log:
            with contextlib.suppress(ValueError):
                yield json.loads(line)
