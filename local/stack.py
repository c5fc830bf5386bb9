"""The embedded stack: whatever the environment does not name already is started here, on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx

from local import firestore
from local.loopback import LOOPBACK
from local.processes import Part, PartFailed, Reaper
from local.surroundings import CREDENTIALS, ROOT, DataDirectory, ports, refuse_remote, remote_allowed
from local.synapse import Synapse, SynapseFailed
from shared.settings import BY_NAME, SETTINGS

DOMAIN, GROUP = "muster.test", "community"
EVERY_SECONDS = {"resume_onboardings": 10, "sync_directory": 10}
"""The second syncs whatever is due by the settings of its intervals."""
QUEUES = ("TASKS_QUEUE_INVITES", "TASKS_QUEUE_MESSAGES", "TASKS_QUEUE_BROADCASTS", "TASKS_QUEUE_ACCOUNTS")
RETRY = {"max_attempts": 100, "min_backoff": 1, "max_backoff": 30, "max_doublings": 5}
QUEUE = {"max_dispatches_per_second": 500, "max_concurrent_dispatches": 32, "retry": RETRY}
ADMIN = {"username": "admin", "name": "Sample Admin", "email": "admin@example.org"}
BOT_DEVICE = "MATRIX_DEVICE_ACCOUNT MATRIX_PICKLE_KEY MATRIX_REPLIES_KEY MATRIX_RECOVERY_KEY MATRIX_PASSWORD".split()
WATCHER = "MATRIX_SYNC_ACCESS_TOKEN"
PRINTED = "PORT ADMIN_API_KEY ADMIN_USERNAME ADMIN_PASSWORD SYNAPSE_REGISTRATION_SECRET ROOMS".split()

Env = dict[str, str]
Say = Callable[[str, str, float], None]
"""Told of each part that is up: its name, what it is and where, after how many seconds."""


class Stack:
    """`start` answers when all of it answers; `stop` ends what it started. `env` is the running environment,
    as `scripts/run --env` prints it. Parts: app, tasks, authentik, documents, synapse."""

    def __init__(self, data: Path, given: Mapping[str, str], say: Say = lambda *_: None) -> None:
        self.env: Env = {}
        self._given, self._data, self._say = dict(given), DataDirectory(data), say
        self._parts: dict[str, Part | Synapse] = {}
        self._reaper: Reaper | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Raises `PartFailed`, with nothing left behind."""
        refuse_remote(self._given)
        self._data.enter()
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, SynapseFailed):
                raise PartFailed(str(error)) from error
            raise
        return self

    def stop(self) -> None:
        """Muster first: its neighbours are there until its last request is answered."""
        for name, part in reversed(self._parts.items()):
            if name == "documents":
                with contextlib.suppress(OSError):  # the emulator forgets
                    firestore.save(self._port["FIRESTORE_PORT"], self.env["GOOGLE_CLOUD_PROJECT"], self._data.path)
            part.stop() if isinstance(part, Part) else part.kill()
        self._parts.clear()
        if self._reaper:
            self._reaper.close()
        self._data.leave()

    def kill(self, name: str) -> None:
        """Ends one part at once, as a fault would (SIGKILL; Synapse is asked, for its database's sake)."""
        self._parts[name].kill()

    def restart(self, name: str, **changes: str) -> None:
        """Starts one part anew, be it up or killed; `changes` are settings that it has from now on."""
        part = self._parts[name]
        if isinstance(part, Synapse):
            part.kill()
            part.start()
        else:
            part.stop()
            part.start(part.environment | changes)

    def _start(self) -> None:
        self._reaper = Reaper()
        self._kept, self._port = self._data.secrets(), ports(self._given)
        self._url = f"http://127.0.0.1:{self._port['PORT']}"
        self.env = {setting.name: setting.default for setting in SETTINGS if setting.default}
        self.env |= self._derived() | self._given | {"MUSTER_ENV": "local", "ADMIN_API_KEYS": self._api_keys()}
        with ThreadPoolExecutor() as pool:
            starts = (self._matrix, self._documents, self._authentik, self._tasks)
            for started in [pool.submit(start) for start in starts]:
                self.env |= started.result()
        command = [sys.executable, "-m", "local.app", "--port", self.env["PORT"]]
        self._spawn("app", "Muster", f"every entry point, {self._url}", command, f"{self._url}/api/health")
        self.env = {name: self.env[name] for name in (*BY_NAME, *PRINTED) if self.env.get(name)}
        self._data.write("environment", "".join(f"{name}={value}\n" for name, value in self.env.items()))

    def _derived(self) -> Env:
        """Settings that follow from the ports and from what is kept."""
        dispatcher = f"http://127.0.0.1:{self._port['TASKS_HTTP_PORT']}"
        return {
            "PORT": str(self._port["PORT"]),
            "PUBLIC_URL": self._url,
            "MUSTER_DATA_DIR": str(self._data.path),
            "ADMIN_API_KEY": self._kept["api_key"],
            "AUTHENTIK_WEBHOOK_SECRETS": self._kept["webhook"],
            "TASKS_URL_TEMPLATE": f"{self._url}/tasks/{{entry_point}}",
            "TASKS_OIDC_ISSUER": dispatcher,
            "TASKS_OIDC_JWKS": f"{dispatcher}/jwks",
            "TASKS_SERVICE_ACCOUNT": "tasks@muster-local.iam.gserviceaccount.com",
            "SYNC_AUTHENTIK_SECONDS": "5",
            "SYNC_MATRIX_SECONDS": "5",
            "SCHEDULER_SERVICE_ACCOUNT": "scheduler@muster-local.iam.gserviceaccount.com",
        }

    def _api_keys(self) -> str:
        own = f"local:{hashlib.sha256(self._kept['api_key'].encode()).hexdigest()}"
        return ",".join(filter(None, [self._given.get("ADMIN_API_KEYS"), own]))

    def _is_given(self, title: str, *names: str) -> bool:
        given = all(self._given.get(name) for name in names)
        if given:
            self._say(title, f"yours, {self._given[names[0]]}", 0)
        return given

    def _matrix(self) -> Env:
        if self._is_given("homeserver", "MATRIX_HOMESERVER", "MATRIX_ACCESS_TOKEN"):
            return {}
        began = time.monotonic()
        synapse = Synapse(self._data.path / "synapse", self._port["SYNAPSE_PORT"], DOMAIN, lambda _: None)
        self._parts["synapse"] = synapse
        synapse.start()
        made = synapse.provision()
        names = ("homeserver", "access_token", "user_id", "domain", "indoc_room_id")
        bot = {f"MATRIX_{name.upper()}": str(made[name]) for name in names}
        bot |= self._bot_devices(bot | {"MATRIX_PASSWORD": made["password"]})
        self._say("homeserver", f"Synapse, {synapse.url}", time.monotonic() - began)
        own = {"ROOMS": json.dumps(made["rooms"]), "SYNAPSE_REGISTRATION_SECRET": made["registration_secret"]}
        return bot | own

    def _bot_devices(self, bot: Env) -> Env:
        """Set up, or found well, by the command of a real installation. What it makes is in matrix.json."""
        file = self._data.path / "matrix.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        settings = (
            self._environment() | dict.fromkeys([*BOT_DEVICE, WATCHER], "") | bot | kept
        )  # nothing of another homeserver's
        command = [sys.executable, "-m", "shared.matrix_setup", "--quiet"]
        run = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, check=False)
        if run.returncode:
            raise PartFailed(f"The bot's devices are not set up.\n{run.stderr.strip()[-1000:]}")
        return dict(json.loads(file.read_text()))

    def _documents(self) -> Env:
        if self._is_given("documents", "FIRESTORE_EMULATOR_HOST"):
            return {}
        missing, asked = firestore.missing(), self._given.get("MUSTER_STORE") == "sqlite"
        if missing or asked:
            self._say("documents", f"SQLite, {'as MUSTER_STORE asks' if asked else f'since {missing}'}", 0)
            return {"MUSTER_STORE": "sqlite"}
        port = self._port["FIRESTORE_PORT"]
        address, command = f"127.0.0.1:{port}", firestore.command(port, self._data.path)
        self._spawn("documents", "documents", f"Firestore's emulator, {address}", command, f"http://{address}/")
        return {"FIRESTORE_EMULATOR_HOST": address}

    def _authentik(self) -> Env:
        if self._is_given("Authentik", "AUTHENTIK_URL", "AUTHENTIK_API_TOKEN"):
            return {}
        url, token = f"http://127.0.0.1:{self._port['AUTHENTIK_PORT']}", self._kept["authentik_token"]
        pages = [f"{self._url}/", f"{self._url}/".replace("127.0.0.1", "localhost")]
        config = {
            "flow_slug": self.env["AUTHENTIK_FLOW_SLUG"],
            "admin_group": self.env["ADMIN_GROUP"],
            "oidc": {"slug": "muster", "client_id": self.env["AUTHENTIK_CLIENT_ID"], "redirect_uris": pages},
            "groups": [{"name": GROUP}],
            "tokens": [{"username": "muster", "key": token}],
            "admin": ADMIN | {"password": self._kept["admin_password"]},
        }
        secret = self.env["AUTHENTIK_WEBHOOK_SECRETS"].split(",")[0].strip()
        hook = {"MUSTER_WEBHOOK_URL": f"{self._url}/hooks/authentik", "MUSTER_WEBHOOK_SECRET": secret}
        command = self._module("authentik", config, "--port", str(self._port["AUTHENTIK_PORT"]))
        self._spawn("authentik", "Authentik", f"the stand-in, {url}", command, f"{url}/-/health/ready/", hook)
        made = {"AUTHENTIK_URL": url, "AUTHENTIK_API_TOKEN": token, "AUTHENTIK_DEFAULT_GROUP": GROUP}
        made |= {"ADMIN_USERNAME": ADMIN["username"], "ADMIN_PASSWORD": self._kept["admin_password"]}
        return made | {"AUTHENTIK_ISSUER": f"{url}/application/o/muster/"}

    def _tasks(self) -> Env:
        if self._is_given("tasks", "CLOUD_TASKS_EMULATOR_HOST"):
            return {}
        port, http, template = self._port["TASKS_PORT"], self._port["TASKS_HTTP_PORT"], self.env["TASKS_URL_TEMPLATE"]
        config = {
            "project": self.env["GOOGLE_CLOUD_PROJECT"],
            "location": self.env["TASKS_LOCATION"],
            "issuer": self.env["TASKS_OIDC_ISSUER"],
            "queues": {self.env[queue]: QUEUE for queue in QUEUES},
            "schedules": [
                {"url": f"{self._url}/jobs/{job}", "every_seconds": every, "audience": template.format(entry_point=job)}
                | {"email": self.env["SCHEDULER_SERVICE_ACCOUNT"]}
                for job, every in EVERY_SECONDS.items()
            ],
        }
        command = self._module("tasks", config, "--port", str(port), "--http-port", str(http))
        self._spawn("tasks", "tasks", f"Cloud Tasks, 127.0.0.1:{port}", command, f"http://127.0.0.1:{http}/jwks")
        return {"CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{port}"}

    def _module(self, name: str, config: dict[str, Any], *options: str) -> list[str]:
        kept = self._data.write(f"{name}.json", json.dumps(config))
        files = ("--data", str(self._data.path / f"{name}.sqlite"), "--config", str(kept))
        return [sys.executable, "-m", f"local.{name}", *options, *files]

    def _spawn(
        self, name: str, title: str, about: str, command: Sequence[str], ready: str, more: Env | None = None
    ) -> None:
        """Starts a part and waits until `ready`, a URL, answers well."""
        began, log = time.monotonic(), self._data.path / "logs" / f"{name}.log"
        assert self._reaper  # noqa: S101
        self._parts[name] = part = Part(command, log, lambda: _answers(ready), self._reaper)
        part.start(self._environment() | (more or {}))
        self._say(title, about, time.monotonic() - began)

    def _environment(self) -> Env:
        """For the children: the settings, and nothing that would lead them to another machine."""
        hidden = () if remote_allowed(self._given) else CREDENTIALS
        inherited = {name: value for name, value in os.environ.items() if name not in (*BY_NAME, *hidden)}
        inherited |= {name: f"127.0.0.1,localhost,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}
        nowhere = {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(self._data.path / "gcloud")} if hidden else {}
        settings = {name: value for name, value in self.env.items() if name in BY_NAME}
        return inherited | nowhere | settings | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, **LOOPBACK).is_success
    return False
