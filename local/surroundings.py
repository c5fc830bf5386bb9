"""What the stack finds around it: settings from outside, ports, what it keeps, another one that is up already."""

from __future__ import annotations

import base64
import fcntl
import ipaddress
import json
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from local.processes import PartFailed
from shared.settings import BY_NAME, switch
from shared.settings_told import FROM_DOTENV

ROOT = Path(__file__).parent.parent
PORTS = {"PORT": 8080, "SYNAPSE_PORT": 8008, "AUTHENTIK_PORT": 9000}
PORTS |= {"FIRESTORE_PORT": 8686, "TASKS_PORT": 8123, "TASKS_HTTP_PORT": 8124}
EXTRAS = (*PORTS, "ROOMS", "SYNAPSE_REGISTRATION_SECRET", "MUSTER_FREE_PORTS")
ADDRESSES = (
    "AUTHENTIK_URL AUTHENTIK_ISSUER MATRIX_HOMESERVER FIRESTORE_EMULATOR_HOST CLOUD_TASKS_EMULATOR_HOST "
    "TASKS_URL_TEMPLATE TASKS_OIDC_JWKS PUBLIC_URL ASSISTANT_URL SMTP_HOST"
).split()
CREDENTIALS = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_KEY", "CLOUDSDK_AUTH_ACCESS_TOKEN")


def given(environ: Mapping[str, str], dotenv: Path | None = None) -> dict[str, str]:
    """What has a value: in the environment, else in the .env file. A setting's own default says nothing."""
    lines = dotenv.read_text().splitlines() if dotenv and dotenv.exists() else []
    pairs = [line.partition("=") for line in lines if not line.lstrip().startswith("#")]
    found = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs} | dict(environ)
    known = {name: setting.default for name, setting in BY_NAME.items()} | dict.fromkeys((*EXTRAS, *CREDENTIALS))
    chosen = {name: found[name] for name, default in known.items() if found.get(name) and found[name] != default}
    read = ",".join(name for name in chosen if name in BY_NAME and name not in environ)
    return chosen | ({FROM_DOTENV: read} if read else {})


def remote_allowed(given: Mapping[str, str]) -> bool:
    return switch(given.get("MUSTER_ALLOW_REMOTE", "false"))


def refuse_remote(given: Mapping[str, str]) -> None:
    """Raises `PartFailed` naming (never quoting) what leads to another machine, unless that is allowed."""
    away = [name for name in ADDRESSES if given.get(name) and not is_loopback(given[name])]
    away += [name for name in CREDENTIALS if given.get(name)]
    if away and not remote_allowed(given):
        cause = f"{' and '.join(away)} would let this act on something that is not on this machine."
        raise PartFailed(f"{cause}\nUnset it, or if that is what you want: MUSTER_ALLOW_REMOTE=1")


def is_loopback(address: str) -> bool:
    host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ports(given: Mapping[str, str]) -> dict[str, int]:
    """A port for each part: the one asked for, the default, or with MUSTER_FREE_PORTS=1 any free one."""
    found = {}
    with ExitStack() as bound:
        for name, default in PORTS.items():
            wanted = int(given.get(name) or (0 if given.get("MUSTER_FREE_PORTS") == "1" else default))
            try:
                found[name] = bound.enter_context(socket.create_server(("127.0.0.1", wanted))).getsockname()[1]
            except OSError as error:
                cause = f"Port {wanted} is taken by another program, which is left alone."
                raise PartFailed(f"{cause}\nTake another one: {name}={wanted + 1000} scripts/run") from error
    return found


class DataDirectory:
    """What the stack keeps between runs, for its owner's eyes only; one supervisor at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    def enter(self) -> None:
        """Raises `PartFailed` when another supervisor is in it."""
        (self.path / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        if not self._claim():
            cause = f"Muster is up already, with what is in {self.path}. Its settings: scripts/run --env"
            beside = "MUSTER_DATA_DIR=another-folder MUSTER_FREE_PORTS=1 scripts/run"
            raise PartFailed(f"{cause}\nStop that one first (Ctrl-C where it runs), or run one beside it: {beside}")

    def _claim(self) -> bool:
        lock = (self.path / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def leave(self) -> None:
        if self._lock:
            (self.path / "environment").unlink(missing_ok=True)
            self._lock.close()

    def running(self) -> str:
        """The environment of the stack that is up here, "" when none is."""
        file = self.path / "environment"
        if not file.exists() or self._claim():
            self.leave()  # whoever wrote it was killed
            return ""
        return file.read_text()

    def secrets(self) -> dict[str, str]:
        """Made once: a second start finds the keys that the servers have learned."""
        file = self.path / "secrets.json"
        made = {name: secrets.token_urlsafe(32) for name in ("authentik_token", "admin_password")}
        made |= {"webhook": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"}
        made |= {"api_key": f"muster_{secrets.token_urlsafe(32)}"}
        made |= json.loads(file.read_text()) if file.exists() else {}
        self.write(file.name, json.dumps(made))
        return made

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        return path
