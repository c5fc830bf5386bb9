"""What the stand-in for Authentik remembers: rows of each kind, nearly in the API's own shape, in memory and
written through to SQLite before each answer, so that a restart or kill -9 loses nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Row = dict[str, Any]


class State:
    def __init__(self, file: str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # survives the end of the process, if not of the machine
            "CREATE TABLE IF NOT EXISTS objects (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id))"
        )
        self._kinds: dict[str, dict[str, Row]] = defaultdict(dict)
        for kind, key, body in self._db.execute("SELECT kind, id, body FROM objects ORDER BY rowid"):
            self._kinds[kind][key] = json.loads(body)

    def put(self, kind: str, key: object, row: Row) -> Row:
        upsert = "INSERT INTO objects VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
        self._db.execute(upsert, (kind, str(key), json.dumps(row)))
        self._kinds[kind][str(key)] = row
        return row

    def get(self, kind: str, key: object) -> Row | None:
        return self._kinds[kind].get(str(key))

    def drop(self, kind: str, key: object) -> Row | None:
        self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, str(key)))
        return self._kinds[kind].pop(str(key), None)

    def all(self, kind: str) -> list[Row]:
        return list(self._kinds[kind].values())

    def one(self, kind: str, **fields: Any) -> Row | None:
        wanted = fields.items()
        return next((row for row in self._kinds[kind].values() if all(row.get(k) == v for k, v in wanted)), None)

    def update_user(self, user: Row, **fields: Any) -> Row:
        """Groups, roles and a login leave `last_updated` as it is: Django sets it where it saves the whole row."""
        return self.put("user", user["pk"], (self.get("user", user["pk"]) or user) | fields)

    def groups_of(self, user: Row) -> list[Row]:
        """With those above: a member of a group is a member of its parents."""
        found: dict[str, Row] = {}
        ahead = list(user["groups"])
        while ahead:
            if (group := self.get("group", ahead.pop())) and group["pk"] not in found:
                found[group["pk"]] = group
                ahead += group["parents"]
        return list(found.values())

    def is_superuser(self, user: Row) -> bool:
        return any(group["is_superuser"] for group in self.groups_of(user))

    def set_password(self, user: Row, password: str) -> Row:
        self.put("password", user["pk"], {"hash": _hash(user, password)})
        return self.update_user(user, password_change_date=now(), last_updated=now())

    def signed_in(self, username: str, password: str) -> Row | None:
        user = self.one("user", username=username, is_active=True) or {"pk": 0, "uid": ""}
        kept = self.get("password", user["pk"]) or {"hash": ""}
        good = secrets.compare_digest(kept["hash"], _hash(user, password))
        return self.update_user(user, last_login=now()) if good else None


def _hash(user: Row, password: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), user["uid"].encode(), 1000).hex()


def ident(*names: str) -> str:
    """The same uuid for the same names, in every run."""
    return str(uuid5(NAMESPACE_URL, "/".join(names)))


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    return stamp(datetime.now(UTC))


def past(text: str) -> bool:
    return datetime.fromisoformat(text) <= datetime.now(UTC)
