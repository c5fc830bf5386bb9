"""What every store of documents promises, tried on SQLite in memory, SQLite in a file and the Firestore emulator."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local import firestore
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.sqlite import SqliteDocuments
from shared.domain.errors import Invalid, Outpaced, Refused, Unreachable
from shared.ports import Create, Data, Delete, Document, Documents, Increment, Page, Put, Query, Replace

if TYPE_CHECKING:  # pytest loads that module as a plugin, and wants to be the first
    from tests.contracts.documents_fixtures import Clock, Store

pytest_plugins = ("tests.contracts.documents_fixtures",)

ROOM = "!aBc.d:muster.test"
MOMENT = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


async def fill(documents: Documents, collection: str, *rows: Data) -> None:
    await documents.write(*(Create(f"{collection}/{number:02}", row) for number, row in enumerate(rows)))


async def ids(documents: Documents, query: Query) -> list[str]:
    return [item.id for item in (await documents.query(query)).items]


async def pages(documents: Documents, query: Query) -> list[Page]:
    """Every page, each asked for with the cursor of the one before."""
    found = [await documents.query(query)]
    while cursor := found[-1].next_cursor:
        assert len(found) < 100
        found.append(await documents.query(Query(**{**as_dict(query), "cursor": cursor})))
    return found


def as_dict(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__slots__}


async def stored(documents: Documents, path: str) -> Document:
    found = await documents.get(path)
    assert found
    return found


def in_threads(store: Store, work: Callable[[Documents], Awaitable[None]], count: int = 8) -> None:
    """Each thread with an event loop of its own, as the instances of a function have."""
    failures = list[BaseException]()

    async def once() -> None:
        documents = store.connect()
        try:
            await work(documents)
        finally:
            if store.kind != "sqlite-memory":
                await documents.close()

    def run() -> None:
        try:
            asyncio.run(once())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


# ------------------------------------------------------------------ single documents


async def test_a_document_comes_back_as_it_was_written(documents: Documents) -> None:
    """Path, id and data are kept; a path that holds nothing gives None."""
    await documents.write(Create("rooms/a/steps/b", {"n": 1, "list": [1, "x", None, True], "map": {"empty": {}}}))
    found = await stored(documents, "rooms/a/steps/b")
    assert (found.path, found.id) == ("rooms/a/steps/b", "b")
    assert found.data == {"n": 1, "list": [1, "x", None, True], "map": {"empty": {}}}
    assert await documents.get("rooms/a") is None


async def test_create_happens_once(documents: Documents) -> None:
    """Of two creations the second is told, and changes nothing."""
    await documents.write(Create("a/1", {"by": "first"}))
    with pytest.raises(Outpaced) as caught:
        await documents.write(Create("a/1", {"by": "second"}))
    assert caught.value.path == "a/1"
    assert (await stored(documents, "a/1")).data == {"by": "first"}


def test_of_racing_creations_one_wins(store: Store) -> None:
    """Eight at the same instant: one document, seven refusals."""
    refused = list[str]()

    async def create(documents: Documents) -> None:
        try:
            await documents.write(Create("a/1", {"by": threading.current_thread().name}))
        except Outpaced as error:
            refused.append(error.path)

    in_threads(store, create)
    assert refused == ["a/1"] * 7


async def test_replace_wants_the_version_it_read(documents: Documents) -> None:
    """Compare-and-set: the second writer of one version loses, and so does one whose document is gone."""
    await documents.write(Create("a/1", {"n": 1}))
    first = await stored(documents, "a/1")
    await documents.write(Replace("a/1", {"n": 2}, first.version))
    second = await stored(documents, "a/1")
    assert (second.data, second.version != first.version) == ({"n": 2}, True)
    for stale in (Replace("a/1", {"n": 3}, first.version), Replace("a/1", {"n": 3}, "nonsense")):
        with pytest.raises(Outpaced):
            await documents.write(stale)
    with pytest.raises(Outpaced):
        await documents.write(Replace("a/gone", {"n": 3}, second.version))
    assert (await stored(documents, "a/1")).data == {"n": 2}


async def test_a_replaced_document_keeps_nothing_of_the_old(documents: Documents) -> None:
    """Keys that the new data lack vanish, at the top and within maps, whatever letters they have."""
    await documents.write(Create("a/1", {"old": 1, "rooms": {ROOM: {"x": 1}, "b`a\\c": 2}, "~*/[]": 3}))
    await documents.write(Replace("a/1", {"rooms": {ROOM: {}}}, (await stored(documents, "a/1")).version))
    assert (await stored(documents, "a/1")).data == {"rooms": {ROOM: {}}}
    await documents.write(Replace("a/1", {}, (await stored(documents, "a/1")).version))
    assert (await stored(documents, "a/1")).data == {}


async def test_put_writes_whatever_was_there(documents: Documents) -> None:
    """The last writer wins, with all of its data and none of the one before."""
    await documents.write(Put("a/1", {"a": 1}))
    await documents.write(Put("a/1", {"b": 2}))
    assert (await stored(documents, "a/1")).data == {"b": 2}


async def test_a_version_changes_with_the_data(documents: Documents) -> None:
    """Twenty quick changes, twenty-one versions; deleting and creating again does not bring one back."""
    await documents.write(Create("a/1", {"n": 0}))
    seen = {(await stored(documents, "a/1")).version}
    for number in range(1, 20):
        await documents.write(Put("a/1", {"n": number}))
        seen.add((await stored(documents, "a/1")).version)
    await documents.write(Delete("a/1"))
    await documents.write(Create("a/1", {"n": 19}))
    seen.add((await stored(documents, "a/1")).version)
    assert len(seen) == 21


async def test_a_write_that_changes_nothing_keeps_the_version(documents: Documents) -> None:
    """Firestore's way, so both sides of a compare-and-set must write something of their own."""
    await documents.write(Create("a/1", {"n": 1, "m": {"a": 1, "b": 2}}))
    before = await stored(documents, "a/1")
    await documents.write(Replace("a/1", {"m": {"b": 2, "a": 1}, "n": 1}, before.version))
    assert (await stored(documents, "a/1")).version == before.version


