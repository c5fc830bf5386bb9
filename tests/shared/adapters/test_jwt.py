"""Tokens of others are believed only when every check holds."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.adapters.jwt import InvokerTokens, KeySet, check_claims, unverified_claims, verify
from shared.domain.errors import Unauthenticated, Unreachable

ISSUER, AUDIENCE, EMAIL = "https://issuer.example/", "https://muster.example/tasks/x", "tasks@p.iam.gserviceaccount.com"
OURS, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones; a change to None leaves a claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, "email": EMAIL, "azp": "client", "scope": "a"}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def token(key: Any = OURS, kid: str | None = "one", algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def jwk(key: rsa.RSAPrivateKey, kid: str, **more: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


class KeySource:
    """A JWKS on loopback that counts, and can be broken."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.document: Any = {"keys": [jwk(OURS, "one", use="sig", alg="RS256")]}
        self.status = 200
        self.fetches = 0
        self._tls = tls

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/jwks", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}/jwks"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.fetches += 1
        await asyncio.sleep(0.01)
        text = self.document if isinstance(self.document, str) else json.dumps(self.document)
        return web.Response(status=self.status, text=text, content_type="application/json")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def source() -> AsyncIterator[KeySource]:
    async with KeySource() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(source: KeySource, clock: Clock) -> KeySet:
    return KeySet(source.url, cool_down_seconds=60, clock=clock)


async def checked(keys: KeySet, candidate: str, **more: Any) -> dict[str, Any]:
    return await verify(candidate, keys, issuer=ISSUER, audience=AUDIENCE, **more)


# ------------------------------------------------------------------ verify


async def test_a_good_token(keys: KeySet) -> None:
    """A token that passes every check yields its claims; an audience in a list of one is the same."""
    found = await checked(keys, token(), required=("azp", "scope"), authorized_party="client", emails={EMAIL})
    assert found["email"] == EMAIL
    assert (await checked(keys, token(aud=[AUDIENCE])))["aud"] == [AUDIENCE]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://issuer.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": AUDIENCE + "/"}, "another audience"),
        ({"aud": [AUDIENCE, "b"]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "4102444800"}, "expired"),
        ({"exp": True}, "expired"),
        ({"nbf": int(time.time()) + 86400}, "not valid yet"),
        ({"nbf": "soon"}, "not valid yet"),
        ({"iat": int(time.time()) + 86400}, "in the future"),
        ({"azp": "someone-else"}, "our client"),
        ({"azp": None}, "our client"),
        ({"scope": None}, "lacks scope"),
        ({"email": "other@p.iam.gserviceaccount.com"}, "may not call"),
        ({"email": None}, "may not call"),
        ({"email": [EMAIL]}, "may not call"),
        ({"email_verified": False}, "may not call"),
        ({"email_verified": "false"}, "may not call"),
    ],
)
async def test_each_claim_counts(keys: KeySet, changes: dict[str, Any], words: str) -> None:
    """One wrong claim is enough, and the refusal says which, never the token."""
    bad = token(**changes)
    with pytest.raises(Unauthenticated, match=words) as caught:
        await checked(keys, bad, required=("scope",), authorized_party="client", emails={EMAIL})
    assert not any(part in repr(caught.value) + caught.value.fix for part in bad.split("."))


async def test_leeway(keys: KeySet) -> None:
    """Clocks may differ by the leeway, and by no more."""
    late = token(exp=int(time.time()) - 20)
    assert await checked(keys, late)
    with pytest.raises(Unauthenticated, match="expired"):
        await checked(keys, late, leeway=5)


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    parts = (json.dumps(part).encode() for part in (header, claims()))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), signature])


