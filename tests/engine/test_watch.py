"""The watch of a worker: when it looks for handlers that overstay, and when it need not."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.engine import overstaying
from orchestrator.engine import watch as watches
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.slots import Slots
from orchestrator.engine.watch import AGAIN, LONGEST, Watch
from orchestrator.engine.worker import Worker
from orchestrator.models import StepLog
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds

PATIENCE = 20
NEVER = float("inf")
ONCE = {"attempts": 1, "first": "PT0S", "jitter": "none"}


@pytest.fixture
def long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word the watch does not look again while a test lasts."""
    for module in (watches, overstaying):
        monkeypatch.setattr(module, "LONGEST", 1_000.0)


@contextmanager
def at_watch(looks: threading.Semaphore) -> Iterator[Watch]:
    def look() -> float:
        looks.release()
        return NEVER

    watch = Watch(look)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


@pytest.mark.usefixtures("long_pause")
def test_what_cannot_wait_for_the_next_look_is_looked_at_in_its_time() -> None:
    looks = threading.Semaphore(0)
    with at_watch(looks) as watch:
        assert looks.acquire(timeout=PATIENCE), "the first look needs no word"
        at = time.monotonic() + 0.05
        watch.heed(at)
        assert looks.acquire(timeout=PATIENCE)
        assert time.monotonic() >= at, "not before there is something to see"
        assert not looks.acquire(blocking=False)


@pytest.mark.usefixtures("long_pause")
def test_what_can_wait_for_the_next_look_wakes_nobody() -> None:
    looks = threading.Semaphore(0)
    with at_watch(looks) as watch:
        assert looks.acquire(timeout=PATIENCE)
        soon = time.monotonic() + 500
        watch.heed(soon)
        watch.heed(soon + 100)
        assert watch._next == soon


@pytest.mark.usefixtures("long_pause")
def test_what_is_said_during_a_look_is_not_lost() -> None:
    looks, may_end = threading.Semaphore(0), threading.Event()

    def look() -> float:
        looks.release()
        assert may_end.wait(PATIENCE)
        return NEVER

    watch = Watch(look)
    watch.start()
    assert looks.acquire(timeout=PATIENCE)
    watch.heed(time.monotonic())
    may_end.set()
    assert looks.acquire(timeout=PATIENCE), "it looks again"
    watch.stop()


def attempt(token_id: int, deadline: float | None) -> Attempt:
    lease: Any = SimpleNamespace(token_id=token_id, epoch=1, node=0, run=SimpleNamespace(version_id=1))
    return Attempt(lease=lease, deadline=deadline)


def next_look(worker: Worker, *attempts: Attempt) -> float:
    """Seconds until the next look, as if these were at work."""
    for each in attempts:
        worker._attempts.put(each)
    try:
        return worker._overstaying.look() - time.monotonic()
    finally:
        for each in attempts:
            worker._attempts.forget(each)


@pytest.mark.usefixtures("transactional_db")
def test_the_next_look_is_at_the_first_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with worker_at_work(make_tools(sandbox)) as worker:
        worker._watch.stop()
        monkeypatch.setattr(worker._overstaying, "_give_up", lambda late: None)
        now = time.monotonic()
        assert AGAIN < next_look(worker) <= LONGEST
        assert AGAIN < next_look(worker, attempt(1, None), attempt(2, now + 100)) <= LONGEST
        assert next_look(worker, attempt(1, now + 100), attempt(2, now + 0.5), attempt(3, now + 0.7)) <= 0.5
        # One whose end is on its way to the rows stays late: it is no reason to look without a pause.
        assert 0 < next_look(worker, attempt(1, now - 1)) <= AGAIN
        monkeypatch.setattr(Slots, "is_crowded", True)
        assert next_look(worker) <= AGAIN


@pytest.mark.usefixtures("long_pause")
def test_a_handler_that_overstays_is_given_up_whenever_the_watch_looked_last(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    version = house.publish(document([step("a", "held", timeout="PT0.2S", retry=ONCE)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        run_id = house.start(version)
        assert house.end_of(run_id).state == "failed"
        held.release.set()
    assert list(StepLog.objects.filter(run_id=run_id).values_list("outcome", flat=True)) == ["T"]


@pytest.mark.usefixtures("long_pause")
def test_work_that_waits_for_a_slot_is_looked_at(sandbox: Sandbox, transactional_db: None) -> None:
    withdrawn, go_on = threading.Event(), threading.Event()
    with worker_at_work(make_tools(sandbox), slots=1) as worker:
        worker._slots._usual = 0.0
        worker._slots.submit(go_on.wait)  # type: ignore[arg-type]  # whatever it answers
        worker._slots.submit(lambda: None, withdrawn.set)
        assert withdrawn.wait(PATIENCE), "nothing begins, so others may have it"
        go_on.set()