async def test_delete_with_a_version_wants_it_to_hold(documents: Documents) -> None:
    """Without a version deleting nothing is fine; with a stale one the document stays."""
    await documents.write(Delete("a/never"), Create("a/1", {"n": 1}))
    stale = (await stored(documents, "a/1")).version
    await documents.write(Put("a/1", {"n": 2}))
    with pytest.raises(Outpaced):
        await documents.write(Delete("a/1", stale))
    with pytest.raises(Outpaced):
        await documents.write(Delete("a/never", stale))
    await documents.write(Delete("a/1", (await stored(documents, "a/1")).version))
    assert await documents.get("a/1") is None


async def test_get_many_answers_in_the_order_asked(documents: Documents) -> None:
    """One answer per path, None for what is not there, the same twice for a path named twice."""
    await fill(documents, "a", {"n": 0}, {"n": 1}, {"n": 2})
    found = await documents.get_many(["a/02", "a/nothing", "a/00", "a/02"])
    assert [item and item.data["n"] for item in found] == [2, None, 0, 2]
    assert await documents.get_many([]) == []


async def test_times_are_kept_to_the_microsecond(documents: Documents) -> None:
    """A time comes back as the same instant in UTC, plain, wherever in the data it is."""
    elsewhere = datetime.fromisoformat("2026-05-04T05:02:01.000001+02:00")
    await documents.write(Create("a/1", {"at": MOMENT, "list": [elsewhere], "map": {ROOM: MOMENT}}))
    data = (await stored(documents, "a/1")).data
    assert data == {"at": MOMENT, "list": [elsewhere], "map": {ROOM: MOMENT}}
    assert all((type(time), time.tzinfo) == (datetime, UTC) for time in (data["at"], data["list"][0]))


def test_compare_and_set_loses_no_update(store: Store) -> None:
    """Eight threads, ten increments each by read, add and replace: eighty in the end."""

    async def add(documents: Documents) -> None:
        done, dice = 0, random.Random()  # noqa: S311 (only spreads the attempts)
        while done < 10:
            done += await added_once(documents)
            await asyncio.sleep(dice.uniform(0.001, 0.03))

    async def added_once(documents: Documents) -> bool:
        found = await documents.get("a/1")
        try:
            await documents.write(
                Replace("a/1", {"n": found.data["n"] + 1}, found.version) if found else Create("a/1", {"n": 1})
            )
        except Outpaced:
            return False
        return True

    in_threads(store, add)
    assert asyncio.run(store.connect().get("a/1")).data == {"n": 80}


