"""`Crafts`: the bot's keys by `vodozemac` and `cryptography`, their chance by the operating system."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from shared.adapters import locking
from shared.adapters.cross_signing import ROLES, Identity, secret_name
from shared.adapters.olm import Sealer, make_account
from shared.adapters.secret_storage import RecoveryKey
from shared.domain.device_account import DeviceAccount
from shared.domain.devices import NewDevice


class DeviceCrafts:
    secret_names = tuple(secret_name(role) for role in ROLES)

    def new_pickle_key(self) -> str:
        return base64.b64encode(os.urandom(32)).decode()

    def replies_key(self, pickle_key: bytes) -> str:
        return base64.b64encode(locking.derived(pickle_key)).decode()

    def new_storage_key(self) -> RecoveryKey:
        return RecoveryKey.make()

    def storage_key(self, text: str) -> RecoveryKey:
        return RecoveryKey.parse(text)

    def new_identity(self, user_id: str) -> Identity:
        return Identity.make(user_id)

    def identity(self, user_id: str, secrets: Mapping[str, str]) -> Identity:
        return Identity.parse(user_id, secrets)

    def new_account(self, user_id: str, device_id: str, pickle_key: bytes) -> NewDevice:
        return make_account(user_id, device_id, pickle_key)

    def device(self, kept: DeviceAccount, pickle_key: bytes) -> Sealer:
        return Sealer(kept.user_id, kept.device_id, kept.account, pickle_key)
