"""Rows of Authentik's API, read into the port's types. A row of another shape raises `Unreachable`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.adapters.authentik_http import shaped
from shared.ports import Account, Data, Group, Invitation


def read_account(row: Any) -> Account:
    def read() -> Account:
        groups = row.get("groups_obj") or []
        return Account(
            pk=int(row["pk"]),
            uid=str(row["uid"]),
            username=row["username"],
            name=row["name"],
            email=row.get("email") or "",
            active=bool(row["is_active"]),
            superuser=bool(row.get("is_superuser")),
            attributes=dict(row.get("attributes") or {}),
            groups=tuple(group["name"] for group in groups),
            group_pks=tuple(str(pk) for pk in row.get("groups") or [group["pk"] for group in groups]),
            path=row.get("path") or "",
            joined_at=_time(row.get("date_joined")),
            last_login=_time(row.get("last_login")),
            updated_at=_time(row.get("last_updated")),
        )

    return shaped(read)


def read_invitation(row: Any, base: str, flow_slug: str) -> Invitation:
    """Any other form of the link is a 404 for the member."""

    def read() -> Invitation:
        pk, slug = str(row["pk"]), (row.get("flow_obj") or {}).get("slug", flow_slug)
        return Invitation(pk, row["name"], f"{base}/if/flow/{slug}/?itoken={pk}", _time(row.get("expires")))

    return shaped(read)


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Data:
    """Authentik's PATCH replaces the whole map, so all of it is sent; None removes a key."""
    return {key: value for key, value in {**old, **new}.items() if value is not None or key not in new}


def read_groups(rows: Sequence[Data]) -> list[Group]:
    def read() -> list[Group]:
        by_pk = {str(row["pk"]): row for row in rows}
        return [Group(pk, row["name"], grants_all(pk, by_pk)) for pk, row in by_pk.items()]

    return shaped(read)


def grants_all(pk: str, groups: Mapping[str, Data]) -> bool:
    """Whether this group or one above it makes superusers: members of a group are members of its parents.
    Releases name those `parent` (one id), `parents` (ids) and `parents_obj`."""
    seen: set[str] = set()
    ahead = [pk]
    while ahead:
        row = groups.get(current := ahead.pop(), {})
        seen.add(current)
        objects = row.get("parents_obj") or []
        if row.get("is_superuser") or any(parent.get("is_superuser") for parent in objects):
            return True
        parents = [row.get("parent"), *(row.get("parents") or []), *(parent["pk"] for parent in objects)]
        ahead += [str(parent) for parent in parents if parent and str(parent) not in seen]
    return False


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