# ------------------------------------------------------------------ increments and batches


async def test_an_increment_makes_what_is_missing(documents: Documents) -> None:
    """Document, maps on the way and field; what is there already stays."""
    await documents.write(Increment("a/1", "n"), Increment("a/1", "by.week.19", 5))
    await documents.write(Increment("a/1", "by.week.19", -2), Increment("a/1", "by.week.20"))
    assert (await stored(documents, "a/1")).data == {"n": 1, "by": {"week": {"19": 3, "20": 1}}}


async def test_an_increment_counts_text_as_absent(documents: Documents) -> None:
    """What is no number gives way to the amount, as in Firestore."""
    await documents.write(Create("a/1", {"n": "many", "flag": True, "half": 0.5, "by": 1}))
    await documents.write(*(Increment("a/1", name) for name in ("n", "flag", "half", "by.x")))
    assert (await stored(documents, "a/1")).data == {"n": 1, "flag": 1, "half": 1.5, "by": {"x": 1}}


def test_increments_are_never_lost(store: Store) -> None:
    """Eight threads, ten each, at once."""

    async def add(documents: Documents) -> None:
        for _ in range(10):
            await documents.write(Increment("a/1", "n"))

    in_threads(store, add)
    assert asyncio.run(store.connect().get("a/1")).data == {"n": 80}


async def test_a_batch_is_all_or_nothing(documents: Documents) -> None:
    """One broken precondition, and nothing of the batch is written, before it or behind it."""
    await documents.write(Create("a/1", {"n": 1}), Create("a/2", {"n": 1}))
    stale = (await stored(documents, "a/1")).version
    await documents.write(Put("a/1", {"n": 2}))
    for broken in (Replace("a/1", {"n": 9}, stale), Create("a/1", {"n": 9}), Delete("a/1", stale)):
        with pytest.raises(Outpaced) as caught:
            await documents.write(Put("a/3", {}), Increment("a/4", "n"), broken, Delete("a/2"))
        assert caught.value.path == "a/1"
    found = await documents.get_many(["a/1", "a/2", "a/3", "a/4"])
    assert [item and item.data for item in found] == [{"n": 2}, {"n": 1}, None, None]


async def test_a_batch_mixes_every_kind_of_write(documents: Documents) -> None:
    """In the order given; what the batch has written it may increment."""
    await documents.write(Put("a/put", {"n": 1}), Put("a/gone", {}), Put("a/old", {"n": 1}))
    version = (await stored(documents, "a/old")).version
    await documents.write(
        Create("a/new", {"n": 1}),
        Increment("a/new", "n"),
        Replace("a/old", {"n": 2}, version),
        Increment("a/old", "n", 5),
        Put("a/put", {"n": 2}),
        Delete("a/gone"),
    )
    found = await documents.get_many(["a/new", "a/old", "a/put", "a/gone"])
    assert [item and item.data for item in found] == [{"n": 2}, {"n": 7}, {"n": 2}, None]


async def test_a_batch_writes_a_document_once(documents: Documents) -> None:
    """Firestore refuses some orders of two writes on one document, so no store takes any."""
    for first in (Put("a/1", {}), Increment("a/1", "n")):
        with pytest.raises(Invalid):
            await documents.write(first, Create("a/1", {}))


async def test_a_write_answers_the_new_versions(documents: Documents) -> None:
    """One per write, good for the next compare-and-set without another read; "" for a deletion."""
    await documents.write(Create("a/gone", {}))
    answer = await documents.write(
        Create("a/1", {}), Increment("a/1", "n"), Put("a/2", {}), Increment("a/3", "n"), Delete("a/gone")
    )
    found = await documents.get_many(["a/1", "a/1", "a/2", "a/3"])
    assert answer == [*(item.version for item in found if item), ""]
    (version,) = await documents.write(Replace("a/1", {"n": 7}, answer[0]))
    assert await documents.write(Replace("a/1", {"n": 7}, version)) == [version]
    assert await documents.write() == []


