"""For all tests: nothing leaves this machine, and in CI nothing is skipped."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from local.processes import PartFailed
from local.surroundings import given, refuse_remote
from shared.wiring import OBJECTS

STACK_FILES = ("tests/end_to_end/", "tests/browser/")
TOGETHER = "tests/end_to_end/together/"
STACKS = {Path(__file__).parent / name for name in ("end_to_end", "browser")}
StackData = Callable[[str], Path]

gc.set_threshold(OBJECTS)  # what the tests import is no garbage either


def pytest_configure() -> None:
    """Before a single test: addresses of other machines and Google credentials need MUSTER_ALLOW_REMOTE=1."""
    try:
        refuse_remote(given(os.environ))
    except PartFailed as refused:
        pytest.exit(str(refused), returncode=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow ones carry their mark and come last: what is broken in a small way shows first. Where several workers
    share the tests they come first: a long file that one of them begins last would have the others wait for it."""
    for item in items:
        if STACKS & set(item.path.parents):
            item.add_marker(pytest.mark.stack)
    _name_each(items)
    shared = hasattr(config, "workerinput")
    items.sort(key=lambda item: bool(STACKS & set(item.path.parents)) is not shared)


class _Lanes(LoadFileScheduling):
    """Each file to one worker. Who tests a stack mostly waits for it, so the last worker begins with the files that
    need none, and the processor has something to do meanwhile. The folder whose files share one stack goes to one worker as well."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        alone = node is self.nodes[-1] and len(self.nodes) > 1
        scope = next((name for name in self.workqueue if alone and not name.startswith(STACK_FILES)), None)
        if scope:
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Lanes:
    """For scripts/test."""
    return _Lanes(config, log)


@pytest.fixture(scope="session")
def stack_data(tmp_path_factory: pytest.TempPathFactory, worker_id: str, unused_tcp_port_factory: Any) -> StackData:
    """`stack_data(name)`: a new data directory for a stack, with the homeserver in it as its first start leaves it: bot,
    INDOC and sample rooms. Made once for all workers and copied: each first start costs as much as the rest of the stack's."""
    from local.stack import DOMAIN
    from local.synapse import Synapse

    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    made, begun = shared / "homeserver", shared / "homeserver.begun"

    def copied(name: str) -> Path:
        with (shared / "homeserver.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(begun, ignore_errors=True)
                synapse = Synapse(begun, unused_tcp_port_factory(), DOMAIN, lambda _: None)
                try:
                    synapse.start()
                    synapse.provision()
                finally:
                    synapse.kill()
                begun.rename(made)
        data = tmp_path_factory.mktemp(name)
        shutil.copytree(made, data / "synapse")
        return data

    return copied


def _name_each(items: list[pytest.Item]) -> None:
    """Workers are given tests by name: of several with the same one only one would be run. Schemathesis names all
    operations alike."""
    for item in items:
        _, bracket, params = item.name.partition("[")
        if bracket and not item.nodeid.endswith(item.name):
            item._id = item._id.with_params(params.removesuffix("]"))
    alike = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if alike:
        raise pytest.UsageError(f"tests of the same name: {', '.join(alike[:5])}")


def _required(report: Any) -> Any:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("MUSTER_REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"MUSTER_REQUIRE_ALL=1, but: {report.longrepr[2] if report.longrepr else 'skipped'}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """With MUSTER_REQUIRE_ALL=1 a skipped test has failed: the part that it needs should be there."""
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[Any]:
    """A module that skips itself, likewise."""
    return _required((yield))
