"""The stand-in's OIDC provider: a public client with code and PKCE S256, refresh tokens that rotate, and
client_credentials for service accounts. Claims, refusals and CORS as observed of Authentik."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from local.authentik_api import Server
from local.authentik_flow import COOKIE
from local.authentik_rows import FIXED
from local.authentik_state import Row, State

LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in</title><main><h1>Sign in</h1><p role="alert">{}</p><form method="post">
<p><label>Username <input name="username" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign in</button></p></form></main></html>"""
SCOPES = ["openid", "profile", "email", "offline_access"]
CODE_SECONDS, ACCESS_SECONDS, REFRESH_SECONDS = 60, 600, 12 * 3600


class Oauth:
    def __init__(self, server: Server) -> None:
        config = {"slug": "muster-admin", "client_id": "muster-admin", "redirect_uris": []} | server.config.get(
            "oidc", {}
        )
        self.slug, self.client, self.redirects = (config[key] for key in ("slug", "client_id", "redirect_uris"))
        self.state, self.group = server.state, server.config.get("admin_group", "muster-admins")
        uris = [{"matching_mode": "strict", "url": uri, "redirect_uri_type": "authorization"} for uri in self.redirects]
        own = {"client_id": self.client, "redirect_uris": uris, "assigned_application_slug": self.slug}
        self.state.put("provider", 1, FIXED["provider"] | own)
        self._key = _signing_key(self.state)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self._kid = hashlib.sha256(public["n"].encode()).hexdigest()[:32]
        self._jwk = {"kid": self._kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": public["n"], "e": public["e"]}
        self._codes: dict[str, Row] = {}

    async def discovery(self, request: Request) -> Response:
        issuer, base = f"{request.base_url}application/o/{self.slug}/", f"{request.base_url}application/o/"
        paths = {"authorization": "authorize/", "token": "token/", "userinfo": "userinfo/", "revocation": "revoke/"}
        ends = {f"{name}_endpoint": base + path for name, path in paths.items()}
        ends |= {"end_session_endpoint": f"{issuer}end-session/", "jwks_uri": f"{issuer}jwks/", "issuer": issuer}
        lists = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["plain", "S256"]}
        lists |= {"scopes_supported": SCOPES, "claims_supported": ["iss", "sub", "preferred_username", "groups"]}
        return self._open(request, ends | lists | {"id_token_signing_alg_values_supported": ["RS256"]})

    async def keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self._jwk]}, headers={"Access-Control-Allow-Origin": "*"})

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        if asked.get("client_id") != self.client or asked.get("redirect_uri") not in self.redirects:
            return HTMLResponse("Redirect URI Error", 400)
        user, said = _session_user(self.state, request), ""
        if request.method == "POST" and not user:
            form = await _form(request)
            user = self.state.signed_in(form.get("username", ""), form.get("password", ""))
            said = "" if user else "Invalid password or unknown user."
        if not user and asked.get("prompt") == "none":
            return _back(asked, error="login_required")
        if not user:
            return HTMLResponse(LOGIN.format(html.escape(said)))
        if not self._may(user) or asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return HTMLResponse("Permission denied", 403)
        code = secrets.token_urlsafe(24)
        self._codes[code] = dict(asked) | {"user": user["pk"], "until": time.time() + CODE_SECONDS}
        answer = _back(asked, code=code)
        key = secrets.token_urlsafe(24)
        self.state.put("session", key, {"user": user["pk"]})
        answer.set_cookie(COOKIE, key, httponly=True, samesite="lax")
        return answer

    async def token(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._open(request, {})
        form = await _form(request)
        grants = {"authorization_code": self._by_code, "refresh_token": self._by_refresh}
        grant = grants.get(form.get("grant_type", ""), self._by_password)
        found = grant(form) if form.get("client_id") == self.client else None
        if found is None:
            words = "The provided authorization grant or refresh token is invalid"
            return self._open(request, {"error": "invalid_grant", "error_description": words}, 400)
        # the issuer follows the Host header
        return self._open(request, self._tokens(f"{request.base_url}application/o/{self.slug}/", *found))

    def _by_code(self, form: Row) -> tuple[Row, str, str] | None:
        """A wrong, used or expired code, and a wrong verifier, are one and the same refusal."""
        kept = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not kept or kept["until"] < time.time() or kept["redirect_uri"] != form.get("redirect_uri"):
            return None
        user = self.state.get("user", kept["user"]) if kept["code_challenge"] == challenge else None
        return (user, kept.get("scope", ""), kept.get("nonce", "")) if user else None

    def _by_refresh(self, form: Row) -> tuple[Row, str, str] | None:
        """Rotates, and does not ask the application's policies again."""
        kept = self.state.drop("refresh", form.get("refresh_token", ""))
        user = self.state.get("user", kept["user"]) if kept and kept["until"] > time.time() else None
        return (user, kept["scope"], "") if kept and user and user["is_active"] else None

    def _by_password(self, form: Row) -> tuple[Row, str, str] | None:
        """client_credentials: a service account with its app password."""
        user = self.state.one("user", username=form.get("username"), is_active=True)
        key = form.get("password", "") if form.get("grant_type") == "client_credentials" else ""
        token = self.state.one("token", user=user["pk"], intent="app_password", key=key) if user else None
        return (user, form.get("scope", ""), "") if user and token and self._may(user) else None

    def _tokens(self, issuer: str, user: Row, scope: str, nonce: str) -> Row:
        now, scopes = int(time.time()), scope.split()
        claims: Row = {"iss": issuer, "sub": user["uuid"], "aud": self.client, "exp": now + ACCESS_SECONDS, "iat": now}
        claims |= {"auth_time": now, "acr": "goauthentik.io/providers/oauth2/default"} | self._about(user, scopes)
        access = self._signed(claims | {"azp": self.client, "scope": scope, "jti": secrets.token_hex(16)})
        answer: Row = {"access_token": access, "token_type": "Bearer", "expires_in": ACCESS_SECONDS, "scope": scope}
        if "openid" in scopes:
            answer["id_token"] = self._signed(claims | ({"nonce": nonce} if nonce else {}))
        if "offline_access" in scopes:
            answer["refresh_token"] = secrets.token_urlsafe(48)
            kept = {"user": user["pk"], "scope": scope, "until": now + REFRESH_SECONDS}
            self.state.put("refresh", answer["refresh_token"], kept)
        return answer

    def _about(self, user: Row, scopes: list[str]) -> Row:
        names = {"name": user["name"], "given_name": user["name"], "preferred_username": user["username"]}
        groups = [group["name"] for group in self.state.groups_of(user)]
        profile = names | {"nickname": user["username"], "groups": groups} if "profile" in scopes else {}
        return profile | ({"email": user["email"], "email_verified": False} if "email" in scopes else {})

    async def userinfo(self, request: Request) -> Response:
        text = request.headers.get("authorization", "").partition(" ")[2]
        try:
            claims = jwt.decode(text, self._key.public_key(), ["RS256"], audience=self.client)
        except jwt.PyJWTError:
            return self._open(request, {"error": "invalid_token"}, 200 if request.method == "OPTIONS" else 401)
        user = self.state.one("user", uuid=claims["sub"]) or {}
        return self._open(request, {"sub": claims["sub"]} | self._about(user, claims.get("scope", "").split()))

    async def revoke(self, request: Request) -> Response:
        self.state.drop("refresh", (await _form(request)).get("token", ""))
        return JSONResponse({})

    async def end_session(self, request: Request) -> Response:
        self.state.drop("session", request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(self.redirects[0], 302) if self.redirects else HTMLResponse("You are signed out.")
        answer.delete_cookie(COOKIE)
        return answer

    def _may(self, user: Row) -> bool:
        return self.group in [group["name"] for group in self.state.groups_of(user)]

    def _signed(self, claims: Row) -> str:
        return jwt.encode(claims, self._key, "RS256", {"kid": self._kid})

    def _open(self, request: Request, body: Row, status: int = 200) -> Response:
        """To pages of a registered redirect URI's origin, and to no other."""
        answer, origin = JSONResponse(body, status), request.headers.get("origin", "")
        if origin in {"{0.scheme}://{0.netloc}".format(urlsplit(uri)) for uri in self.redirects}:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Headers"] = "authorization, content-type"
        return answer


def _signing_key(state: State) -> rsa.RSAPrivateKey:
    if kept := state.get("key", "oidc"):
        loaded: Any = serialization.load_pem_private_key(kept["pem"].encode(), None)
        return loaded  # type: ignore[no-any-return]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    state.put("key", "oidc", {"pem": pem.decode()})
    return key


def _session_user(state: State, request: Request) -> Row | None:
    session = state.get("session", request.cookies.get(COOKIE, "")) or {}
    user = state.get("user", session.get("user"))
    return user if user and user["is_active"] else None


def _back(asked: Mapping[str, str], **found: str) -> Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(found | state)}", 302)


async def _form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