async def test_a_batch_takes_500_writes_and_no_more(documents: Documents) -> None:
    """The limit is told before anything is written; no writes at all are fine."""
    await documents.write()
    await documents.write(*(Create(f"a/{number}", {"n": number}) for number in range(500)))
    with pytest.raises(Invalid):
        await documents.write(*(Put(f"b/{number}", {}) for number in range(501)))
    assert await documents.count(Query("a")) == 500
    assert await documents.count(Query("b")) == 0


# ------------------------------------------------------------------ queries

VALUES: list[Any] = [
    None,
    False,
    True,
    -1,
    0,
    1,
    1.5,
    MOMENT,
    MOMENT + timedelta(microseconds=1),
    "",
    "a",
    "b",
    b"",
    b"b\x00",
    ["a", 1],
]


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("==", None, [None]),
        ("==", True, [True]),
        ("==", 1, [1]),
        ("==", 1.0, [1]),
        ("==", MOMENT, [MOMENT]),
        ("==", "", [""]),
        ("==", b"b\x00", [b"b\x00"]),
        ("==", ["a", 1], [["a", 1]]),
        ("<", 1, [-1, 0]),
        ("<=", 1, [-1, 0, 1]),
        (">", 0.5, [1, 1.5]),
        (">=", 1, [1, 1.5]),
        (">", False, [True]),
        ("<=", MOMENT, [MOMENT]),
        (">", MOMENT, [MOMENT + timedelta(microseconds=1)]),
        ("<", "b", ["", "a"]),
        (">=", "a", ["a", "b"]),
        ("<", b"b\x00", [b""]),
        (">", b"", [b"b\x00"]),
        ("in", ["a", 1, True], [True, 1, "a"]),
        ("array_contains", "a", [["a", 1]]),
        ("array_contains", 1, [["a", 1]]),
        ("array_contains", "b", []),
    ],
)
async def test_a_comparison_finds_values_of_its_own_type(
    documents: Documents, op: Any, value: Any, expected: list[Any]
) -> None:
    """Every operator, against every type; `expected` in the order of the store."""
    await fill(documents, "a", *({"v": {"x": item}} for item in VALUES), {"v": 1}, {})
    query = Query("a", [("v.x", op, value)], order="v.x")
    assert [item.data["v"]["x"] for item in (await documents.query(query)).items] == expected
    assert await documents.count(query) == len(expected)


async def test_order_goes_through_all_types(documents: Documents) -> None:
    """None, booleans, numbers, times, texts, bytes, lists; a document without the field is not found."""
    mixed = VALUES[1::2] + VALUES[::-2]
    await fill(documents, "a", *({"v": item} for item in mixed), {"w": 1})
    up = [item.data["v"] for item in (await documents.query(Query("a", order="v"))).items]
    down = [item.data["v"] for item in (await documents.query(Query("a", order="-v"))).items]
    assert (up, down) == (VALUES, VALUES[::-1])


async def test_ties_are_broken_by_path(documents: Documents) -> None:
    """In the direction of the order; without an order the path is the order."""
    await fill(documents, "a", *({"n": number % 2} for number in range(6)))
    assert await ids(documents, Query("a", order="n")) == ["00", "02", "04", "01", "03", "05"]
    assert await ids(documents, Query("a", order="-n")) == ["05", "03", "01", "04", "02", "00"]
    assert await ids(documents, Query("a")) == ["00", "01", "02", "03", "04", "05"]
    assert await ids(documents, Query("a", [("n", "==", 1)])) == ["01", "03", "05"]


async def test_a_range_sorts_by_its_field(documents: Documents) -> None:
    """Firestore cannot do otherwise: behind `order`, before the path, in the same direction."""
    await fill(documents, "a", *({"n": 5 - number % 3, "o": number % 2} for number in range(6)))
    assert await ids(documents, Query("a", [("n", ">", 3)])) == ["01", "04", "00", "03"]
    assert await ids(documents, Query("a", [("n", ">", 3)], "o")) == ["04", "00", "01", "03"]
    assert await ids(documents, Query("a", [("n", ">", 3)], "-o")) == ["03", "01", "00", "04"]


