"""`local.app` with ports that fail by plan: `MUSTER_FAULTS=plan.json python -m benchmarks.faults.app --port P`."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from functools import cached_property
from typing import Any, cast

from benchmarks.faults.plan import CurrentPlan
from benchmarks.faults.ports import Faulty
from local import app
from shared import wiring
from shared.ports import Chat, Directory, Documents, Keys, TaskQueue
from shared.services import encryption, late_devices, resume, steps
from shared.settings import Settings
from shared.wiring import FOREVER, Wiring


class FaultyWiring(Wiring):
    """What stands behind the proxy (Matrix, Authentik) fails there; the others fail here."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._plan = CurrentPlan.of_environment()
        self._chance = random.Random(f"{self._plan().seed} {os.getpid()}")

    def _faulty(self, name: str, port: Any, neighbour: str = "") -> Any:
        return Faulty(name, port, neighbour, self._plan, self._chance)

    @cached_property
    def documents(self) -> Documents:
        return cast("Documents", self._faulty("documents", super().documents, "firestore"))

    @cached_property
    def queue(self) -> TaskQueue:
        return cast("TaskQueue", self._faulty("queue", super().queue, "tasks"))

    async def chat(self) -> Chat:
        real = super().chat

        async def make() -> Chat:
            chat = await real() if self._plan().timeout is None else self._impatient_chat()
            return cast("Chat", self._faulty("chat", chat))

        return await self.remember("a chat that may fail", FOREVER, make)

    async def keys(self) -> Keys:
        real = super().keys

        async def make() -> Keys:
            return cast("Keys", self._faulty("keys", await real()))

        return await self.remember("keys that may fail", FOREVER, make)

    async def directory(self) -> Directory:
        real = super().directory

        async def make() -> Directory:
            directory = await real() if self._plan().timeout is None else self._impatient_directory()
            return cast("Directory", self._faulty("directory", directory))

        return await self.remember("a directory that may fail", FOREVER, make)

    def _impatient_chat(self) -> Chat:
        from shared.adapters.matrix import MatrixChat

        where, token, user = (self.settings[f"MATRIX_{name}"] for name in ("HOMESERVER", "ACCESS_TOKEN", "USER_ID"))
        return MatrixChat(where, token, user, timeout=self._plan().timeout or 0)

    def _impatient_directory(self) -> Directory:
        from shared.adapters.authentik import AuthentikDirectory

        where, token, flow = (self.settings[f"AUTHENTIK_{name}"] for name in ("URL", "API_TOKEN", "FLOW_SLUG"))
        return AuthentikDirectory(where, token, flow, timeout=self._plan().timeout or 0)


def main() -> None:
    plan = CurrentPlan.of_environment()()
    if plan.claim is not None:
        steps.CLAIM = timedelta(seconds=plan.claim)
    if plan.overdue is not None:
        resume.OVERDUE = timedelta(seconds=plan.overdue)
    if plan.lease is not None:
        resume.LEASE_FOR = timedelta(seconds=plan.lease)
    if plan.look is not None:
        look = timedelta(seconds=plan.look)
        encryption.FIRST_LOOK, encryption.DEVICE_LOOKS = look, (look,) * len(encryption.DEVICE_LOOKS)
        late_devices.LOOK_EVERY = (look, *late_devices.LOOK_EVERY[1:])
    wiring.factory = FaultyWiring
    app.main()


if __name__ == "__main__":
    main()
