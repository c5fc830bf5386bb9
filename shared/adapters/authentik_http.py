"""HTTP to Authentik's API: one kept client, and each of its answers turned into data or one of our errors.

What Authentik answers when was observed on 2026.2 and 2026.5: any bad credential is 403, an unhandled error
behind POST, PATCH or DELETE is 405 with an empty HTML body, validation is 400 with `{"field": ["..."]}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import httpx

from shared.adapters.trust import trust
from shared.domain.errors import (
    Conflict,
    Invalid,
    Limited,
    Misconfigured,
    MusterError,
    NotFound,
    Refused,
    Unreachable,
)

T = TypeVar("T")
PAGE_SIZE = 100  # Authentik's own maximum
RETRY_AFTER = 5.0  # seconds, when a 429 names none
CHECK_URL = "Check that AUTHENTIK_URL is Authentik's own address, without /api/v3 and without a redirect."
LOOK_AFTER_IT = "See whether Authentik is up and keeps up, then try again. What runs by itself is tried again."
CHECK_TLS = (
    "Name the file with the certificate authority of Authentik in AUTHENTIK_CA_BUNDLE, or renew its certificate."
)


class Api:
    """`get`, `post`, ... take a path below /api/v3/ and answer the decoded JSON (None for an empty answer).

    `needs` is the permission the call wants, named in the fix when Authentik refuses; `named`: what a person
    knows the token by. The token is held by the HTTP client alone, so that no error and no repr can show it.
    Redirects are never followed.
    """

    def __init__(
        self,
        url: str,
        token: str,
        ca_bundle: str | None = None,
        timeout: float = 10.0,
        named: str = "AUTHENTIK_API_TOKEN",
    ) -> None:
        self.base = url.rstrip("/")
        self._open: Callable[[], httpx.AsyncClient] = lambda: _client(self.base, token, ca_bundle, timeout, named)
        self._named = named
        self._client: httpx.AsyncClient | None = None
        self._timeout = timeout

    async def get(self, path: str, needs: str = "", **params: Any) -> Any:
        return decoded(await self.send("GET", path, needs, params=params))

    async def post(self, path: str, body: Mapping[str, Any], needs: str = "") -> Any:
        return decoded(await self.send("POST", path, needs, json=body))

    async def patch(self, path: str, body: Mapping[str, Any], needs: str = "") -> Any:
        return decoded(await self.send("PATCH", path, needs, json=body))

    async def delete(self, path: str, needs: str = "") -> None:
        """Deleting what is gone is fine."""
        try:
            await self.send("DELETE", path, needs)
        except NotFound:
            return

    async def pages(self, path: str, needs: str = "", **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Every result of a list, page by page. Give an `ordering`, or rows may move between pages."""
        page = 1
        while page:
            try:
                answer = await self.get(path, needs, page=page, page_size=PAGE_SIZE, **params)
            except NotFound:
                if page == 1:
                    raise
                return  # the list became shorter meanwhile
            for row in results(answer):
                yield row
            following = _following(answer)
            page = following if following > page else 0

    async def send(self, method: str, path: str, needs: str = "", **options: Any) -> httpx.Response:
        """The response of a success; anything else raises."""
        response = await self._answer(method, path, **options)
        if not response.is_success:
            raise _refusal(response, needs, self._named)
        return response

    async def looked(self, path: str) -> httpx.Response:
        """What a GET is answered, be it well or not."""
        return await self._answer("GET", path)

    def refusal(self, response: httpx.Response, needs: str = "") -> MusterError:
        return _refusal(response, needs, self._named)

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        if self._client is None:
            self._client = self._open()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.request(method, path, **options)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise _no_answer(error, self._timeout) from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _client(base: str, token: str, ca_bundle: str | None, timeout: float, named: str) -> httpx.AsyncClient:
    """Costs 28 ms (the TLS context), hence made at first use and kept."""
    if not base.startswith(("http://", "https://")):
        raise Misconfigured("AUTHENTIK_URL does not begin with https:// or http://.", CHECK_URL)
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        # found here, because the HTTP library would put the whole header into its error
        raise Misconfigured(f"{named} is empty or malformed.", "Look for stray spaces and line ends in it.")
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Language": "en"}
    try:
        verify = trust(base, ca_bundle)
        return httpx.AsyncClient(
            base_url=f"{base}/api/v3/", headers=headers, timeout=timeout, verify=verify, trust_env=False
        )
    except OSError as error:
        raise Misconfigured("AUTHENTIK_CA_BUNDLE names no readable file of certificates.", CHECK_TLS) from error
    except httpx.InvalidURL as error:
        raise Misconfigured("AUTHENTIK_URL is malformed.", CHECK_URL) from error


def _no_answer(error: Exception, timeout: float) -> MusterError:
    if "CERTIFICATE" in str(error).upper():
        return Unreachable("authentik", "The TLS certificate of Authentik is not trusted.", CHECK_TLS)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Unreachable("authentik", f"Authentik gave no answer within {timeout:g} s.", LOOK_AFTER_IT)
    return Unreachable("authentik", "Authentik could not be reached.", CHECK_URL)


def _refusal(response: httpx.Response, needs: str, named: str) -> MusterError:
    status, body = response.status_code, _json(response)
    if status == 429:
        return Limited("Authentik asks to slow down.", _seconds(response.headers.get("Retry-After", "")))
    if status in (401, 403):
        return Refused(f"Authentik refuses {named}.", _permission_fix(needs), str(status))
    if status >= 500 or status < 400:
        return Unreachable("authentik", f"Authentik answered {status}.", LOOK_AFTER_IT if status >= 500 else CHECK_URL)
    if not isinstance(body, dict):
        # Authentik's own refusals are JSON: this is its 405 for an unhandled error, or a proxy's page
        return Unreachable("authentik", f"Authentik answered {status} without a reason.", CHECK_URL)
    if status == 400:
        errors = _fields(body)
        return Invalid("; ".join(f"{field}: {message}" for field, message in errors), errors)
    by_status: dict[int, type[MusterError]] = {404: NotFound, 409: Conflict}
    text = str(body.get("detail", "")) or f"it answered {status}"
    if status in by_status:
        return by_status[status](f"Authentik: {text}")
    return Refused(f"Authentik: {text}", code=str(status))


def _permission_fix(needs: str) -> str:
    wanted = f" that its user has the permission {needs}," if needs else ""
    return f"Check in Authentik{wanted} that the token exists, is of intent API and has not expired."


def _fields(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, message) pairs; `non_field_errors` is sometimes a bare string."""
    return [
        (field, str(message))
        for field, messages in body.items()
        for message in (messages if isinstance(messages, list) else [messages])
    ]


def _seconds(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return RETRY_AFTER


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def decoded(response: httpx.Response) -> Any:
    """The JSON of a success. A proxy's page or a connection cut short is no answer: it raises `Unreachable`."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise Unreachable("authentik", "Authentik's answer is not JSON, or was cut short.", CHECK_URL) from error


def shaped(read: Callable[[], T]) -> T:
    """What `read` picks from an answer; JSON of another shape than Authentik's counts as no answer."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable("authentik", "Authentik's answer has another shape than expected.", CHECK_URL) from error


def results(answer: Any) -> list[dict[str, Any]]:
    return shaped(lambda: [dict(row) for row in answer["results"]])


def _following(answer: Any) -> int:
    """The next page's number, 0 when there is none."""
    return shaped(lambda: int(answer["pagination"]["next"]))