async def test_all_conditions_must_hold(documents: Documents) -> None:
    """Several fields, ranges on two of them, two bounds on one."""
    await fill(documents, "a", *({"n": number, "m": -number, "s": "ab"[number % 2]} for number in range(10)))
    where = [("s", "==", "b"), ("n", ">", 1), ("n", "<=", 7), ("m", "<", -3)]
    assert await ids(documents, Query("a", where, "n")) == ["05", "07"]
    assert await documents.count(Query("a", where)) == 2


async def test_odd_keys_can_be_searched(documents: Documents) -> None:
    """A dotted name reaches into maps, also through keys that are no identifiers."""
    rows: list[Data] = [{"rooms": {"!a:b": {"n": number}, "o'b`c é": number}} for number in range(3)]
    await fill(documents, "a", *rows)
    assert await ids(documents, Query("a", [("rooms.!a:b.n", ">=", 1)], "-rooms.!a:b.n")) == ["02", "01"]
    assert await ids(documents, Query("a", [("rooms.o'b`c é", "==", 1)])) == ["01"]


@pytest.mark.parametrize(
    "query",
    [
        Query("a", limit=3),
        Query("a", order="n", limit=2),
        Query("a", order="-n", limit=4),
        Query("a", order="at", limit=5),
        Query("a", [("at", ">", MOMENT)], "-n", limit=2),
        Query("a", [("s", "in", ["a", "b"])], "s", limit=1),
        Query("a", order="v", limit=1),
        Query("steps", order="n", limit=3, group=True),
    ],
    ids=str,
)
async def test_the_pages_of_a_query_hold_everything_once(documents: Documents, query: Query) -> None:
    """Page after page gives what one page would, in its order; only the last has no cursor."""
    rows = [
        {"n": number % 3, "at": MOMENT + timedelta(seconds=number % 5), "s": "abc"[number % 3]} for number in range(11)
    ]
    await fill(documents, "a", *(row | {"v": VALUES[number]} for number, row in enumerate(rows)))
    for parent in ("x/1", "x/2", "y/1"):
        await fill(documents, f"{parent}/steps", *rows[:4])
    whole = (await documents.query(Query(**{**as_dict(query), "limit": 200}))).items
    found = await pages(documents, query)
    assert [item.path for page in found for item in page.items] == [item.path for item in whole]
    assert all(len(page.items) == query.limit for page in found[:-1])
    assert 0 < len(found[-1].items) <= query.limit


async def test_a_page_that_ends_with_the_last_document_says_so(documents: Documents) -> None:
    """No cursor to an empty page."""
    await fill(documents, "a", {}, {})
    assert (await documents.query(Query("a", limit=2))).next_cursor is None
    assert (await documents.query(Query("nothing"))).items == []


async def test_a_cursor_holds_while_documents_come_and_go(documents: Documents) -> None:
    """The document it points at may be deleted; another page size is fine."""
    await fill(documents, "a", *({"n": number} for number in range(5)))
    page = await documents.query(Query("a", order="n", limit=2))
    await documents.write(Delete("a/01"), Create("a/0", {"n": -1}))
    assert await ids(documents, Query("a", order="n", limit=9, cursor=page.next_cursor)) == ["02", "03", "04"]


async def test_a_foreign_cursor_is_refused(documents: Documents) -> None:
    """One of another query, one made up and one cut short are told apart from a right one."""
    await fill(documents, "a", *({"n": number, "s": "x"} for number in range(5)))
    cursor = (await documents.query(Query("a", [("s", "==", "x")], "n", 2))).next_cursor
    assert cursor
    others = [
        Query("a", [("s", "==", "x")], "-n", 2, cursor),
        Query("a", [("s", "==", "y")], "n", 2, cursor),
        Query("a", (), "n", 2, cursor),
        Query("b", [("s", "==", "x")], "n", 2, cursor),
        *(Query("a", [("s", "==", "x")], "n", 2, text) for text in ("", "x", "é", "e30", "W10", "bnVsbA", cursor[:-4])),
    ]
    for query in others:
        with pytest.raises(Invalid) as caught:
            await documents.query(query)
        assert [name for name, _ in caught.value.errors] == ["cursor"]


