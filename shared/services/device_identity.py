"""The bot's cross-signing identity: made once, or unlocked. Never replaced, since that would turn the view of
every member who has verified the bot red.

What is secret is stored before it is published, so that set-up, cut short anywhere, finds it again.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from shared.domain.errors import Misconfigured, Refused
from shared.ports import Data, Keys
from shared.services.device_ports import Bench, SigningIdentity, StorageKey

DEFAULT_KEY, KEY = "m.secret_storage.default_key", "m.secret_storage.key."
RECOVERY_KEY = "MATRIX_RECOVERY_KEY"
_UNTOUCHED = "The bot's keys were left as they are."
_MEND = (
    "Sign in as the bot with the Matrix client that made its identity, set up recovery there (Element: Settings, "
    f"Encryption), put the recovery key that it shows into {RECOVERY_KEY} and run set-up again."
)

Note = Callable[[str], None]
"""Told of each thing that was changed, in words."""


class Storage(Struct, frozen=True):
    """The account's secret storage, and the key that opens it."""

    keys: Keys
    key_id: str
    key: StorageKey

    async def read(self, name: str) -> str:
        """Empty when nothing is stored. Raises `Refused` for what this key does not open."""
        sealed = (await self.keys.account_data(name) or {}).get("encrypted") or {}
        if not sealed:
            return ""
        if self.key_id not in sealed:
            cause = f"{name} is in secret storage, but under another key than the account's default one"
            raise Refused(cause, f"{_MEND} {_UNTOUCHED}", "SECRET_STORAGE")
        return self.key.unseal(name, sealed[self.key_id])

    async def write(self, name: str, secret: str) -> None:
        await self.keys.set_account_data(name, {"encrypted": {self.key_id: self.key.seal(name, secret)}})


async def own_identity(bench: Bench, keys: Keys, answer: Data, note: Note) -> SigningIdentity:
    """`answer`: a key query of the bot. Raises `Refused` or `Misconfigured` where keys exist and do not open."""
    if bench.user_id in answer.get("master_keys", {}):
        return await _unlock(bench, keys, answer)
    storage = await _opened(bench, keys) or await _new_storage(bench, keys, note)
    identity = await _stored_identity(bench, storage, note)
    await _publish(keys, identity)
    note("published the bot's cross-signing identity")
    return identity


# ------------------------------------------------------------------ an identity that is there


async def _unlock(bench: Bench, keys: Keys, answer: Data) -> SigningIdentity:
    storage = await _opened(bench, keys)
    secrets = await _secrets(bench, storage) if storage else {}
    missing = [name for name, secret in secrets.items() if not secret]
    if not storage or missing:
        lacking = " and ".join(missing) or "its keys"
        cause = f"the bot has a cross-signing identity, but {lacking} cannot be found in its secret storage"
        raise Refused(cause, f"{_MEND} {_UNTOUCHED}", "SECRET_STORAGE")
    identity = bench.crafts.identity(bench.user_id, secrets)
    if not identity.is_published(answer):
        cause = "the cross-signing keys in the bot's secret storage are not those of its published identity"
        raise Refused(cause, f"{_MEND} {_UNTOUCHED}", "SECRET_STORAGE")
    return identity


async def _opened(bench: Bench, keys: Keys) -> Storage | None:
    """None when the account has no secret storage at all."""
    key_id = (await keys.account_data(DEFAULT_KEY) or {}).get("key")
    if not key_id:
        return None
    description = await keys.account_data(f"{KEY}{key_id}")
    if not description:
        cause = "the bot's secret storage names a key that is not described anywhere"
        raise Refused(cause, f"{_MEND} {_UNTOUCHED}", "SECRET_STORAGE")
    text = await bench.vault.read(RECOVERY_KEY)
    if not text:
        cause = f"the bot has secret storage already, and {RECOVERY_KEY} is empty"
        fix = f"Put the recovery key of the bot's account into {RECOVERY_KEY}. It was shown when the storage was made."
        raise Misconfigured(cause, f"{fix} {_UNTOUCHED}")
    key = bench.crafts.storage_key(text)
    if not key.opens(description):
        cause = f"{RECOVERY_KEY} does not open the bot's secret storage"
        raise Refused(cause, f"Put the recovery key of the bot's own account there. {_UNTOUCHED}", "SECRET_STORAGE")
    return Storage(keys, key_id, key)


async def _secrets(bench: Bench, storage: Storage) -> dict[str, str]:
    return {name: await storage.read(name) for name in bench.crafts.secret_names}


# ------------------------------------------------------------------ a new one


async def _new_storage(bench: Bench, keys: Keys, note: Note) -> Storage:
    """Under the recovery key that is kept, else under a new one, which is kept before anything is locked with it."""
    text = await bench.vault.read(RECOVERY_KEY)
    key = bench.crafts.storage_key(text) if text else bench.crafts.new_storage_key()
    if not text:
        await bench.vault.keep({RECOVERY_KEY: key.text.replace(" ", "")})  # one word, as all settings are
        note(f"made and kept {RECOVERY_KEY}")
    described = await keys.account_data(f"{KEY}{key.id}")
    if not described or not key.opens(described):
        await keys.set_account_data(f"{KEY}{key.id}", key.description())
    await keys.set_account_data(DEFAULT_KEY, {"key": key.id})
    note("set up secret storage")
    return Storage(keys, key.id, key)


async def _stored_identity(bench: Bench, storage: Storage, note: Note) -> SigningIdentity:
    """Of the keys that an earlier run has stored, and new ones for the rest."""
    found = {name: secret for name, secret in (await _secrets(bench, storage)).items() if secret}
    secrets = _new_secrets(bench) | found
    identity = bench.crafts.identity(bench.user_id, secrets)
    for name in secrets.keys() - found.keys():
        await storage.write(name, secrets[name])
        note(f"stored {name} in secret storage")
    return identity


def _new_secrets(bench: Bench) -> dict[str, str]:
    return bench.crafts.new_identity(bench.user_id).secrets()


async def _publish(keys: Keys, identity: SigningIdentity) -> None:
    """The first identity needs no password. What asks for it may be a replacement, so it is never given."""
    try:
        await keys.upload_signing_keys(identity.upload())
    except Refused as error:
        if error.code != "UIA":
            raise
        cause = "the homeserver wants a password for the bot's first cross-signing keys, or has others by now"
        fix = "Run set-up again. If it says so once more, update the homeserver (Matrix 1.11 and later ask for none)."
        raise Refused(cause, fix, "UIA") from error
