"""The page's files: with their type, a tag by which a browser asks again for nothing, gzip, and the headers that let
the page speak to nobody but Muster and Authentik. Idempotent: it only reads."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from shared.domain.errors import MusterError, NotFound

STATIC = Path(__file__).parent / "static"
CONFIG = "config.json"
"""What the page must know before anybody has signed in. No secret: a browser shows all of it in the address bar."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Not by the system's list: under nosniff a module of another type does not run."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{issuer}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


async def page(request: Request) -> Response:
    """Raises `NotFound` for everything that is not one of the page's own files."""
    name = request.url.path.lstrip("/") or "index.html"
    if request.method not in ("GET", "HEAD"):
        raise _nothing()
    if name == CONFIG:
        return JSONResponse(_config(), headers=_headers())
    file = STATIC / name
    if not _is_ours(file):
        raise _nothing()
    return _file(request, file)


def _nothing() -> NotFound:
    return NotFound("there is no such page", "Open / for the page, /api/openapi.json for the API.")


def _is_ours(file: Path) -> bool:
    """False too for what cannot be a file's name at all."""
    try:
        return file.resolve().is_relative_to(STATIC) and file.is_file()
    except (ValueError, OSError):
        return False


def _file(request: Request, file: Path) -> Response:
    tag, packed = _packed(file, file.stat().st_mtime_ns)
    headers = _headers() | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    kind = TYPES.get(file.suffix, "application/octet-stream")
    if "gzip" not in request.headers.get("accept-encoding", "") or "range" in request.headers:
        return FileResponse(file, headers=headers, media_type=kind)
    return Response(packed, 200, headers | {"Content-Encoding": "gzip"}, kind)


@cache
def _packed(file: Path, _changed: int) -> tuple[str, bytes]:
    """Once for each file and instance. The tag is weak: it stands for what is in it, packed or not."""
    content = file.read_bytes()
    return f'W/"{hashlib.sha256(content).hexdigest()[:16]}"', gzip.compress(content, 9, mtime=0)


def _headers() -> dict[str, str]:
    parts = urlsplit(_config()["issuer"])
    issuer = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return {**HEADERS, "Content-Security-Policy": POLICY.format(issuer=issuer)}


def _config() -> dict[str, str]:
    """A setting that is malformed is as one that is not there: `problem` says so, and an API key still works."""
    from shared.wiring import wiring

    settings, problem = wiring().settings, ""
    found = {"issuer": "", "client_id": "", "admin_group": ""}
    for key, name in (
        ("issuer", "AUTHENTIK_ISSUER"),
        ("client_id", "AUTHENTIK_CLIENT_ID"),
        ("admin_group", "ADMIN_GROUP"),
    ):
        try:
            found[key] = settings[name]
        except MusterError as error:
            problem = error.cause
    return {**found, "problem": problem}