async def test_a_group_spans_collections_of_one_name(documents: Documents) -> None:
    """Wherever they hang, at the top too; paths are whole; other names and longer ones are not found."""
    paths = ["steps/0", "x/1/steps/a", "x/1/steps/b", "x/1!/steps/c", "y/1/steps/d"]
    await documents.write(
        *(Create(path, {"n": 1}) for path in paths), Create("x/1", {"n": 1}), Create("x/1/substeps/e", {})
    )
    found = (await documents.query(Query("steps", group=True))).items
    assert [item.path for item in found] == paths
    assert await documents.count(Query("steps", [("n", "==", 1)], group=True)) == 5
    assert await ids(documents, Query("x/1/steps")) == ["a", "b"]
    assert await ids(documents, Query("x")) == ["1"]


async def test_count_looks_at_neither_limit_nor_cursor(documents: Documents) -> None:
    """How many match, however many were asked for."""
    await fill(documents, "a", *({"n": number} for number in range(7)))
    cursor = (await documents.query(Query("a", order="n", limit=2))).next_cursor
    assert await documents.count(Query("a", order="n", limit=2, cursor=cursor)) == 7
    assert await documents.count(Query("a", [("n", ">", 4)])) == 2


# ------------------------------------------------------------------ expiry


async def test_an_expired_document_is_gone(documents: Documents, clock: Clock) -> None:
    """From the very moment on: not got, not found; counted at most until it is swept away."""
    await documents.write(
        Create("a/1", {"n": 1, "expire_at": clock() + timedelta(hours=1)}),
        Create("a/2", {"n": 1}),
        Create("a/3", {"n": 1, "expire_at": None}),
    )
    assert await ids(documents, Query("a")) == ["1", "2", "3"]
    clock.pass_by(hours=1)
    assert await documents.get("a/1") is None
    assert [item and item.id for item in await documents.get_many(["a/1", "a/2"])] == [None, "2"]
    assert await ids(documents, Query("a", [("n", "==", 1)])) == ["2", "3"]
    assert await documents.count(Query("a")) in (2, 3)


async def test_an_expired_document_may_be_created_anew(documents: Documents, clock: Clock) -> None:
    """With nothing of the old one left; a live one in the same batch is still in the way."""
    await documents.write(Create("a/1", {"old": 1, "expire_at": clock() + timedelta(hours=1)}), Create("a/2", {}))
    clock.pass_by(hours=2)
    with pytest.raises(Outpaced) as caught:
        await documents.write(Create("a/1", {"n": 2}), Create("a/2", {}))
    assert caught.value.path == "a/2"
    await documents.write(Create("a/1", {"n": 2}), Increment("a/1", "n"), Create("a/3", {}))
    assert (await stored(documents, "a/1")).data == {"n": 3}
    with pytest.raises(Outpaced):
        await documents.write(Create("a/1", {}))


async def test_an_increment_does_not_revive(documents: Documents, clock: Clock) -> None:
    """It cannot see the expiry: what is expired stays unseen until somebody creates it anew."""
    await documents.write(Create("a/1", {"n": 5, "expire_at": clock() + timedelta(hours=1)}))
    clock.pass_by(hours=2)
    await documents.write(Increment("a/1", "n"))
    assert await documents.get("a/1") is None


