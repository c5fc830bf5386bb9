"""Muster's service account in Authentik, and the token that it works with: what an administrator sees of them."""

from __future__ import annotations

from msgspec import Struct

ACCOUNT = ROLE = "muster-service"
TOKEN = "muster-service-api"  # noqa: S105 - a name
SETTING = "AUTHENTIK_API_TOKEN"


class Admin(Struct, frozen=True):
    """Whose one-time token it is."""

    username: str
    superuser: bool


class ServiceAccount(Struct, frozen=True):
    """`service`: made for a program, not a person. `roles`: their pks."""

    pk: int
    service: bool
    active: bool
    superuser: bool
    roles: tuple[str, ...]


class Token(Struct, frozen=True):
    """`lasting`: of intent api, and without an end."""

    owner: int
    lasting: bool
