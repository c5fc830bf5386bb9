"""New versions of secrets in Secret Manager. For set-up, which a person runs: the functions only read."""

from __future__ import annotations

from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import secretmanager_v1 as api

from shared.adapters.secret_manager import RPC_SECONDS, SecretManagerSecrets, _translated
from shared.domain.errors import Misconfigured


class SecretVersions(SecretManagerSecrets):
    """`name`: projects/*/secrets/*/versions/*, of which the version does not count here."""

    async def newest(self, name: str) -> str:
        """Empty while the secret has no version, or does not exist."""
        latest = f"{name.partition('/versions/')[0]}/versions/latest"
        try:
            answer = await self._client().access_secret_version(name=latest, timeout=RPC_SECONDS)
            return str(answer.payload.data.decode()).rstrip("\r\n")
        except google.NotFound:
            return ""
        except (google.GoogleAPIError, DefaultCredentialsError, UnicodeDecodeError) as error:
            raise _translated(error, name) from error

    async def add(self, name: str, value: str) -> None:
        """Its newest version from now on. Raises `Misconfigured` when there is no such secret to add to."""
        secret = name.partition("/versions/")[0]
        try:
            payload = api.SecretPayload(data=value.encode())
            await self._client().add_secret_version(parent=secret, payload=payload, timeout=RPC_SECONDS)
        except google.PermissionDenied as error:
            fix = "give yourself the role Secret Manager Secret Version Adder on it for the time of set-up"
            raise Misconfigured(f"no version may be added to the secret {secret.split('/')[3]}", fix) from error
        except (google.GoogleAPIError, DefaultCredentialsError) as error:
            raise _translated(error, name) from error
