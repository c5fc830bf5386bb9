"""A recipient on the crypto of the clients themselves, matrix-sdk-crypto (Rust) on Node: `node/recipient.mjs`, to which
this speaks one JSON object per line."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.end_to_end.recipients.client import Seen

HERE = Path(__file__).parent / "node"
PATIENCE = 60
"""Seconds for one answer, on a busy machine."""


class NodeAbsent(RuntimeError):
    """It cannot be installed here; the text says what to do."""


def install() -> str:
    """The program `node`. Installs what package-lock.json says, once; two installers at once wait for each other."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise NodeAbsent("no Node.js of 18 or later: on Debian, apt-get install nodejs npm")
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    with (HERE / "package.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            said = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=100, check=False)  # noqa: S603
            if said.returncode:
                raise NodeAbsent(f"npm ci failed: {said.stderr.strip()[-300:]}")
            stamp.touch()
    return node


class NodeRecipient:
    """Made by `enter`; close it."""

    def __init__(self, process: asyncio.subprocess.Process, user_id: str, device_id: str) -> None:
        self._process = process
        self.user_id, self.device_id = user_id, device_id

    @classmethod
    async def enter(
        cls, url: str, login: dict[str, Any], *, sign: bool = False, only_signed: bool = False
    ) -> NodeRecipient:
        """`login`: user_id, access_token and device_id. `sign`: makes a cross-signing identity and signs the device
        with it. `only_signed`: decrypts nothing of devices that their owner has not signed (MSC4153)."""
        pipe = asyncio.subprocess.PIPE
        command = (install(), str(HERE / "recipient.mjs"))
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**24)
        made = cls(process, login["user_id"], login["device_id"])
        await made._do("enter", url=url, sign=sign, onlySigned=only_signed, **login)
        return made

    async def join(self, room_id: str) -> None:
        await self._do("join", room=room_id)

    async def sync(self) -> None:
        await self._do("sync")

    async def seen(self, room_id: str) -> list[Seen]:
        return [Seen(**event) for event in await self._do("seen", room=room_id)]

    async def say(self, room_id: str, body: str) -> None:
        await self._do("say", room=room_id, body=body)

    async def is_signed(self, user_id: str, device_id: str) -> bool:
        """Whether this client finds that device cross-signed by its owner."""
        return bool(await self._do("isSigned", user=user_id, device=device_id))

    async def close(self) -> None:
        """Ends when its input does."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _do(self, what: str, **arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert line, "the Node recipient has ended"
        said = json.loads(line)
        assert "error" not in said, said["error"]
        return said.get("answer")