async def test_expired_documents_make_no_page_short(documents: Documents, clock: Clock) -> None:
    """A page is full although most of what lies in its way is expired, and nothing comes twice."""
    old = {"expire_at": clock() + timedelta(minutes=1)}
    await documents.write(*(Create(f"a/{number:03}", {} if number % 10 == 9 else old) for number in range(60)))
    clock.pass_by(hours=1)
    found = await pages(documents, Query("a", limit=2))
    assert [[item.id for item in page.items] for page in found] == [["009", "019"], ["029", "039"], ["049", "059"]]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "data",
    [
        {"": 1},
        {"__x__": 1},
        {"a": {"k" * 1501: 1}},
        {"a": [[1]]},
        {"a": 2**63},
        {"a": float("nan")},
        {"a": "\ud800"},
        {"a": bytearray(b"bytes")},
        {"a": {1, 2}},
        {"a": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
    ids=lambda data: ascii(data)[:20],
)
async def test_data_that_a_store_cannot_keep_is_named(documents: Documents, data: Data) -> None:
    """`Invalid` says which field; both stores draw the same line."""
    with pytest.raises(Invalid) as caught:
        await documents.write(Put("a/1", data))
    assert caught.value.errors[0][0].startswith("data")
    assert await documents.get("a/1") is None


async def test_data_may_be_nested_twenty_deep(documents: Documents) -> None:
    """Firestore's limit is nobody's surprise in production."""

    def nested(depth: int) -> Data:
        return {"k": nested(depth - 1)} if depth > 1 else {}

    await documents.write(Put("a/1", nested(20)))
    assert (await stored(documents, "a/1")).data == nested(20)
    with pytest.raises(Invalid):
        await documents.write(Put("a/1", nested(21)))


async def test_a_document_of_more_than_a_mebibyte_is_refused(documents: Documents) -> None:
    """900 KiB fit, 1.1 MiB do not."""
    await documents.write(Put("a/1", {"text": "x" * 900_000}))
    with pytest.raises(Refused):
        await documents.write(Put("a/2", {"text": "x" * 600_000, "more": "x" * 600_000}))


async def test_as_many_bytes_fit_as_letters(documents: Documents) -> None:
    """900 KiB that no text could hold come back equal, can be compared and set, and keep their version where they are
    written again; 1.1 MiB do not fit."""
    packed = bytes(range(256)) * 3600
    await documents.write(Create("a/1", {"packed": packed, "n": 1}))
    first = await stored(documents, "a/1")
    assert first.data == {"packed": packed, "n": 1}
    assert await documents.write(Replace("a/1", first.data, first.version)) == [first.version]
    (second,) = await documents.write(Replace("a/1", {"packed": packed[::-1]}, first.version))
    with pytest.raises(Outpaced):
        await documents.write(Replace("a/1", {"packed": b""}, first.version))
    assert await documents.get("a/1") == Document("a/1", {"packed": packed[::-1]}, second)
    with pytest.raises(Refused):
        await documents.write(Put("a/2", {"packed": bytes(1_150_000)}))


@pytest.mark.parametrize(
    "text", ["\U0010ffff", "\U0010ffff\x03QQ", "\U0010ffff\x02a", "\x01", "\x02", "\x02\U0010ffff", "\U0010ffffz", ""]
)
async def test_no_text_passes_for_bytes_or_a_time(documents: Documents, text: str) -> None:
    """However it begins, it comes back as it was, and is found by itself."""
    await documents.write(Create("a/1", {"t": text}))
    assert (await stored(documents, "a/1")).data == {"t": text}
    assert await ids(documents, Query("a", [("t", "==", text)])) == ["1"]
    assert await ids(documents, Query("a", [("t", ">=", "")])) == ["1"]


@pytest.mark.parametrize("path", ["a", "a/", "/a", "a//b/c", "a/..", "a/__x__", "a/\ud800", "a/\n", "a/" + "x" * 1501])
async def test_a_path_that_is_none_is_refused(documents: Documents, path: str) -> None:
    """An id that somebody typed never becomes more than an `Invalid`."""
    for attempt in (documents.get(path), documents.get_many([path]), documents.write(Put(path, {}))):
        with pytest.raises(Invalid):
            await attempt


@pytest.mark.parametrize(
    "query",
    [
        Query("a/b"),
        Query("a/b/c", group=True),
        Query("a", limit=0),
        Query("a", [("n", "in", [])]),
        Query("a", [("n", "in", list(range(31)))]),
        Query("a", [("n", "<", None)]),
        Query("a", [("n..m", "==", 1)]),
        Query("a", order='a"b'),
        Query("a", [("n", "!=", 1)]),
    ],
    ids=str,
)
async def test_a_query_that_cannot_be_is_refused(documents: Documents, query: Query) -> None:
    """By both stores alike."""
    with pytest.raises(Invalid):
        await documents.query(query)


# ------------------------------------------------------------------ properties

keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda key: not key.startswith("__"))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.datetimes(timezones=st.just(UTC)),
    st.binary(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.dictionaries(keys, inner, max_size=4)
        | st.lists(inner.filter(lambda item: not isinstance(item, list)), max_size=4)
    ),
    max_leaves=8,
)
lenient = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@lenient
@given(data=st.dictionaries(keys, values, max_size=6))
async def test_any_data_comes_back_equal(documents: Documents, data: Data) -> None:
    """Whatever is allowed is kept: every key, every text, every number with its type."""
    data.pop("expire_at", None)
    await documents.write(Put("a/1", data))
    found = (await stored(documents, "a/1")).data
    assert found == data
    assert typed(found) == typed(data)


