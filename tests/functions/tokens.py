"""Tokens of Authentik, of Google and of strangers, and the address where the real keys are published."""

from __future__ import annotations

import base64
import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT_ID = "muster-admin"
TASKS_ACCOUNT = "tasks@muster-test.iam.gserviceaccount.com"
SCHEDULER_ACCOUNT = "scheduler@muster-test.iam.gserviceaccount.com"
TASKS_URL = "https://muster.example.test/tasks/{entry_point}"
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """One RSA key per name for the whole run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Serves the public keys of "authentik" and "google" on loopback; a stranger's are published nowhere."""

    def __enter__(self) -> Self:
        documents = {f"/{name}/jwks/": _jwks(name) for name in ("authentik", "google")}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = documents.get(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def authentik(self) -> str:
        return f"{self.base}/authentik/"

    @property
    def google(self) -> str:
        return "https://accounts.google.test"

    def access(self, signed_by: str = "authentik", algorithm: str = "RS256", **changes: Any) -> str:
        """An access token of an admin; a change to None leaves a claim out."""
        claims = {
            "iss": self.authentik,
            "sub": "f" * 64,
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "scope": "openid profile",
            "groups": ["muster-admins"],
            "preferred_username": "ada",
        }
        return _signed(claims | changes, signed_by, algorithm)

    def task(self, entry_point: str, signed_by: str = "google", algorithm: str = "RS256", **changes: Any) -> str:
        """What Cloud Tasks sends along; as above."""
        claims = {
            "iss": self.google,
            "sub": "1",
            "aud": TASKS_URL.format(entry_point=entry_point),
            "email": TASKS_ACCOUNT,
            "email_verified": True,
        }
        return _signed(claims | changes, signed_by, algorithm)


def _jwks(name: str) -> bytes:
    entry = {**RSAAlgorithm.to_jwk(key(name).public_key(), as_dict=True), "kid": name, "use": "sig", "alg": "RS256"}
    return json.dumps({"keys": [entry]}).encode()


def _signed(claims: dict[str, Any], signed_by: str, algorithm: str) -> str:
    now = int(time.time())
    kept = {name: value for name, value in ({"iat": now, "exp": now + 600} | claims).items() if value is not None}
    secret: Any = {"RS256": key(signed_by), "none": None}.get(
        algorithm, "a-shared-secret-that-is-long-enough-for-hs256"
    )
    return jwt.encode(kept, secret, algorithm=algorithm, headers={"kid": signed_by})


def forged(token: str) -> str:
    """The same header and signature over other claims."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"exp": 4_000_000_000}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


def without_signature(token: str) -> str:
    """As Cloud Run passes it on."""
    return f"{token.rpartition('.')[0]}.{REMOVED}"
