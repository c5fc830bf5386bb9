"""Clients for what runs on this machine: plain HTTP, whatever proxy the environment names."""

from __future__ import annotations

import ssl
from typing import Any

LOOPBACK: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
"""For httpx. It trusts nobody: to read a list of all the authorities would take 30 ms for each client."""
