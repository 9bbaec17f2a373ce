"""Two worker nodes share nothing but DATABASE_URL and BROKER_URL, as on two hosts."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.models import Run, StepLog, WorkerSession
from orchestrator.project.embedded.child import ChildOptions, start_child
from orchestrator.queries.fsck import breaches
from tests.chaos import functions
from tests.chaos.node import able_to_call
from tests.engine.drawings import document, step
from tests.engine.house import make_house
from tests.waiting import wait_until

pytestmark = pytest.mark.chaos

STEPS, RUNS = 6, 150
Node = subprocess.Popen[bytes]


@pytest.fixture
def hosts(process_environment: dict[str, str], tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes of one pool process each."""
    shared = able_to_call(functions, process_environment, tmp_path)
    arguments = [sys.executable, "manage.py", "work", "--processes", "1"]
    nodes = [start_child(arguments, ChildOptions(environment=shared)) for _ in range(2)]
    try:
        wait_until(lambda: WorkerSession.objects.values("node_id").distinct().count() == 2, 60, "two nodes to start")
        yield nodes
    finally:
        for node in nodes:
            node.kill()  # stopping politely is tested elsewhere
            node.wait(timeout=30)


def sessions_at_work() -> set[int | None]:
    return set(StepLog.objects.filter(outcome="S").values_list("session_id", flat=True).distinct())


def test_of_two_hosts_one_dies_and_the_other_finishes(hosts: list[Node]) -> None:
    house = make_house()
    act = {"function": "chaos.act", "arguments": {"fails": False, "flaky": 0}}
    keys = [f"s{number}" for number in range(STEPS)]
    drawn = document([step(key, "call", config=act) for key in keys], " > ".join(keys))
    version = house.publish(drawn)
    both: set[int | None] = set(WorkerSession.objects.values_list("pk", flat=True))
    started = [house.start(version) for _ in range(RUNS)]
    while sessions_at_work() < both:
        started += [house.start(version) for _ in range(10)]
        assert len(started) < 20 * RUNS, "one of the two hosts takes no work"

    # The whole host: its parent and its pool process, with what they hold.
    lost = [house.start(version) for _ in range(20)]
    os.killpg(hosts[0].pid, signal.SIGKILL)
    hosts[0].wait(timeout=10)
    after = [house.start(version) for _ in range(20)]

    wait_until(lambda: not Run.objects.open().exists(), 90, "the other host to finish everything")
    everything = [*started, *lost, *after]
    assert Run.objects.filter(pk__in=everything, state="succeeded").count() == len(everything)
    finals = StepLog.objects.filter(run_id__in=everything, outcome="S", final=True)
    assert finals.filter(node__lt=STEPS).count() == STEPS * len(everything)
    by = set(StepLog.objects.filter(run_id__in=after, outcome="S").values_list("session_id", flat=True))
    assert len(by) == 1
    assert list(breaches()) == []