def typed(value: Any) -> Any:
    """Types are compared too: 1, 1.0 and True are equal to Python."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else type(value)


# ------------------------------------------------------------------ one store alone


async def test_an_unreachable_firestore_says_so(unused_tcp_port: int) -> None:
    """Each kind of call ends within its time limit, as `Unreachable`, without the vendor's words."""
    documents = FirestoreDocuments("test", emulator_host=f"127.0.0.1:{unused_tcp_port}")
    calls = [
        documents.get("a/1"),
        documents.query(Query("a")),
        documents.count(Query("a")),
        documents.write(Put("a/1", {})),
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [Unreachable] * 4
    assert {getattr(error, "neighbour", "") for error in found} == {"firestore"}
    await documents.close()


async def test_a_file_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """A folder where the file should be is a passing fault with its cause, not a crash."""
    with pytest.raises(Unreachable):
        await SqliteDocuments(str(tmp_path)).get("a/1")


async def test_a_new_file_that_somebody_else_is_writing_to_is_waited_for(tmp_path: Path) -> None:
    """As when several processes start at once: SQLite itself would refuse at once to change the file's mode."""
    file = str(tmp_path / "documents.sqlite3")
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    written = asyncio.ensure_future((documents := SqliteDocuments(file)).write(Create("a/1", {"n": 1})))
    await asyncio.wait({written}, timeout=0.2)
    assert not written.done()
    other.close()
    await written
    assert (await stored(documents, "a/1")).data == {"n": 1}
    await documents.close()


async def test_a_file_outlives_its_connection(tmp_path: Path) -> None:
    """Closed and opened again, the documents have their versions still."""
    file = str(tmp_path / "documents.sqlite3")
    first = SqliteDocuments(file)
    await first.write(Create("a/1", {"n": 1}))
    before = await first.get("a/1")
    await first.close()
    second = SqliteDocuments(file)
    assert await second.get("a/1") == before
    await second.close()


async def test_an_expired_row_is_swept_when_the_file_is_opened(tmp_path: Path, clock: Clock) -> None:
    """A clock that was set back does not bring it back."""
    file = str(tmp_path / "documents.sqlite3")
    first = SqliteDocuments(file, clock)
    await first.write(Create("a/1", {"expire_at": clock() + timedelta(hours=1)}))
    await first.close()
    clock.pass_by(hours=2)
    second = SqliteDocuments(file, clock)
    assert await second.get("a/1") is None
    clock.pass_by(hours=-2)
    assert await second.get("a/1") is None
    await second.close()


async def test_a_restarted_emulator_has_what_was_saved(
    firestore_host: str, unused_tcp_port: int, tmp_path: Path
) -> None:
    """`save` and a start from it keep odd ids, keys and times."""
    documents = FirestoreDocuments("kept", emulator_host=firestore_host)
    await documents.write(Put(f"rooms/{ROOM}/steps/1", {"at": MOMENT, "by": {ROOM: [1, None]}}))
    await documents.close()
    await asyncio.to_thread(firestore.save, int(firestore_host.rpartition(":")[2]), "kept", tmp_path)
    process = firestore.start(unused_tcp_port, tmp_path)
    try:
        await asyncio.to_thread(firestore.wait_ready, unused_tcp_port)
        again = FirestoreDocuments("kept", emulator_host=f"127.0.0.1:{unused_tcp_port}")
        assert (await stored(again, f"rooms/{ROOM}/steps/1")).data == {"at": MOMENT, "by": {ROOM: [1, None]}}
        await again.close()
    finally:
        process.kill()
        process.wait()