PUBLIC_PEM = OURS.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def hmac_with_public_key() -> str:
    """The classic confusion: HS256 with the public key as the secret."""
    import hashlib
    import hmac

    body = unsigned({"alg": "HS256", "typ": "JWT", "kid": "one"})
    digest = hmac.new(PUBLIC_PEM, body.removesuffix(".").encode(), hashlib.sha256).digest()
    return body + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (unsigned({"alg": "none", "kid": "one"}), "RS256"),
        (unsigned({"alg": "None", "kid": "one"}), "RS256"),
        (unsigned({"kid": "one"}), "RS256"),
        (hmac_with_public_key(), "RS256"),
        (token(algorithm="RS512"), "RS256"),
        (token(algorithm="PS256"), "RS256"),
        (token(key=OTHER), "signature"),
        (token()[:-8] + "AAAAAAAA", "signature"),
        (token(kid=None), "names no key"),
        (token(kid="two"), "does not publish"),
        (unsigned({"alg": "RS256", "kid": "one"}), "signature"),
        (unsigned({"alg": "RS256", "kid": "one"}, "SIGNATURE_REMOVED_BY_GOOGLE"), "signature"),
        ("", "not a JWT"),
        ("a.b.c", "not a JWT"),
        ("ä.ö.ü", "not a JWT"),
        (base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".e30.e30", "not a JWT"),
    ],
)
async def test_forgeries(keys: KeySet, candidate: str, words: str) -> None:
    """No algorithm but RS256, no key but the issuer's, nothing that is not a token."""
    with pytest.raises(Unauthenticated, match=words):
        await checked(keys, candidate)


# ------------------------------------------------------------------ KeySet


async def test_fetched_once_for_all(keys: KeySet, source: KeySource) -> None:
    """Many who need the keys at once share one fetch, and the next ones need none."""
    await asyncio.gather(*(checked(keys, token()) for _ in range(20)))
    await checked(keys, token())
    assert source.fetches == 1


async def test_unknown_ids_cost_one_fetch_per_cool_down(keys: KeySet, source: KeySource, clock: Clock) -> None:
    """Forged key ids reach the issuer once per cool-down, and a new key is found after it."""
    await checked(keys, token())
    for kid in ("x", "y", "z"):
        with pytest.raises(Unauthenticated):
            await checked(keys, token(kid=kid))
    assert source.fetches == 1
    source.document["keys"].append(jwk(OTHER, "two"))
    clock.now += 61
    assert await checked(keys, token(key=OTHER, kid="two"))
    with pytest.raises(Unauthenticated):
        await checked(keys, token(kid="x"))
    assert source.fetches == 2


@pytest.mark.parametrize("broken", ["status", "html", "list", "empty"])
async def test_old_keys_serve_on(keys: KeySet, source: KeySource, clock: Clock, broken: str) -> None:
    """When the issuer is down or talks nonsense, the keys that we know still verify."""
    await checked(keys, token())
    source.status = 500 if broken == "status" else 200
    source.document = {"status": source.document, "html": "<html>", "list": [], "empty": {"keys": []}}[broken]
    clock.now += 61
    with pytest.raises(Unauthenticated, match="does not publish"):
        await checked(keys, token(kid="two"))
    assert await checked(keys, token())
    assert source.fetches == 2


async def test_a_withdrawn_key_ends(keys: KeySet, source: KeySource, clock: Clock) -> None:
    """A key that the issuer no longer publishes verifies nothing after an hour."""
    await checked(keys, token())
    source.document = {"keys": [jwk(OTHER, "two")]}
    clock.now += 3601
    with pytest.raises(Unauthenticated, match="does not publish"):
        await checked(keys, token())


async def test_a_source_that_is_down(keys: KeySet, source: KeySource, clock: Clock) -> None:
    """Without any key nobody is called a forger: the issuer is unreachable, and is asked again after five seconds."""
    source.status = 503
    for _ in range(3):
        with pytest.raises(Unreachable) as caught:
            await checked(keys, token())
    assert (caught.value.neighbour, source.fetches) == ("authentik", 1)
    source.status = 200
    clock.now += 5
    assert await checked(keys, token())


async def test_nobody_there() -> None:
    """A refused connection is unreachable."""
    with pytest.raises(Unreachable):
        await checked(KeySet("http://127.0.0.1:1/jwks"), token())


async def test_own_certificates(tmp_path: Path) -> None:
    """A self-signed issuer is refused, and accepted with its certificate in the bundle."""
    bundle, key_file = tmp_path / "ca.pem", tmp_path / "key.pem"
    bundle.write_bytes(self_signed(OURS))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(OURS.private_bytes(*form))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(bundle, key_file)
    async with KeySource(tls) as source:
        with pytest.raises(Unreachable) as caught:
            await checked(KeySet(source.url), token())
        assert "certificate" in caught.value.fix
        assert await checked(KeySet(source.url, str(bundle)), token())


