"""Which trace a request belongs to: the W3C's `traceparent`, or Google's older `X-Cloud-Trace-Context`."""

from __future__ import annotations

import re
from typing import NamedTuple

TRACEPARENT = "traceparent"
CLOUD = "x-cloud-trace-context"
_W3C = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_CLOUD = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?", re.ASCII)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class Trace(NamedTuple):
    """Ids in lower-case hexadecimal, 32 and 16 digits. `span_id`: the caller's span, "" when it names none.
    `sampled`: whether the caller records it. No `Struct`: health and the page come up without msgspec."""

    trace_id: str
    span_id: str = ""
    sampled: bool = False

    @property
    def header(self) -> str:
        """As `traceparent`, for whom we call; "" without a span, which the header cannot say."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}" if self.span_id else ""


def read(traceparent: str, cloud: str) -> Trace | None:
    """From the two headers, "" where there is none. What is malformed counts as absent, as the W3C asks."""
    return _w3c(traceparent.strip()) or _google(cloud.strip())


def _w3c(header: str) -> Trace | None:
    """Fields behind the fourth belong to versions to come, and version ff to none."""
    found = _W3C.fullmatch(header)
    if not found or found[1] == "ff" or (found[1] == "00" and found[5]) or found[2] == _NO_TRACE:
        return None
    return None if found[3] == _NO_SPAN else Trace(found[2], found[3], bool(int(found[4], 16) & 1))


def _google(header: str) -> Trace | None:
    """TRACE_ID/SPAN_ID;o=OPTIONS, the span in decimal."""
    found = _CLOUD.fullmatch(header)
    if not found or found[1] == _NO_TRACE:
        return None
    span = int(found[2] or 0)
    return Trace(found[1].lower(), f"{span:016x}" if 0 < span < 2**64 else "", found[3] == "1")
