"""Each benchmark runs, in its small version, and counts what it should; what it measured is nobody's promise."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks import cold, encrypted, growth, onboarding, recommend, sync, warm
from benchmarks.__main__ import as_json, main
from benchmarks.common import Figures, Report, median, ratio, shown
from benchmarks.load import LENGTH
from benchmarks.world import World
from shared.domain import costs


def row(report: Report, name: str) -> Figures:
    """The only row whose name begins so."""
    [found] = [row for row in report.rows if str(row["name"]).startswith(name)]
    return found


def number(figures: Figures, column: str) -> float:
    value = figures[column]
    assert isinstance(value, int | float), f"{column} is {value!r}"
    return value


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One stack for those that do not mind what the others leave there. On SQLite: documents are not what is counted."""
    with World(MUSTER_STORE="sqlite") as started:
        yield started


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[World, Report]]:
    """A stack with the emulator and what an onboarding costs there, counted while nothing else had been on it."""
    with World() as started:
        yield started, onboarding.run(small=True, on=started)


def test_every_entry_point_is_measured() -> None:
    """An entry point that is added to main.py is added to the cold starts."""
    from main import ENTRY_POINTS

    assert {variant.target for variant in cold.VARIANTS if variant.source == cold.MAIN} == set(ENTRY_POINTS)


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_calls_do_not_grow_with_the_rooms_of_the_bot(world: World) -> None:
    """The bot in more rooms asks no more of the homeserver."""
    report = growth.run(small=True, on=world)
    beyond = [number(figures, "beyond N") for figures in report.rows]
    assert len(beyond) == len({row["name"] for row in report.rows}) == 2
    assert len(set(beyond)) == 1
    assert 0 < beyond[0] < 8


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_warm_requests_are_answered(world: World) -> None:
    """Every subject answers under load, with 200 alone."""
    report = warm.run(small=True, on=world)
    assert len(report.rows) == 6
    assert all(number(figures, "8: per s") > 0 and number(figures, "64: per s") > 0 for figures in report.rows)


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_encrypted_messages_are_delivered(world: World) -> None:
    """Every message is read back on each device, and the sealed ones ask of Matrix what the protocol needs: the keys, a
    claim, the room key's way to the device, the message; the welcome also who is there, the hello no more than plain."""
    report = encrypted.run(small=True, on=world)
    matrix = {str(figures["name"]): figures["Matrix"] for figures in report.rows if "Matrix" in figures}
    assert (matrix["hello, plain"], matrix["hello, encrypted, 1 device"]) == (3, 5)
    assert (matrix["welcome, plain"], matrix["welcome, encrypted, 2 devices"]) == (1, 5)
    for figures in (row(report, "2 instances, hello"), row(report, "2 instances, welcome")):
        assert number(figures, "plain per min") > 0
        assert number(figures, "encrypted per min") > 0
    sealed = next(figures for figures in report.rows if figures["name"] == "welcome, encrypted, 2 devices")
    assert all(number(sealed, column) > 0 for column in ("wall ms", "CPU ms", "MiB", "KB out", "KB in", "Firestore"))


def test_questions_are_answered() -> None:
    """Both kinds of question are measured at each size, and each against the bare query."""
    report = recommend.run(small=True)
    assert [row["name"] for row in report.rows] == ["50 rooms", "500 rooms"]
    for figures in report.rows:
        assert all(number(figures, column) > 0 for column in ("build ms", "short ms", "long ms", "short x FTS5"))