def self_signed(key: rsa.RSAPrivateKey) -> bytes:
    """A certificate for 127.0.0.1."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


async def test_only_signing_keys_of_rsa(keys: KeySet, source: KeySource) -> None:
    """Keys of other kinds and uses, and broken ones, are passed over."""
    symmetric = {"kty": "oct", "kid": "one", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
    broken = {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}
    source.document = {"keys": [symmetric, broken, 7, jwk(OTHER, "enc", use="enc"), jwk(OURS, "good")]}
    assert await checked(keys, token(kid="good"))
    for kid in ("one", "broken", "enc"):
        with pytest.raises(Unauthenticated, match="does not publish"):
            await checked(keys, token(kid=kid))


# ------------------------------------------------------------------ callers of private entry points


def removed(**changes: Any) -> str:
    """As Cloud Run passes a token on that it has verified."""
    return token(**changes).rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"


@pytest.fixture
def invokers(keys: KeySet) -> InvokerTokens:
    return InvokerTokens(keys, ISSUER)


@pytest.mark.parametrize("production", [True, False])
async def test_a_signature_that_is_there_is_verified(invokers: InvokerTokens, production: bool) -> None:
    """A signed token is verified in every environment, and a forged one refused in every one."""
    assert (await invokers.verify(f"Bearer {token()}", AUDIENCE, {EMAIL}, production))["email"] == EMAIL
    assert await invokers.verify(f"bearer {token()}", AUDIENCE, {EMAIL}, production)
    for header in (f"Bearer {token(key=OTHER)}", f"Bearer {token(email='a@b')}", f"Bearer {token(aud='other')}"):
        with pytest.raises(Unauthenticated):
            await invokers.verify(header, AUDIENCE, {EMAIL}, production)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer x", "Bearer a.b.c.d"])
async def test_no_token(invokers: InvokerTokens, header: str | None) -> None:
    """Nothing, another scheme and rubbish are refused."""
    with pytest.raises(Unauthenticated):
        await invokers.verify(header, AUDIENCE, {EMAIL}, True)


async def test_a_removed_signature(invokers: InvokerTokens, source: KeySource) -> None:
    """It is accepted in production alone, without asking anybody for keys."""
    assert (await invokers.verify(f"Bearer {removed()}", AUDIENCE, {EMAIL}, True))["email"] == EMAIL
    with pytest.raises(Unauthenticated, match="only production"):
        await invokers.verify(f"Bearer {removed()}", AUDIENCE, {EMAIL}, False)
    assert source.fetches == 0


@pytest.mark.parametrize("changes", [{"aud": "other"}, {"email": "a@b"}, {"email": None}, {"exp": 1}, {"exp": None}])
async def test_a_removed_signature_is_no_free_pass(invokers: InvokerTokens, changes: dict[str, Any]) -> None:
    """Audience, e-mail and expiry count all the same."""
    with pytest.raises(Unauthenticated):
        await invokers.verify(f"Bearer {removed(**changes)}", AUDIENCE, {EMAIL}, True)


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        "a.b",
        "a.b.SIGNATURE",
        "e30.W10.SIGNATURE_REMOVED_BY_GOOGLE",
        "e30.!!.SIGNATURE_REMOVED_BY_GOOGLE",
        "e30.____.SIGNATURE_REMOVED_BY_GOOGLE",
        "x.e30.e30.SIGNATURE_REMOVED_BY_GOOGLE",
        token(),
    ],
)
def test_only_what_google_removed_is_read_unverified(candidate: str) -> None:
    """Any other shape of token is refused, never read."""
    with pytest.raises(Unauthenticated):
        unverified_claims(candidate)


def test_unverified_claims() -> None:
    """The claims come out as Cloud Run passes them on."""
    assert unverified_claims(removed())["aud"] == AUDIENCE


def test_numbers_beyond_all_bounds() -> None:
    """Absurd times are compared, not crashed on."""
    check_claims({"aud": "a", "exp": 10**400}, now=0, audience="a")
    for exp in (float("nan"), -(10**400), None):
        with pytest.raises(Unauthenticated):
            check_claims({"aud": "a", "exp": exp}, now=0, audience="a")


def test_a_task_behind_cloud_run_pays_for_no_library() -> None:
    """Accepting a removed signature imports neither PyJWT nor httpx."""
    script = (
        "import asyncio, sys; from shared.adapters.jwt import InvokerTokens;"
        f"asyncio.run(InvokerTokens().verify({f'Bearer {removed()}'!r}, {AUDIENCE!r}, {{{EMAIL!r}}}, True));"
        "assert not {'jwt', 'httpx', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603
