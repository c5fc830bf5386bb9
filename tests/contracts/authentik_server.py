"""Servers for the tests of the directory: the stand-in for Authentik, a webhook receiver, and one that misbehaves.

All are context managers on loopback and free ports, usable from any test.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx

from local.loopback import LOOPBACK

ROOT = Path(__file__).parents[2]
TOKEN = "api-token-of-the-tests"
SECRET = "whsec_bXVzdGVyLXNpZ25zLWl0cy13ZWJob29rcw=="
SLUG = "muster-enrollment"
CONFIG: dict[str, Any] = {
    "tokens": [{"username": "muster-bot", "key": TOKEN}],
    "groups": [{"name": "choir"}, {"name": "root", "superuser": True}, {"name": "deputies", "parents": ["root"]}],
    "admin": {"username": "ada-admin", "name": "Ada", "email": "ada@example.test", "password": "correct horse"},
    "oidc": {"slug": "muster-admin", "client_id": "muster-admin", "redirect_uris": ["http://127.0.0.1:8080/"]},
}


@dataclass
class Authentik:
    """`real`: given by the environment, not started by us."""

    url: str
    token: str
    slug: str = SLUG
    real: bool = False
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """As a crash does: no goodbye."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=f"{self.url}/api/v3/", headers=headers, timeout=20, **LOOPBACK)


def real_server() -> Authentik | None:
    url, token = os.environ.get("AUTHENTIK_URL"), os.environ.get("AUTHENTIK_API_TOKEN")
    slug = os.environ.get("AUTHENTIK_FLOW_SLUG", SLUG)
    return Authentik(url.rstrip("/"), token, slug, real=True) if url and token else None


@contextlib.contextmanager
def standin(data: Path, webhook_url: str = "", secret: str = SECRET, **config: Any) -> Iterator[Authentik]:
    """The stand-in as a process of its own. The same `data` continues where it was killed."""
    port = free_port()
    command = [sys.executable, "-m", "local.authentik", "--port", str(port), "--data", str(data)]
    command += ["--config", json.dumps(CONFIG | config)]
    environment = {**os.environ, "MUSTER_WEBHOOK_URL": webhook_url, "MUSTER_WEBHOOK_SECRET": secret}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)  # noqa: S603 - our own program
    server = Authentik(f"http://127.0.0.1:{port}", TOKEN, process=process)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait(server: Authentik, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{server.url}/-/health/ready/", **LOOPBACK, timeout=5).is_success:
                return
        time.sleep(0.05)
    raise RuntimeError("the stand-in for Authentik did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def enroll(server: Authentik, itoken: str, **answers: str) -> httpx.Response:
    """What a member's browser does at the invite's link; answers the last challenge."""
    path = f"flows/executor/{server.slug}/?query=itoken%3D{itoken}"
    fields = {
        "name": "Ada L.",
        "email": "ada@example.test",
        "password": "pw-12345-pw",
        "password_repeat": "pw-12345-pw",
    }
    with httpx.Client(base_url=f"{server.url}/api/v3/", follow_redirects=True, **LOOPBACK, timeout=20) as browser:
        challenge = browser.get(path)
        if challenge.json()["component"] != "ak-stage-prompt":
            return challenge
        return browser.post(path, json={"component": "ak-stage-prompt"} | fields | answers)


# ---------------------------------------------------------------- plain HTTP servers


@dataclass
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """`cut`: promises more than it sends. `delay`: seconds before it answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    cut: bool = False
    delay: float = 0


class Quiet(ThreadingHTTPServer):
    """Says nothing when a client goes away in the middle, which is what some tests do."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Receiver:
    """Answers as told by `answers` (the last one again and again) and keeps what it was sent."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = [Answer()]
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.keep(Received(self.command, self.path, dict(self.headers.items()), body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                time.sleep(answer.delay)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) + (50 if answer.cut else 0)))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = answer.cut

            def log_message(self, *args: object) -> None:
                pass

        for method in ("GET", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self.server = Quiet(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"

    def keep(self, received: Received) -> None:
        with self.arrived:
            self.received.append(received)
            self.arrived.notify_all()

    def wait_for(self, count: int, seconds: float = 30) -> list[Received]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds), f"only {len(self.received)}"
            return list(self.received)


@contextlib.contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    one = Receiver(tls)
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.server.shutdown()
        one.server.server_close()
        thread.join(10)


def self_signed(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the file to name as the CA bundle."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authentik.test")])
    begin = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = builder.add_extension(addresses, critical=False).sign(key, hashes.SHA256())
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    keys = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (directory / "server.pem").write_bytes(keys + certificate.public_bytes(pem))
    (directory / "ca.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context, directory / "ca.pem"
