"""The page's files as they are served, and what is in them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.admin.app import app
from functions.admin.page import STATIC, TYPES
from tests.functions.conftest import Service

FILES = sorted(file for file in STATIC.rglob("*") if file.is_file())
CONTENT = {file: file.read_bytes() for file in FILES}
OURS = [file for file in FILES if "vendor" not in file.parts]
FIRST_VIEW = 60_000


def name(file: Path) -> str:
    return f"/{file.relative_to(STATIC)}"


@pytest.mark.parametrize("file", FILES, ids=name)
async def test_every_file_has_its_type(service: Service, file: Path) -> None:
    """Each of the page's files is served whole, packed or not, with the type that a browser insists on."""
    plain = await service.send("admin", "GET", name(file), headers={"Accept-Encoding": "identity"})
    packed = await service.send("admin", "GET", name(file), headers={"Accept-Encoding": "gzip, br"})
    assert plain.content == packed.content == CONTENT[file]
    assert plain.headers["content-type"] == packed.headers["content-type"] == TYPES[file.suffix]
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


async def test_what_a_browser_has_it_need_not_fetch(service: Service) -> None:
    """Asked again with its tag a file is a 304 without a body, and with another one it comes."""
    first = await service.send("admin", "GET", "/app.js")
    again = await service.send("admin", "GET", "/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await service.send("admin", "GET", "/app.js", headers={"If-None-Match": 'W/"0"'})).status_code == 200
    assert first.headers["cache-control"] == "no-cache"


async def test_the_page_speaks_to_nobody_else(service: Service) -> None:
    """The policy names Muster itself and Authentik's origin, no other host, nothing inline, and no frame around it."""
    policy = (await service.send("admin", "GET", "/")).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["connect-src"] == f"'self' {service.issuer.base}"
    assert {rules[rule] for rule in ("default-src", "frame-ancestors", "base-uri")} == {"'none'"}
    assert {rules[rule] for rule in ("script-src", "style-src", "img-src", "form-action")} == {"'self'"}


async def test_what_the_page_is_told(service: Service) -> None:
    """Before anybody has signed in the page learns where to, and who may; not a secret among it."""
    answer = await service.send("admin", "GET", "/config.json")
    assert answer.json() == {
        "issuer": service.issuer.authentik,
        "client_id": "muster-admin",
        "admin_group": "muster-admins",
        "problem": "",
    }


async def test_a_malformed_issuer_stops_no_page(service: Service) -> None:
    """With an issuer that is none the page is there, says so, and is left with API keys."""
    service.env["AUTHENTIK_ISSUER"] = "auth.example.org"
    told = (await service.send("admin", "GET", "/config.json")).json()
    assert (told["issuer"], "AUTHENTIK_ISSUER" in told["problem"]) == ("", True)
    policy = (await service.send("admin", "GET", "/")).headers["content-security-policy"]
    assert "connect-src 'self';" in policy


def with_imports(*files: Path) -> set[Path]:
    """What a browser loads for these modules."""
    found, left = set[Path](), list(files)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += [(file.parent / path).resolve() for path in re.findall(r'from "(\.[^"]+)"', CONTENT[file].decode())]
    return found


def test_the_first_view_is_light() -> None:
    """Shell, sign-in and Home together stay far below 60 KB as they go over the wire."""
    first = with_imports(STATIC / "app.js", STATIC / "views" / "sign_in.js", STATIC / "views" / "home.js")
    first |= {STATIC / each for each in ("index.html", "page.css", "icon.svg")}
    assert sum(len(gzip.compress(CONTENT[file], 9)) for file in first) < FIRST_VIEW / 2


@pytest.mark.parametrize("file", OURS, ids=name)
def test_no_text_becomes_markup(file: Path) -> None:
    """Nothing here parses text as HTML or runs it, keeps anything in localStorage, or has a style or handler inline."""
    source = CONTENT[file].decode()
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|localStorage|setHTML"
    )
    assert not re.findall(forbidden, source)
    if file.suffix == ".html":
        assert not re.findall(r"\sstyle=|\son[a-z]+=|<style|<script(?! type=\"module\" src=)", source)


VENDORED = json.loads((STATIC.parent / "vendored.json").read_text())


def test_libraries_are_as_their_package_has_them() -> None:
    """Each file under vendor is one that the bill of materials names, to the byte, with its licence beside it, which is MIT."""
    told = [{each["name"]: each["value"] for each in one["properties"]} for one in VENDORED]
    named = {STATIC.parents[2] / about[f"muster:{what}"] for about in told for what in ("file", "licence")}
    assert named == set(FILES) - set(OURS)
    for library, about in zip(VENDORED, told, strict=True):
        [recorded] = [each["content"] for each in library["hashes"] if each["alg"] == "SHA-256"]
        assert hashlib.sha256((STATIC.parents[2] / about["muster:file"]).read_bytes()).hexdigest() == recorded
        assert library["licenses"] == [{"license": {"id": "MIT"}}]
        assert (STATIC.parents[2] / about["muster:licence"]).read_text().startswith("MIT License")
        assert library["version"] in about["muster:file"]


def calls() -> Iterator[str]:
    """Every path of the API that the page names, with {} for what is filled in."""
    for file in OURS:
        for found in re.findall(r"[\"`](/api/[^\"`\s]*)", CONTENT[file].decode()):
            path = re.sub(r"\$\{[^}]*\}", "{}", found.partition("?")[0])
            yield re.sub(r"\{\}\{\}$", "{}", path)


def test_the_page_calls_what_there_is() -> None:
    """Each path that the page calls is one of the API's."""
    known = {re.sub(r"\{[^}]*\}", "{}", path) for path in app().openapi()["paths"]}
    found = set(calls())
    assert {"/api/invites", "/api/onboardings/{}", "/api/metrics", "/api/self-check"} <= found
    assert not found - known
