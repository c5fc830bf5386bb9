"""Authentik for a community of any size: accounts are computed when they are asked for, so that 100,000 of them take no
memory and are the same in every run. Only what was written since is kept. `benchmarks.neighbours` serves it."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
FIRST = "ada bob cleo dave emil fritz gina hugo ines jan kira lena max nora otto paul rosa sven tina vera".split()
HOSTS = "gmail.com proton.me example.org posteo.de".split()
SYLLABLES = "ba de ki lo mu na pe ri so tu va wi".split()
APART = timedelta(minutes=30)
"""Between one account and the next."""
SEARCHED = ("username", "name", "email")
Row = dict[str, Any]


class Fault(Exception):
    """What a neighbour says no with."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def group(number: int, name: str = "") -> Row:
    pk = f"{number:08x}-0000-4000-8000-000000000000"
    return {
        "pk": pk,
        "name": name or f"group {number}",
        "num_pk": number,
        "parents": [],
        "attributes": {},
        "is_superuser": False,
    }


GROUPS = {row["pk"]: row for row in (group(0, "choir"), *map(group, range(1, 20)))}
LISTED: Row = {"users": [], "users_obj": None, "parents_obj": [], "roles": [], "roles_obj": [], "children": []}
"""What a group has besides, in the list of groups."""
LISTED |= {"inherited_roles_obj": None, "children_obj": None}


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def joined_at(pk: int) -> datetime:
    return BEGAN + APART * pk


def computed(pk: int) -> Row:
    """As varied as people are: what is packed must not compress better than in life."""
    chance = random.Random(pk)
    first, last = chance.choice(FIRST), "".join(chance.choices(SYLLABLES, k=3))
    login = joined_at(pk) + timedelta(seconds=chance.randrange(30_000_000))
    return {
        "pk": pk,
        "username": f"{first}{last}{pk}",
        "name": f"{first} {last}".title(),
        "email": f"{last}.{chance.randrange(1000)}@{chance.choice(HOSTS)}",
        "is_active": pk % 20 != 0,
        "groups": chance.sample(list(GROUPS), chance.randrange(4)),
        "attributes": {},
        "last_login": stamp(login),
        **_times(stamp(joined_at(pk) + timedelta(seconds=chance.randrange(600)))),
    }


def _times(at: str) -> Row:
    return {"date_joined": at, "password_change_date": at, "last_updated": at}


def whole(row: Row) -> Row:
    """As the API shows it."""
    pk = row["pk"]
    uid = hashlib.sha256(str(pk).encode()).hexdigest()
    more = {
        "uid": uid,
        "uuid": f"{uid[:8]}-{uid[8:12]}-4{uid[13:16]}-8{uid[17:20]}-{uid[20:32]}",
        "is_superuser": False,
    }
    fixed = {"path": "users", "type": "internal", "roles": [], "roles_obj": [], "avatar": ""}
    return row | more | fixed | {"groups_obj": [GROUPS[one] for one in row["groups"]]}


class Authentik:
    """So many accounts, half an hour apart, and what was written since."""

    def __init__(self, users: int) -> None:
        self._pks = list(range(1, users + 1))
        self._last = users
        self._written: dict[int, Row] = {}
        self._latest = datetime.min.replace(tzinfo=UTC)

    def row(self, pk: int) -> Row:
        if pk in self._written:
            return self._written[pk]
        place = bisect_right(self._pks, pk) - 1
        if place < 0 or self._pks[place] != pk:
            raise Fault(404, {"detail": "No User matches the given query."})
        return computed(pk)

    def listed(self, query: Mapping[str, str]) -> Row:
        """In the order of joining, which is that of the pks: all but those who were made later are computed."""
        pks: Iterable[int] = self._pks
        if after := query.get("date_joined__gt"):
            pks = self._since(datetime.fromisoformat(after))
        if after := query.get("last_updated__gt"):
            pks = self._written_after(datetime.fromisoformat(after))
        for test in self._tests(query):
            pks = [pk for pk in pks if test(self.row(pk))]
        return paged(list(pks), query, lambda pk: whole(self.row(pk)))

    def _since(self, after: datetime) -> list[int]:
        """Later accounts have later pks."""
        return self._pks[bisect_right(self._pks, after, key=lambda pk: datetime.fromisoformat(self._joined(pk))) :]

    def _joined(self, pk: int) -> str:
        return str(self.row(pk)["date_joined"])

    def _written_after(self, after: datetime) -> list[int]:
        found = {pk for pk, row in self._written.items() if datetime.fromisoformat(row["last_updated"]) > after}
        return sorted(found | (set(self._since(after)) - self._written.keys()))

    def _tests(self, query: Mapping[str, str]) -> list[Callable[[Row], bool]]:
        tests: list[Callable[[Row], bool]] = []
        if word := query.get("search", "").lower():
            tests.append(lambda row: any(word in row[name].lower() for name in SEARCHED))
        if username := query.get("username"):
            tests.append(lambda row: row["username"] == username)
        if active := query.get("is_active"):
            tests.append(lambda row: row["is_active"] is (active == "true"))
        if name := query.get("groups_by_name"):
            pk = next((pk for pk, row in GROUPS.items() if row["name"] == name), None)
            if pk is None:
                raise Fault(400, {"groups_by_name": [f"Select a valid choice. {name} is not one of the choices."]})
            tests.append(lambda row: pk in row["groups"])
        return tests

    def made(self, body: Row) -> Row:
        self._last += 1
        fresh = {"pk": self._last, "is_active": True, "groups": [], "attributes": {}, "last_login": None, "email": ""}
        self._pks.append(self._last)
        self._written[self._last] = fresh | body | _times(self._now())
        return whole(self._written[self._last])

    def changed(self, pk: int, body: Row) -> Row:
        self._written[pk] = self.row(pk) | body | {"last_updated": self._now()}
        return whole(self._written[pk])

    def deleted(self, pk: int) -> None:
        self.row(pk)
        self._pks.remove(pk)
        self._written.pop(pk, None)

    def grouped(self, group_pk: str, pk: int, *, inside: bool) -> None:
        """Leaves no trace in `last_updated`, as in Authentik."""
        if group_pk not in GROUPS:
            raise Fault(404, {"detail": "No Group matches the given query."})
        others = [one for one in self.row(pk)["groups"] if one != group_pk]
        self._written[pk] = self.row(pk) | {"groups": [*others, group_pk] if inside else others}

    def groups(self, query: Mapping[str, str]) -> Row:
        return paged(list(GROUPS), query, lambda pk: GROUPS[pk] | LISTED)

    def _now(self) -> str:
        """Never the same twice."""
        self._latest = max(datetime.now(UTC), self._latest + timedelta(microseconds=1))
        return stamp(self._latest)


def paged(keys: list[Any], query: Mapping[str, str], shown: Callable[[Any], Row]) -> Row:
    size, page = min(int(query.get("page_size", 20)), 100), int(query.get("page", 1))
    pages, start = max(-(-len(keys) // size), 1), (page - 1) * size
    if not 1 <= page <= pages:
        raise Fault(404, {"detail": "Invalid page."})
    results = [shown(key) for key in keys[start : start + size]]
    paging = {"next": page + 1 if page < pages else 0, "previous": page - 1, "count": len(keys), "current": page}
    paging |= {"total_pages": pages, "start_index": start + 1 if results else 0, "end_index": start + len(results)}
    return {"pagination": paging, "results": results, "autocomplete": {}}