@pytest.mark.timeout(240)
def test_syncs_are_counted() -> None:
    """Over HTTP, through the real clients, a full sync asks for each page of accounts and each room once, and a process
    once an hour which devices its tokens are; one that finds nothing new makes five calls and writes its state documents alone; what changed is written, and found by a list."""
    report = sync.run(small=True, repeat=0)
    by_name = {str(row["name"]).removeprefix(f"{sync.SMALL[0]} "): row for row in report.rows}
    assert number(by_name["authentik: full"], "calls") == 2 + 1
    assert number(by_name["matrix: full again"], "calls") == 10 + 3
    quiet = [by_name[f"{source}: light, nothing new"] for source in ("authentik", "matrix")]
    assert [(row["calls"], row["reads"], row["writes"], row["packed KB"]) for row in quiet] == [
        (3, 1, 2, 0),
        (2, 1, 2, 0),
    ]
    for source in ("authentik", "matrix"):
        assert number(by_name[f"{source}: light, changes"], "packed KB") > 0
        assert number(by_name[f"{source}: full again"], "packed KB") == 0
    assert number(by_name["search page, cold"], "reads") == 3
    assert number(by_name["search page, warm"], "reads") == 1


# ---- on the emulator, which is last: while it stands it takes a tenth of a processor, asked or not


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_cold_starts_answer(emulated: tuple[World, Report]) -> None:
    """Every program of the small run answers its real first question, and has used CPU and memory for it."""
    report = cold.run(small=True, on=emulated[0])
    assert {row["name"] for row in report.rows} == set(cold.SMALL)
    for figures in report.rows:
        assert number(figures, "CPU ms") > 0
        assert number(figures, "MiB") > 5


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_an_onboarding_is_counted(emulated: tuple[World, Report]) -> None:
    """Each room more is one task more and two calls to Matrix, the invite and the room's name for the welcome (asked once
    in 15 minutes); what is left over stays below 8 calls. What the costs are reckoned with is what was counted."""
    report = emulated[1]
    one, three = row(report, "1 rooms"), row(report, "3 rooms")
    for column, each in (("Matrix", 2), ("tasks", 1), ("requests", 1)):
        assert number(three, column) - number(one, column) == 2 * each, column
    assert 0 < number(three, "Matrix") - 6 < 8
    assert number(three, "Authentik") >= 1
    assert number(three, "written") > number(one, "written")
    for rooms, counted in ((1, one), (3, three)):
        assert_counted(counted, costs.BY_WEBHOOK + costs.PER_ROOM * rooms)
    idle = row(report, "a sweep with nothing to do")
    assert_counted(idle, costs.SWEEP + costs.Operations(reads=3))  # it looks at the three who are new
    alone = row(report, "3 invites, 0 ms of delay: Muster")
    assert 3 <= number(alone, "Matrix") <= 4


def assert_counted(counted: Figures, expected: costs.Operations) -> None:
    """Reads and writes may differ by what two steps that end at the same moment ask twice."""
    exact = {
        "tasks": "tasks",
        "requests": "requests",
        "Matrix": "matrix",
        "Authentik": "authentik",
        "deleted": "deletes",
    }
    assert {name: number(counted, name) for name in exact} == {n: getattr(expected, exact[n]) for n in exact}
    assert number(counted, "read") == pytest.approx(expected.reads, rel=0.1)
    assert number(counted, "written") == pytest.approx(expected.writes, rel=0.1)


def test_the_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that does not exist is named, and nothing is started."""
    with pytest.raises(SystemExit):
        main(["cold", "hot"])
    assert "there is no benchmark hot" in capsys.readouterr().err


def test_figures_are_written_as_json() -> None:
    """The table's figures are in the file, for whoever compares two runs."""
    found = Report("cold", "Cold", [{"name": "hello", "CPU ms": 1.5, "x hello": None}], ["a note"])
    [written] = json.loads(as_json([found]))["benchmarks"]
    assert written == found.as_data()
    assert "1.50" in found.as_text()


def test_small_things() -> None:
    """Medians, ratios and cells are what they say; a length is found whatever its case."""
    assert median([3, 1, 2]) == 2
    assert (ratio(3, 2), ratio(1, 0)) == (1.5, None)
    assert [shown(value) for value in (None, 0.125, 12.34, 123.4, 5, "x")] == ["", "0.12", "12.3", "123", "5", "x"]
    assert LENGTH.search(b"HTTP/1.1 200 OK\r\nContent-Length: 12")
