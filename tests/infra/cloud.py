"""Stand-ins of gcloud and terraform, as deploy.sh calls them: they record each call and keep a small world.

On PATH they are a few lines of shell each, which ask `Cloud` over a loopback socket: forty starts of Python a deployment
would make the tests slow. `world["fails"]` names the calls that fail, by their first words.
"""

from __future__ import annotations

import contextlib
import io
import json
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

World = dict[str, Any]
EMPTY: World = {
    "login": True,
    "project": "ACTIVE",
    "billing": "True",
    "number": "4711",
    "owner": "",
    "files": {},
    "images": {},
    "secrets": {},
    "made": [],
    "services": {},
    "fails": [],
    "drift": False,
    "not_ready": [],
    "base": "",
}
TOKEN = "ya29.token-of-the-deployer"
DIGEST = "sha256:{:064x}"
SECRETS = (
    """AUTHENTIK_API_TOKEN AUTHENTIK_WEBHOOK_SECRETS ADMIN_API_KEYS MATRIX_ACCESS_TOKEN MATRIX_DEVICE_ACCOUNT""".split()
)
FOUNDATION: dict[str, str] = {
    "google_project_service.apis": "google_project_service",
    "google_artifact_registry_repository.images": "google_artifact_registry_repository",
    "google_secret_manager_secret.secrets": "google_secret_manager_secret",
}
REGISTRY = "europe-west1-docker.pkg.dev/muster-test/muster"


def fail(words: str) -> None:
    print(f"ERROR: {words}", file=sys.stderr)
    raise SystemExit(1)


def option(arguments: list[str], name: str) -> str:
    """Of `--name=value` or `-name=value`."""
    return next((each.partition("=")[2] for each in arguments if each.lstrip("-").startswith(f"{name}=")), "")


def words(arguments: list[str]) -> list[str]:
    return [each for each in arguments if not each.startswith("-")]


# ------------------------------------------------------------------ gcloud


def gcloud(world: World, arguments: list[str]) -> None:
    match words(arguments):
        case ["auth", "print-access-token"]:
            print(TOKEN) if world["login"] else fail("you have no account")
        case ["auth", "list"]:
            print("ada@example.org")
        case ["projects", "describe", *_]:
            _project(world, arguments)
        case ["billing", *_]:
            print(world["billing"]) if world["billing"] else fail("the API is not enabled")
        case ["storage", "buckets", verb, *_]:
            _bucket(world, verb)
        case ["storage", "cat", url]:
            found = world["files"].get(url)
            print(found) if found else fail(f"The following URLs matched no objects or files:\n- {url}")
        case ["storage", "cp", source, url]:
            world["files"][url] = Path(source).read_text()
        case ["artifacts", "docker", "images", "describe", image, *_]:
            _image(world, image)
        case ["builds", "submit", source]:
            assert Path(source).stat().st_size
            if "lose-image" not in world["fails"]:
                world["images"][option(arguments, "tag")] = DIGEST.format(len(world["images"]) + 1)
        case ["secrets", "versions", verb, secret, *_]:
            _secret(world, verb, secret)
        case ["services", "enable", *_]:
            pass
        case ["run", "services", "list", *_]:
            print(json.dumps([_service(world, name) for name in world["services"]]))
        case other:
            raise AssertionError(other)


def _project(world: World, arguments: list[str]) -> None:
    if not world["project"]:
        fail("not found")
    print(world["number"] if "projectNumber" in option(arguments, "format") else world["project"])


def _bucket(world: World, verb: str) -> None:
    if verb == "create":
        if world["owner"]:
            fail("409: it exists")
        world["owner"] = world["number"]
    elif not world["owner"]:
        fail("404")
    elif verb == "describe":
        print(world["owner"])


def _image(world: World, image: str) -> None:
    name, at, digest = image.partition("@")
    known = digest if at and digest in world["images"].values() else world["images"].get(name, "")
    print(known) if known else fail("not found")


def _secret(world: World, verb: str, secret: str) -> None:
    if verb == "list":
        print("\n".join(str(number) for number, _ in enumerate(world["secrets"].get(secret, ()), 1)))
    else:
        world["secrets"].setdefault(secret, []).append(world["stdin"])


