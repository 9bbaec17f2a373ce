"""Processes die by kill -9 with places of a limited queue in their hands (I19): none is used twice, none stays lost."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from orchestrator.models import Run, StepLog, Token, Version, WorkerSession
from orchestrator.queries.fsck import breaches
from orchestrator.services.queue_limits import set_queue_limit
from tests.chaos import functions, journal
from tests.chaos.node import able_to_call, node_at_work
from tests.chaos.testimony import contradictions
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_house
from tests.waiting import wait_until

pytestmark = pytest.mark.chaos

LONG = os.environ.get("BRANCHLINE_CHAOS") == "long"
PLACES, STEPS = 2, 3
KILLS = 60 if LONG else 5
FEW, MORE = 3, 20  # runs: when so few are open, so many more are started


@pytest.fixture
def house(process_environment: dict[str, str], tmp_path: Path) -> Iterator[House]:
    """More processes than places."""
    environment = able_to_call(functions, process_environment, tmp_path, ttl=1, log_level="CRITICAL")
    with node_at_work(environment, tmp_path / "node.log", processes=4):
        yield make_house()


def publish(house: House) -> Version:
    """A workflow whose steps write down their calls, in a queue that is limited from now on."""
    act = {"function": "chaos.act", "arguments": {"fails": False, "flaky": 0}}
    keys = [f"s{number}" for number in range(STEPS)]
    version = house.publish(document([step(key, "call", config=act) for key in keys], " > ".join(keys)))
    set_queue_limit(actor=house.actor, queue="default", concurrency=PLACES)
    return version


def holders() -> list[int]:
    """Processes with a place in their hands. No more places are given than there are."""
    found = Token.objects.filter(state="L", queue_limit_id__isnull=False).values_list("session_id", flat=True)
    leases = [session for session in found if session is not None]
    assert len(leases) <= PLACES
    return list(WorkerSession.objects.filter(pk__in=leases).values_list("pid", flat=True))


def kill_a_holder(killed: dict[int, int], random: Random, start: Callable[[], object]) -> None:
    """Add its process id, and when it was struck by the clock of the journal. There is always something to do."""
    found: set[int] = set()

    def look() -> bool:
        if Run.objects.open().count() <= FEW:
            for _ in range(MORE):
                start()
        found.update(set(holders()) - killed.keys())
        return bool(found)

    wait_until(look, 60, "a process to hold a place")
    victim = random.choice(sorted(found))
    killed[victim] = time.monotonic_ns()
    os.kill(victim, signal.SIGKILL)


def most_at_once(folder: Path, killed: dict[int, int]) -> int:
    """How many handlers were at work at one moment, at most: from their call to their end, or their process's."""
    changes: list[tuple[int, int]] = []
    for path in folder.glob(journal.FILES):
        lines = [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        changes += [(int(at), 1) for event, at, *_ in lines if event == journal.CALLED]
        changes += [(int(at), -1) for event, at, *_ in lines if event == journal.ACTED]
        cut_off = sum({journal.CALLED: 1, journal.ACTED: -1}.get(event, 0) for event, *_ in lines)
        changes += [(killed[int(path.stem)], -1) for _ in range(cut_off)]
    here = most = 0
    for _, change in sorted(changes):
        here += change
        most = max(most, here)
    assert here == 0
    return most


def test_places_of_killed_processes_return_and_are_never_more(house: House, tmp_path: Path) -> None:
    random = Random(19)
    version = publish(house)
    killed: dict[int, int] = {}
    for _ in range(KILLS):
        kill_a_holder(killed, random, lambda: house.start(version))
    wait_until(lambda: not holders() and not Run.objects.open().exists(), 120, "every run to end")
    runs = list(Run.objects.filter(version_id=version.pk))
    assert {run.state for run in runs} == {"succeeded"}
    assert StepLog.objects.filter(outcome="S", final=True, node__lt=STEPS).count() == len(runs) * STEPS
    assert StepLog.objects.filter(outcome="U").exists(), "no kill hit an attempt"
    acts = {(run.pk, node) for run in runs for node in range(STEPS)}
    assert list(contradictions(journal.read(tmp_path), acts)) == []
    assert most_at_once(tmp_path, killed) == PLACES
    assert [leftovers(run.pk) for run in runs if leftovers(run.pk)] == []
    assert list(breaches()) == []