def _service(world: World, name: str) -> dict[str, Any]:
    ready = name not in world["not_ready"]
    container = {"image": world["services"][name], "env": [{"name": "FUNCTION_TARGET", "value": name}]}
    status = {
        "conditions": [{"type": "Ready", "status": "True" if ready else "False", "message": "it did not start"}],
        "latestCreatedRevisionName": "r2",
        "latestReadyRevisionName": "r2",
        "traffic": [{"latestRevision": True, "percent": 100}],
    }
    return {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": [container]}}}, "status": status}


# ------------------------------------------------------------------ terraform


def terraform(world: World, arguments: list[str], entry_points: list[str]) -> None:
    match words(arguments):
        case ["init"]:
            if not world["owner"]:
                fail("no such bucket")
        case ["plan", *_]:
            _plan(world, arguments, entry_points)
        case ["show", plan]:
            print(Path(plan).read_text())
        case ["apply", plan]:
            _apply(world, json.loads(Path(plan).read_text()))
        case ["output", "registry"]:
            print(REGISTRY, end="") if world["made"] else fail("no outputs found")
        case ["output"]:
            print(json.dumps(_outputs(world, entry_points)))
        case other:
            raise AssertionError(other)


def _plan(world: World, arguments: list[str], entry_points: list[str]) -> None:
    image = next(each for each in arguments if each.startswith("-var=image=")).removeprefix("-var=image=")
    targets = [each.removeprefix("-target=") for each in arguments if each.startswith("-target=")]
    listed: list[dict[str, Any]] = [
        {"address": address, "type": kind, "change": {"actions": ["no-op" if address in world["made"] else "create"]}}
        for address, kind in FOUNDATION.items()
    ]
    for name in entry_points:
        there = world["services"].get(name)
        actions = ["create"] if there is None else ["no-op"] if there == image else ["update"]
        address = f'google_cloud_run_v2_service.functions["{name}"]'
        kind = "google_cloud_run_v2_service"
        listed.append({"address": address, "type": kind, "index": name, "change": {"actions": actions}})
    if world["drift"] and world["services"]:
        listed.append({"address": "google_cloud_tasks_queue.x", "type": "x", "change": {"actions": ["delete"]}})
    listed = [each for each in listed if not targets or each["address"] in targets]
    out = Path(option(arguments, "out"))
    out.write_text(json.dumps({"resource_changes": listed, "image": image}))
    changing = [each for each in listed if each["change"]["actions"] != ["no-op"]]
    print(f"Plan: {len(changing)} to change.")
    if changing and "-detailed-exitcode" in arguments:
        raise SystemExit(2)


def _apply(world: World, plan: dict[str, Any]) -> None:
    halfway = "apply-halfway" in world["fails"]
    for each in plan["resource_changes"]:
        if "index" in each:
            world["services"][each["index"]] = plan["image"]
            if halfway:
                fail("quota exceeded")
        elif each["address"] not in world["made"]:
            world["made"].append(each["address"])


def _outputs(world: World, entry_points: list[str]) -> dict[str, Any]:
    base = world["base"]
    values = {
        "admin_url": f"{base}/admin",
        "webhook_url": f"{base}/enrollment_webhook",
        "authentik_redirect_uri": f"{base}/admin/",
        "registry": REGISTRY,
        "functions": {name: {"url": f"{base}/{name}"} for name in entry_points if name in world["services"]},
        "secrets": {
            name: f"projects/muster-test/secrets/muster-{name.lower().replace('_', '-')}/versions/latest"
            for name in SECRETS
        },
    }
    return {name: {"sensitive": False, "value": value} for name, value in values.items()}


# ------------------------------------------------------------------ both


STAND_IN = """#!/bin/bash
given=''
[[ $* != *--data-file=-* ]] || given=$(cat)
exec 3<>/dev/tcp/127.0.0.1/{port}
call=$(printf '%s\\037' {program} "$@")
printf '%s\\n%s\\n' "$call" "$given" >&3
read -r code number <&3
out=$(<"{folder}/$number.out") err=$(<"{folder}/$number.err")
[[ -z $out ]] || printf '%s\\n' "$out"
[[ -z $err ]] || printf '%s\\n' "$err" >&2
exit "$code"
"""


class Cloud:
    """`world` may be looked at and changed; `calls` are the argument lists, in their order. `folder` holds what was said."""

    def __init__(self, folder: Path, entry_points: list[str], base: str) -> None:
        self.world: World = {**json.loads(json.dumps(EMPTY)), "base": base}
        self.calls: list[list[str]] = []
        self.folder, self.entry_points = folder, entry_points
        self._number = 0
        cloud = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                call = self.rfile.readline().decode().rstrip("\n").split("\x1f")[:-1]
                given = self.rfile.readline().decode().rstrip("\n")
                self.wfile.write(cloud._said(call, given).encode())

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stand_in(self, program: str) -> str:
        return STAND_IN.format(port=self._server.server_address[1], program=program, folder=self.folder)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _said(self, call: list[str], given: str) -> str:
        self._number += 1
        self.calls.append(call)
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                self._answer(call, given)
            except SystemExit as ended:
                code = int(ended.code or 0)
        for kind, said in (("out", out), ("err", err)):
            (self.folder / f"{self._number}.{kind}").write_text(said.getvalue())
        return f"{code} {self._number}\n"

    def _answer(self, call: list[str], given: str) -> None:
        program, *arguments = call
        said = " ".join(words(call))
        for failing in self.world["fails"]:
            if said.startswith(failing) or Path(option(arguments, "out")).name == failing:
                fail(f"{failing} fails here")
        if program == "gcloud":
            self.world["stdin"] = given
            gcloud(self.world, arguments)
        else:
            terraform(self.world, arguments, self.entry_points)
